//! Words that are good once: what a node without Redis remembers of those that
//! were used. Pure; time is an argument.

use std::collections::HashMap;

/// Words remembered: 100 000 of some 100 bytes are 10 MB. They live for seconds
/// and each took a signed-in request, so beyond this something is wrong.
const MOST: usize = 100_000;

/// Used words and until when to remember them, Unix milliseconds.
#[derive(Debug, Default)]
pub(super) struct Used(HashMap<String, u64>);

impl Used {
    /// Whether nobody used the word before; `None` when there is no room to note it.
    pub(super) fn first(&mut self, word: &str, until_ms: u64, now_ms: u64) -> Option<bool> {
        if self.0.len() >= MOST {
            self.0.retain(|_, until| *until > now_ms);
        }
        if self.0.get(word).is_some_and(|until| *until > now_ms) {
            return Some(false);
        }
        if self.0.len() >= MOST {
            return None;
        }
        self.0.insert(word.to_owned(), until_ms);
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_once_until_forgotten() {
        let mut used = Used::default();
        assert_eq!(used.first("a", 100, 50), Some(true));
        assert_eq!(used.first("a", 100, 99), Some(false));
        assert_eq!(used.first("b", 100, 99), Some(true));
        assert_eq!(used.first("a", 200, 100), Some(true));
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_good_twice_for_it() {
        let mut used = Used::default();
        for word in 0..MOST {
            assert_eq!(used.first(&word.to_string(), 100, 0), Some(true));
        }
        assert_eq!(used.first("one more", 100, 99), None);
        assert_eq!(used.first("7", 100, 99), Some(false));
        assert_eq!(used.first("one more", 200, 100), Some(true));
        assert_eq!(used.0.len(), 1);
    }
}
