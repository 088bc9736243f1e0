//! A device's rows of both kinds in one order of time, read as they are taken.

use std::pin::Pin;

use futures_util::stream::{Peekable, Stream, StreamExt as _, unfold};
use nemeses_protocol::{DeviceId, OptionalField, PositionRecord};

use super::channels::{Channels, ReadingsQuery, ReadingsStream, StoredReadings};
use super::positions::{PositionStream, Positions, RangeQuery};
use crate::StoreError;

/// A row of either kind.
#[derive(Clone, Debug)]
pub enum HistoryRow {
    /// Of positions.
    Position(Box<PositionRecord>),
    /// Of readings.
    Readings(StoredReadings),
}

/// A device's rows.
pub type HistoryRows<'a> = Pin<Box<dyn Stream<Item = Result<HistoryRow, StoreError>> + Send + 'a>>;

/// What a device recorded from one second to another, inclusive. Of one moment, positions come first.
pub fn rows_in_order<'a>(
    positions: &'a (impl Positions + ?Sized),
    channels: &'a (impl Channels + ?Sized),
    device: DeviceId,
    (from, to): (u32, u32),
) -> HistoryRows<'a> {
    let of_positions = RangeQuery { device, from, to, descending: false, after: None, limit: None };
    let (from_ms, to_ms) = (u64::from(from) * 1000, u64::from(to) * 1000 + 999);
    let of_readings = ReadingsQuery { device, from_ms, to_ms, descending: false };
    let both = Both {
        positions: positions.positions(of_positions).peekable(),
        readings: channels.readings(of_readings).peekable(),
    };
    Box::pin(unfold(both, async |mut both| both.next().await.map(|row| (row, both))))
}

struct Both<'a> {
    positions: Peekable<PositionStream<'a>>,
    readings: Peekable<ReadingsStream<'a>>,
}

impl Both<'_> {
    async fn next(&mut self) -> Option<Result<HistoryRow, StoreError>> {
        // A failure comes first.
        let position = Pin::new(&mut self.positions).peek().await;
        let position = position.map(|row| row.as_ref().map_or(0, at_ms));
        let readings = Pin::new(&mut self.readings).peek().await;
        let readings = readings.map(|row| row.as_ref().map_or(0, |row| row.recorded_at_ms));
        let is_position = match (position, readings) {
            (Some(position), Some(readings)) => position <= readings,
            (position, _) => position.is_some(),
        };
        if is_position {
            let row = self.positions.next().await?;
            Some(row.map(|row| HistoryRow::Position(Box::new(row))))
        } else {
            self.readings.next().await.map(|row| row.map(HistoryRow::Readings))
        }
    }
}

fn at_ms(row: &PositionRecord) -> u64 {
    let milliseconds = row.optional().get(OptionalField::RecordedMs);
    let milliseconds = milliseconds.and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default();
    u64::from(row.position.recorded_at) * 1000 + milliseconds
}
