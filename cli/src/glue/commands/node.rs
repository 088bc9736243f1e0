//! A node's way: who is connected here gets it; else the other nodes are told that
//! something waits.

use std::sync::Arc;

use async_trait::async_trait;
use nemeses_api::{CommandSink, Delivered, KeptCommand, NoWay};
use nemeses_broker::DoorHandle;
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Clock, Tasks};
use nemeses_store::history::{ClaimedCommand, CommandStep, Commands};
use nemeses_store::relay::{RelayCaller, Relayed};
use tokio::time::Instant;

use super::courier::{Courier, Way, time_left};
use super::{CommandFigures, Desk};

/// The node's.
pub(crate) struct NodeCommands {
    courier: Arc<Courier<Connections>>,
    /// Where there is a Redis.
    nodes: Option<RelayCaller>,
}

struct Connections {
    door: DoorHandle,
    clock: Clock,
}

impl NodeCommands {
    /// Sends by this door, whose keeper `desk` is.
    pub(crate) fn new(
        store: Arc<dyn Commands>,
        door: DoorHandle,
        desk: Arc<Desk>,
        nodes: Option<RelayCaller>,
        clock: Clock,
        figures: CommandFigures,
    ) -> Self {
        let way = Connections { door, clock: clock.clone() };
        Self { courier: Arc::new(Courier::new(store, way, desk, clock, figures)), nodes }
    }

    /// Sends what waits for those who connect.
    pub(crate) fn run(&self, tasks: &Tasks) {
        let (courier, stop) = (Arc::clone(&self.courier), tasks.stop().all);
        tasks.spawn_rest("commands", async move {
            courier.run(stop).await;
            Ok(())
        });
    }

    /// Whether the command is on its way to a client that is connected here.
    async fn is_taken(&self, command: &KeptCommand) -> bool {
        if !self.courier.way.leads_to(command.device) {
            return false;
        }
        match self.courier.send_to(&[command.device]).await {
            Ok(sent) => sent.contains(&(command.id, None)),
            Err(error) => {
                tracing::warn!(%error, device = %command.device, "a command waits: the database did not give it");
                false
            }
        }
    }
}

#[async_trait]
impl CommandSink for NodeCommands {
    async fn send(&self, command: KeptCommand) -> Result<Delivered, NoWay> {
        let seen = self.courier.way.door.show_command(command.device, command.payload.clone());
        if self.is_taken(&command).await {
            return Ok(Delivered::Connection);
        }
        if let Some(nodes) = &self.nodes {
            match nodes.send(&Relayed::Waiting(command.device)).await {
                Ok(_heard) => return Ok(Delivered::Relay),
                Err(error) => {
                    tracing::warn!(%error, "other nodes find a command at their next look");
                }
            }
        }
        Ok(if seen { Delivered::Watchers } else { Delivered::Nobody })
    }
}

#[async_trait]
impl Way for Connections {
    fn leads_to(&self, device: DeviceId) -> bool {
        self.door.has_taker(device)
    }

    async fn send(&self, command: &ClaimedCommand) -> anyhow::Result<Option<CommandStep>> {
        let until = Instant::now() + time_left(&self.clock, command);
        let ClaimedCommand { id, device, payload, .. } = command;
        let taken = self.door.hand_over(*device, *id, payload.clone(), until);
        // The desk hears what becomes of what was taken.
        Ok((!taken).then_some(CommandStep::Released(0)))
    }
}
