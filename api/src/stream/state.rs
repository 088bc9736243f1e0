//! What it takes to stream.

use std::ops::Deref;
use std::sync::Arc;

use super::hub::Hub;
use super::ticket::Tickets;
use crate::auth::AuthState;
use crate::secret::TokenSecret;

/// The hub of an instance, its tickets, and who is asking. Cheap to clone.
#[derive(Clone)]
pub(crate) struct StreamState {
    auth: AuthState,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tickets: Arc<Tickets>,
}

impl StreamState {
    pub(crate) fn new(auth: AuthState, hub: Arc<Hub>, secret: &TokenSecret) -> Self {
        Self { auth, hub, tickets: Arc::new(Tickets::new(secret)) }
    }
}

impl Deref for StreamState {
    type Target = AuthState;

    fn deref(&self) -> &AuthState {
        &self.auth
    }
}
