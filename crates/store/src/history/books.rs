//! The books, read: what was received and what became of it, by worker and
//! minute, and what the tables hold. Whether they agree is decided by the caller
//! from these figures ([`Totals::balance`], [`TableCounts`]).

use async_trait::async_trait;
use nemeses_protocol::{DeviceId, PositionRecord};

use super::dead_letters::StoredLetter;
use crate::StoreError;

/// Minutes of arrival (Unix seconds / 60), both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minutes {
    /// First minute.
    pub from: u32,
    /// Last minute.
    pub to: u32,
}

impl Minutes {
    /// All of time.
    pub const ALL: Self = Self { from: 0, to: u32::MAX };

    /// First and last millisecond, inclusive. The last minute that can be
    /// written stands for all that come after it.
    pub fn as_ms(self) -> (u64, u64) {
        let last = match self.to {
            u32::MAX => u64::MAX,
            to => u64::from(to) * 60_000 + 59_999,
        };
        (u64::from(self.from) * 60_000, last)
    }
}

/// Sums of the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Decoded frames and skipped stretches.
    pub received: u64,
    /// Rows new in the table.
    pub stored: u64,
    /// Frames whose row was there already.
    pub duplicates: u64,
    /// Dead letters written.
    pub dead_letters: u64,
    /// Pings.
    pub pings: u64,
    /// Values of channels in the records.
    pub values_received: u64,
    /// Those in new rows.
    pub values_stored: u64,
    /// Those in records whose row was there already.
    pub values_duplicate: u64,
    /// Those that became dead letters, since their device may have no more channels.
    pub values_refused: u64,
}

impl Totals {
    /// Whether received = stored + duplicates + pings + dead letters, and for values
    /// received = stored + duplicate + refused.
    pub fn balance(&self) -> bool {
        self.received == self.stored + self.duplicates + self.pings + self.dead_letters
            && self.values_received
                == self.values_stored + self.values_duplicate + self.values_refused
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.dead_letters += other.dead_letters;
        self.pings += other.pings;
        self.values_received += other.values_received;
        self.values_stored += other.values_stored;
        self.values_duplicate += other.values_duplicate;
        self.values_refused += other.values_refused;
    }
}

/// The books of one worker in one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BooksLine {
    /// Which worker.
    pub worker: String,
    /// Minute of arrival: Unix seconds / 60.
    pub minute: u32,
    /// Sums over all batches of that worker and minute.
    pub totals: Totals,
}

/// What the tables hold, to be compared with the books of the same minutes:
/// `stored = positions + positions_removed + readings + readings_removed`,
/// `values_stored = values + values_removed` and
/// `dead_letters = dead_letters + letters_removed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Rows of positions that arrived in these minutes.
    pub positions: u64,
    /// Rows of positions that arrived in these minutes and were deleted (retention).
    pub positions_removed: u64,
    /// Records of readings that arrived in these minutes.
    pub readings: u64,
    /// Records of readings that arrived in these minutes and were deleted (retention).
    pub readings_removed: u64,
    /// Values in the records of readings that arrived in these minutes.
    pub values: u64,
    /// Values in those that were deleted.
    pub values_removed: u64,
    /// Dead letters that arrived in these minutes.
    pub dead_letters: u64,
    /// Dead letters that arrived in these minutes and were purged or resolved.
    pub letters_removed: u64,
    /// All duplicates ever itemised, whatever the minutes: to be compared with
    /// the books of all of time.
    pub duplicates_ever: u64,
}

/// A row found by a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRow {
    /// The row.
    pub record: PositionRecord,
    /// How often the same frame came again.
    pub duplicates: u64,
}

/// What became of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rows of the table.
    pub rows: Vec<FoundRow>,
    /// Dead letters, their bytes as in a list.
    pub letters: Vec<StoredLetter>,
}

/// What to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// A device's frames of one recorded second, or only the one with this hash.
    Recorded {
        /// Whose.
        device: DeviceId,
        /// Unix seconds by the device's clock.
        recorded_at: u32,
        /// Only the frame with this hash.
        frame_hash: Option<u64>,
    },
    /// Dead letters that hold exactly these bytes.
    Bytes(Vec<u8>),
}

/// The books.
#[async_trait]
pub trait Books: Send + Sync {
    /// Sums by worker and minute, in order of minute, then worker; at most
    /// `limit` lines behind the (minute, worker) `after`.
    async fn lines(
        &self,
        minutes: Minutes,
        worker: Option<&str>,
        after: Option<(u32, &str)>,
        limit: u32,
    ) -> Result<Vec<BooksLine>, StoreError>;

    /// Sums over all workers.
    async fn totals(&self, minutes: Minutes) -> Result<Totals, StoreError>;

    /// Lines that do not balance, at most `limit`. There should be none.
    async fn unbalanced(&self, minutes: Minutes, limit: u32) -> Result<Vec<BooksLine>, StoreError>;

    /// Counts the tables. Reads every row: minutes, not milliseconds, on a large table.
    async fn count_tables(&self, minutes: Minutes) -> Result<TableCounts, StoreError>;

    /// What became of a frame.
    async fn look_up(&self, what: &LookUp) -> Result<Found, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_equation() {
        let good = Totals {
            received: 10,
            stored: 4,
            duplicates: 3,
            dead_letters: 2,
            pings: 1,
            values_received: 9,
            values_stored: 4,
            values_duplicate: 3,
            values_refused: 2,
        };
        assert!(good.balance());
        assert!(!Totals { pings: 2, ..good }.balance());
        assert!(!Totals { values_stored: 5, ..good }.balance());
        let mut twice = good;
        twice.add(&good);
        assert_eq!(twice.received, 20);
        assert!(twice.balance());
    }

    #[test]
    fn minutes_cover_their_last_millisecond() {
        assert_eq!(Minutes { from: 1, to: 1 }.as_ms(), (60_000, 119_999));
        assert_eq!(Minutes::ALL.as_ms(), (0, u64::MAX));
    }
}
