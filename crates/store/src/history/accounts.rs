//! The people who use the API, what they may do, and which devices they may see.
//! Passwords are hashed by the caller (argon2id, on the blocking pool); only the
//! finished hash string is kept here.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::sessions::Digest;
use crate::StoreError;

/// Devices that can be granted to one person: 40 KB in memory for each who is
/// signed in. Whoever needs more is an operator.
pub const MAX_GRANTS: u32 = 10_000;

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything.
    Admin,
    /// Sees every device.
    Operator,
    /// Sees the devices that were granted.
    Viewer,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Operator, Self::Viewer];

    /// The role's stable name, as in the table, in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// The role of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A person with an account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Number, drawn by the database.
    pub id: u64,
    /// Trimmed and in lower case, unique.
    pub email: String,
    /// As the person wrote it.
    pub name: String,
    /// PHC string of the password, as the caller made it.
    pub password_hash: String,
    /// What the person may do.
    pub role: Role,
    /// May do nothing until enabled again, whatever the role.
    pub disabled: bool,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// Leaves the password hash out, so that no log ever holds it.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("email", &self.email)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// An account to be made.
#[derive(Clone, Copy)]
pub struct NewUser<'a> {
    /// Trimmed and put in lower case before it is kept.
    pub email: &'a str,
    /// As the person wrote it.
    pub name: &'a str,
    /// PHC string of the password.
    pub password_hash: &'a str,
    /// What the person may do.
    pub role: Role,
    /// What it does about being the first account of the database.
    pub first: FirstPlace,
    /// Whether it may do nothing until it is enabled.
    pub disabled: bool,
}

/// Being the first account of a database: a place that is taken once and for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstPlace {
    /// Takes the place, if it is free, and keeps its role.
    Takes,
    /// Takes the place, if it is free, and is an admin then.
    TakesAsAdmin,
    /// Leaves it to somebody else.
    Leaves,
}

/// An account that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its number.
    pub id: u64,
    /// Its role.
    pub role: Role,
}

/// What a person may do now, as far as a request needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The role.
    pub role: Role,
    /// Devices granted to a viewer, one by one or by group, in order; empty for the
    /// other roles, who see all.
    pub devices: Vec<DeviceId>,
    /// Groups granted to a viewer, in order; empty for the other roles.
    pub groups: Vec<u64>,
}

/// The form in which addresses are kept and compared.
pub fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

/// The accounts.
#[async_trait]
pub trait Users: Send + Sync {
    /// Makes an account. Of several that are made at once in an empty database,
    /// one is the first.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the address is taken.
    async fn add(&self, user: NewUser<'_>, now_ms: u64) -> Result<Added, StoreError>;

    /// Makes the first account with a set-up token that was offered since
    /// `offered_since_ms`. `None` when there is no such token, or there was an
    /// account before. All tokens end with the first account.
    async fn add_first(
        &self,
        user: NewUser<'_>,
        setup: &Digest,
        offered_since_ms: u64,
        now_ms: u64,
    ) -> Result<Option<Added>, StoreError>;

    /// Keeps a set-up token; `false`, and nothing is kept, when there was an
    /// account before.
    async fn offer_setup(&self, setup: &Digest, now_ms: u64) -> Result<bool, StoreError>;

    /// The account of an address, in whatever case it is written.
    async fn by_email(&self, email: &str) -> Result<Option<User>, StoreError>;

    /// The account of a number.
    async fn by_id(&self, id: u64) -> Result<Option<User>, StoreError>;

    /// Up to `limit` accounts in order of number, behind the number `after` (0 for all).
    async fn list(&self, after: u64, limit: u32) -> Result<Vec<User>, StoreError>;

    /// Changes the role; `false` when there is no such account.
    async fn set_role(&self, email: &str, role: Role) -> Result<bool, StoreError>;

    /// Disables or enables; `false` when there is no such account.
    async fn set_disabled(&self, id: u64, disabled: bool) -> Result<bool, StoreError>;

    /// Changes the password; `false` when there is no such account.
    async fn set_password(&self, id: u64, password_hash: &str) -> Result<bool, StoreError>;

    /// What the person may do now; `None` when there is no such account or it is
    /// disabled.
    async fn access(&self, id: u64) -> Result<Option<Access>, StoreError>;

    /// The devices granted to a person one by one, in order.
    async fn grants(&self, id: u64) -> Result<Vec<DeviceId>, StoreError>;

    /// Lets a person see a device; `false` when it was granted already.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the person has [`MAX_GRANTS`] devices.
    async fn grant(&self, id: u64, device: DeviceId, now_ms: u64) -> Result<bool, StoreError>;

    /// Takes a device away again; `false` when it was not granted.
    async fn revoke(&self, id: u64, device: DeviceId) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_trimmed_and_in_lower_case() {
        assert_eq!(email_key("  Ana@Example.ORG\n"), "ana@example.org");
    }

    #[test]
    fn roles_are_read_back_from_their_names() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        for bad in ["", "Admin", "root", "1"] {
            assert_eq!(Role::from_name(bad), None);
        }
    }

    #[test]
    fn the_password_hash_does_not_show() {
        let user = User {
            id: 1,
            email: "a@b.c".into(),
            name: "Ana".into(),
            password_hash: "$argon2id$secret".into(),
            role: Role::Viewer,
            disabled: false,
            created_at_ms: 0,
        };
        assert!(!format!("{user:?}").contains("argon2id"));
    }
}
