//! The front door: MQTT 3.1.1 and 5 in, rights, deferred acknowledgements and
//! back-pressure, over rumqttd's router for what is not telemetry.

mod intake;

pub use intake::{Intake, IntakeMessage, Receipt, Reply};
pub use nemeses_protocol::Speaker;
