//! The protobuf messages of `docs/db-message.proto`, derived by hand so that no
//! `protoc` is needed. Fields are as wide as protobuf has them; `from_wire`
//! narrows them.

use alloc::string::String;
use alloc::vec::Vec;

/// Field number of [`Batch::records`].
pub(super) const RECORDS: u32 = 6;
/// Field number of [`Batch::tallies`].
pub(super) const TALLIES: u32 = 5;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Batch {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(string, tag = "2")]
    pub(super) worker: String,
    #[prost(fixed64, tag = "3")]
    pub(super) run: u64,
    #[prost(uint64, tag = "4")]
    pub(super) sequence: u64,
    #[prost(message, repeated, tag = "5")]
    pub(super) tallies: Vec<Tally>,
    #[prost(message, repeated, tag = "6")]
    pub(super) records: Vec<Record>,
    #[prost(message, repeated, tag = "7")]
    pub(super) traces: Vec<Trace>,
    #[prost(message, repeated, tag = "8")]
    pub(super) canaries: Vec<Canary>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Canary {
    #[prost(string, tag = "1")]
    pub(super) sender: String,
    #[prost(fixed64, tag = "2")]
    pub(super) run: u64,
    #[prost(uint64, tag = "3")]
    pub(super) sequence: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Trace {
    #[prost(uint32, tag = "1")]
    pub(super) record: u32,
    #[prost(string, tag = "2")]
    pub(super) traceparent: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Tally {
    #[prost(uint32, tag = "1")]
    pub(super) minute: u32,
    #[prost(uint32, tag = "2")]
    pub(super) pings: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Record {
    #[prost(oneof = "Kind", tags = "1, 2, 3")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(message, tag = "1")]
    Position(Position),
    #[prost(message, tag = "2")]
    DeadLetter(DeadLetter),
    #[prost(message, tag = "3")]
    Readings(Readings),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Position {
    #[prost(uint32, tag = "1")]
    pub(super) device: u32,
    #[prost(fixed32, tag = "2")]
    pub(super) recorded_at: u32,
    #[prost(uint32, tag = "3")]
    pub(super) direction_cdeg: u32,
    #[prost(uint32, tag = "4")]
    pub(super) odometer_m: u32,
    #[prost(uint32, tag = "5")]
    pub(super) hour_meter_min: u32,
    #[prost(uint32, tag = "6")]
    pub(super) composition: u32,
    #[prost(uint32, optional, tag = "7")]
    pub(super) extension: Option<u32>,
    #[prost(uint32, tag = "8")]
    pub(super) speed_kmh: u32,
    #[prost(sint32, tag = "9")]
    pub(super) latitude_udeg: i32,
    #[prost(sint32, tag = "10")]
    pub(super) longitude_udeg: i32,
    #[prost(fixed64, tag = "11")]
    pub(super) frame_hash: u64,
    #[prost(uint64, tag = "12")]
    pub(super) received_at_ms: u64,
    #[prost(bytes = "vec", optional, tag = "13")]
    pub(super) raw: Option<Vec<u8>>,
    /// The message `OptionalFields`, whose fields are those of `OptionalField`.
    #[prost(bytes = "vec", optional, tag = "14")]
    pub(super) optional_fields: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DeadLetter {
    #[prost(string, tag = "1")]
    pub(super) topic: String,
    #[prost(uint32, tag = "2")]
    pub(super) offset: u32,
    #[prost(string, tag = "3")]
    pub(super) reason: String,
    #[prost(uint32, optional, tag = "4")]
    pub(super) device: Option<u32>,
    #[prost(uint64, tag = "5")]
    pub(super) received_at_ms: u64,
    #[prost(bytes = "vec", tag = "6")]
    pub(super) bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Readings {
    #[prost(string, tag = "1")]
    pub(super) identity: String,
    #[prost(fixed64, tag = "2")]
    pub(super) recorded_at_ms: u64,
    #[prost(bool, tag = "3")]
    pub(super) timeless: bool,
    #[prost(fixed64, tag = "4")]
    pub(super) content_hash: u64,
    #[prost(uint64, tag = "5")]
    pub(super) received_at_ms: u64,
    #[prost(bytes = "vec", tag = "6")]
    pub(super) encoded: Vec<u8>,
    #[prost(message, repeated, tag = "7")]
    pub(super) units: Vec<Unit>,
    #[prost(message, optional, tag = "8")]
    pub(super) position: Option<Position>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Unit {
    #[prost(uint32, tag = "1")]
    pub(super) reading: u32,
    #[prost(string, tag = "2")]
    pub(super) unit: String,
}
