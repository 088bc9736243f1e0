//! The API's ways to devices: in a node the door's own connections and then the other
//! nodes; in an API that runs alone a broker, or the nodes of the same Redis.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use nemeses_api::{CommandError, CommandSink, Delivered};
use nemeses_broker::{DoorHandle, Reached};
use nemeses_mqtt::{PublishError, Publisher, PublisherConfig};
use nemeses_protocol::{DeviceId, Topics};
use nemeses_store::relay::{RelayCaller, Relayed};
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// A broker that has not acknowledged after this is told of as silent; connecting, when
/// the first command comes, is in it.
const BROKER_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A node's: who is connected here gets it, else the other nodes.
pub(crate) struct NodeCommands {
    pub(crate) door: DoorHandle,
    /// Where there is a Redis.
    pub(crate) nodes: Option<RelayCaller>,
}

#[async_trait]
impl CommandSink for NodeCommands {
    async fn send(&self, device: DeviceId, payload: Vec<u8>) -> Result<Delivered, CommandError> {
        let reached = self.door.publish_command(device, payload.clone());
        match (reached, &self.nodes) {
            (Reached::Listener, _) | (Reached::Watcher, None) => Ok(Delivered::Connection),
            (Reached::Nobody, None) => Ok(Delivered::Nobody),
            // This node itself listens in Redis, so that hearing tells nothing.
            (Reached::Watcher | Reached::Nobody, Some(nodes)) => {
                call(nodes, device, payload).await.map(|_heard| Delivered::Relay)
            }
        }
    }
}

/// Of an API alone, for the nodes in front of the same Redis.
pub(crate) struct RelayCommands(pub(crate) RelayCaller);

#[async_trait]
impl CommandSink for RelayCommands {
    async fn send(&self, device: DeviceId, payload: Vec<u8>) -> Result<Delivered, CommandError> {
        let heard = call(&self.0, device, payload).await?;
        if heard { Ok(Delivered::Relay) } else { Err(CommandError::NoWay) }
    }
}

async fn call(
    nodes: &RelayCaller,
    device: DeviceId,
    payload: Vec<u8>,
) -> Result<bool, CommandError> {
    let heard = nodes.send(&Relayed::Command(device, payload)).await;
    heard.map_err(|error| CommandError::Unavailable(error.to_string()))
}

/// Of an API alone, for a broker such as Mosquitto. Connects when the first command
/// comes, and stays connected: the API is there without the broker.
pub(crate) struct BrokerCommands {
    config: PublisherConfig,
    topics: Topics,
    publisher: OnceCell<Publisher>,
}

impl BrokerCommands {
    pub(crate) fn new(config: PublisherConfig, topics: Topics) -> Self {
        Self { config, topics, publisher: OnceCell::new() }
    }

    async fn publish(&self, device: DeviceId, payload: Bytes) -> Result<Delivered, CommandError> {
        let connecting = || Publisher::connect(self.config.clone());
        let publisher = self.publisher.get_or_try_init(connecting).await.map_err(unavailable)?;
        match publisher.publish(&self.topics.command_of(device), payload).await {
            Ok(nemeses_mqtt::Delivered) => Ok(Delivered::Broker),
            Err(PublishError::NoSubscriber) => Ok(Delivered::Nobody),
            Err(error) => Err(unavailable(error)),
        }
    }
}

#[async_trait]
impl CommandSink for BrokerCommands {
    async fn send(&self, device: DeviceId, payload: Vec<u8>) -> Result<Delivered, CommandError> {
        let published = self.publish(device, payload.into());
        timeout(BROKER_ANSWERS_WITHIN, published).await.unwrap_or_else(|_| {
            let within_s = BROKER_ANSWERS_WITHIN.as_secs();
            let url = self.config.endpoint.broker.url();
            Err(unavailable(format!("the broker at {url} has not answered within {within_s} s")))
        })
    }
}

fn unavailable(error: impl std::fmt::Display) -> CommandError {
    CommandError::Unavailable(error.to_string())
}
