//! The door's logins, read from the identity store through a short cache; and
//! which of those that are connected hold no longer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::sync::Cache;
use nemeses_broker::{Authenticator, Login, OpenLogin, Refusal, Role};
use nemeses_runtime::Outage;
use nemeses_store::StoreError;
use nemeses_store::history::{
    Database, Identities, Login as StoredLogin, LoginRole, Logins, valid_login_name,
};
use nemeses_store::named::NamedDevices;

use super::lookup::Lookup;

/// How long a login that was read is believed: a disabled device is turned away
/// at its next CONNECT after this.
const BELIEVED_FOR: Duration = Duration::from_secs(5);
/// A refusal is given only by what was read after the CONNECT came, so that a new, rotated
/// or enabled login works at its next CONNECT. Between two reads of one name there is at
/// least this much time, for which the CONNECT waits: guessing does not become a load on
/// the database.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Names remembered, known and unknown: 20 000 of some 500 bytes are 10 MB. A name
/// that can be no login's is never asked for, so that none is long.
const REMEMBERED: u64 = 20_000;

/// Checks names and secrets against the identity store.
pub(crate) struct LoginAuthenticator {
    lookup: Lookup,
    /// The names of devices, without which a new login's topics would not be known as its own.
    names: Option<(NamedDevices, Arc<dyn Identities>)>,
    read: Cache<String, Read>,
    outage: Outage,
}

/// What the store said of a name, and when.
#[derive(Clone)]
struct Read {
    login: Option<Arc<StoredLogin>>,
    at: Instant,
}

impl LoginAuthenticator {
    /// Reads from `logins`.
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            names: Some((database.named(), database.identities())),
            ..Self::of(database.logins())
        }
    }

    fn of(logins: Arc<dyn Logins>) -> Self {
        let read = Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED_FOR).build();
        Self { lookup: Lookup::new(logins), names: None, read, outage: Outage::new() }
    }

    async fn find(&self, name: &str) -> Result<Option<Arc<StoredLogin>>, Refusal> {
        let at = Instant::now();
        let login = self.lookup.find(name).await.map_err(|error| self.unavailable(&error))?;
        if let Some(device) = login.as_ref().and_then(|login| login.role.device())
            && let Some((named, identities)) = &self.names
            && !named.is_settled(device)
        {
            let read = named.refresh(identities.as_ref()).await;
            read.map_err(|error| self.unavailable(&error))?;
        }
        self.available();
        self.read.insert(name.to_owned(), Read { login: login.clone(), at });
        Ok(login)
    }

    fn available(&self) {
        if self.outage.ends().is_some() {
            tracing::info!("logins can be checked again");
        }
    }

    fn unavailable(&self, error: &StoreError) -> Refusal {
        if self.outage.begins() {
            tracing::warn!(%error, "logins cannot be checked; until they can, clients that bring one are turned away and open connections stay");
        }
        Refusal::Unavailable
    }
}

#[async_trait]
impl Authenticator for LoginAuthenticator {
    async fn authenticate(
        &self,
        _client_id: &str,
        username: Option<&str>,
        password: Option<&[u8]>,
        _peer: SocketAddr,
    ) -> Result<Login, Refusal> {
        let (Some(name), Some(secret)) = (username, password) else {
            return Err(Refusal::BadCredentials);
        };
        if !valid_login_name(name) {
            return Err(Refusal::BadCredentials);
        }
        if let Some(read) = self.read.get(name) {
            let judged = judge(read.login.as_deref(), secret);
            if judged.is_ok() {
                return judged;
            }
            tokio::time::sleep_until((read.at + READ_AGAIN_AFTER).into()).await;
        }
        judge(self.find(name).await?.as_deref(), secret)
    }

    async fn revoked(&self, open: &[OpenLogin]) -> Result<Vec<OpenLogin>, Refusal> {
        let names: Vec<&str> = open.iter().map(|login| &*login.name).collect();
        let found = self.lookup.find_all(&names).await;
        let found = found.map_err(|error| self.unavailable(&error))?;
        self.available();
        let revisions: HashMap<&str, u64> = found
            .iter()
            .filter(|login| login.enabled)
            .map(|login| (login.name.as_str(), login.revision()))
            .collect();
        let holds = |login: &OpenLogin| revisions.get(&*login.name) == Some(&login.revision);
        let revoked: Vec<OpenLogin> = open.iter().filter(|login| !holds(login)).cloned().collect();
        for login in &revoked {
            // What was read before must not let it in again.
            self.read.invalidate(&*login.name);
        }
        Ok(revoked)
    }
}

/// Whether a login with this secret is let in, and as what.
fn judge(login: Option<&StoredLogin>, secret: &[u8]) -> Result<Login, Refusal> {
    let login = login.filter(|login| login.secret.verify(secret)).ok_or(Refusal::BadCredentials)?;
    if !login.enabled {
        return Err(Refusal::NotAuthorized);
    }
    let role = match login.role {
        LoginRole::Device(device) => Role::Device(device),
        LoginRole::Gateway => Role::Gateway,
        LoginRole::Worker => Role::Worker,
        LoginRole::Operator => Role::Operator,
    };
    Ok(Login { name: login.name.clone(), role, revision: login.revision() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glue::testing::FakeLogins;

    fn checked(store: &Arc<FakeLogins>) -> LoginAuthenticator {
        LoginAuthenticator::of(Arc::clone(store) as Arc<dyn Logins>)
    }

    async fn log_in(door: &LoginAuthenticator, name: &str, secret: &str) -> Result<Login, Refusal> {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        door.authenticate("id", Some(name), Some(secret.as_bytes()), peer).await
    }

    fn open(login: &Login) -> OpenLogin {
        OpenLogin { name: login.name.as_str().into(), revision: login.revision }
    }

    #[tokio::test]
    async fn a_login_is_believed_for_a_while_and_no_name_is_asked_for_that_cannot_be_one() {
        let store = FakeLogins::with([]);
        let secret = store.draw("0A3F73");
        let door = checked(&store);
        for _ in 0..3 {
            let login = log_in(&door, "0A3F73", secret.reveal()).await.unwrap();
            assert!(matches!(login.role, Role::Device(_)));
        }
        assert_eq!(store.queries(), 1);
        for name in ["no name", &"x".repeat(65)] {
            let refused = log_in(&door, name, "secret").await;
            assert_eq!(refused, Err(Refusal::BadCredentials));
        }
        assert_eq!(store.queries(), 1);
    }

    /// Tried, made, tried again, all within half a second.
    #[tokio::test]
    async fn a_login_works_at_its_next_connect_however_soon_that_is() {
        let store = FakeLogins::with([]);
        let door = checked(&store);
        assert!(log_in(&door, "0A3F73", "guessed").await.is_err());
        let secret = store.draw("0A3F73");
        assert!(log_in(&door, "0A3F73", secret.reveal()).await.is_ok());
        let rotated = store.draw("0A3F73");
        assert!(log_in(&door, "0A3F73", rotated.reveal()).await.is_ok());
        assert!(log_in(&door, "0A3F73", secret.reveal()).await.is_err());
    }

    #[tokio::test]
    async fn guessing_reads_a_name_twice_a_second_at_most() {
        const GUESSES: usize = 200;
        let store = FakeLogins::with(["0A3F73"]);
        let door = checked(&store);
        assert!(log_in(&door, "0A3F73", "wrong").await.is_err());
        let guesses = (0..GUESSES).map(|_| log_in(&door, "0A3F73", "wrong"));
        let answers = futures_util::future::join_all(guesses).await;
        assert!(answers.iter().all(Result::is_err));
        // One for those that waited, and one for those that came while it was asked.
        assert!(store.queries() <= 3, "{} queries", store.queries());
    }

    #[tokio::test]
    async fn what_was_disabled_removed_or_changed_is_revoked_and_not_let_in_again() {
        let store = FakeLogins::with([]);
        let names = ["00AAAA", "00BBBB", "00CCCC", "00DDDD"];
        let door = checked(&store);
        let (mut secrets, mut logins) = (Vec::new(), Vec::new());
        for name in names {
            secrets.push(store.draw(name));
            logins
                .push(open(&log_in(&door, name, secrets.last().unwrap().reveal()).await.unwrap()));
        }
        assert_eq!(door.revoked(&logins).await, Ok(Vec::new()));
        store.disable("00AAAA");
        store.forget("00BBBB");
        store.draw("00CCCC");
        assert_eq!(door.revoked(&logins).await.unwrap(), logins[..3]);
        for (name, secret) in names.iter().zip(&secrets).take(3) {
            assert!(log_in(&door, name, secret.reveal()).await.is_err(), "{name} is let in");
        }
        assert!(log_in(&door, "00DDDD", secrets[3].reveal()).await.is_ok());
    }

    #[tokio::test]
    async fn nothing_is_revoked_while_the_store_is_down() {
        let store = FakeLogins::with([]);
        let secret = store.draw("0A3F73");
        let door = checked(&store);
        let login = open(&log_in(&door, "0A3F73", secret.reveal()).await.unwrap());
        store.forget("0A3F73");
        store.down(true);
        assert_eq!(door.revoked(std::slice::from_ref(&login)).await, Err(Refusal::Unavailable));
        store.down(false);
        assert_eq!(door.revoked(std::slice::from_ref(&login)).await, Ok(vec![login]));
    }
}
