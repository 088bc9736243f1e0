//! The door's way to devices on other nodes.

use std::sync::Arc;

use nemeses_broker::{DoorHandle, Undelivered};
use nemeses_runtime::Tasks;
use nemeses_store::relay::{Relay, RelaySender, Relayed};

use super::Desk;

/// Passes on what no connection here takes.
pub(crate) struct DoorRelay(pub(crate) RelaySender);

impl nemeses_broker::Relay for DoorRelay {
    fn relay(&self, undelivered: Undelivered) {
        let message = match undelivered {
            Undelivered::Reply(device, payload) => Relayed::Reply(device, payload.to_vec()),
            Undelivered::Command(device, payload) => Relayed::Command(device, payload.to_vec()),
        };
        if !self.0.send(message) {
            tracing::debug!("no room to pass a reply or command on to other nodes; dropped");
        }
    }
}

/// Delivers here what other nodes passed on.
pub(crate) fn listen(tasks: &Tasks, relay: Relay, door: DoorHandle, desk: Arc<Desk>) {
    let stop = tasks.stop().all;
    let deliver = move |message| {
        match message {
            // Nobody here listens either: the device is on a third node, or nowhere.
            Relayed::Reply(device, payload) => drop(door.reply(device, payload)),
            Relayed::Command(device, payload) => drop(door.command(device, payload)),
            Relayed::Waiting(device) => desk.device(device),
        }
    };
    tasks.spawn_rest("relay", async move {
        relay.run(deliver, stop).await;
        Ok(())
    });
}
