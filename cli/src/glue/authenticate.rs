//! The door's logins, read from the identity store through a short cache.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache;
use nemeses_broker::{Authenticator, Login, Refusal, Role};
use nemeses_runtime::Outage;
use nemeses_store::history::logins::{Login as StoredLogin, LoginRole, Logins};

/// How long a login that was read is believed: a disabled device is turned away
/// at its next CONNECT after this.
const BELIEVED_FOR: Duration = Duration::from_secs(5);
/// Names remembered, known and unknown: 20 000 of some 500 bytes are 10 MB.
const REMEMBERED: u64 = 20_000;

/// Checks names and secrets against the identity store.
pub(crate) struct LoginAuthenticator {
    logins: Arc<dyn Logins>,
    read: Cache<String, Option<Arc<StoredLogin>>>,
    outage: Outage,
}

impl LoginAuthenticator {
    /// Reads from `logins`.
    pub(crate) fn new(logins: Arc<dyn Logins>) -> Self {
        let read = Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED_FOR).build();
        Self { logins, read, outage: Outage::new() }
    }

    async fn find(&self, name: &str) -> Result<Option<Arc<StoredLogin>>, Refusal> {
        if let Some(found) = self.read.get(name) {
            return Ok(found);
        }
        match self.logins.find(name).await {
            Ok(found) => {
                if self.outage.ends().is_some() {
                    tracing::info!("logins can be checked again");
                }
                let found = found.map(Arc::new);
                self.read.insert(name.to_owned(), found.clone());
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
        let Some(login) = self.find(name).await? else {
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
