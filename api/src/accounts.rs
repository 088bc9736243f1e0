//! Making an account: the one way, whoever asks for it.

use nemeses_store::StoreError;
use nemeses_store::history::{Added, FirstPlace, NewUser, Role, Users};

use crate::auth::AuthState;
use crate::auth::hash_password;
use crate::input::{self, Fields};
use crate::problem::{Kind, Problem};

/// A checked wish for an account.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccount {
    pub(crate) email: String,
    pub(crate) name: String,
    password: String,
}

impl NewAccount {
    /// Checks the three. The address is trimmed and put in lower case, the name trimmed.
    ///
    /// # Errors
    /// A [`Problem`] that names the field and says what is allowed.
    pub fn new(email: &str, password: String, name: &str) -> Result<Self, Problem> {
        let email = input::new_email(email)?;
        input::check_password(&password)?;
        let name = input::person_name(name)?;
        Ok(Self { email, name, password })
    }

    /// Of the fields of a body, which hold nothing else.
    pub(crate) fn of(mut fields: Fields) -> Result<Self, Problem> {
        let (email, password) = (fields.text("email")?, fields.text("password")?);
        let name = fields.text("name")?;
        fields.finish()?;
        Self::new(&email, password, &name)
    }

    /// Address, name, password.
    pub(crate) fn parts(self) -> (String, String, String) {
        (self.email, self.name, self.password)
    }

    /// The address, as it is kept.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Makes the account without a running API: for tools.
    ///
    /// # Errors
    /// The address is taken, or what the database reports.
    pub async fn keep_in(
        self,
        users: &dyn Users,
        role: Role,
        first: FirstPlace,
        now_ms: u64,
    ) -> anyhow::Result<Added> {
        let password_hash = hash_password(self.password).await?;
        let (email, name) = (&self.email, &self.name);
        let password_hash = &password_hash;
        let user = NewUser { email, name, password_hash, role, first, disabled: false };
        Ok(users.add(user, now_ms).await?)
    }
}

impl AuthState {
    /// Makes the account with a role.
    ///
    /// # Errors
    /// [`Kind::EmailTaken`], [`Kind::HistoryUnavailable`] or [`Kind::Busy`].
    pub(crate) async fn add_account(
        &self,
        account: NewAccount,
        role: Role,
    ) -> Result<Added, Problem> {
        self.add(account, role, FirstPlace::Takes, false).await
    }

    /// Makes the account of someone who registers: a viewer without devices, or
    /// the admin when it is the first and was asked for at this machine. From elsewhere
    /// it is disabled, and leaves the first place to whoever has the set-up token.
    pub(crate) async fn register_account(
        &self,
        account: NewAccount,
        local: bool,
    ) -> Result<Added, Problem> {
        if !local {
            return self.add(account, Role::Viewer, FirstPlace::Leaves, true).await;
        }
        let first =
            if self.config.first_is_admin { FirstPlace::TakesAsAdmin } else { FirstPlace::Takes };
        self.add(account, Role::Viewer, first, false).await
    }

    async fn add(
        &self,
        account: NewAccount,
        role: Role,
        first: FirstPlace,
        disabled: bool,
    ) -> Result<Added, Problem> {
        let password_hash = self.passwords.hash(account.password).await?;
        let (email, name) = (&account.email, &account.name);
        let password_hash = &password_hash;
        let user = NewUser { email, name, password_hash, role, first, disabled };
        let added = self.stores.users.add(user, self.clock.now_ms());
        self.history.ask_knowing(added).await?.map_err(taken)
    }
}

/// The only error that is left to the caller is that the address exists.
fn taken(_: StoreError) -> Problem {
    Problem::new(Kind::EmailTaken, "There is an account with this address. Sign in instead.")
        .blaming("email")
}
