//! Reads logins, many at once: however many clients connect in the same moment, one
//! query at a time asks for all that wait, so that a storm of reconnects takes one
//! connection of the pool and the commits keep theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nemeses_store::StoreError;
use nemeses_store::history::{Login, Logins};
use tokio::sync::{Semaphore, oneshot};

/// Logins that one query asks for: 500 rows of 300 bytes are 150 KB.
const AT_ONCE: usize = 500;

/// What the store said of a name.
pub(super) type Found = Result<Option<Arc<Login>>, Arc<StoreError>>;

/// A name that somebody waits for. Waiters are as many as connections that are
/// being let in, which the door bounds.
struct Waiting {
    name: String,
    answer: oneshot::Sender<Found>,
}

/// Reads logins.
pub(super) struct Lookup {
    logins: Arc<dyn Logins>,
    waiting: Mutex<Vec<Waiting>>,
    turn: Semaphore,
}

impl Lookup {
    pub(super) fn new(logins: Arc<dyn Logins>) -> Self {
        Self { logins, waiting: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// The login of a name. May be dropped at any time.
    pub(super) async fn find(&self, name: &str) -> Found {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.waiting().push(Waiting { name: name.to_owned(), answer });
            loop {
                tokio::select! {
                    biased;
                    found = &mut answered => match found {
                        Ok(found) => return found,
                        // Whoever asked for us was dropped with its connection.
                        Err(_) => break,
                    },
                    Ok(_turn) = self.turn.acquire() => self.ask().await,
                }
            }
        }
    }

    /// Reads the logins of these names, past those that wait.
    pub(super) async fn find_all(&self, names: &[&str]) -> Result<Vec<Login>, StoreError> {
        let mut found = Vec::with_capacity(names.len());
        for names in names.chunks(AT_ONCE) {
            // A turn each: clients that connect meanwhile are let in between.
            let _turn = self.turn.acquire().await;
            found.extend(self.logins.find_all(names).await?);
        }
        Ok(found)
    }

    /// Asks for those who have waited longest and tells them.
    async fn ask(&self) {
        let asked: Vec<Waiting> = {
            let mut waiting = self.waiting();
            let count = waiting.len().min(AT_ONCE);
            waiting.drain(..count).filter(|one| !one.answer.is_closed()).collect()
        };
        let mut names: Vec<&str> = asked.iter().map(|one| one.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return;
        }
        let found = self.logins.find_all(&names).await.map_err(Arc::new).map(|logins| {
            let by_name = |login: Login| (login.name.clone(), Arc::new(login));
            logins.into_iter().map(by_name).collect::<HashMap<_, _>>()
        });
        for Waiting { name, answer } in asked {
            let found = found.as_ref().map(|logins| logins.get(&name).cloned());
            // Whoever waited may be gone.
            let _ = answer.send(found.map_err(Arc::clone));
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::glue::testing::FakeLogins;

    /// Ten thousand at once are a few queries, one after the other.
    #[tokio::test]
    async fn a_storm_is_few_queries_and_never_two_at_a_time() {
        let store = FakeLogins::with(["0A3F73"]);
        let lookup = Lookup::new(Arc::clone(&store) as Arc<dyn Logins>);
        let names: Vec<String> = (0..10_000).map(|number| format!("{number:06X}")).collect();
        let (found, known) = tokio::join!(
            join_all(names.iter().map(|name| lookup.find(name))),
            lookup.find("0A3F73"),
        );
        assert!(found.into_iter().all(|found| found.unwrap().is_none()));
        assert_eq!(known.unwrap().unwrap().name, "0A3F73");
        assert_eq!(store.most_at_once(), 1);
        let queries = store.queries();
        // The first asks for itself alone.
        assert!(queries <= 10_000 / AT_ONCE + 2, "{queries} queries");
    }

    #[tokio::test]
    async fn whoever_asked_for_others_and_is_dropped_leaves_them_to_another() {
        let store = FakeLogins::with(["0A3F73"]);
        store.hold(true);
        let lookup = Lookup::new(Arc::clone(&store) as Arc<dyn Logins>);
        let mut first = Box::pin(lookup.find("0A3F73"));
        let mut second = Box::pin(lookup.find("0A3F73"));
        let mut third = Box::pin(lookup.find("0A3F73"));
        // The first asks for itself; the others wait.
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(first);
        // Now the second asks, for the third too.
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(second);
        store.hold(false);
        assert!(third.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_store_that_is_down_is_told_to_all_who_wait() {
        let store = FakeLogins::with(["0A3F73"]);
        store.down(true);
        let lookup = Lookup::new(Arc::clone(&store) as Arc<dyn Logins>);
        let found = join_all((0..3).map(|_| lookup.find("0A3F73"))).await;
        assert!(found.into_iter().all(|found| found.is_err()));
    }
}
