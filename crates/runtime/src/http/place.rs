//! A connection's place among those of its listener, and its requests in progress.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::handed::Handed;
use super::places::{Places, Verdict};

/// Closed because the listener is full and others wait.
const PLACE: &str = "place";

/// Closed because its address has more than its share.
const SHARE: &str = "share";

/// Connections that a listener closed, by reason. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Closed(Family<[(&'static str, &'static str); 1], Counter>);

impl Closed {
    /// The counter, to be registered. Every reason begins at 0, so that the first
    /// connection closed is an increase that a query sees.
    pub fn counter(&self) -> Family<[(&'static str, &'static str); 1], Counter> {
        for reason in [PLACE, SHARE] {
            drop(self.0.get_or_create(&[("reason", reason)]));
        }
        self.0.clone()
    }

    fn because(&self, reason: &'static str) {
        self.0.get_or_create(&[("reason", reason)]).inc();
    }
}

/// The places of a listener.
#[derive(Debug)]
pub(super) struct Table {
    inner: Mutex<Inner>,
    /// A place was left, or became idle.
    freed: Notify,
    closed: Closed,
}

#[derive(Debug)]
struct Inner {
    places: Places,
    evict: HashMap<u64, CancellationToken>,
}

impl Table {
    pub(super) fn new(most: usize, closed: Closed) -> Arc<Self> {
        let inner = Inner { places: Places::new(most), evict: HashMap::new() };
        Arc::new(Self { inner: Mutex::new(inner), freed: Notify::new(), closed })
    }

    /// A place for a connection from this address, waited for if need be; `None` when
    /// its address has too many.
    pub(super) async fn enter(self: &Arc<Self>, from: Option<IpAddr>) -> Option<Place> {
        loop {
            let freed = self.freed.notified();
            let verdict = self.lock().places.enter(from);
            match verdict {
                Verdict::Enter(id) => return Some(self.place(id)),
                Verdict::Replace { id, victim } => {
                    if let Some(evict) = self.lock().evict.remove(&victim) {
                        self.closed.because(PLACE);
                        evict.cancel();
                    }
                    return Some(self.place(id));
                }
                Verdict::Refuse => {
                    self.closed.because(SHARE);
                    return None;
                }
                Verdict::Wait => freed.await,
            }
        }
    }

    fn place(self: &Arc<Self>, id: u64) -> Place {
        let evicted = CancellationToken::new();
        self.lock().evict.insert(id, evicted.clone());
        Place(Arc::new(Seat {
            table: Arc::clone(self),
            id,
            evicted,
            given_back: CancellationToken::new(),
            requests: Mutex::new(Requests {
                active: 0,
                idle_since: Instant::now(),
                handed: vec![],
            }),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, id: u64) {
        let mut inner = self.lock();
        inner.places.leave(id);
        inner.evict.remove(&id);
        drop(inner);
        self.freed.notify_waiters();
    }
}

/// A connection's place; clones share it. Left when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Place(Arc<Seat>);

#[derive(Debug)]
struct Seat {
    table: Arc<Table>,
    id: u64,
    evicted: CancellationToken,
    given_back: CancellationToken,
    requests: Mutex<Requests>,
}

#[derive(Debug)]
struct Requests {
    active: usize,
    idle_since: Instant,
    /// Bodies that are being sent.
    handed: Vec<Weak<Handed>>,
}

impl Place {
    /// Leaves the place to another connection before this one is over: what is being
    /// answered has a bound of its own. The connection ends with it.
    pub fn give_back(&self) {
        self.0.given_back.cancel();
        self.0.table.leave(self.0.id);
    }

    /// Whether the connection has to end for another.
    pub(super) async fn evicted(&self) {
        self.0.evicted.cancelled().await;
    }

    /// Whether the connection may serve nothing more: it has no place any more, and
    /// nothing is being answered.
    pub(super) fn is_over(&self) -> bool {
        self.0.given_back.is_cancelled() && self.requests().active == 0
    }

    /// How long nothing has been answered.
    pub(super) fn idle_for(&self) -> Duration {
        let requests = self.requests();
        if requests.active > 0 { Duration::ZERO } else { requests.idle_since.elapsed() }
    }

    /// Whether a part of an answer has waited for the client for so long.
    pub(super) fn is_stalled(&self, limit: Duration) -> bool {
        let mut requests = self.requests();
        requests.handed.retain(|handed| handed.strong_count() > 0);
        requests.handed.iter().filter_map(Weak::upgrade).any(|handed| handed.waits_for() > limit)
    }

    /// A request is being answered until the value is dropped.
    pub(super) fn begin(&self) -> Answering {
        self.0.table.lock().places.begin(self.0.id);
        self.requests().active += 1;
        Answering { place: self.clone() }
    }

    /// Watches a body that is being sent.
    pub(super) fn watch(&self, handed: &Arc<Handed>) {
        self.requests().handed.push(Arc::downgrade(handed));
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.0.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.table.leave(self.id);
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct Answering {
    place: Place,
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut requests = self.place.requests();
        requests.active = requests.active.saturating_sub(1);
        requests.idle_since = Instant::now();
        drop(requests);
        let table = &self.place.0.table;
        table.lock().places.end(self.place.0.id);
        table.freed.notify_waiters();
    }
}
