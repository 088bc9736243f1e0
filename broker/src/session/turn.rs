//! What a connection has in hand: messages on their way to its client, and the frames of a
//! read.

use std::sync::Arc;

use bytes::Bytes;

use super::publish_span::Following;
use crate::commands::Handed;
use crate::intake::IntakeMessage;
use crate::packet::Qos;

/// A message on its way to this client.
pub(super) struct Queued {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) properties: Bytes,
    pub(super) subscription_ids: Vec<u32>,
    /// A command of which it is reported what became.
    pub(super) handed: Option<Handed>,
}

/// The frames of one socket read.
#[derive(Default)]
pub(super) struct Turn<'a> {
    pub(super) messages: Vec<IntakeMessage<'a>>,
    /// Bytes of their payloads.
    pub(super) bytes: usize,
    pub(super) followed: Vec<Following>,
}
