//! The door's logins, read from the identity store through a short cache.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::sync::Cache;
use nemeses_broker::{Authenticator, Login, Refusal, Role};
use nemeses_runtime::Outage;
use nemeses_store::history::logins::{Login as StoredLogin, LoginRole, Logins};

/// How long a login that was read is believed: a disabled device is turned away
/// at its next CONNECT after this.
const BELIEVED_FOR: Duration = Duration::from_secs(5);
/// A secret that does not fit what was read longer ago than this is checked against
/// the store once more, so that a new, rotated or enabled login works at once and
/// guessing does not become a load on the database.
const DOUBTED_AFTER: Duration = Duration::from_millis(500);
/// Names remembered, known and unknown: 20 000 of some 500 bytes are 10 MB.
const REMEMBERED: u64 = 20_000;

/// Checks names and secrets against the identity store.
pub(crate) struct LoginAuthenticator {
    logins: Arc<dyn Logins>,
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
    pub(crate) fn new(logins: Arc<dyn Logins>) -> Self {
        let read = Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED_FOR).build();
        Self { logins, read, outage: Outage::new() }
    }

    async fn find(&self, name: &str, secret: &[u8]) -> Result<Option<Arc<StoredLogin>>, Refusal> {
        if let Some(read) = self.read.get(name) {
            let admitted = read.login.as_ref().is_some_and(|login| login.admits(secret));
            if admitted || read.at.elapsed() < DOUBTED_AFTER {
                return Ok(read.login);
            }
        }
        match self.logins.find(name).await {
            Ok(found) => {
                if self.outage.ends().is_some() {
                    tracing::info!("logins can be checked again");
                }
                let found = found.map(Arc::new);
                let read = Read { login: found.clone(), at: Instant::now() };
                self.read.insert(name.to_owned(), read);
                Ok(found)
            }
            Err(error) => {
                if self.outage.begins() {
                    tracing::warn!(%error, "logins cannot be checked; clients that bring one are turned away until they can");
                }
                Err(Refusal::Unavailable)
            }
        }
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
        let Some(login) = self.find(name, secret).await? else {
            return Err(Refusal::BadCredentials);
        };
        if !login.secret.verify(secret) {
            return Err(Refusal::BadCredentials);
        }
        if !login.enabled {
            return Err(Refusal::NotAuthorized);
        }
        Ok(Login { name: login.name.clone(), role: role(login.role) })
    }
}

fn role(role: LoginRole) -> Role {
    match role {
        LoginRole::Device(device) => Role::Device(device),
        LoginRole::Gateway => Role::Gateway,
        LoginRole::Worker => Role::Worker,
        LoginRole::Operator => Role::Operator,
    }
}
