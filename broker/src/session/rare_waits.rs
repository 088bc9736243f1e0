//! Waits that seldom end (the stop signals, the clock), polled only when one of them
//! has woken the task: a look at each costs locks that all connections share, and a
//! connection's task is polled for every frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Whether some waits are to be looked at.
pub(super) struct RareWaits {
    due: Arc<Due>,
    /// What they are polled with.
    waker: Waker,
    /// Whom it wakes.
    task: Option<Waker>,
}

#[derive(Default)]
struct Due {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Due {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl RareWaits {
    /// Looks at them for the first time when it is polled next.
    pub(super) fn new() -> Self {
        let due = Arc::new(Due { woken: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&due)), due, task: None }
    }

    /// A wait was begun anew, which nobody has polled yet.
    pub(super) fn look_again(&self) {
        self.due.woken.store(true, Ordering::Release);
    }

    /// Polls the waits if one of them woke the task since they were all pending.
    pub(super) fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        waits: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.task = Some(cx.waker().clone());
            self.due.task.register(cx.waker());
        }
        if !self.due.woken.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        // Taken by whoever woke: left there for the next to wake.
        self.due.task.register(cx.waker());
        self.due.woken.swap(false, Ordering::AcqRel);
        let polled = waits(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            // The others were perhaps not looked at.
            self.look_again();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker;

    use super::*;

    #[test]
    fn waits_are_looked_at_only_when_one_of_them_woke_or_was_begun() {
        let waker = noop_waker();
        let cx = Context::from_waker(&waker);
        let (mut rare_waits, mut inner) = (RareWaits::new(), None);
        let pending = |cx: &mut Context<'_>| {
            inner = Some(cx.waker().clone());
            Poll::<()>::Pending
        };
        assert!(rare_waits.poll(&cx, pending).is_pending());
        let looks = |rare_waits: &mut RareWaits, answer| {
            let mut looked = false;
            let polled = rare_waits.poll(&cx, |_| {
                looked = true;
                answer
            });
            assert_eq!(polled.is_ready(), looked && answer.is_ready());
            looked
        };
        assert!(!looks(&mut rare_waits, Poll::Ready(())), "the first look found nothing");
        inner.expect("it was polled").wake();
        assert!(looks(&mut rare_waits, Poll::Ready(())));
        assert!(looks(&mut rare_waits, Poll::Pending), "another may be ready too");
        assert!(!looks(&mut rare_waits, Poll::Ready(())));
        rare_waits.look_again();
        assert!(looks(&mut rare_waits, Poll::Pending));
    }
}
