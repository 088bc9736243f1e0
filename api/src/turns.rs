//! Turns at the database for reports, which may read millions of rows. Each chunk of
//! rows takes a turn, and turns go to whoever has the fewest at the moment, so that
//! sixty reports of one share link are as quick as one, and another's report beside
//! them is not sixty times slower.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::access::Credential;
use crate::problem::{Kind, Problem};

/// Reports of one session, token or link in progress at the same time. More are told to
/// come back. With them the number of those who wait for a turn is bounded too: each
/// report waits for one at a time.
const MOST_REPORTS: usize = 16;

/// Whose reports these are; nobody's for what the program reads for itself.
pub(crate) type Reader = Option<Credential>;

#[derive(Debug)]
pub(crate) struct Turns {
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    free: usize,
    running: HashMap<Reader, usize>,
    /// In the order in which they began to wait.
    waiting: VecDeque<(Reader, oneshot::Sender<()>)>,
    reports: HashMap<Reader, usize>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    reader: Reader,
}

/// A report in progress, until it is dropped.
#[derive(Debug)]
pub(crate) struct InProgress {
    turns: Arc<Turns>,
    reader: Reader,
}

/// Somebody who waits for a turn, and may give up.
struct Waiting<'a> {
    turns: &'a Arc<Turns>,
    reader: Reader,
    given: oneshot::Receiver<()>,
}

impl Turns {
    pub(crate) fn new(at_once: NonZeroUsize) -> Arc<Self> {
        let queue = Queue {
            free: at_once.get(),
            running: HashMap::new(),
            waiting: VecDeque::new(),
            reports: HashMap::new(),
        };
        Arc::new(Self { queue: Mutex::new(queue) })
    }

    /// Begins a report.
    pub(crate) fn begin(self: &Arc<Self>, reader: Reader) -> Result<InProgress, Problem> {
        let mut queue = self.lock();
        let reports = queue.reports.entry(reader).or_default();
        if *reports >= MOST_REPORTS {
            let detail = format!("{MOST_REPORTS} of your reports are in progress; wait for one.");
            return Err(Problem::new(Kind::TooManyAtOnce, detail).retry_after(1));
        }
        *reports += 1;
        Ok(InProgress { turns: Arc::clone(self), reader })
    }

    /// Waits for a turn. May be dropped while it waits.
    pub(crate) async fn take(self: &Arc<Self>, reader: Reader) -> Turn {
        let (give, given) = oneshot::channel();
        let mut waiting = Waiting { turns: self, reader, given };
        self.enqueue(reader, give);
        // The sender is dropped only with a turn.
        let _given = (&mut waiting.given).await;
        Turn { turns: Arc::clone(self), reader }
    }

    fn enqueue(&self, reader: Reader, give: oneshot::Sender<()>) {
        let mut queue = self.lock();
        queue.waiting.push_back((reader, give));
        queue.hand_out();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Gives free turns to those who have the fewest, the longest waiting of them first.
    fn hand_out(&mut self) {
        while self.free > 0 {
            let has = |at: &usize| {
                let (reader, _) = &self.waiting[*at];
                self.running.get(reader).copied().unwrap_or_default()
            };
            let next = (0..self.waiting.len()).min_by_key(has);
            let Some((reader, give)) = next.and_then(|at| self.waiting.remove(at)) else { return };
            if give.send(()).is_ok() {
                self.free -= 1;
                *self.running.entry(reader).or_default() += 1;
            }
        }
    }

    fn give_back(&mut self, reader: Reader) {
        self.free += 1;
        one_less(&mut self.running, reader);
        self.hand_out();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut queue = self.turns.lock();
        self.given.close();
        if self.given.try_recv().is_ok() {
            queue.give_back(self.reader);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().give_back(self.reader);
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        one_less(&mut self.turns.lock().reports, self.reader);
    }
}

fn one_less(counts: &mut HashMap<Reader, usize>, reader: Reader) {
    if let Some(count) = counts.get_mut(&reader) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&reader);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LINK: Reader = Some(Credential::Share(1));
    const ADMIN: Reader = Some(Credential::Session(1));

    fn turns(at_once: usize) -> Arc<Turns> {
        Turns::new(NonZeroUsize::new(at_once).unwrap())
    }

    #[tokio::test]
    async fn sixty_reports_of_one_link_get_as_many_turns_as_one_of_another() {
        let turns = turns(2);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut reports = tokio::task::JoinSet::new();
        let held = [turns.take(None).await, turns.take(None).await];
        for number in 0..61 {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            // The admin comes last.
            let reader = if number < 60 { LINK } else { ADMIN };
            reports.spawn(async move {
                for _chunk in 0..10 {
                    let turn = turns.take(reader).await;
                    order.lock().unwrap().push(reader);
                    tokio::task::yield_now().await;
                    drop(turn);
                }
            });
        }
        while turns.lock().waiting.len() < 61 {
            tokio::task::yield_now().await;
        }
        drop(held);
        reports.join_all().await;
        let order = order.lock().unwrap();
        let last_of_admin = order.iter().rposition(|reader| *reader == ADMIN).unwrap();
        assert!(last_of_admin < 40, "ten of {} turns, done after {last_of_admin}", order.len());
    }

    #[tokio::test]
    async fn whoever_gives_up_takes_no_turn_along() {
        let turns = turns(1);
        let held = turns.take(LINK).await;
        let mut given_up = Box::pin(turns.take(LINK));
        assert!(given_up.as_mut().now_or_never().is_none());
        let mut given_and_given_up = Box::pin(turns.take(ADMIN));
        assert!(given_and_given_up.as_mut().now_or_never().is_none());
        drop(given_up);
        drop(held);
        drop(given_and_given_up);
        turns.take(LINK).now_or_never().unwrap();
        let queue = turns.lock();
        assert!(queue.free == 1 && queue.running.is_empty() && queue.waiting.is_empty());
    }

    #[test]
    fn reports_in_progress_have_a_bound_for_each_credential() {
        let turns = turns(1);
        let mut begun: Vec<_> = (0..MOST_REPORTS).map(|_| turns.begin(LINK).unwrap()).collect();
        assert_eq!(turns.begin(LINK).unwrap_err().kind(), Kind::TooManyAtOnce);
        let _another = turns.begin(ADMIN).unwrap();
        begun.pop();
        turns.begin(LINK).unwrap();
        drop(begun);
        assert_eq!(turns.lock().reports.len(), 1, "the admin's alone");
    }
}
