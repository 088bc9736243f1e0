//! The state of the pipeline as the canaries of one worker show it, in a code that
//! metrics and announcements carry, and in words.

/// What the canaries of a worker say (docs/operations.md, "Canaries").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PipelineState {
    /// They come back, or none was due yet.
    #[default]
    Fine,
    /// Nothing is known: older workers run, or the login lacks a right.
    Unknown,
    /// Some come back and others do not.
    PartlyStuck,
    /// They cannot be sent.
    NotSent,
    /// A parser takes them, and nobody says that they were committed.
    NotCommitted,
    /// No parser takes them.
    NotTaken,
}

impl PipelineState {
    const ALL: [Self; 6] = [
        Self::Fine,
        Self::Unknown,
        Self::PartlyStuck,
        Self::NotSent,
        Self::NotCommitted,
        Self::NotTaken,
    ];

    /// The metric's value; the worse, the higher.
    pub fn code(self) -> u8 {
        let place = Self::ALL.iter().position(|state| *state == self);
        place.and_then(|place| u8::try_from(place).ok()).unwrap_or_default()
    }

    /// Of a metric's value.
    pub fn of_code(code: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| (f64::from(state.code()) - code).abs() < 0.5)
    }

    /// A word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Unknown => "unknown",
            Self::PartlyStuck => "partly_stuck",
            Self::NotSent => "not_sent",
            Self::NotCommitted => "not_committed",
            Self::NotTaken => "not_taken",
        }
    }

    /// Whether frames do not get through.
    pub fn is_broken(self) -> bool {
        self > Self::Unknown
    }

    /// What is wrong and what to look at; nothing when all is well.
    pub const fn words(self) -> Option<&'static str> {
        match self {
            Self::Fine => None,
            Self::Unknown => Some(
                "it is not known whether frames come through: workers of an older version run, or the login lacks a right (nemeses mosquitto-roles)",
            ),
            Self::PartlyStuck => Some(
                "a part of what is published does not come through: it waits for a worker that is away or behind; each worker number must run, or leave with --leave",
            ),
            Self::NotSent => Some("test messages cannot be sent to the broker"),
            Self::NotCommitted => Some(
                "what is published reaches a parser and is not committed: is an exporter running, and is its database up?",
            ),
            Self::NotTaken => Some(
                "what is published reaches no parser, though the broker acknowledges it: is a parser running, and does the broker deliver shared subscriptions?",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back_and_only_troubles_have_words() {
        for state in PipelineState::ALL {
            assert_eq!(PipelineState::of_code(f64::from(state.code())), Some(state));
            assert_eq!(state.words().is_none(), state == PipelineState::Fine);
        }
        assert_eq!(PipelineState::of_code(6.0), None);
        assert!(PipelineState::PartlyStuck.is_broken() && !PipelineState::Unknown.is_broken());
    }
}
