//! Whose stream it is.

use serde::{Deserialize, Serialize};

use crate::access::Credential;

/// Whose stream it is, which is asked again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) user_id: u64,
    /// What the token or ticket stands for.
    pub(crate) credential: Credential,
    /// Unix seconds.
    pub(crate) expires_at: u64,
}

#[cfg(test)]
impl Holder {
    pub(crate) const fn of_test(user_id: u64) -> Self {
        let credential = Credential::Session(1);
        Self { user_id, credential, expires_at: u64::MAX }
    }
}
