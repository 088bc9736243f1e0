//! Where stations meet: the only code that knows several of them. A node hands
//! the door's frames to the parser's step and its records to the exporter, in
//! process; nothing here decides anything about frames.

mod alerts;
mod announce;
mod authenticate;
mod books_watch;
mod canary;
mod commands;
mod devices;
mod http_devices;
mod intake;
mod keep_small;
mod listeners;
mod lookup;
mod mirror;
mod parts;
mod posting;
mod relay;
mod seal;
mod signals;
#[cfg(test)]
mod testing;
mod traced;
mod traces;

pub(crate) use alerts::{AlertPublisher, publish_alerts};
pub(crate) use announce::{announce, describe, name_at};
pub(crate) use authenticate::LoginAuthenticator;
pub(crate) use books_watch::watch_books;
pub(crate) use canary::{Canary, Pipeline, older_among};
pub(crate) use commands::{BrokerCommands, CommandFigures, Desk, NodeCommands, RelayCommands};
pub(crate) use devices::{ForeignDevices, Keeper, ParserDevices};
pub(crate) use http_devices::serve_devices;
pub(crate) use intake::{NodeAck, NodeIntake};
pub(crate) use keep_small::keep_small;
pub(crate) use listeners::{of_devices, of_node, over_http, over_mqtt};
pub(crate) use mirror::Mirror;
pub(crate) use parts::{
    DOOR_ADDRESSES, DRAIN, bind_metrics, database, door_config, evaluate_rules, follow_named,
    keep_rebuilt, keep_sums, live, live_writer, lock_data_dir, make_data_dir, policy, run_lanes,
    serve_api, serve_metrics, show_new_devices, with_devices,
};
pub(crate) use posting::{PostAck, Posting, Submit};
pub(crate) use relay::{DoorRelay, listen};
pub(crate) use signals::Asked;
pub(crate) use traces::trace;
