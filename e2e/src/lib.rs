//! Real servers on free ports, a breakable proxy, devices that remember what was
//! acknowledged to them, and a judge: what the end-to-end tests in `tests/` are
//! written with.
//!
//! Everything is on loopback, in temporary folders, and ends with its test.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

pub mod frames;
mod grpc;
mod http;
mod line;
pub mod load;
mod logs;
mod mqtt;
mod otlp;
mod port;
mod proxy;
mod server;
mod table;
mod wait;

pub use frames::FrameKey;
pub use grpc::Grpc;
pub use http::{Events, User};
pub use line::{Line, SOON, Shape};
pub use load::{Ledger, Load, Plan, Verdict};
pub use logs::expect_log;
pub use mqtt::Mqtt;
pub use otlp::{Collector, Told};
pub use port::Port;
pub use proxy::{Link, Proxy};
pub use server::{
    Api, Brand, Certificate, HaProxy, Mosquitto, Nemeses, Node, Process, Ready, Redis, RedisMemory,
    Signal, Spec, SqlServer, mosquitto_plugins, nemeses_binary, run_nemeses, workspace,
};
pub use table::{AlarmRow, Tables};
pub use wait::{wait_for, wait_until};
