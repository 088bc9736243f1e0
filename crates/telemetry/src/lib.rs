//! Payloads of named values, decoded into readings: JSON, SenML (JSON and CBOR) and
//! Influx line protocol, as `docs/telemetry.md` describes them, and any other JSON by a mapping
//! that a user writes (`docs/mappings.md`).
//!
//! Pure: bytes and the time of arrival in, records and rejected parts out. Work is linear
//! in the payload, apart from sorting, and memory is bounded by it. A part that cannot be
//! read never takes the rest with it: it comes back with its bytes and a reason, so every
//! value of a payload is in a reading or in a rejected part. Who the device is, and
//! whether it may send, is for the caller to decide.

mod cbor;
mod error;
mod format;
mod item;
mod json;
mod line;
mod mapping;
mod output;
mod plain;
mod position;
mod senml;
mod sparkplug;
mod time;

pub use error::TelemetryError;
pub use format::{Format, Precision};
pub use mapping::{BUILT_IN, Mapping, MappingError, Mappings, built_in};
pub use output::{Decoded, MAX_REJECTED, Measured, Rejected};
pub use plain::MAX_LEVELS;
pub use senml::SENML_VERSION;
pub use sparkplug::{SPARKPLUG_FILTERS, SparkplugHost, SparkplugTaken, rebirth};
pub use time::MAX_TIME_MS;

use output::Output;

/// A device's name in a payload has at most this many bytes: more than any
/// [`nemeses_protocol::Identity`] has.
pub const MAX_NAME: usize = 256;

/// Decodes a payload that arrived at `received_at_ms` (Unix milliseconds). Never fails as a
/// whole: a payload that is not of its format is one rejected part.
pub fn decode(format: Format, payload: &[u8], received_at_ms: u64) -> Decoded {
    let mut output = Output::new(payload, received_at_ms);
    decode_into(format, &mut output);
    output.finish()
}

fn decode_into(format: Format, output: &mut Output<'_>) {
    match format {
        Format::LineProtocol(precision) => line::decode(precision, output),
        Format::SenmlCbor => cbor::decode(output),
        Format::Auto if cbor::looks_like(output.payload) => cbor::decode(output),
        Format::Auto if line::looks_like(output.payload) => {
            line::decode(Precision::default(), output);
        }
        Format::Auto => json::decode(None, output),
        Format::Json => json::decode(Some(json::Shape::Plain), output),
        Format::SenmlJson => json::decode(Some(json::Shape::Senml), output),
    }
}
