//! The first account where registering makes no admin: whoever reads the log of
//! the first start has a token that makes it, once and within a day.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nemeses_store::history::{Added, Digest, FirstPlace, NewUser, Role, Users};

use crate::accounts::NewAccount;
use crate::auth::AuthState;
use crate::auth::{digest, draw};
use crate::problem::{Kind, Problem};

/// How long a token is good for; the next start offers another one.
const GOOD_FOR_MS: u64 = 86_400_000;

/// Draws a set-up token and keeps its hash; nothing when there was an account before.
///
/// # Errors
/// The system has no randomness, or what the database reports.
pub async fn offer_setup(users: &dyn Users, now_ms: u64) -> anyhow::Result<Option<String>> {
    let token = URL_SAFE_NO_PAD.encode(draw::<32>()?);
    Ok(users.offer_setup(&hash_of(&token), now_ms).await?.then_some(token))
}

fn hash_of(token: &str) -> Digest {
    digest(token.as_bytes())
}

impl AuthState {
    /// Makes the first account, an admin's, for whoever has a token.
    pub(crate) async fn set_up(&self, token: &str, account: NewAccount) -> Result<Added, Problem> {
        let (email, name, password) = account.parts();
        let password_hash = self.passwords.hash(password).await?;
        let user = NewUser {
            email: &email,
            name: &name,
            password_hash: &password_hash,
            role: Role::Admin,
            first: FirstPlace::Takes,
            disabled: false,
        };
        let now_ms = self.clock.now_ms();
        let since_ms = now_ms.saturating_sub(GOOD_FOR_MS);
        let setup = hash_of(token);
        let added = self.stores.users.add_first(user, &setup, since_ms, now_ms);
        self.history.ask(added).await?.ok_or_else(|| {
            let detail = "It is unknown, older than a day, or there is an account already.";
            Problem::new(Kind::WrongSetupToken, detail)
        })
    }
}
