//! The API's ways to devices. Commands are kept in the database; whoever has a way to a
//! device claims what waits for it and sends it (`courier.rs`): a node by the connections of
//! its door (`node.rs`), an API alone by a broker (`broker.rs`), or by the nodes that share
//! its Redis (`relay.rs`).

mod broker;
mod courier;
mod desk;
mod node;
mod relay;
#[cfg(test)]
mod tests;

pub(crate) use broker::BrokerCommands;
pub(crate) use courier::CommandFigures;
pub(crate) use desk::Desk;
pub(crate) use node::NodeCommands;
pub(crate) use relay::RelayCommands;
