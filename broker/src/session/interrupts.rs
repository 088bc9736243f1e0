//! What comes to a connection from neither its client nor its mailbox: the two stop
//! signals and its clock.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFuture;

use super::rare_waits::RareWaits;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupt {
    StopIntake,
    StopAll,
    Clock,
}

/// The waits for them, begun once for a connection's life.
pub(super) struct Interrupts<'a, 's> {
    stops_intake: Pin<&'a mut WaitForCancellationFuture<'s>>,
    stops_all: Pin<&'a mut WaitForCancellationFuture<'s>>,
    clock: Pin<&'a mut Sleep>,
    /// When the clock rings; `None` when it has rung.
    rings_at: Option<Instant>,
    rare_waits: RareWaits,
}

impl<'a, 's> Interrupts<'a, 's> {
    /// The clock rings when it is told to.
    pub(super) fn new(
        stops_intake: Pin<&'a mut WaitForCancellationFuture<'s>>,
        stops_all: Pin<&'a mut WaitForCancellationFuture<'s>>,
        clock: Pin<&'a mut Sleep>,
    ) -> Self {
        Self { stops_intake, stops_all, clock, rings_at: None, rare_waits: RareWaits::new() }
    }

    /// Lets the clock ring at `deadline`, or before. It is set anew only to an earlier
    /// time: a later one is found when it rings.
    pub(super) fn come_at(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self.rings_at.is_none_or(|rings_at| deadline < rings_at) {
            self.clock.as_mut().reset(deadline);
            self.rings_at = Some(deadline);
            self.rare_waits.look_again();
        }
    }

    /// The next of them; the first stop is told of only while not `draining`.
    pub(super) fn poll(&mut self, cx: &Context<'_>, draining: bool) -> Poll<Interrupt> {
        let Self { stops_intake, stops_all, clock, rings_at, rare_waits } = self;
        rare_waits.poll(cx, |cx| {
            if !draining && stops_intake.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Interrupt::StopIntake);
            }
            if stops_all.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Interrupt::StopAll);
            }
            if rings_at.is_some() && clock.as_mut().poll(cx).is_ready() {
                *rings_at = None;
                return Poll::Ready(Interrupt::Clock);
            }
            Poll::Pending
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::time::Duration;

    use nemeses_runtime::Stop;
    use tokio::time::sleep_until;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn each_interrupt_comes_when_it_is_due_and_the_clock_at_the_earliest_time() {
        let stop = Stop::default();
        let stops_intake = pin!(stop.intake.cancelled());
        let stops_all = pin!(stop.all.cancelled());
        let start = Instant::now();
        let clock = pin!(sleep_until(start));
        let mut interrupts = Interrupts::new(stops_intake, stops_all, clock);
        let pending = async |interrupts: &mut Interrupts<'_, '_>| {
            poll_fn(|cx| Poll::Ready(interrupts.poll(cx, false).is_pending())).await
        };
        assert!(pending(&mut interrupts).await, "a clock that was not set does not ring");
        let soon = Duration::from_millis(5);
        interrupts.come_at(Some(start + HOUR));
        assert!(pending(&mut interrupts).await);
        interrupts.come_at(Some(start + soon));
        interrupts.come_at(Some(start + HOUR));
        assert_eq!(poll_fn(|cx| interrupts.poll(cx, false)).await, Interrupt::Clock);
        assert!(start.elapsed() >= soon);
        assert!(pending(&mut interrupts).await, "it rings once");
        let token = stop.intake.clone();
        let cancelled = tokio::spawn(async move { token.cancel() });
        assert_eq!(poll_fn(|cx| interrupts.poll(cx, false)).await, Interrupt::StopIntake);
        cancelled.await.unwrap();
        stop.all.cancel();
        assert_eq!(poll_fn(|cx| interrupts.poll(cx, true)).await, Interrupt::StopAll);
    }
}
