//! What a mapping says, checked: nothing of it can be wrong any more.

use std::collections::BTreeMap;

use super::pattern::Pattern;
use super::pointer::Each;
use super::template::{Pointers, Template};
use crate::TelemetryError;

/// Why something is rejected, with the detail.
pub(super) type Refused = (TelemetryError, String);

/// How one kind of payload becomes records of devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    pub(crate) name: String,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) post: Option<String>,
    pub(crate) shape: Shape,
    pub(crate) records: Option<Each>,
    pub(crate) device: Whose,
    pub(crate) pointers: Pointers,
    pub(crate) time: Option<TimeRule>,
    pub(crate) place: Vec<PlaceRule>,
    pub(crate) place_required: bool,
    pub(crate) text_numbers: bool,
    pub(crate) channels: Vec<ChannelRule>,
}

/// What the payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// JSON, from which the rules take what they name.
    Json,
    /// One value as text.
    Text,
    /// What `docs/telemetry.md` describes.
    Telemetry,
}

/// Whose the records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of the device that is signed in.
    Login,
    /// Of the device that the payload names.
    Payload,
    /// Of this one.
    Named(Template),
}

/// When a record was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeRule {
    pub(crate) at: usize,
    pub(crate) unit: TimeUnit,
    pub(crate) zone: Option<jiff::tz::TimeZone>,
    /// A record without one is of the time of its arrival.
    pub(crate) optional: bool,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    /// A number of units, each of this many nanoseconds.
    Nanoseconds(i128),
    /// Date and time of day.
    Text,
}

/// A part of the position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlaceRule {
    pub(crate) at: usize,
    /// As [`crate::position::Place::set`] calls it.
    pub(crate) part: &'static str,
    pub(crate) factor: f64,
}

/// Where channels come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ChannelRule {
    One(OneRule),
    Below(BelowRule),
    /// Cayenne LPP in base64, at this pointer.
    Cayenne {
        at: usize,
    },
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OneRule {
    pub(crate) at: usize,
    pub(crate) name: Template,
    pub(crate) unit: Option<Box<str>>,
    /// Factor and addend; none when the value is stored as it is.
    pub(crate) linear: Option<(f64, f64)>,
    pub(crate) required: bool,
}

/// All values below a pointer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BelowRule {
    pub(crate) at: usize,
    pub(crate) prefix: Template,
    /// By the whole name below the pointer, or by the last part of it.
    pub(crate) units: BTreeMap<String, Box<str>>,
    pub(crate) skip: Vec<String>,
    pub(crate) texts: bool,
}

impl Mapping {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The MQTT filter of its topics, if it has any.
    pub fn filter(&self) -> Option<String> {
        self.pattern.as_ref().map(Pattern::filter)
    }

    /// The last segment of its HTTP path, if it has one.
    pub fn post(&self) -> Option<&str> {
        self.post.as_deref()
    }

    /// Whether records are of the device that is signed in; they name none.
    pub fn is_of_login(&self) -> bool {
        self.device == Whose::Login
    }
}
