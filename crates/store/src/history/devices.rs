//! What people say of their devices: a name, a vehicle, tags, thresholds. A
//! profile is never needed for a frame to be kept, and deleting one deletes no
//! frame.

use async_trait::async_trait;
use nemeses_protocol::{DeviceId, PositionRecord};

use crate::StoreError;

/// The retention class of a device that names none.
pub const DEFAULT_RETENTION: &str = "default";

/// What people say of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Which device.
    pub device: DeviceId,
    /// What people call it; may be empty.
    pub name: String,
    /// What carries it; may be empty.
    pub vehicle: String,
    /// Words to find it by. None of them holds a line feed.
    pub tags: Vec<String>,
    /// Seconds without a sign of life after which it counts as offline, where
    /// that is less than the TTL of the live store.
    pub live_ttl_s: Option<u32>,
    /// Slower than this is standing; `None` for the usual threshold.
    pub motion_kmh: Option<u32>,
    /// Standing for this long is a stop; `None` for the usual threshold.
    pub stop_s: Option<u32>,
    /// The name of its retention class.
    pub retention: String,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub updated_at_ms: u64,
}

impl Profile {
    /// A profile that says nothing.
    pub fn new(device: DeviceId, now_ms: u64) -> Self {
        Self {
            device,
            name: String::new(),
            vehicle: String::new(),
            tags: Vec::new(),
            live_ttl_s: None,
            motion_kmh: None,
            stop_s: None,
            retention: DEFAULT_RETENTION.to_owned(),
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
        }
    }
}

/// Seconds between the frames of a device, lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rhythm {
    /// With the ignition on.
    pub on_s: Option<u32>,
    /// With the ignition off.
    pub off_s: Option<u32>,
}

/// A device that somebody has heard of, or spoken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDevice {
    /// Which device.
    pub device: DeviceId,
    /// What people say of it.
    pub profile: Option<Profile>,
    /// Whether it has rows.
    pub has_rows: bool,
    /// How often it sends.
    pub rhythm: Rhythm,
}

/// What history knows of a device that is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastKnown {
    /// The newest row.
    pub newest: Option<PositionRecord>,
    /// The newest row with a GPS fix.
    pub fix: Option<PositionRecord>,
}

/// The devices' profiles, and what is known of all devices at once.
#[async_trait]
pub trait Devices: Send + Sync {
    /// Keeps a profile, in the place of the one before; its `created_at_ms` stays
    /// then. `true` when there was none. What a changed threshold changes in the
    /// sums of days is computed anew.
    async fn put(&self, profile: &Profile) -> Result<bool, StoreError>;

    /// The profile of a device.
    async fn find(&self, device: DeviceId) -> Result<Option<Profile>, StoreError>;

    /// Deletes a profile, and nothing else; `false` when there is none.
    async fn remove(&self, device: DeviceId) -> Result<bool, StoreError>;

    /// Every device with a profile, a login, a group or rows, in order of number.
    async fn known(&self) -> Result<Vec<KnownDevice>, StoreError>;

    /// Those of the devices that are [`known`](Self::known), in order of number.
    async fn known_among(&self, devices: &[DeviceId]) -> Result<Vec<KnownDevice>, StoreError>;

    /// Every device with a profile, a login or a group, in no order.
    async fn registered(&self) -> Result<Vec<DeviceId>, StoreError>;

    /// Every device with rows, in no order.
    async fn with_rows(&self) -> Result<Vec<DeviceId>, StoreError>;

    /// Whether a device has a profile or a login, or was put into a group.
    async fn is_registered(&self, device: DeviceId) -> Result<bool, StoreError>;
}
