//! The protocols that there are, for tools that work on any: look-up, replay, `decode`
//! and what reads dead letters. Frames on their way to the tables do not pass here, but
//! through the protocol's own type.

use alloc::vec::Vec;

use crate::protocol::{Content, Field, Item, Items, Normalised, ProtocolFrame as _, Source};
use crate::sft9001::Sft9001;
use crate::{
    Cayenne, DeviceId, Gt06, Identity, OsmAnd, OwnTracks, Position, PositionRecord, Protocol,
    Queclink, Teltonika, content_hash,
};

/// Every protocol. The first is the one of payloads that come without a name.
pub static PROTOCOLS: [&dyn AnyProtocol; 7] =
    [&Sft9001, &Teltonika, &Gt06, &Queclink, &OsmAnd, &OwnTracks, &Cayenne];

/// The protocol of a name.
pub fn protocol_named(name: &str) -> Option<&'static dyn AnyProtocol> {
    PROTOCOLS.into_iter().find(|protocol| protocol.name() == name)
}

/// The protocol in which a device sends, if its number tells.
pub fn protocol_of(device: DeviceId) -> Option<&'static dyn AnyProtocol> {
    (device.number() <= DeviceId::MAX_SFT9001).then_some(&Sft9001)
}

/// A frame of any protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// What it is called, for example `location`.
    pub kind: &'static str,
    /// Who sent it.
    pub identity: Identity,
    /// Whether it is counted rather than kept.
    pub is_heartbeat: bool,
    /// What is kept of it, each with its hash; a position of an identity that is no number
    /// is of [`DeviceId::NONE`].
    pub records: Vec<(Content<'a>, u64)>,
    /// Its bytes field by field.
    pub fields: Vec<Field>,
}

/// A protocol whose type is not known. Every [`Protocol`] is one.
pub trait AnyProtocol: Sync {
    /// [`Protocol::NAME`].
    fn name(&self) -> &'static str;

    /// [`Protocol::normalise`].
    fn raw<'a>(&self, payload: &'a [u8]) -> Normalised<'a>;

    /// What a message of these raw bytes on a topic holds.
    fn show<'a>(&self, topic: &'a str, bytes: &'a [u8]) -> Vec<Item<'a, Shown<'a>>>;

    /// The one record that the bytes are, with its hash.
    ///
    /// # Errors
    /// In a word, what they are instead.
    fn record<'a>(&self, bytes: &'a [u8]) -> Result<(Content<'a>, u64), &'static str>;

    /// The frame that a device sends for a position; `None` when there is none.
    fn frame_of(&self, position: &Position) -> Option<Vec<u8>>;

    /// The frame that a row came from, written again from its fields; `None` when that
    /// does not give the row's hash, and so is not the frame.
    fn frame_again(&self, record: &PositionRecord) -> Option<Vec<u8>>;
}

impl<P: Protocol + Sync> AnyProtocol for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn raw<'a>(&self, payload: &'a [u8]) -> Normalised<'a> {
        P::normalise(payload)
    }

    fn show<'a>(&self, topic: &'a str, bytes: &'a [u8]) -> Vec<Item<'a, Shown<'a>>> {
        let show = |item| match item {
            Item::Frame { offset, bytes, frame } => {
                Item::Frame { offset, bytes, frame: shown::<P>(&frame, bytes) }
            }
            Item::Skipped { offset, bytes, identity, reason } => {
                Item::Skipped { offset, bytes, identity, reason }
            }
        };
        items::<P>(topic, bytes).map(show).collect()
    }

    fn record<'a>(&self, bytes: &'a [u8]) -> Result<(Content<'a>, u64), &'static str> {
        let mut items = items::<P>("", bytes);
        match (items.next(), items.next()) {
            (Some(Item::Frame { frame, bytes, .. }), None) => {
                let Shown { kind, records, .. } = shown::<P>(&frame, bytes);
                let Ok([record]) = <[_; 1]>::try_from(records) else { return Err(kind) };
                Ok(record)
            }
            (Some(Item::Skipped { reason, .. }), None) => Err(reason.code()),
            (None, _) => Err(crate::DecodeError::Truncated.code()),
            (Some(_), Some(_)) => Err("more than one frame"),
        }
    }

    fn frame_of(&self, position: &Position) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        P::write(position, &mut bytes).then_some(bytes)
    }

    fn frame_again(&self, record: &PositionRecord) -> Option<Vec<u8>> {
        let bytes = self.frame_of(&record.position)?;
        (content_hash::<P>(&bytes) == record.frame_hash).then_some(bytes)
    }
}

/// The items of a message of which it is not known when it arrived.
fn items<'a, P: Protocol>(topic: &'a str, bytes: &'a [u8]) -> Items<'a, P> {
    Items::new(P::Session::default(), Source::Message { topic }, bytes, 0)
}

fn shown<'a, P: Protocol>(frame: &P::Frame<'a>, bytes: &'a [u8]) -> Shown<'a> {
    let identity = frame.identity();
    let records = frame.records(bytes, identity.number().unwrap_or(DeviceId::NONE));
    Shown {
        kind: frame.kind(),
        is_heartbeat: frame.is_heartbeat(),
        records: records
            .map(|content| {
                let hash = content_hash::<P>(content.bytes);
                (content, hash)
            })
            .collect(),
        fields: frame.fields(),
        identity,
    }
}
