//! Which connections a listener holds, and which one has to go when another comes. Pure.
//!
//! A connection is idle while no request of it is being answered: before its first
//! head is complete, and between requests. When all places are taken, the address that
//! holds the most of them gives up its longest idle connection. So a client that opens
//! connections and sends nothing only ever pushes out its own.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct Places {
    /// Connections at most.
    most: usize,
    /// Connections of one address at most.
    share: usize,
    /// The number that the next connection, or idle time, gets.
    next: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    /// Whose share it counts for; proxies that are trusted have none.
    from: Option<IpAddr>,
    /// Requests being answered.
    active: usize,
    /// Since when there is none, in order.
    idle_since: u64,
}

/// What becomes of a connection that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has this place.
    Enter(u64),
    /// It has this place, and the other connection has lost its own.
    Replace { id: u64, victim: u64 },
    /// All places answer requests: it waits for one.
    Wait,
    /// All places of its address answer requests: it is closed, so that others need
    /// not wait behind it.
    Refuse,
}

impl Places {
    /// No connection yet. One address holds at most half of them.
    pub(super) const fn new(most: usize) -> Self {
        Self { most, share: most.div_ceil(2), next: 0, held: BTreeMap::new() }
    }

    /// A connection from this address, or from one that has no share (`None`).
    pub(super) fn enter(&mut self, from: Option<IpAddr>) -> Verdict {
        if self.held.len() >= self.most {
            return match self.longest_idle() {
                Some(victim) => self.replace(victim, from),
                None => Verdict::Wait,
            };
        }
        if from.is_some() && self.count(from) >= self.share {
            return match self.longest_idle_of(from) {
                Some(victim) => self.replace(victim, from),
                None => Verdict::Refuse,
            };
        }
        Verdict::Enter(self.add(from))
    }

    /// A request of the connection is being answered.
    pub(super) fn begin(&mut self, id: u64) {
        if let Some(held) = self.held.get_mut(&id) {
            held.active += 1;
        }
    }

    /// It was answered.
    pub(super) fn end(&mut self, id: u64) {
        let now = self.tick();
        if let Some(held) = self.held.get_mut(&id) {
            held.active = held.active.saturating_sub(1);
            held.idle_since = now;
        }
    }

    /// The connection is over, or needs no place any more.
    pub(super) fn leave(&mut self, id: u64) {
        self.held.remove(&id);
    }

    fn replace(&mut self, victim: u64, from: Option<IpAddr>) -> Verdict {
        self.held.remove(&victim);
        Verdict::Replace { id: self.add(from), victim }
    }

    fn add(&mut self, from: Option<IpAddr>) -> u64 {
        let id = self.tick();
        self.held.insert(id, Held { from, active: 0, idle_since: id });
        id
    }

    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn count(&self, from: Option<IpAddr>) -> usize {
        self.held.values().filter(|held| held.from == from).count()
    }

    /// The longest idle one of the address that holds the most, of those that have an
    /// idle one.
    fn longest_idle(&self) -> Option<u64> {
        let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for held in self.held.values() {
            *counts.entry(held.from).or_default() += 1;
        }
        self.idle()
            .max_by_key(|(_, held)| (counts[&held.from], std::cmp::Reverse(held.idle_since)))
            .map(|(id, _)| id)
    }

    fn longest_idle_of(&self, from: Option<IpAddr>) -> Option<u64> {
        let own = self.idle().filter(|(_, held)| held.from == from);
        own.min_by_key(|(_, held)| held.idle_since).map(|(id, _)| id)
    }

    fn idle(&self) -> impl Iterator<Item = (u64, &Held)> {
        self.held.iter().filter(|(_, held)| held.active == 0).map(|(id, held)| (*id, held))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const MOST: usize = 8;

    /// Any address.
    struct From(u8);

    impl From {
        fn enter(&self, places: &mut Places) -> Verdict {
            places.enter(Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, self.0))))
        }

        fn entered(&self, places: &mut Places) -> u64 {
            entered(self.enter(places))
        }

        fn count(&self, places: &Places) -> usize {
            places.count(Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, self.0))))
        }
    }

    fn entered(verdict: Verdict) -> u64 {
        match verdict {
            Verdict::Enter(id) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn silent_connections_push_out_their_own_and_nobody_elses() {
        let mut places = Places::new(MOST);
        let honest = From(1).entered(&mut places);
        let silent: Vec<u64> = (0..4).map(|_| From(2).entered(&mut places)).collect();
        for victim in silent {
            // Half of the places is an address's share; its oldest goes.
            let verdict = From(2).enter(&mut places);
            assert!(matches!(verdict, Verdict::Replace { victim: gone, .. } if gone == victim));
        }
        From(3).entered(&mut places);
        From(4).entered(&mut places);
        From(5).entered(&mut places);
        assert_eq!(places.held.len(), MOST);
        // Full: whoever holds the most makes room, for others too.
        for from in [6, 7, 8] {
            let Verdict::Replace { victim, .. } = From(from).enter(&mut places) else { panic!() };
            assert_ne!(victim, honest);
        }
        assert_eq!(From(2).count(&places), 1);
        assert_eq!(From(1).count(&places), 1);
    }

    #[test]
    fn a_request_is_never_pushed_out() {
        let mut places = Places::new(2);
        let (one, two) = (From(1).entered(&mut places), From(2).entered(&mut places));
        places.begin(one);
        places.begin(two);
        places.begin(two);
        assert_eq!(From(3).enter(&mut places), Verdict::Wait);
        places.end(two);
        assert_eq!(From(3).enter(&mut places), Verdict::Wait, "another request goes on");
        places.end(two);
        let verdict = From(3).enter(&mut places);
        assert!(matches!(verdict, Verdict::Replace { victim, .. } if victim == two), "{verdict:?}");
    }

    #[test]
    fn an_address_whose_share_is_busy_is_refused_and_a_trusted_proxy_has_no_share() {
        let mut places = Places::new(MOST);
        for _ in 0..4 {
            let id = From(1).entered(&mut places);
            places.begin(id);
        }
        assert_eq!(From(1).enter(&mut places), Verdict::Refuse);
        let other = From(2).entered(&mut places);
        places.leave(other);
        for _ in 0..4 {
            let id = entered(places.enter(None));
            places.begin(id);
        }
        assert_eq!(places.enter(None), Verdict::Wait);
    }

    #[test]
    fn the_longest_idle_goes_first() {
        let mut places = Places::new(2);
        let (one, two) = (entered(places.enter(None)), entered(places.enter(None)));
        places.begin(one);
        places.end(one);
        // One is the older connection, but two has been idle for longer.
        let verdict = places.enter(None);
        assert!(matches!(verdict, Verdict::Replace { victim, .. } if victim == two), "{verdict:?}");
    }
}
