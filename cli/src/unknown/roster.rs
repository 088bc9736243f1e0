//! Reads the list of known devices from the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nemeses_protocol::DeviceId;
use nemeses_store::StoreError;
use nemeses_store::history::Devices;
use nemeses_store::known::KnownList;

/// Who has rows changes of itself only where all devices are accepted, and takes a
/// look at each device's first day. Where strangers are quarantined, being late by so
/// much costs nothing: what was known comes out by itself.
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

    /// The list: who is registered as of now, who has rows as of now or of the last minute.
    pub(super) async fn read(&mut self, rows_now: bool) -> Result<KnownList, StoreError> {
        if rows_now || self.rows_read.is_none_or(|at| at.elapsed() >= ROWS_EVERY) {
            self.with_rows = self.devices.with_rows().await?;
            self.rows_read = Some(Instant::now());
        }
        let registered = self.devices.registered().await?;
        Ok(registered.into_iter().chain(self.with_rows.iter().copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{BatchKey, Composition, Position, PositionRecord, Record};
    use nemeses_store::history::{Options, Part, open};

    use super::*;

    fn position(device: DeviceId) -> PositionRecord {
        let position = Position {
            device,
            recorded_at: 1_593_637_200,
            direction_cdeg: 5487,
            odometer_m: 25_000_000,
            hour_meter_min: 36_000,
            composition: Composition(0xB800),
            extension: None,
            speed_kmh: 60,
            latitude_udeg: -19_932_833,
            longitude_udeg: -43_938_493,
        };
        PositionRecord { position, frame_hash: 1, received_at_ms: 1_593_637_200_000, packed: None }
    }

    #[tokio::test]
    async fn a_device_with_first_rows_is_known_at_once_where_strangers_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("n.db").display());
        let database = open(&url, Options::default()).await.unwrap();
        database.history().migrate().await.unwrap();
        let mut roster = Roster::new(database.devices());
        assert!(roster.read(false).await.unwrap().is_empty());

        let device = DeviceId::new(7);
        let key = BatchKey { worker: "w".to_owned(), run: 1, sequence: 1 };
        let records = vec![Record::Position(position(device))];
        let part = Part { key, tallies: Vec::new(), records };
        database.history().commit(&[part], "x").await.unwrap();
        assert!(!roster.read(false).await.unwrap().contains(device), "as of the last minute");
        assert!(roster.read(true).await.unwrap().contains(device));
    }
}
