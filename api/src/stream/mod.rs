//! The live stream: one hub an instance follows what the live store says moved,
//! turns it into events once, and keeps the last of them; every client pulls from
//! there at its own pace.
//!
//! Nothing is queued for a client, so a slow one costs the others nothing: it
//! finds a longer stretch when it comes back, of which it gets the newest of each
//! device, and it is let go when it falls behind what is kept. `event.rs`,
//! `window.rs`, `values.rs`, `fleet.rs`, `filter.rs`, `pace.rs` and `shares.rs` decide, without IO;
//! `hub.rs` and `follower.rs` do.

mod event;
mod filter;
mod fleet;
mod follower;
mod holder;
mod hub;
mod id;
mod metrics;
mod pace;
mod query;
mod service;
mod shares;
mod state;
mod status;
mod text;
mod ticket;
mod values;
mod window;
mod writer;

#[cfg(test)]
pub(crate) use event::tests::entry as test_entry;
pub(crate) use event::{Event, Happened, Here};
pub(crate) use follower::{Follower, Reason, Turn};
pub(crate) use holder::Holder;
pub(crate) use hub::Hub;
pub(crate) use id::EventId;
pub(crate) use query::{Wanted, parameters};
pub(crate) use service::Hello;
pub(crate) use state::StreamState;
pub(crate) use status::Status;
pub(crate) use text::{Form, Text};
pub(crate) use ticket::{TICKET_LIFE_S, redeem};
pub(crate) use writer::EventWriter;
