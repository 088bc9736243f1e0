//! Sends notifications: takes what is due from the outbox, sends it to its receivers and notes what became of it
//! (decision 0064).
//!
//! What to do is decided by pure modules: `plan` (what is sent, held back or suppressed), `schedule` (when again),
//! `delivery` (quiet hours and digests), `message` (texts) and `requests` (what each kind of receiver wants). `outlets` and
//! `sender` are what waits and sends.

mod confirm;
mod delivery;
mod guard;
mod http;
mod mail;
mod message;
mod outlets;
mod plan;
mod requests;
mod schedule;
mod sender;
mod signature;
mod stats;
mod target;

pub use confirm::{Code, Confirmation, MAX_TRIES};
pub use delivery::{Delivery, DeliveryError};
pub use guard::Networks;
pub use mail::{MailServer, MailServerError};
pub use outlets::{Outlets, Publish, Settings, Unavailable};
pub use sender::{Config, Sender};
pub use target::{Kind, Target, TargetError};
