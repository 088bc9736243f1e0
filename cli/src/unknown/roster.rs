//! Reads the list of known devices from the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nemeses_protocol::DeviceId;
use nemeses_store::StoreError;
use nemeses_store::history::Devices;
use nemeses_store::known::KnownList;

/// Who has rows changes of itself only where all devices are accepted, and takes a
/// look at each device's first day.
const ROWS_EVERY: Duration = Duration::from_mins(1);

pub(super) struct Roster {
    devices: Arc<dyn Devices>,
    with_rows: Vec<DeviceId>,
    rows_read: Option<Instant>,
}

impl Roster {
    pub(super) const fn new(devices: Arc<dyn Devices>) -> Self {
        Self { devices, with_rows: Vec::new(), rows_read: None }
    }

    /// The list: who is registered as of now, who has rows as of the last minute.
    pub(super) async fn read(&mut self) -> Result<KnownList, StoreError> {
        if self.rows_read.is_none_or(|at| at.elapsed() >= ROWS_EVERY) {
            self.with_rows = self.devices.with_rows().await?;
            self.rows_read = Some(Instant::now());
        }
        let registered = self.devices.registered().await?;
        Ok(registered.into_iter().chain(self.with_rows.iter().copied()).collect())
    }
}
