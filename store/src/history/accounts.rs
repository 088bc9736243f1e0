//! The people who use the API. Passwords are hashed by the caller (argon2id, on
//! the blocking pool); only the finished hash string is kept here.

use async_trait::async_trait;

use crate::StoreError;

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
    /// May see the books and every device.
    pub admin: bool,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// Leaves the password hash out, so that no log ever holds it.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("email", &self.email)
            .field("admin", &self.admin)
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
    /// May see the books and every device.
    pub admin: bool,
}

/// The form in which addresses are kept and compared.
pub fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

/// The accounts.
#[async_trait]
pub trait Users: Send + Sync {
    /// Makes an account and returns its number.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the address is taken.
    async fn add(&self, user: NewUser<'_>, now_ms: u64) -> Result<u64, StoreError>;

    /// The account of an address, in whatever case it is written.
    async fn by_email(&self, email: &str) -> Result<Option<User>, StoreError>;

    /// The account of a number.
    async fn by_id(&self, id: u64) -> Result<Option<User>, StoreError>;

    /// Grants or takes away the admin's rights; `false` when there is no such account.
    async fn set_admin(&self, email: &str, admin: bool) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_trimmed_and_in_lower_case() {
        assert_eq!(email_key("  Ana@Example.ORG\n"), "ana@example.org");
    }

    #[test]
    fn the_password_hash_does_not_show() {
        let user = User {
            id: 1,
            email: "a@b.c".into(),
            name: "Ana".into(),
            password_hash: "$argon2id$secret".into(),
            admin: false,
            created_at_ms: 0,
        };
        assert!(!format!("{user:?}").contains("argon2id"));
    }
}
