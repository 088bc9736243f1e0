//! Rules, geofences and the states of alarms.
//!
//! Pure: rows and the time go in, transitions of alarms come out; there is no IO and no clock.
//! A rule is compiled once ([`Rule::compile`]); each device has a [`DeviceState`] that takes the
//! device's rows one by one and timers in between, and that is stored as bytes. What an alarm is, and what
//! late rows do, is in docs/rules.md; how states and transitions are stored is in the crate `store`.

mod codec;
mod datum;
mod device;
mod document;
mod error;
mod geo;
mod lane;
mod language;
mod machine;
mod memory;
mod name;
mod rehearsal;
mod rule;
mod rules;
mod sample;

pub use codec::{StateError, decode_state, encode_state};
pub use datum::Datum;
pub use device::{Applied, Change, DeviceState, LATE_ENDS_MS, MAX_AHEAD_MS, Row, Transition};
pub use document::{DocumentError, RuleDocument, Severity, spec_of};
pub use error::{ConditionError, FenceError, RuleError};
pub use geo::{Fence, FenceIndex, MAX_FENCE_POINTS, MAX_METRES, MIN_METRES, Point};
pub use language::{
    Arithmetic, Comparison, Expression, MAX_CONDITION_CHARS, MAX_CONDITION_DEPTH,
    MAX_CONDITION_NODES, MAX_WINDOW_MS, MAX_WINDOWS, MIN_WINDOW_MS, Moment, Parsed, parse,
};
pub use machine::{Edge, Machine, Phase, Signal, Timing};
pub use memory::Memory;
pub use name::{Field, Name};
pub use rehearsal::{Rehearsal, WouldBe};
pub use rule::{MAX_SECONDS, Rule, RuleSpec, Test};
pub use rules::RuleSet;
pub use sample::Sample;
