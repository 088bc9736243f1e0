//! The parser station: frames in; live entries, ping replies and records out.
//! The decision is the pure [`Step`]; a node calls it in process, a station's
//! worker from its subscription.

mod decode_span;
mod mapped;
mod sparkplug;
mod step;
mod stream;
mod telemetry;
mod unknown;
mod worker;

pub use decode_span::Decoding;
pub use mapped::POSTED;
pub use sparkplug::Edges;
pub use step::{Message, Output, Policy, Step};
pub use stream::{
    DEVICE_PROTOCOLS, DeviceProtocol, DeviceStream, OVER_TCP, OVER_UDP, Taken, device_protocol,
};
pub use telemetry::{Addressed, Refusal, device_of};
pub use unknown::{Gate, UnknownDevices};
pub use worker::{Given, Giver, Shadow, Worker, WorkerConfig};
