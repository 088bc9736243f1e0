//! The identity store: who may speak to the door, and as what. A login's secret
//! is drawn here, shown once, and kept only as a salted hash in the form that
//! Mosquitto's dynamic-security plugin reads.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use async_trait::async_trait;
use nemeses_protocol::{DeviceId, Identity};

use super::secret::{PlainSecret, SecretHash};
use crate::StoreError;

/// Longest name of a login.
pub const MAX_LOGIN_NAME: usize = 64;

/// What a login may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoginRole {
    /// Speaks for one device.
    Device(DeviceId),
    /// Speaks for any device.
    Gateway,
    /// A parser or an exporter.
    Worker,
    /// Sends commands and watches.
    Operator,
}

impl LoginRole {
    /// The role's stable name, as in the table and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Operator => "operator",
        }
    }

    /// The device spoken for, if it is one device.
    pub const fn device(self) -> Option<DeviceId> {
        match self {
            Self::Device(device) => Some(device),
            _ => None,
        }
    }

    /// The role of a stored name and device; `None` when they do not fit together.
    pub fn from_parts(name: &str, device: Option<DeviceId>) -> Option<Self> {
        match (name, device) {
            ("device", Some(device)) => Some(Self::Device(device)),
            ("gateway", None) => Some(Self::Gateway),
            ("worker", None) => Some(Self::Worker),
            ("operator", None) => Some(Self::Operator),
            _ => None,
        }
    }
}

/// A login as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The MQTT user name; for a device usually its id.
    pub name: String,
    /// What it may do.
    pub role: LoginRole,
    /// Whether the door lets it in.
    pub enabled: bool,
    /// The secret's hash.
    pub secret: SecretHash,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// When it was last rotated, enabled or disabled, Unix milliseconds.
    pub updated_at_ms: u64,
}

impl Login {
    /// A number that changes with the secret and the role, also when the login is
    /// removed and made again. The same within a process only.
    pub fn revision(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let SecretHash { salt, iterations, hash } = &self.secret;
        (self.role, salt, iterations, hash).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether the login is enabled and this is its secret. Takes the same time
    /// for every wrong secret.
    pub fn admits(&self, secret: &[u8]) -> bool {
        self.secret.verify(secret) && self.enabled
    }
}

/// Whether a name can be a login: 1 to 64 of `[A-Za-z0-9._@~:%-]`, so that it is
/// also fit for Mosquitto, URLs and logs, and a device's id as a segment is one.
pub fn valid_login_name(name: &str) -> bool {
    (1..=MAX_LOGIN_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@~:%-".contains(&byte))
}

/// The name of a device's login: its id as a segment of a topic, or its number where that is
/// too long.
pub fn device_login_name(device: DeviceId, identity: &Identity) -> String {
    Some(identity.segment()).filter(|name| valid_login_name(name)).unwrap_or(device.to_string())
}

/// The logins.
#[async_trait]
pub trait Logins: Send + Sync {
    /// Makes a login and returns its secret, which cannot be had again.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the name is taken, [`StoreError::Refused`]
    /// when it is no valid name.
    async fn add(
        &self,
        name: &str,
        role: LoginRole,
        now_ms: u64,
    ) -> Result<PlainSecret, StoreError>;

    /// Up to `limit` logins in order of name, behind the name `after`.
    async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<Login>, StoreError>;

    /// The login of a name.
    async fn find(&self, name: &str) -> Result<Option<Login>, StoreError>;

    /// The logins of these names, as far as they exist, in any order.
    async fn find_all(&self, names: &[&str]) -> Result<Vec<Login>, StoreError>;

    /// Enables or disables; `false` when there is no such login.
    async fn set_enabled(&self, name: &str, enabled: bool, now_ms: u64)
    -> Result<bool, StoreError>;

    /// Draws a new secret. Nothing of the old one stays. `None` when there is no such
    /// login, or, where a role is given, none of this very role: whoever may hand out
    /// secrets of one role must not get at those of another by its name.
    async fn rotate(
        &self,
        name: &str,
        only: Option<LoginRole>,
        now_ms: u64,
    ) -> Result<Option<PlainSecret>, StoreError>;

    /// Deletes a login; `false` when there is no such login.
    async fn remove(&self, name: &str) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_back_from_their_parts() {
        let device = DeviceId::new(0x0A_3F73);
        for role in
            [LoginRole::Device(device), LoginRole::Gateway, LoginRole::Worker, LoginRole::Operator]
        {
            assert_eq!(LoginRole::from_parts(role.name(), role.device()), Some(role));
        }
        assert_eq!(LoginRole::from_parts("device", None), None);
        assert_eq!(LoginRole::from_parts("gateway", Some(device)), None);
        assert_eq!(LoginRole::from_parts("root", None), None);
    }

    #[test]
    fn names_of_logins() {
        for good in ["0A3F73", "gate-way_1.example@x", "a"] {
            assert!(valid_login_name(good), "{good}");
        }
        for bad in ["", "a b", "ünder", "a/b", &"x".repeat(65)] {
            assert!(!valid_login_name(bad), "{bad}");
        }
        assert!(valid_login_name(&"x".repeat(64)));
    }
}
