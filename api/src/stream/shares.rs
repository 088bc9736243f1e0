//! Who has how many of the places for streams. Pure. One share link, or one person with
//! all that was handed out, leaves places to the others.

use std::collections::HashMap;
use std::hash::Hash;

use super::holder::Holder;
use crate::access::Credential;

/// Streams now, by whose they are.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    all: usize,
    credentials: HashMap<Credential, usize>,
    users: HashMap<u64, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Everybody's are taken: so many.
    All(usize),
    /// This session, token or link has its share: so many.
    Credential(usize),
    /// This person, with all tokens and links, has a share: so many.
    User(usize),
}

impl Shares {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, all: 0, credentials: HashMap::new(), users: HashMap::new() }
    }

    /// An eighth of the places for one session, token or link, half for one person.
    pub(crate) fn take(&mut self, holder: &Holder) -> Result<(), Full> {
        let (eighth, half) = (self.most.div_ceil(8), self.most.div_ceil(2));
        let held = |count: Option<&usize>| count.copied().unwrap_or_default();
        if self.all >= self.most {
            return Err(Full::All(self.most));
        }
        if held(self.credentials.get(&holder.credential)) >= eighth {
            return Err(Full::Credential(eighth));
        }
        if held(self.users.get(&holder.user_id)) >= half {
            return Err(Full::User(half));
        }
        self.all += 1;
        *self.credentials.entry(holder.credential).or_default() += 1;
        *self.users.entry(holder.user_id).or_default() += 1;
        Ok(())
    }

    pub(crate) fn give_back(&mut self, holder: &Holder) {
        self.all = self.all.saturating_sub(1);
        one_less(&mut self.credentials, &holder.credential);
        one_less(&mut self.users, &holder.user_id);
    }
}

/// Nothing is kept of who has none, so that memory is bounded by the streams.
fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(user_id: u64, credential: Credential) -> Holder {
        Holder { credential, ..Holder::of_test(user_id) }
    }

    #[test]
    fn one_link_or_one_person_leaves_places_to_the_others() {
        let mut shares = Shares::new(80);
        let link = holder(1, Credential::Share(1));
        for _ in 0..10 {
            shares.take(&link).unwrap();
        }
        assert_eq!(shares.take(&link), Err(Full::Credential(10)));
        for number in 2..=4 {
            for _ in 0..10 {
                shares.take(&holder(1, Credential::Share(number))).unwrap();
            }
        }
        let session = holder(1, Credential::Session(1));
        assert_eq!(shares.take(&session), Err(Full::User(40)));
        let admin = holder(2, Credential::Session(2));
        shares.take(&admin).unwrap();
        shares.give_back(&link);
        shares.take(&session).unwrap();
        for user in 3..=6 {
            for _ in 0..10 {
                let _ = shares.take(&holder(user, Credential::Session(user)));
            }
        }
        assert_eq!(shares.all, 80);
        assert_eq!(shares.take(&admin), Err(Full::All(80)));
    }

    #[test]
    fn nothing_is_kept_of_streams_that_are_over() {
        let mut shares = Shares::new(4);
        for user in 0..1000 {
            let holder = holder(user, Credential::Token(user));
            shares.take(&holder).unwrap();
            shares.give_back(&holder);
        }
        assert!(shares.credentials.is_empty() && shares.users.is_empty() && shares.all == 0);
    }
}
