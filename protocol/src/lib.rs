//! What every station must agree on: SFT9001 frames in and out, positions,
//! device ids, topics, records and the `/DB` message.
//!
//! Pure and `no_std` (with `alloc`), so that a device can use the same code as
//! the server. There is no clock, no IO and no runtime in here on purpose: time
//! and bytes are arguments.
#![no_std]

extern crate alloc;

mod batch;
mod canary;
mod decode;
mod device;
mod encode;
mod error;
mod frame;
mod position;
mod record;
mod text;
mod topic;
mod trace;
mod wire;

pub use batch::{
    BatchMessage, BatchMessageError, BatchTrace, DB_MESSAGE_VERSION, MAX_BATCH_BYTES,
    MAX_BATCH_ROWS, WorkerName, is_worker_name,
};
pub use canary::{Canary, CanaryReply, CanaryStage, MAX_BATCH_CANARIES, canary_replies};
pub use decode::{Frame, Frames, Item, frames};
pub use device::{DeviceId, ParseDeviceIdError, Speaker};
pub use encode::{encode_location, encode_ping, encode_ping_reply};
pub use error::DecodeError;
pub use position::{Composition, Position};
pub use record::{
    BatchKey, DeadLetter, MAX_DEAD_LETTER_BYTES, MAX_TOPIC_BYTES, PositionRecord, Reason, Record,
    Tally, frame_hash,
};
pub use text::{Form, Normalised, normalise};
pub use topic::{TopicName, Topics, topic_matches};
pub use trace::{TRACEPARENT, TraceContext};
