//! Which canaries are out, which came back, and what that says of the pipeline.
//! Pure: the moment is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nemeses_protocol::{Canary, CanaryReply, CanaryStage, WorkerName};
use nemeses_runtime::PipelineState;

/// Between two canaries of a worker.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// One that is not back by then is missing. Longer than a broker's restart, and
/// than a commit that waits for others.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// A missing one is forgotten after this; so at most 120 are out.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The canaries of one worker.
#[derive(Debug)]
pub(super) struct Canaries {
    sender: WorkerName,
    run: u64,
    sequence: u64,
    /// Sent and not back, oldest first.
    out: VecDeque<Out>,
    /// The last that came back: its way there and back, and when it was sent.
    back: Option<Back>,
    hindrance: Option<Hindrance>,
    /// Whether the broker said of the last that nobody is subscribed.
    unheard: bool,
}

#[derive(Debug)]
struct Out {
    sequence: u64,
    sent_at: Instant,
    taken_by: Option<WorkerName>,
    is_missing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Back {
    took: Duration,
    sent_at: Instant,
}

/// Why none is sent.
#[derive(Debug)]
struct Hindrance {
    since: Instant,
    why: String,
    /// It says nothing about the pipeline.
    harmless: bool,
}

/// What the canaries say at a moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) state: PipelineState,
    /// How long the way takes; of a missing one, how long it has taken so far.
    pub(super) delay: Duration,
    /// What is known beyond the state's own words.
    pub(super) detail: String,
}

impl Canaries {
    pub(super) fn new(sender: WorkerName, run: u64) -> Self {
        Self {
            sender,
            run,
            sequence: 0,
            out: VecDeque::new(),
            back: None,
            hindrance: None,
            unheard: false,
        }
    }

    /// The next canary, sent now.
    pub(super) fn send(&mut self, now: Instant) -> Canary {
        self.sequence += 1;
        let Self { sender, run, sequence, .. } = self;
        let canary = Canary { sender: sender.clone(), run: *run, sequence: *sequence };
        let sequence = canary.sequence;
        self.out.push_back(Out { sequence, sent_at: now, taken_by: None, is_missing: false });
        canary
    }

    /// The broker has taken one.
    pub(super) fn accepted(&mut self) {
        self.hindrance = None;
        self.unheard = false;
    }

    /// The broker has taken one and dropped it: no session is subscribed.
    pub(super) fn unheard(&mut self) {
        self.hindrance = None;
        self.unheard = true;
    }

    /// None can be sent, or what is out is not heard of.
    pub(super) fn hindered(&mut self, why: String, harmless: bool, now: Instant) {
        let since = self.hindrance.as_ref().map_or(now, |earlier| earlier.since);
        self.hindrance = Some(Hindrance { since, why, harmless });
        self.out.clear();
    }

    /// A reply came; true when one of ours is back.
    pub(super) fn heard(&mut self, reply: &CanaryReply, now: Instant) -> bool {
        if reply.run != self.run {
            return false;
        }
        let Some(place) = self.out.iter().position(|out| out.sequence == reply.sequence) else {
            return false;
        };
        if reply.stage == CanaryStage::Parsed {
            self.out[place].taken_by = Some(reply.by.clone());
            return false;
        }
        let Some(out) = self.out.remove(place) else { return false };
        if self.back.is_none_or(|back| back.sent_at < out.sent_at) {
            let took = now.saturating_duration_since(out.sent_at);
            self.back = Some(Back { took, sent_at: out.sent_at });
        }
        true
    }

    /// Counts those that have become missing, and forgets old ones.
    fn sweep(&mut self, now: Instant) -> u64 {
        let mut missing = 0;
        for out in self.out.iter_mut().filter(|out| !out.is_missing) {
            out.is_missing = now.saturating_duration_since(out.sent_at) >= PATIENCE;
            missing += u64::from(out.is_missing);
        }
        let is_old = |out: &Out| now.saturating_duration_since(out.sent_at) >= FORGOTTEN_AFTER;
        while self.out.front().is_some_and(is_old) {
            self.out.pop_front();
        }
        missing
    }

    /// Sweeps, and says how many became missing and what they say.
    pub(super) fn judge(&mut self, now: Instant) -> (u64, Verdict) {
        (self.sweep(now), self.verdict(now))
    }

    /// What they say now.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let age = |at: Instant| now.saturating_duration_since(at);
        let last = self.back.map_or(Duration::ZERO, |back| back.took);
        let oldest = self.out.front().map_or(Duration::ZERO, |out| age(out.sent_at));
        let of = |state, detail| Verdict { state, delay: last.max(oldest), detail };
        let missing: Vec<&Out> = self.out.iter().filter(|out| out.is_missing).collect();
        if let Some(hindrance) = &self.hindrance {
            let late = age(hindrance.since) >= PATIENCE;
            let state = match (hindrance.harmless, late) {
                (true, _) => PipelineState::Unknown,
                (false, true) => PipelineState::NotSent,
                (false, false) => PipelineState::Fine,
            };
            return of(state, hindrance.why.clone());
        }
        let Some(first) = missing.first() else {
            return of(PipelineState::Fine, String::new());
        };
        let waited = age(first.sent_at).as_secs();
        let others_come = self.back.is_some_and(|back| back.sent_at > first.sent_at);
        if others_come {
            let detail = format!(
                "{} sent within the last {} minutes are not back, the oldest for {waited} s, others are",
                missing.len(),
                FORGOTTEN_AFTER.as_secs() / 60
            );
            return of(PipelineState::PartlyStuck, detail);
        }
        if let Some(parser) = missing.iter().find_map(|out| out.taken_by.as_ref()) {
            let detail = format!("taken by {parser}; nothing has come back for {waited} s");
            return of(PipelineState::NotCommitted, detail);
        }
        let why = if self.unheard { "; the broker says that nobody is subscribed" } else { "" };
        of(PipelineState::NotTaken, format!("nothing has come back for {waited} s{why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: u64 = 7;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn reply(sequence: u64, stage: CanaryStage) -> CanaryReply {
        CanaryReply { run: RUN, sequence, stage, by: "parser-1".to_owned() }
    }

    fn states(canaries: &mut Canaries, now: Instant) -> (PipelineState, u64) {
        canaries.sweep(now);
        let verdict = canaries.verdict(now);
        (verdict.state, verdict.delay.as_secs())
    }

    fn canaries() -> (Canaries, Instant) {
        (Canaries::new("parser-0".to_owned(), RUN), Instant::now())
    }

    #[test]
    fn one_that_comes_back_is_the_delay_until_the_next_takes_longer() {
        let (mut canaries, start) = canaries();
        assert_eq!(states(&mut canaries, start), (PipelineState::Fine, 0));
        assert_eq!(canaries.send(start).sequence, 1);
        assert!(!canaries.heard(&reply(1, CanaryStage::Parsed), after(start, 1)));
        assert!(canaries.heard(&reply(1, CanaryStage::Committed), after(start, 2)));
        assert!(!canaries.heard(&reply(1, CanaryStage::Committed), after(start, 3)), "once");
        assert_eq!(states(&mut canaries, after(start, 4)), (PipelineState::Fine, 2));
        canaries.send(after(start, 5));
        assert_eq!(states(&mut canaries, after(start, 6)), (PipelineState::Fine, 2));
        assert_eq!(states(&mut canaries, after(start, 15)), (PipelineState::Fine, 10));
        let other_run = CanaryReply { run: 8, ..reply(2, CanaryStage::Committed) };
        assert!(!canaries.heard(&other_run, after(start, 16)));
    }

    #[test]
    fn where_it_was_seen_last_tells_what_is_broken() {
        let (mut canaries, start) = canaries();
        canaries.send(start);
        assert_eq!(states(&mut canaries, after(start, 29)), (PipelineState::Fine, 29));
        assert_eq!(states(&mut canaries, after(start, 30)), (PipelineState::NotTaken, 30));
        canaries.heard(&reply(1, CanaryStage::Parsed), after(start, 31));
        assert_eq!(states(&mut canaries, after(start, 31)), (PipelineState::NotCommitted, 31));
        assert!(canaries.verdict(after(start, 31)).detail.contains("taken by parser-1"));
        canaries.heard(&reply(1, CanaryStage::Committed), after(start, 40));
        assert_eq!(states(&mut canaries, after(start, 41)), (PipelineState::Fine, 40));
    }

    /// As when one of two workers is away: its share of everything waits.
    #[test]
    fn some_that_do_not_come_back_are_told_apart_from_none() {
        let (mut canaries, start) = canaries();
        for round in 0..8 {
            let now = after(start, round * 5);
            let sequence = canaries.send(now).sequence;
            if round % 2 == 1 {
                canaries.heard(&reply(sequence, CanaryStage::Committed), now);
            }
        }
        assert_eq!(states(&mut canaries, after(start, 36)), (PipelineState::PartlyStuck, 36));
        assert_eq!(states(&mut canaries, after(start, 615)).0, PipelineState::PartlyStuck);
        assert_eq!(canaries.out.len(), 2, "those of the first 15 s are forgotten");
        assert_eq!(states(&mut canaries, after(start, 640)).0, PipelineState::Fine);
    }

    #[test]
    fn each_counts_as_missing_once() {
        let (mut canaries, start) = canaries();
        canaries.send(start);
        canaries.send(after(start, 5));
        let missing = [29, 30, 31, 35, 700].map(|second| canaries.sweep(after(start, second)));
        assert_eq!(missing, [0, 1, 0, 1, 0]);
        assert!(canaries.out.is_empty());
    }

    #[test]
    fn a_hindrance_is_trouble_after_a_while_unless_it_is_harmless() {
        let (mut canaries, start) = canaries();
        canaries.hindered("no connection".to_owned(), false, start);
        assert_eq!(states(&mut canaries, start).0, PipelineState::Fine);
        canaries.hindered("no connection".to_owned(), false, after(start, 29));
        assert_eq!(states(&mut canaries, after(start, 30)).0, PipelineState::NotSent);
        canaries.hindered("parser-1 is older".to_owned(), true, after(start, 31));
        assert_eq!(states(&mut canaries, after(start, 31)).0, PipelineState::Unknown);
        canaries.send(after(start, 32));
        assert_eq!(states(&mut canaries, after(start, 33)).0, PipelineState::Unknown);
        canaries.accepted();
        assert_eq!(states(&mut canaries, after(start, 34)).0, PipelineState::Fine);
    }

    #[test]
    fn a_broker_that_knows_no_subscriber_is_quoted() {
        let (mut canaries, start) = canaries();
        canaries.send(start);
        canaries.unheard();
        assert_eq!(states(&mut canaries, after(start, 30)).0, PipelineState::NotTaken);
        assert!(canaries.verdict(after(start, 30)).detail.contains("nobody is subscribed"));
    }
}
