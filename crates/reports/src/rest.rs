//! Rest: legs that are not quick, one after the other.

use super::motion::{STOOD_S, Seen};

/// So many slow legs in a row, over so many seconds, are rest for whoever reads them.
const SLOW_LEGS: u8 = 3;

/// Legs in a row that were not quick. They end what is undecided, wherever it began: so
/// two who began to read at different rows agree from there on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slow {
    pub(super) legs: u8,
    pub(super) seconds: u32,
    /// Behind the first ones, which may be quick for another reader, who believes other
    /// places yet.
    pub(super) agreed_s: u32,
}

impl Slow {
    pub(super) const LONG: Self = Self { legs: 2 * SLOW_LEGS, seconds: STOOD_S, agreed_s: STOOD_S };

    pub(super) fn add(&mut self, seen: &Seen<'_>) {
        if seen.is_quick() {
            *self = Self::default();
        } else if seen.way.is_some() {
            let more = |seconds: u32| seconds.saturating_add(seen.seconds()).min(STOOD_S);
            self.seconds = more(self.seconds);
            if self.legs >= SLOW_LEGS {
                self.agreed_s = more(self.agreed_s);
            }
            self.legs = self.legs.saturating_add(1).min(Self::LONG.legs);
        }
    }

    pub(super) fn is_rest(self) -> bool {
        self.legs >= SLOW_LEGS && self.seconds >= STOOD_S
    }

    /// Whether it was rest for any other reader as well.
    pub(super) fn is_agreed(self) -> bool {
        self == Self::LONG
    }
}
