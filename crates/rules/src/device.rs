//! The rules of one device. Live rows and late rows are evaluated in separate lanes.
//!
//! A row that is not older than the newest one changes the live states. An older row is late and changes the
//! late states. They are reset when a late row is older than the one before, and their alarms are records of
//! the past. Which alarms are open now therefore never depends on when an old row arrives.

use std::collections::BTreeMap;

use crate::geo::{FenceIndex, Point};
use crate::lane::{Lane, Moved, Track};
use crate::machine::{Edge, Signal};
use crate::rule::{Check, Rule};
use crate::rules::RuleSet;
use crate::sample::Sample;

/// A row recorded later than it arrived, by more than this, is ignored: its device's clock is wrong,
/// and every correct row after it would be late.
pub const MAX_AHEAD_MS: u64 = 300_000;
/// The late states end when no late row has arrived for this long; their open alarms are cleared then.
pub const LATE_ENDS_MS: u64 = 300_000;

/// How a row was classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// It changed the live states.
    InOrder,
    /// It is older than the newest row, and changed the late states.
    Late,
    /// It is the newest row again, and changed nothing.
    Repeated,
    /// It is recorded in the future, and changed nothing.
    Ahead,
}

/// What happened to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It opened.
    Opened,
    /// It opened too long ago for a notification, and a current row shows that it is still open.
    Confirmed,
    /// It was cleared.
    Cleared,
    /// Its rule was changed, removed or switched off while it was open.
    Withdrawn,
}

/// A change of an alarm; the alarm's key is rule, version, device and episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// The rule's number.
    pub rule: u64,
    /// The rule's version when the alarm opened.
    pub version: u32,
    /// The number of the alarm among those of this rule and device, from 1.
    pub episode: u32,
    /// What happened.
    pub change: Change,
    /// When, in event time, Unix milliseconds.
    pub at_ms: u64,
    /// Whether late rows raised it, or it was too old for a notification when it opened.
    pub late: bool,
    /// Whether a notification is to be sent.
    pub notify: bool,
    /// The value of the field or channel that the rule tests first.
    pub value: Option<f64>,
    /// Where the device was.
    pub place: Option<Point>,
}

/// What a row led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// How the row was classified.
    pub row: Row,
    /// In the order in which they happened, rule by rule.
    pub transitions: Vec<Transition>,
}

/// The states of all rules of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceState {
    /// When the newest row arrived, Unix milliseconds.
    pub(crate) heard_ms: u64,
    pub(crate) live: Track,
    pub(crate) late: Option<Track>,
    pub(crate) rules: BTreeMap<u64, Entry>,
}

/// The states of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    pub(crate) version: u32,
    /// The newest alarm's number, 0 before the first.
    pub(crate) episodes: u32,
    pub(crate) live: Lane,
    pub(crate) late: Lane,
}

impl DeviceState {
    /// Evaluates a row at the time `now_ms`.
    pub fn apply(
        &mut self,
        set: &RuleSet,
        fences: &FenceIndex,
        sample: &Sample,
        now_ms: u64,
    ) -> Applied {
        let mut transitions = Vec::new();
        self.heard_ms = self.heard_ms.max(sample.received_at_ms);
        self.hear(set, now_ms, &mut transitions);
        let row = self.row_of(sample);
        match row {
            Row::InOrder => self.apply_live(set, fences, sample, now_ms, &mut transitions),
            Row::Late => self.apply_late(set, fences, sample, now_ms, &mut transitions),
            Row::Repeated | Row::Ahead => {}
        }
        Applied { row, transitions }
    }

    /// Lets time pass without a row. A silence is not reported before `silence_from_ms`, since before that
    /// no process was receiving rows.
    pub fn tick(&mut self, set: &RuleSet, now_ms: u64, silence_from_ms: u64) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for rule in set.rules() {
            if let Check::Silence { after_ms } = rule.check {
                let due = self.heard_ms.saturating_add(after_ms);
                if self.heard_ms > 0 && due.max(silence_from_ms) <= now_ms {
                    self.silence(rule, due, Signal::Enter, now_ms, &mut transitions);
                }
                continue;
            }
            let Some(event_now) = self.live.event_now(now_ms) else { continue };
            let Some(entry) = self.rules.get_mut(&rule.id) else { continue };
            let mut edges = Vec::new();
            entry.live.machine.advance(event_now, &rule.timing, &mut edges);
            let reporter = Reporter { rule, now_ms, late: false, track: &self.live };
            reporter.edges(entry, &edges, &mut transitions);
        }
        let is_over = |late: &Track| late.received_ms.saturating_add(LATE_ENDS_MS) <= now_ms;
        if self.late.as_ref().is_some_and(is_over) {
            self.end_late(&mut transitions);
        }
        transitions
    }

    /// When [`DeviceState::tick`] has something to do, by the server's clock, Unix milliseconds.
    pub fn due_ms(&self, set: &RuleSet, silence_from_ms: u64) -> Option<u64> {
        let of_rule = |rule: &Rule| {
            let entry = self.rules.get(&rule.id);
            if let Check::Silence { after_ms } = rule.check {
                let is_open = entry.is_some_and(|entry| entry.live.machine.is_open());
                let due = self.heard_ms.saturating_add(after_ms).max(silence_from_ms);
                return (self.heard_ms > 0 && !is_open).then_some(due);
            }
            self.live.by_our_clock(entry?.live.machine.due_ms(&rule.timing)?)
        };
        let late = self.late.as_ref().map(|late| late.received_ms.saturating_add(LATE_ENDS_MS));
        set.rules().filter_map(of_rule).chain(late).min()
    }

    /// Withdraws the alarms of rules that changed or are not in the set any more, and drops values that no rule
    /// needs. The numbers of alarms continue while `exists` reports that the rule exists.
    pub fn reconcile(
        &mut self,
        set: &RuleSet,
        exists: impl Fn(u64) -> bool,
        now_ms: u64,
    ) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for (id, entry) in &mut self.rules {
            if set.version(*id) != Some(entry.version) {
                withdraw(*id, entry, now_ms, &mut transitions);
            }
        }
        self.rules
            .retain(|id, entry| set.version(*id).is_some() || (entry.episodes > 0 && exists(*id)));
        self.live.memory.keep(set.needs());
        if let Some(late) = &mut self.late {
            late.memory.keep(set.needs());
        }
        transitions
    }

    /// When the newest row arrived, Unix milliseconds; 0 before the first.
    pub const fn heard_ms(&self) -> u64 {
        self.heard_ms
    }

    /// The rules whose alarms are open, without late alarms.
    pub fn open(&self) -> impl Iterator<Item = u64> {
        self.rules.iter().filter(|(_, entry)| entry.live.machine.is_open()).map(|(id, _)| *id)
    }

    fn row_of(&self, sample: &Sample) -> Row {
        if sample.at_ms > sample.received_at_ms.saturating_add(MAX_AHEAD_MS) {
            Row::Ahead
        } else if (sample.at_ms, sample.hash) == (self.live.at_ms, self.live.hash) {
            Row::Repeated
        } else if sample.at_ms >= self.live.at_ms {
            Row::InOrder
        } else {
            Row::Late
        }
    }

    /// Any row ends a silence.
    fn hear(&mut self, set: &RuleSet, now_ms: u64, transitions: &mut Vec<Transition>) {
        for rule in set.rules().filter(|rule| matches!(rule.check, Check::Silence { .. })) {
            let heard = self.heard_ms;
            self.silence(rule, heard, Signal::Leave, now_ms, transitions);
        }
    }

    fn silence(
        &mut self,
        rule: &Rule,
        at_ms: u64,
        signal: Signal,
        now_ms: u64,
        transitions: &mut Vec<Transition>,
    ) {
        let entry = entry_of(&mut self.rules, rule, now_ms, transitions);
        let mut edges = Vec::new();
        entry.live.machine.observe(at_ms, signal, &Rule::silence_timing(), &mut edges);
        let reporter = Reporter { rule, now_ms, late: false, track: &self.live };
        reporter.edges(entry, &edges, transitions);
    }

    fn apply_live(
        &mut self,
        set: &RuleSet,
        fences: &FenceIndex,
        sample: &Sample,
        now_ms: u64,
        transitions: &mut Vec<Transition>,
    ) {
        let from = self.live.take(set.needs(), sample);
        let moved = Moved::new(&self.live, fences, sample, from);
        for rule in set.rows() {
            let entry = entry_of(&mut self.rules, rule, now_ms, transitions);
            let mut edges = Vec::new();
            let signal = entry.live.observe(rule, &moved, &mut edges);
            let reporter = Reporter { rule, now_ms, late: false, track: &self.live };
            reporter.edges(entry, &edges, transitions);
            reporter.confirm(entry, signal, sample.at_ms, transitions);
        }
    }

    fn apply_late(
        &mut self,
        set: &RuleSet,
        fences: &FenceIndex,
        sample: &Sample,
        now_ms: u64,
        transitions: &mut Vec<Transition>,
    ) {
        if self.late.as_ref().is_some_and(|late| sample.at_ms < late.at_ms) {
            self.end_late(transitions);
        }
        let late = self.late.get_or_insert_default();
        let from = late.take(set.needs(), sample);
        // `LATE_ENDS_MS` counts from here.
        late.received_ms = late.received_ms.max(now_ms);
        let moved = Moved::new(late, fences, sample, from);
        for rule in set.rows() {
            let entry = entry_of(&mut self.rules, rule, now_ms, transitions);
            let mut edges = Vec::new();
            entry.late.observe(rule, &moved, &mut edges);
            let reporter = Reporter { rule, now_ms, late: true, track: late };
            reporter.edges(entry, &edges, transitions);
        }
    }

    /// Clears the open late alarms at the time of the last late row.
    fn end_late(&mut self, transitions: &mut Vec<Transition>) {
        let Some(track) = self.late.take() else { return };
        for (id, entry) in &mut self.rules {
            let lane = std::mem::take(&mut entry.late);
            if lane.machine.is_open() {
                let (change, at_ms) = (Change::Cleared, track.at_ms);
                let ended = Ended { rule: *id, change, at_ms, late: true };
                transitions.push(ended.of(entry.version, &lane));
            }
        }
    }
}

/// The states of a rule; open alarms of another version of it are withdrawn.
fn entry_of<'a>(
    rules: &'a mut BTreeMap<u64, Entry>,
    rule: &Rule,
    now_ms: u64,
    transitions: &mut Vec<Transition>,
) -> &'a mut Entry {
    let entry = rules.entry(rule.id).or_default();
    if entry.version != rule.version {
        withdraw(rule.id, entry, now_ms, transitions);
        entry.version = rule.version;
    }
    entry
}

fn withdraw(rule: u64, entry: &mut Entry, now_ms: u64, transitions: &mut Vec<Transition>) {
    for (lane, late) in [(&mut entry.live, false), (&mut entry.late, true)] {
        let ended = std::mem::take(lane);
        if ended.machine.is_open() {
            let withdrawn = Ended { rule, change: Change::Withdrawn, at_ms: now_ms, late };
            transitions.push(withdrawn.of(entry.version, &ended));
        }
    }
}

/// The end of an alarm without a row that caused it.
struct Ended {
    rule: u64,
    change: Change,
    at_ms: u64,
    late: bool,
}

impl Ended {
    fn of(&self, version: u32, lane: &Lane) -> Transition {
        Transition {
            rule: self.rule,
            version,
            episode: lane.episode,
            change: self.change,
            at_ms: self.at_ms,
            late: self.late || !lane.notified,
            notify: lane.notified,
            value: None,
            place: None,
        }
    }
}

/// Turns the edges of a rule's machine into transitions.
struct Reporter<'a> {
    rule: &'a Rule,
    now_ms: u64,
    late: bool,
    track: &'a Track,
}

impl Reporter<'_> {
    fn edges(&self, entry: &mut Entry, edges: &[Edge], transitions: &mut Vec<Transition>) {
        for edge in edges {
            let lane = if self.late { &mut entry.late } else { &mut entry.live };
            match *edge {
                Edge::Opened { at_ms } => {
                    entry.episodes += 1;
                    lane.episode = entry.episodes;
                    lane.notified = self.is_young(at_ms);
                    transitions.push(self.transition(lane, Change::Opened, at_ms));
                }
                Edge::Cleared { at_ms } => {
                    transitions.push(self.transition(lane, Change::Cleared, at_ms));
                    lane.notified = false;
                }
            }
        }
    }

    /// Confirms an alarm that was too old for a notification when a current row shows that it is still open.
    fn confirm(
        &self,
        entry: &mut Entry,
        signal: Signal,
        at_ms: u64,
        transitions: &mut Vec<Transition>,
    ) {
        let lane = &mut entry.live;
        let stands = matches!(signal, Signal::Enter | Signal::Hold) && lane.machine.is_open();
        if stands && !lane.notified && self.is_young(at_ms) {
            lane.notified = true;
            transitions.push(self.transition(lane, Change::Confirmed, at_ms));
        }
    }

    fn is_young(&self, at_ms: u64) -> bool {
        !self.late && self.now_ms.saturating_sub(at_ms) <= self.rule.young_ms
    }

    fn transition(&self, lane: &Lane, change: Change, at_ms: u64) -> Transition {
        Transition {
            rule: self.rule.id,
            version: self.rule.version,
            episode: lane.episode,
            change,
            at_ms,
            late: self.late || !lane.notified,
            notify: lane.notified,
            value: self.rule.watched().and_then(|name| self.track.number(name)),
            place: self.track.place.map(|(_, place)| place),
        }
    }
}
