//! Sparkplug B's payload, as far as it is read: data sets, templates and arrays are not decoded.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    /// Unix milliseconds.
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(message, optional, tag = "9")]
    pub(super) properties: Option<Properties>,
    #[prost(uint32, optional, tag = "10")]
    pub(super) int: Option<u32>,
    #[prost(uint64, optional, tag = "11")]
    pub(super) long: Option<u64>,
    #[prost(float, optional, tag = "12")]
    pub(super) float: Option<f32>,
    #[prost(double, optional, tag = "13")]
    pub(super) double: Option<f64>,
    #[prost(bool, optional, tag = "14")]
    pub(super) boolean: Option<bool>,
    #[prost(string, optional, tag = "15")]
    pub(super) string: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Properties {
    #[prost(string, repeated, tag = "1")]
    pub(super) keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(super) values: Vec<Property>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Property {
    #[prost(string, optional, tag = "8")]
    pub(super) string: Option<String>,
}

/// The type of booleans.
const BOOLEAN: u32 = 11;

/// The message that requests a rebirth of an edge.
pub(super) fn rebirth(now_ms: u64) -> Vec<u8> {
    let metric = Metric {
        name: Some("Node Control/Rebirth".to_owned()),
        timestamp: Some(now_ms),
        datatype: Some(BOOLEAN),
        boolean: Some(true),
        ..Metric::default()
    };
    Payload { timestamp: Some(now_ms), metrics: vec![metric], seq: None }.encode_to_vec()
}
