//! One receipt for work that is done in several parts, finished in any order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A part of a receipt. A part that is dropped unkept keeps the receipt back for ever.
#[derive(Debug)]
pub(super) struct Share<R>(Arc<Whole<R>>);

#[derive(Debug)]
struct Whole<R> {
    open: AtomicUsize,
    receipt: Mutex<Option<R>>,
}

impl<R> Share<R> {
    /// The first part.
    pub(super) fn of(receipt: R) -> Self {
        Self(Arc::new(Whole { open: AtomicUsize::new(1), receipt: Mutex::new(Some(receipt)) }))
    }

    /// One part more.
    pub(super) fn another(&self) -> Self {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }

    /// This part is done; the receipt when it was the last.
    pub(super) fn published(self) -> Option<R> {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        self.0.receipt.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_yields_the_receipt() {
        let first = Share::of("receipt");
        let (second, third) = (first.another(), first.another());
        assert_eq!(
            (second.published(), first.published(), third.published()),
            (None, None, Some("receipt"))
        );
    }

    #[test]
    fn a_part_given_up_keeps_it_back() {
        let first = Share::of("receipt");
        drop(first.another());
        assert_eq!(first.published(), None);
    }
}
