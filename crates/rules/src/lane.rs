//! The newest row of a device, and the signal that a row gives to a rule.

use std::collections::BTreeSet;

use crate::geo::{Fence, FenceIndex, Point};
use crate::language::Moment;
use crate::machine::{Edge, Machine, Signal};
use crate::memory::{Memory, Needs};
use crate::name::Name;
use crate::rule::{Check, Rule};
use crate::sample::Sample;

/// The way between two rows further apart is not known.
const MAX_CROSSING_MS: u64 = 600_000;

/// The newest row, and the values that are remembered of earlier rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Track {
    /// Event time of the newest row; 0 before the first.
    pub(crate) at_ms: u64,
    pub(crate) hash: u64,
    pub(crate) received_ms: u64,
    /// The newest place with its event time.
    pub(crate) place: Option<(u64, Point)>,
    pub(crate) memory: Memory,
}

impl Track {
    /// Notes a row that is not older than the newest; returns where the device was before, unless
    /// that is too long ago.
    pub(crate) fn take(&mut self, needs: &Needs, sample: &Sample) -> Option<Point> {
        let is_recent = |at_ms: u64| sample.at_ms.saturating_sub(at_ms) <= MAX_CROSSING_MS;
        let from = self.place.filter(|(at_ms, _)| is_recent(*at_ms)).map(|(_, place)| place);
        self.at_ms = sample.at_ms;
        self.hash = sample.hash;
        self.received_ms = self.received_ms.max(sample.received_at_ms);
        self.memory.note(needs, sample.at_ms, &sample.values);
        if let Some(place) = sample.place {
            self.place = Some((sample.at_ms, place));
        }
        from
    }

    /// The device's current event time: that of the newest row plus the time since it arrived. A device that
    /// sends stored rows is therefore as far behind as its newest row. `None` before the first row.
    pub(crate) fn event_now(&self, now_ms: u64) -> Option<u64> {
        let passed = now_ms.saturating_sub(self.received_ms);
        (self.at_ms > 0).then(|| self.at_ms.saturating_add(passed))
    }

    /// The server's time at which the event time will be `event_ms`.
    pub(crate) fn by_our_clock(&self, event_ms: u64) -> Option<u64> {
        let left = event_ms.saturating_sub(self.at_ms);
        (self.at_ms > 0).then(|| self.received_ms.saturating_add(left))
    }

    pub(crate) fn number(&self, name: &Name) -> Option<f64> {
        self.memory.seen.get(name)?.value.number()
    }
}

/// A row with its context.
pub(crate) struct Moved<'a> {
    track: &'a Track,
    fences: &'a FenceIndex,
    sample: &'a Sample,
    from: Option<Point>,
    /// The fences that may contain the place or meet the way there.
    near: BTreeSet<u64>,
}

impl<'a> Moved<'a> {
    pub(crate) fn new(
        track: &'a Track,
        fences: &'a FenceIndex,
        sample: &'a Sample,
        from: Option<Point>,
    ) -> Self {
        let near = sample.place.filter(|_| !fences.is_empty());
        let near = near.map_or_else(BTreeSet::new, |place| fences.near(from, place));
        Self { track, fences, sample, from, near }
    }
}

/// The state of a rule on live rows, or on late ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) machine: Machine,
    /// The number of the open alarm, or of the last one.
    pub(crate) episode: u32,
    /// Whether a notification was to be sent for the open alarm.
    pub(crate) notified: bool,
    /// Whether the last place was in the rule's fence, as far as its accuracy goes.
    pub(crate) was_in: bool,
}

impl Lane {
    /// Changes the rule's state by a row.
    pub(crate) fn observe(
        &mut self,
        rule: &Rule,
        moved: &Moved<'_>,
        edges: &mut Vec<Edge>,
    ) -> Signal {
        let at_ms = moved.sample.at_ms;
        let (signal, crossed) = match &rule.check {
            Check::Condition { enter, leave } => {
                let moment = Moment {
                    at_ms,
                    received_at_ms: moved.sample.received_at_ms,
                    place: moved.track.place.map(|(_, place)| place),
                    memory: &moved.track.memory,
                    fences: moved.fences,
                    hold_ms: rule.timing.hold_ms,
                };
                let enters = enter.holds(&moment);
                let leaves = match leave {
                    Some(leave) => leave.holds(&moment),
                    None => enters.map(|enters| !enters),
                };
                (signal_of(enters, leaves), false)
            }
            Check::Fence { id, inside } => self.at_fence(*id, *inside, rule, moved),
            Check::Silence { .. } => (Signal::Unknown, false),
        };
        if crossed {
            self.machine.observe(at_ms, Signal::Enter, &rule.timing, edges);
        }
        self.machine.observe(at_ms, signal, &rule.timing, edges);
        signal
    }

    /// The row's signal, and whether its way led through the fence without a row in it.
    fn at_fence(
        &mut self,
        id: u64,
        inside: bool,
        rule: &Rule,
        moved: &Moved<'_>,
    ) -> (Signal, bool) {
        let (Some(fence), Some(place)) = (moved.fences.get(id), moved.sample.place) else {
            return (Signal::Unknown, false);
        };
        let was_in = self.was_in;
        let is_near = moved.near.contains(&id);
        let signal = self.within(fence, place, moved.sample.accuracy_m, is_near);
        if !inside {
            return (opposite(signal), false);
        }
        let may_cross = is_near
            && signal == Signal::Leave
            && !was_in
            && rule.timing.for_ms == 0
            && !self.machine.is_open();
        let crossed = may_cross && moved.from.is_some_and(|from| fence.meets(from, place));
        (signal, crossed)
    }

    /// Whether a place is in a fence. It is inside when it is further from the edge than its accuracy, or
    /// when the place before was inside as well. It is outside only beyond a margin, so that a device that stands at
    /// the edge raises one alarm.
    fn within(
        &mut self,
        fence: &Fence,
        place: Point,
        accuracy_m: Option<f64>,
        is_near: bool,
    ) -> Signal {
        let margin_m = fence.margin_m();
        if !is_near && accuracy_m.is_none_or(|accuracy| accuracy <= margin_m) {
            self.was_in = false;
            return Signal::Leave;
        }
        let edge_m = fence.edge_distance_m(place);
        let is_sure = accuracy_m.is_none_or(|accuracy| accuracy <= edge_m);
        let was_in = std::mem::replace(&mut self.was_in, fence.contains(place));
        if self.was_in {
            if is_sure || was_in { Signal::Enter } else { Signal::Hold }
        } else if is_sure && edge_m > margin_m {
            Signal::Leave
        } else {
            Signal::Hold
        }
    }
}

const fn signal_of(enters: Option<bool>, leaves: Option<bool>) -> Signal {
    match (enters, leaves) {
        (Some(true), _) => Signal::Enter,
        (_, Some(true)) => Signal::Leave,
        (None, None) => Signal::Unknown,
        _ => Signal::Hold,
    }
}

const fn opposite(signal: Signal) -> Signal {
    match signal {
        Signal::Enter => Signal::Leave,
        Signal::Leave => Signal::Enter,
        other => other,
    }
}
