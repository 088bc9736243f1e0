//! The states of one rule of one device. It is driven by signals in the order of event time, and knows
//! nothing of rows, places or clocks.

/// What a row means for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The rule's test holds.
    Enter,
    /// The rule's test has ended.
    Leave,
    /// Between the two thresholds: the state stays as it is.
    Hold,
    /// The row has no value for it.
    Unknown,
}

/// The phase of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The test does not hold.
    #[default]
    Inactive,
    /// The test holds, but not for long enough yet.
    Pending {
        /// Event time, Unix milliseconds.
        since_ms: u64,
    },
    /// An alarm is open.
    Firing,
    /// An alarm is open and the test has ended, but not for long enough yet.
    Recovering {
        /// Event time, Unix milliseconds.
        since_ms: u64,
    },
    /// No row has arrived for longer than a value holds.
    NoData {
        /// Whether an alarm is open.
        open: bool,
    },
}

/// A rule's durations in event time, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For how long the test must hold before an alarm opens.
    pub for_ms: u64,
    /// For how long the test must have ended before it is cleared.
    pub keep_for_ms: u64,
    /// For how long a row holds when no newer one arrives.
    pub hold_ms: u64,
    /// Whether the opposite must have been seen before: a device cannot enter where it has always been.
    pub needs_opposite: bool,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// An alarm opens.
    Opened {
        /// Event time, Unix milliseconds.
        at_ms: u64,
    },
    /// The alarm is cleared.
    Cleared {
        /// Event time, Unix milliseconds.
        at_ms: u64,
    },
}

/// The state of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its phase.
    pub phase: Phase,
    /// Whether the opposite has been seen.
    pub armed: bool,
    /// When the newest row with a value for the rule was, Unix milliseconds; 0 before the first.
    pub heard_ms: u64,
}

impl Machine {
    /// Whether an alarm is open.
    pub const fn is_open(&self) -> bool {
        matches!(
            self.phase,
            Phase::Firing | Phase::Recovering { .. } | Phase::NoData { open: true }
        )
    }

    /// Applies a row: first the timers that are due before it, then its signal.
    pub fn observe(&mut self, at_ms: u64, signal: Signal, timing: &Timing, edges: &mut Vec<Edge>) {
        self.advance(at_ms, timing, edges);
        if signal == Signal::Unknown {
            return;
        }
        self.heard_ms = self.heard_ms.max(at_ms);
        match signal {
            Signal::Enter => self.enter(at_ms, timing, edges),
            Signal::Leave => self.leave(at_ms, timing, edges),
            Signal::Hold | Signal::Unknown => self.go_on(),
        }
    }

    /// Lets time pass until a moment without a row.
    pub fn advance(&mut self, to_ms: u64, timing: &Timing, edges: &mut Vec<Edge>) {
        let holds_until = self.heard_ms.saturating_add(timing.hold_ms);
        let is_due = |due: u64| due <= to_ms && due <= holds_until;
        match self.phase {
            Phase::Pending { since_ms } if is_due(since_ms.saturating_add(timing.for_ms)) => {
                self.phase = Phase::Firing;
                edges.push(Edge::Opened { at_ms: since_ms.saturating_add(timing.for_ms) });
            }
            Phase::Recovering { since_ms }
                if is_due(since_ms.saturating_add(timing.keep_for_ms)) =>
            {
                self.phase = Phase::Inactive;
                edges.push(Edge::Cleared { at_ms: since_ms.saturating_add(timing.keep_for_ms) });
            }
            _ => {}
        }
        if to_ms > holds_until {
            self.lose();
        }
    }

    /// When time alone will change something, in event time.
    pub fn due_ms(&self, timing: &Timing) -> Option<u64> {
        let lost = self.heard_ms.saturating_add(timing.hold_ms).saturating_add(1);
        match self.phase {
            Phase::Pending { since_ms } => Some(since_ms.saturating_add(timing.for_ms).min(lost)),
            Phase::Recovering { since_ms } => {
                Some(since_ms.saturating_add(timing.keep_for_ms).min(lost))
            }
            Phase::Firing => Some(lost),
            Phase::Inactive | Phase::NoData { .. } => None,
        }
    }

    /// Resets the state, as when its rule is changed; returns whether an alarm was open.
    pub fn end(&mut self) -> bool {
        let was_open = self.is_open();
        *self = Self::default();
        was_open
    }

    fn lose(&mut self) {
        self.phase = match self.phase {
            Phase::Inactive => Phase::Inactive,
            Phase::Pending { .. } => Phase::NoData { open: false },
            Phase::Firing | Phase::Recovering { .. } => Phase::NoData { open: true },
            Phase::NoData { open } => Phase::NoData { open },
        };
    }

    fn enter(&mut self, at_ms: u64, timing: &Timing, edges: &mut Vec<Edge>) {
        match self.phase {
            Phase::Inactive | Phase::NoData { open: false } => self.begin(at_ms, timing, edges),
            Phase::Pending { .. } | Phase::Firing => {}
            Phase::Recovering { .. } | Phase::NoData { open: true } => self.phase = Phase::Firing,
        }
    }

    fn begin(&mut self, at_ms: u64, timing: &Timing, edges: &mut Vec<Edge>) {
        if timing.needs_opposite && !self.armed {
            self.phase = Phase::Inactive;
        } else if timing.for_ms == 0 {
            self.phase = Phase::Firing;
            edges.push(Edge::Opened { at_ms });
        } else {
            self.phase = Phase::Pending { since_ms: at_ms };
        }
    }

    fn leave(&mut self, at_ms: u64, timing: &Timing, edges: &mut Vec<Edge>) {
        self.armed = true;
        match self.phase {
            Phase::Inactive | Phase::Pending { .. } | Phase::NoData { open: false } => {
                self.phase = Phase::Inactive;
            }
            Phase::Recovering { .. } => {}
            Phase::Firing | Phase::NoData { open: true } if timing.keep_for_ms == 0 => {
                self.phase = Phase::Inactive;
                edges.push(Edge::Cleared { at_ms });
            }
            Phase::Firing | Phase::NoData { open: true } => {
                self.phase = Phase::Recovering { since_ms: at_ms };
            }
        }
    }

    /// Rows arrive again, between the two thresholds.
    fn go_on(&mut self) {
        self.phase = match self.phase {
            Phase::NoData { open: true } => Phase::Firing,
            Phase::NoData { open: false } => Phase::Inactive,
            other => other,
        };
    }
}
