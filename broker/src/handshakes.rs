//! Connections that have not logged in yet. They have a bound of their own, apart from
//! the clients that are let in; when there is no room for one more, the address with the
//! most silent ones loses its oldest. So whoever opens sockets and says nothing is in his own
//! way only. A connection is silent until its CONNECT is there, whole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::share_of;
use tokio::sync::Notify;

/// How many silent connections go at once when the process has no descriptor left for
/// another: so that it is not there again at the next accept.
pub(crate) const AT_ONCE: usize = 64;

/// All of them. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Mutex<Table>,
    limit: usize,
    shown: Gauge,
}

/// One of them; gone when dropped.
#[derive(Debug)]
pub(crate) struct Handshake {
    all: Handshakes,
    number: u64,
    crowded_out: Arc<Notify>,
}

/// Who is there: pure.
#[derive(Debug, Default)]
struct Table {
    /// Those that are silent have an address.
    entries: BTreeMap<u64, (Option<IpAddr>, Arc<Notify>)>,
    /// The silent ones of each address, by age.
    silent: HashMap<IpAddr, BTreeSet<u64>>,
    /// Addresses by how many they have; of equals, the one with the oldest last.
    ranking: BTreeSet<(usize, Reverse<u64>, IpAddr)>,
    next: u64,
}

impl Handshakes {
    pub(crate) fn new(limit: usize, shown: Gauge) -> Self {
        Self(Arc::new(Inner { table: Mutex::default(), limit, shown }))
    }

    /// Enters a connection. `None`: there is no room, and nobody is silent.
    pub(crate) fn begin(&self, peer: IpAddr) -> Option<Handshake> {
        let mut table = self.lock();
        if table.entries.len() >= self.0.limit && !table.crowd_out() {
            return None;
        }
        let (number, crowded_out) = table.enter(share_of(peer));
        self.show(&table);
        Some(Handshake { all: self.clone(), number, crowded_out })
    }

    /// Tells some silent ones to go; whether there were any.
    pub(crate) fn crowd_out(&self) -> bool {
        let mut table = self.lock();
        let gone = (0..AT_ONCE).take_while(|_| table.crowd_out()).count();
        self.show(&table);
        gone > 0
    }

    fn show(&self, table: &Table) {
        self.0.shown.set(i64::try_from(table.entries.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing in here can panic half-way.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handshake {
    /// It comes from elsewhere, as its proxy says.
    pub(crate) fn comes_from(&self, peer: IpAddr) {
        self.all.lock().place(self.number, Some(share_of(peer)));
    }

    /// Its CONNECT is there.
    pub(crate) fn has_spoken(&self) {
        self.all.lock().place(self.number, None);
    }

    /// Returns when it must make room for another.
    pub(crate) async fn crowded_out(&self) {
        self.crowded_out.notified().await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut table = self.all.lock();
        table.leave(self.number);
        self.all.show(&table);
    }
}

impl Table {
    fn enter(&mut self, address: IpAddr) -> (u64, Arc<Notify>) {
        let (number, crowded_out) = (self.next, Arc::new(Notify::new()));
        self.next += 1;
        self.entries.insert(number, (Some(address), Arc::clone(&crowded_out)));
        self.change(address, |numbers| numbers.insert(number));
        (number, crowded_out)
    }

    /// Puts one that is still there among the silent ones of an address, or of none.
    fn place(&mut self, number: u64, address: Option<IpAddr>) {
        let Some((of, _)) = self.entries.get_mut(&number) else { return };
        let before = std::mem::replace(of, address);
        if let Some(before) = before {
            self.change(before, |numbers| numbers.remove(&number));
        }
        if let Some(address) = address {
            self.change(address, |numbers| numbers.insert(number));
        }
    }

    fn leave(&mut self, number: u64) -> Option<Arc<Notify>> {
        let (address, crowded_out) = self.entries.remove(&number)?;
        if let Some(address) = address {
            self.change(address, |numbers| numbers.remove(&number));
        }
        Some(crowded_out)
    }

    /// The oldest silent one of the address that has most goes; whether there is one.
    fn crowd_out(&mut self) -> bool {
        let Some(&(_, Reverse(oldest), _)) = self.ranking.last() else { return false };
        // Its task is told in its own time; its place is free now.
        self.leave(oldest).map(|crowded_out| crowded_out.notify_one()).is_some()
    }

    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let numbers = self.silent.entry(address).or_default();
        let rank = |numbers: &BTreeSet<u64>| {
            numbers.first().map(|oldest| (numbers.len(), Reverse(*oldest), address))
        };
        let before = rank(numbers);
        change(numbers);
        let after = rank(numbers);
        if after.is_none() {
            self.silent.remove(&address);
        }
        if let Some(before) = before {
            self.ranking.remove(&before);
        }
        self.ranking.extend(after);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn is_out(handshake: &Handshake) -> bool {
        handshake.crowded_out().now_or_never().is_some()
    }

    #[test]
    fn who_opens_many_and_says_nothing_loses_his_own_oldest() {
        let all = Handshakes::new(4, Gauge::default());
        let tracker = all.begin(address(1)).unwrap();
        let hog: Vec<_> = (0..3).map(|_| all.begin(address(2)).unwrap()).collect();
        let other = all.begin(address(3)).unwrap();
        assert!(is_out(&hog[0]));
        let again = all.begin(address(2)).unwrap();
        assert!(is_out(&hog[1]));
        for stays in [&tracker, &hog[2], &other, &again] {
            assert!(!is_out(stays));
        }
        assert_eq!(all.0.shown.get(), 4);
        drop((hog, tracker, other, again));
        assert_eq!(all.0.shown.get(), 0);
    }

    #[test]
    fn one_whose_connect_is_there_stays_and_of_equals_the_oldest_goes() {
        let all = Handshakes::new(3, Gauge::default());
        let spoken: Vec<_> = (0..2).map(|_| all.begin(address(9)).unwrap()).collect();
        spoken.iter().for_each(Handshake::has_spoken);
        let (first, second) = (all.begin(address(5)).unwrap(), all.begin(address(1)).unwrap());
        assert!(is_out(&first));
        assert!(!is_out(&second));
        second.has_spoken();
        assert!(all.begin(address(7)).is_none(), "nobody is silent");
        assert!(!all.crowd_out());
        drop(spoken);
        assert!(all.begin(address(7)).is_some());
    }

    #[test]
    fn behind_a_proxy_each_device_is_its_own_address() {
        let all = Handshakes::new(3, Gauge::default());
        let proxied: Vec<_> = (0..3).map(|_| all.begin(address(1)).unwrap()).collect();
        for (handshake, last) in proxied.iter().zip([7, 8, 8]) {
            handshake.comes_from(address(last));
        }
        let next = all.begin(address(1)).unwrap();
        assert_eq!(proxied.iter().map(is_out).collect::<Vec<_>>(), [false, true, false]);
        assert!(!is_out(&next));
    }

    proptest! {
        /// However they come, speak and go: never more than the limit, and no rank or
        /// address is left over.
        #[test]
        fn the_tables_agree(steps in proptest::collection::vec((0_u8..4, any::<u8>()), 0..200)) {
            let all = Handshakes::new(10, Gauge::default());
            let mut open: Vec<Handshake> = Vec::new();
            for (step, number) in steps {
                let at = usize::from(number) % open.len().max(1);
                match (step, open.get(at)) {
                    (0, _) => open.extend(all.begin(address(number % 5))),
                    (1, Some(one)) => one.has_spoken(),
                    (2, Some(one)) => one.comes_from(address(number % 7)),
                    (3, Some(_)) => drop(open.swap_remove(at)),
                    _ => {}
                }
                let table = all.lock();
                prop_assert!(table.entries.len() <= 10);
                let silent: usize = table.silent.values().map(BTreeSet::len).sum();
                let placed = table.entries.values().filter(|(address, _)| address.is_some());
                prop_assert_eq!(silent, placed.count());
                prop_assert_eq!(table.ranking.len(), table.silent.len());
                for (count, Reverse(oldest), address) in &table.ranking {
                    let numbers = &table.silent[address];
                    prop_assert_eq!((numbers.len(), numbers.first()), (*count, Some(oldest)));
                }
            }
            drop(open);
            prop_assert!(all.lock().entries.is_empty() && all.lock().ranking.is_empty());
        }
    }
}
