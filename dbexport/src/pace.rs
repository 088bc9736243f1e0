//! When a lane begins its next batch.
//!
//! A full batch is begun at once by any lane. Batches that are not full follow each
//! other: while one is under way the rest gathers, so that two lanes do not share
//! what would make one batch. Small ones also keep a distance, so that a steady
//! trickle is not committed frame by frame; what comes after a quiet time does not
//! wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nemeses_runtime::Stop;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout};

use crate::queue::Queue;

/// A batch of this share of a full one is begun without keeping a distance: it is
/// large enough for its commit to cost little a row.
pub(crate) const LARGE_SHARE: usize = 8;
/// A commit that takes longer (a lock, a slow disk) does not hold up those of the
/// other lanes, full or not.
const ALONE_AT_MOST: Duration = Duration::from_millis(50);

/// The pace of an exporter's lanes.
#[derive(Debug)]
pub(crate) struct Pace {
    distance: Duration,
    /// Held while a batch that is not full is under way.
    alone: Semaphore,
    /// When a batch was begun last.
    begun: Mutex<Option<Instant>>,
}

/// Leave to begin a batch.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    /// Held for what it keeps from others.
    _alone: Option<SemaphorePermit<'a>>,
}

impl Turn<'_> {
    /// Lets others that are not full wait for this commit, but not for long.
    pub(crate) async fn during<T>(self, commit: impl Future<Output = T>) -> T {
        let mut commit = std::pin::pin!(commit);
        if let Ok(done) = timeout(ALONE_AT_MOST, commit.as_mut()).await {
            return done;
        }
        drop(self);
        commit.await
    }
}

impl Pace {
    pub(crate) fn new(distance: Duration) -> Self {
        Self { distance, alone: Semaphore::new(1), begun: Mutex::new(None) }
    }

    /// Waits until a batch may begin; `None` when asked to end and nothing is left.
    pub(crate) async fn turn<R>(&self, queue: &Queue<R>, stop: &Stop) -> Option<Turn<'_>> {
        loop {
            if queue.is_empty() {
                if stop.all.is_cancelled() {
                    return None;
                }
                tokio::select! {
                    () = queue.filled() => {}
                    () = stop.all.cancelled() => {}
                }
            } else if queue.is_full() || stop.all.is_cancelled() {
                return Some(self.begin(None));
            } else {
                tokio::select! {
                    turn = self.small_turn(queue) => return Some(turn),
                    () = queue.full() => {}
                    () = stop.all.cancelled() => {}
                }
            }
        }
    }

    async fn small_turn<R>(&self, queue: &Queue<R>) -> Turn<'_> {
        // The semaphore is never closed.
        let permit = self.alone.acquire().await.ok();
        let begun = *self.begun();
        if let Some(begun) = begun {
            let distant = sleep_until(begun + self.distance);
            let mut distant = std::pin::pin!(distant);
            while !queue.is_large() && !distant.is_elapsed() {
                tokio::select! {
                    () = distant.as_mut() => {}
                    () = queue.large() => {}
                }
            }
        }
        self.begin(permit)
    }

    fn begin<'a>(&self, permit: Option<SemaphorePermit<'a>>) -> Turn<'a> {
        *self.begun() = Some(Instant::now());
        Turn { _alone: permit }
    }

    fn begun(&self) -> MutexGuard<'_, Option<Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Submission, Work};
    use nemeses_protocol::Tally;
    use nemeses_store::history::Part;

    const HOUR: Duration = Duration::from_secs(3600);

    fn submission(rows: u32) -> Submission<()> {
        let letter = nemeses_protocol::DeadLetter {
            topic: String::new(),
            offset: 0,
            reason: nemeses_protocol::Reason::Future,
            device: None,
            received_at_ms: 0,
            bytes: Vec::new(),
        };
        let record = nemeses_protocol::Record::DeadLetter(Box::new(letter));
        let records = vec![record; rows as usize];
        Submission { work: Work::Records { records, tallies: Vec::<Tally>::new() }, receipt: () }
    }

    /// Whether a turn comes without waiting for a clock.
    async fn has_turn<'a>(pace: &'a Pace, queue: &Queue<()>) -> Option<Turn<'a>> {
        let stop = Stop::default();
        tokio::select! {
            biased;
            turn = pace.turn(queue, &stop) => turn,
            () = tokio::task::yield_now() => None,
        }
    }

    #[tokio::test]
    async fn batches_that_are_not_full_follow_each_other_and_full_ones_do_not_wait() {
        let (pace, queue) = (Pace::new(HOUR), Queue::new(2, 16));
        queue.push(submission(2));
        let first = has_turn(&pace, &queue).await.expect("the first begins at once");
        assert_eq!(queue.take().len(), 1);
        queue.push(submission(15));
        assert!(has_turn(&pace, &queue).await.is_none(), "another is under way");
        queue.push(submission(1));
        let full = has_turn(&pace, &queue).await.expect("a full one does not wait");
        assert_eq!(queue.take().len(), 2);
        first.during(std::future::ready(())).await;
        queue.push(submission(1));
        assert!(has_turn(&pace, &queue).await.is_none(), "a small one keeps its distance");
        queue.push(submission(1));
        assert!(has_turn(&pace, &queue).await.is_some(), "a large one does not");
        drop(full);
    }

    #[tokio::test]
    async fn a_waiting_small_batch_begins_when_it_has_grown_or_after_its_distance() {
        let stop = Stop::default();
        let (pace, queue) = (Pace::new(HOUR), Queue::new(2, 100));
        queue.push(submission(1));
        drop(pace.turn(&queue, &stop).await);
        let grown = async {
            tokio::task::yield_now().await;
            queue.push(submission(1));
        };
        let (turn, ()) = tokio::join!(pace.turn(&queue, &stop), grown);
        assert!(turn.is_some());
        let (distance, queue) = (Duration::from_millis(5), Queue::new(2, 100));
        let pace = Pace::new(distance);
        queue.push(submission(1));
        drop(pace.turn(&queue, &stop).await);
        let began = Instant::now();
        drop(pace.turn(&queue, &stop).await);
        assert!(began.elapsed() + Duration::from_millis(1) >= distance);
    }

    #[tokio::test]
    async fn a_commit_that_takes_long_holds_nobody_up() {
        let (pace, queue) = (Pace::new(Duration::ZERO), Queue::new(10, 100));
        queue.push(submission(1));
        let stop = Stop::default();
        let turn = pace.turn(&queue, &stop).await.expect("a turn");
        let long = turn.during(std::future::pending::<()>());
        tokio::select! {
            () = long => unreachable!("it never ends"),
            second = pace.turn(&queue, &stop) => assert!(second.is_some()),
        }
    }

    #[tokio::test]
    async fn when_asked_to_end_what_is_left_is_taken_at_once() {
        let (pace, queue) = (Pace::new(HOUR), Queue::new(10, 100));
        let stop = Stop::default();
        queue.push(submission(1));
        let _under_way = pace.turn(&queue, &stop).await;
        stop.all.cancel();
        assert!(pace.turn(&queue, &stop).await.is_some());
        queue.take();
        assert!(pace.turn(&queue, &stop).await.is_none());
        let part = Part {
            key: nemeses_protocol::BatchKey { worker: "w".to_owned(), run: 1, sequence: 1 },
            tallies: Vec::new(),
            records: Vec::new(),
        };
        queue.push(Submission { work: Work::Part(part), receipt: () });
        assert!(pace.turn(&queue, &stop).await.is_some(), "an empty part is work too");
    }
}
