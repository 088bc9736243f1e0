//! Groups of devices. Whoever was granted a group sees its devices, whichever
//! they are at the time.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use crate::StoreError;

/// Groups at most, so that a list of them needs no pages.
pub const MAX_GROUPS: u32 = 1_000;

/// A group of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Number, drawn by the database.
    pub id: u64,
    /// Unique.
    pub name: String,
    /// How many devices are in it.
    pub devices: u64,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// The groups. A number that names no group, or no account, is answered by
/// [`StoreError::Missing`].
#[async_trait]
pub trait Groups: Send + Sync {
    /// Makes a group and tells its number.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the name is taken, [`StoreError::Refused`] when
    /// there are [`MAX_GROUPS`].
    async fn add(&self, name: &str, now_ms: u64) -> Result<u64, StoreError>;

    /// All groups, by name.
    async fn list(&self) -> Result<Vec<Group>, StoreError>;

    /// The group of a number.
    async fn find(&self, id: u64) -> Result<Option<Group>, StoreError>;

    /// Gives a group another name; `false` when there is no such group.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the name is taken.
    async fn rename(&self, id: u64, name: &str) -> Result<bool, StoreError>;

    /// Deletes a group with its grants, but no device; `false` when there is none.
    async fn remove(&self, id: u64) -> Result<bool, StoreError>;

    /// The devices of a group, in order of number.
    async fn devices(&self, id: u64) -> Result<Vec<DeviceId>, StoreError>;

    /// Every device that is in a group, with the group's number, in order of device.
    async fn memberships(&self) -> Result<Vec<(DeviceId, u64)>, StoreError>;

    /// The same of some devices.
    async fn memberships_of(
        &self,
        devices: &[DeviceId],
    ) -> Result<Vec<(DeviceId, u64)>, StoreError>;

    /// Puts a device into a group; `false` when it is in it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when someone would see more than
    /// [`super::MAX_GRANTS`] devices.
    async fn put(&self, id: u64, device: DeviceId, now_ms: u64) -> Result<bool, StoreError>;

    /// Takes a device out of a group; `false` when it was not in it.
    async fn take(&self, id: u64, device: DeviceId) -> Result<bool, StoreError>;

    /// Lets a person see a group's devices; `false` when it was granted already.
    ///
    /// # Errors
    /// As [`Groups::put`].
    async fn grant(&self, user: u64, id: u64, now_ms: u64) -> Result<bool, StoreError>;

    /// Takes a group away from a person; `false` when it was not granted.
    async fn revoke(&self, user: u64, id: u64) -> Result<bool, StoreError>;

    /// The groups granted to a person, in order of number.
    async fn granted(&self, user: u64) -> Result<Vec<u64>, StoreError>;
}
