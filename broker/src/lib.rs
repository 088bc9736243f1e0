//! The MQTT listener: MQTT 3.1, 3.1.1 and 5 in, rights, deferred acknowledgements and
//! back-pressure, over rumqttd's router for what is not telemetry.
//!
//! A connection is one task (`session`) over its bytes (`net`) and its packets
//! ([`packet`]); what connections share is in `hub`; the seam to what keeps the
//! frames is [`Intake`]. docs/mqtt.md says what clients may expect.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests await what they spawn"))]

mod auth;
mod batches;
mod commands;
mod config;
mod devices;
mod door;
mod handshakes;
mod hub;
mod intake;
mod mailbox;
mod message;
mod metrics;
mod net;
pub mod packet;
mod pool;
mod retained;
mod rights;
mod rumqttd_router;
mod session;
mod shared;

pub use auth::{Authenticator, Login, NoLogins, OpenLogin, Refusal, Role};
pub use commands::{CommandKeeper, Fate};
pub use config::{ConfigError, DoorConfig, TlsListen};
pub use devices::{DeviceListen, DeviceSession, DeviceTaken, Devices};
pub use door::{Door, DoorHandle, DoorStats, Published};
pub use intake::{Followed, Intake, IntakeMessage, Receipt};
pub use nemeses_protocol::{Reply, Speaker};
pub use rights::{Wanted, may_publish, may_subscribe};
pub use shared::{Relay, Undelivered};
