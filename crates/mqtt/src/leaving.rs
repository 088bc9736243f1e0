//! When a subscriber that leaves for good has received all that the broker held
//! for it. Pure.
//!
//! The broker says nothing when a session's queue is empty, so we ask: with
//! everything acknowledged, one more UNSUBSCRIBE is a question whose answer
//! stands behind whatever the broker had to deliver. Two answers in a row
//! without a delivery between them end it.

/// Quiet answers that it takes.
const QUIET_ANSWERS: u32 = 2;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for acknowledgements or answers.
    Wait,
    /// Send one more UNSUBSCRIBE.
    Ask,
    /// Nothing is left.
    Drained,
}

/// One connection of a subscriber that leaves.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// UNSUBACKs still to come.
    awaited: usize,
    /// Deliveries when the last question was sent; none before the first.
    asked_at: Option<u64>,
    quiet: u32,
}

impl Leaving {
    /// `filters` UNSUBSCRIBEs were sent.
    pub(crate) const fn new(filters: usize) -> Self {
        Self { awaited: filters, asked_at: None, quiet: 0 }
    }

    /// An UNSUBACK came.
    pub(crate) fn answered(&mut self, delivered: u64, all_acknowledged: bool) -> Step {
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited > 0 {
            return Step::Wait;
        }
        if self.asked_at == Some(delivered) && all_acknowledged {
            self.quiet += 1;
        } else {
            self.quiet = 0;
        }
        if self.quiet >= QUIET_ANSWERS {
            Step::Drained
        } else {
            self.ask(delivered, all_acknowledged)
        }
    }

    /// Something was acknowledged.
    pub(crate) fn acknowledged(&mut self, delivered: u64, all_acknowledged: bool) -> Step {
        if self.awaited > 0 { Step::Wait } else { self.ask(delivered, all_acknowledged) }
    }

    fn ask(&mut self, delivered: u64, all_acknowledged: bool) -> Step {
        if !all_acknowledged {
            return Step::Wait;
        }
        self.asked_at = Some(delivered);
        self.awaited = 1;
        Step::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_session_is_drained_after_two_quiet_answers() {
        let mut leaving = Leaving::new(2);
        assert_eq!(leaving.answered(0, true), Step::Wait);
        assert_eq!(leaving.answered(0, true), Step::Ask);
        assert_eq!(leaving.answered(0, true), Step::Ask);
        assert_eq!(leaving.answered(0, true), Step::Drained);
    }

    #[test]
    fn a_delivery_between_two_answers_begins_anew() {
        let mut leaving = Leaving::new(1);
        assert_eq!(leaving.answered(3, true), Step::Ask);
        assert_eq!(leaving.answered(4, true), Step::Ask, "one came and is acknowledged");
        assert_eq!(leaving.answered(5, false), Step::Wait, "one came and is not");
        assert_eq!(leaving.acknowledged(5, true), Step::Ask);
        assert_eq!(leaving.acknowledged(5, true), Step::Wait, "one question at a time");
        assert_eq!(leaving.answered(5, true), Step::Ask);
        assert_eq!(leaving.answered(5, true), Step::Drained);
    }
}
