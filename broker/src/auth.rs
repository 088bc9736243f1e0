//! Who a client is. The door asks an [`Authenticator`] once for each CONNECT
//! that brings a user name; what a login may do stands in [`crate::rights`].

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use nemeses_protocol::{DeviceId, Speaker};

/// Says who a client is.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Checks a login. Slow work (password hashing) belongs on the blocking
    /// pool; the door waits no longer than its connect deadline.
    ///
    /// # Errors
    /// Why the client is not let in.
    async fn authenticate(
        &self,
        client_id: &str,
        username: Option<&str>,
        password: Option<&[u8]>,
        peer: SocketAddr,
    ) -> Result<Login, Refusal>;

    /// Which of these hold no longer: removed, disabled, or with another secret
    /// than at their CONNECT. The door asks it for the logins of all open
    /// connections every [`crate::DoorConfig::recheck_every`] and closes those.
    ///
    /// # Errors
    /// It cannot be told now: all connections stay.
    async fn revoked(&self, open: &[OpenLogin]) -> Result<Vec<OpenLogin>, Refusal> {
        let _ = open;
        Ok(Vec::new())
    }
}

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The login's name. Client ids are taken over within a login only.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Tells this state of the login (its secret, its role) from later ones; what
    /// the number means is the [`Authenticator`]'s.
    pub revision: u64,
}

/// The login of an open connection, as it was at CONNECT.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenLogin {
    /// [`Login::name`].
    pub name: Arc<str>,
    /// [`Login::revision`].
    pub revision: u64,
}

/// What kind of client a login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Without a login, on loopback: everything but `$share`.
    Anonymous,
    /// One tracker: its own frames, replies and commands.
    Device(DeviceId),
    /// Speaks for several trackers.
    Gateway,
    /// A station on the line.
    Worker,
    /// A person or a program that looks after the fleet.
    Operator,
}

impl Role {
    /// The role in a word, for logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Device(_) => "device",
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Operator => "operator",
        }
    }

    /// For which devices frames of this role speak.
    pub const fn speaker(self) -> Speaker {
        match self {
            Self::Device(device) => Speaker::Device(device),
            _ => Speaker::Any,
        }
    }
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Unknown name or wrong password.
    #[error("bad user name or password")]
    BadCredentials,
    /// Known and not allowed (disabled, or anonymous where that is off).
    #[error("not authorized")]
    NotAuthorized,
    /// Cannot be told now, for example because the identity store is down.
    #[error("logins cannot be checked now")]
    Unavailable,
}

/// Knows no logins: only anonymous clients come in, if the door allows them.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLogins;

#[async_trait]
impl Authenticator for NoLogins {
    async fn authenticate(
        &self,
        _client_id: &str,
        _username: Option<&str>,
        _password: Option<&[u8]>,
        _peer: SocketAddr,
    ) -> Result<Login, Refusal> {
        Err(Refusal::BadCredentials)
    }
}
