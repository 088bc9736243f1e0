//! What it takes to know who is asking.

use std::ops::Deref;
use std::sync::Arc;

use super::{Familiar, KnownAccess, Passwords, Tokens};
use crate::backend::Backend;
use crate::config::ApiConfig;
use crate::guard::Attempts;
use crate::secret::TokenSecrets;

/// The backend with what signs people in and checks their tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AuthState {
    backend: Backend,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) known_access: Arc<KnownAccess>,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) familiar: Arc<Familiar>,
    pub(crate) config: Arc<ApiConfig>,
}

impl AuthState {
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn new(
        backend: Backend,
        secrets: &TokenSecrets,
        config: Arc<ApiConfig>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            backend,
            tokens: Arc::new(Tokens::new(secrets)),
            passwords: Arc::new(Passwords::new(config.hashing_at_once)?),
            known_access: Arc::default(),
            attempts: Arc::default(),
            familiar: Arc::new(Familiar::new(&secrets.current)),
            config,
        })
    }
}

impl Deref for AuthState {
    type Target = Backend;

    fn deref(&self) -> &Backend {
        &self.backend
    }
}
