//! What every station must agree on: protocols and their frames, in and out, positions,
//! device ids, topics, records and the `/DB` message.
//!
//! Pure and `no_std` (with `alloc`), so that a device can use the same code as
//! the server. There is no clock, no IO and no runtime in here on purpose: time
//! and bytes are arguments.
#![no_std]

extern crate alloc;

mod batch;
mod calendar;
mod canary;
mod cayenne;
mod checksum;
mod cursor;
mod device;
mod error;
mod gt06;
mod identity;
mod leaves;
mod names;
mod optional;
mod osmand;
mod owntracks;
mod packed;
mod position;
mod protocol;
mod queclink;
mod readings;
mod record;
mod sft9001;
mod table;
mod telling;
mod teltonika;
mod topic;
mod trace;
mod varint;
mod vocabulary;
mod whereabouts;

pub use batch::{
    BatchMessage, BatchMessageError, BatchTrace, DB_MESSAGE_VERSION, MAX_BATCH_BYTES,
    MAX_BATCH_ROWS,
};
pub use canary::{Canary, CanaryReply, CanaryStage, MAX_BATCH_CANARIES, canary_replies};
pub use cayenne::{Cayenne, CayenneFrame};
pub use device::{DeviceId, ParseDeviceIdError, Speaker};
pub use error::DecodeError;
pub use gt06::{Gt06, Gt06Frame, Gt06Session};
pub use identity::{Identity, MAX_IDENTITY_NAME, ParseIdentityError, decoded};
pub use names::{DeviceNames, NameTable};
pub use optional::{FieldForm, FieldSpec, OptionalField, OptionalFields, OutOfBounds, ShownValue};
pub use osmand::{OsmAnd, OsmAndFrame};
pub use owntracks::{OwnTracks, OwnTracksFrame};
pub use packed::PackedFields;
pub use position::{Composition, Position, PositionPart};
pub use protocol::{
    CommandAnswer, CommandKey, Content, Field, FieldValue, Form, Item, Items, Normalised, Protocol,
    ProtocolFrame, Read, Reply, Source, content_hash,
};
pub use queclink::{Queclink, QueclinkFrame, QueclinkSession};
pub use readings::{
    MAX_CHANNEL_NAME, MAX_READINGS, MAX_READINGS_BYTES, MAX_TEXT_VALUE, MAX_UNIT, Packed, Reading,
    ReadingsRecord, Unpacked, Value, in_order, is_channel_name, is_unit, pack, read_readings,
    readings_hash, readings_json, record_hash, unpack, write_readings,
};
pub use record::{
    BatchKey, DeadLetter, MAX_DEAD_LETTER_BYTES, MAX_TOPIC_BYTES, PositionRecord, Reason, Record,
    Tally, WorkerName, is_worker_name,
};
pub use sft9001::{
    Frame, Sft9001, encode_location, encode_ping, encode_ping_reply, frame_hash, frames, normalise,
};
pub use table::{AnyProtocol, PROTOCOLS, Shown, protocol_named, protocol_of};
pub use teltonika::{Teltonika, TeltonikaFrame, TeltonikaSession};
pub use topic::{ALERT, TopicName, Topics, filters_meet, topic_matches};
pub use trace::{TRACEPARENT, TraceContext};
pub use vocabulary::{VOCABULARY, Word};
pub use whereabouts::Whereabouts;
