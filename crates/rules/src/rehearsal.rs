//! What rules would have raised, had they been there: rows of the past, as if each had come at once.

use nemeses_protocol::{PositionRecord, Value};

use crate::device::{Change, DeviceState, Transition};
use crate::geo::FenceIndex;
use crate::rules::RuleSet;
use crate::sample::Sample;

/// An alarm that would have been.
#[derive(Clone, Debug, PartialEq)]
pub struct WouldBe {
    /// How it would have opened.
    pub opened: Transition,
    /// When it would have cleared, Unix milliseconds; `None` where it would still be open.
    pub cleared_at_ms: Option<u64>,
}

/// Rules, and a device's rows in order of time.
pub struct Rehearsal<'a> {
    set: &'a RuleSet,
    fences: &'a FenceIndex,
    state: DeviceState,
    raised: Vec<WouldBe>,
}

impl<'a> Rehearsal<'a> {
    /// Begins without a row.
    pub fn new(set: &'a RuleSet, fences: &'a FenceIndex) -> Self {
        Self { set, fences, state: DeviceState::default(), raised: Vec::new() }
    }

    /// Takes a row of positions.
    pub fn take_position(&mut self, row: &PositionRecord) {
        self.take(Sample::of_position(row));
    }

    /// Takes a row of readings, of which the names of channels are known.
    pub fn take_readings<'v>(
        &mut self,
        at_ms: u64,
        hash: u64,
        readings: impl IntoIterator<Item = (&'v str, &'v Value)>,
    ) {
        self.take(Sample::of_readings(at_ms, at_ms, hash, readings));
    }

    /// How many alarms there would have been until now.
    pub fn count(&self) -> usize {
        self.raised.len()
    }

    /// Lets time pass until a moment, and ends.
    pub fn end(mut self, until_ms: u64) -> Vec<WouldBe> {
        let last = self.state.tick(self.set, until_ms, 0);
        self.note(last);
        self.raised
    }

    fn take(&mut self, sample: Sample) {
        let now_ms = sample.at_ms;
        let passed = self.state.tick(self.set, now_ms, 0);
        self.note(passed);
        let on_time = Sample { received_at_ms: now_ms, ..sample };
        let applied = self.state.apply(self.set, self.fences, &on_time, now_ms);
        self.note(applied.transitions);
    }

    fn note(&mut self, transitions: Vec<Transition>) {
        for transition in transitions {
            match transition.change {
                Change::Opened => {
                    self.raised.push(WouldBe { opened: transition, cleared_at_ms: None });
                }
                Change::Cleared => {
                    let key = |one: &Transition| (one.rule, one.episode);
                    let is_same = |one: &&mut WouldBe| key(&one.opened) == key(&transition);
                    // The newest ones are at the end.
                    if let Some(open) = self.raised.iter_mut().rev().find(is_same) {
                        open.cleared_at_ms = Some(transition.at_ms);
                    }
                }
                Change::Confirmed | Change::Withdrawn => {}
            }
        }
    }
}
