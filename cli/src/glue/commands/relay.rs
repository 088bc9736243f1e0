//! The way of an API alone through the nodes in front of the same Redis: they are told that
//! something waits, and take it from the database.

use async_trait::async_trait;
use nemeses_api::{CommandSink, Delivered, KeptCommand, NoWay};
use nemeses_store::relay::{RelayCaller, Relayed};

/// The nodes'.
pub(crate) struct RelayCommands(pub(crate) RelayCaller);

#[async_trait]
impl CommandSink for RelayCommands {
    async fn send(&self, command: KeptCommand) -> Result<Delivered, NoWay> {
        match self.0.send(&Relayed::Waiting(command.device)).await {
            Ok(true) => Ok(Delivered::Relay),
            Ok(false) => Err(NoWay),
            Err(error) => {
                tracing::warn!(%error, "nodes find a command at their next look");
                Ok(Delivered::Nobody)
            }
        }
    }
}
