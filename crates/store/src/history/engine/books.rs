//! The books, read by SQL.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;

use super::Engine;
use super::dead_letters::{EXPIRED, PURGED, READINGS_EXPIRED, RESOLVED, VALUES_EXPIRED};
use super::fault::Fault;
use super::rows::{SELECT_LETTERS, bucket_of, bytes_group, bytes_hash, letter_of, position_of};
use super::sealing::count_readings;
use super::seam::{Product, fixed, sql};
use super::sql::{SELECT_POSITIONS, placeholders};
use super::value::{Fields, Value};
use crate::StoreError;
use crate::history::books::{
    Books, BooksLine, Found, FoundRow, LookUp, Minutes, TableCounts, Totals,
};
use crate::history::dead_letters::{LISTED_BYTES, StoredLetter};

/// The sums as numbers: MySQL's SUM is a decimal.
pub(super) const SUMS: &str = "CAST(SUM(received) AS UNSIGNED), CAST(SUM(stored) AS UNSIGNED), \
    CAST(SUM(duplicates) AS UNSIGNED), CAST(SUM(dead_letters) AS UNSIGNED), \
    CAST(SUM(pings) AS UNSIGNED), CAST(SUM(values_received) AS UNSIGNED), \
    CAST(SUM(values_stored) AS UNSIGNED), CAST(SUM(values_duplicate) AS UNSIGNED), \
    CAST(SUM(values_refused) AS UNSIGNED)";
const UNBALANCED: &str = "SELECT minute, worker, received, stored, duplicates, dead_letters, \
    pings, values_received, values_stored, values_duplicate, values_refused \
    FROM books WHERE minute BETWEEN ? AND ? \
    AND (received <> stored + duplicates + dead_letters + pings \
    OR values_received <> values_stored + values_duplicate + values_refused) ORDER BY minute, worker LIMIT ?";
/// Rows found by one look-up: two different frames of one second are rare, more hostile.
const MAX_FOUND: u32 = 100;

#[async_trait]
impl<P: Product> Books for Engine<P> {
    async fn lines(
        &self,
        minutes: Minutes,
        worker: Option<&str>,
        after: Option<(u32, &str)>,
        limit: u32,
    ) -> Result<Vec<BooksLine>, StoreError> {
        let mut values: Vec<Value<'_>> = vec![minutes.from.into(), minutes.to.into()];
        let mut conditions = String::new();
        if let Some(worker) = worker {
            conditions.push_str(" AND worker = ?");
            values.push(worker.into());
        }
        if let Some((minute, worker)) = after {
            conditions.push_str(" AND (minute > ? OR (minute = ? AND worker > ?))");
            values.extend([Value::from(minute), minute.into(), worker.into()]);
        }
        values.push(limit.into());
        let text = format!(
            "SELECT minute, worker, {SUMS} FROM books WHERE minute BETWEEN ? AND ?{conditions} \
             GROUP BY minute, worker HAVING SUM(received) > 0 ORDER BY minute, worker LIMIT ?"
        );
        let rows = self.product.rows(sql(text), &values).await;
        rows.and_then(|rows| rows.iter().map(line_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn totals(&self, minutes: Minutes) -> Result<Totals, StoreError> {
        let text = format!("SELECT {SUMS} FROM books WHERE minute BETWEEN ? AND ?");
        let values = [minutes.from.into(), minutes.to.into()];
        let row = self.only_row(text, &values).await;
        row.and_then(|row| row.as_ref().map_or(Ok(Totals::default()), |row| totals_of(row, 0)))
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn unbalanced(&self, minutes: Minutes, limit: u32) -> Result<Vec<BooksLine>, StoreError> {
        let values = [minutes.from.into(), minutes.to.into(), limit.into()];
        let rows = self.product.rows(fixed(UNBALANCED), &values).await;
        rows.and_then(|rows| rows.iter().map(line_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn count_tables(&self, minutes: Minutes) -> Result<TableCounts, StoreError> {
        self.counts(minutes).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn look_up(&self, what: &LookUp) -> Result<Found, StoreError> {
        self.found(what).await.map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    /// The one row of a statement that may take long.
    async fn only_row(&self, text: String, values: &[Value<'_>]) -> Result<Option<P::Row>, Fault> {
        let mut rows = self.product.stream(sql(text), values);
        rows.try_next().await
    }

    pub(super) async fn count(&self, text: &str, values: &[Value<'_>]) -> Result<u64, Fault> {
        let row = self.only_row(text.to_owned(), values).await?;
        row.map_or(Ok(0), |row| Ok(row.maybe(0)?.unwrap_or_default()))
    }

    async fn counts(&self, minutes: Minutes) -> Result<TableCounts, Fault> {
        const POSITIONS: &str =
            "SELECT COUNT(*) FROM positions WHERE received_at_ms BETWEEN ? AND ?";
        const LETTERS: &str =
            "SELECT COUNT(*) FROM dead_letters WHERE received_at_ms BETWEEN ? AND ?";
        const REMOVED: &str = "SELECT CAST(SUM(removed) AS UNSIGNED) FROM removals \
            WHERE kind = ? AND minute BETWEEN ? AND ?";
        const DUPLICATES: &str = "SELECT CAST(SUM(times) AS UNSIGNED) FROM duplicates";
        let (from_ms, to_ms) = minutes.as_ms();
        let times = [from_ms.into(), to_ms.into()];
        let removed = async |kind: &str| {
            let values = [kind.into(), minutes.from.into(), minutes.to.into()];
            self.count(REMOVED, &values).await
        };
        let (readings, values) = count_readings(&self.product, minutes).await?;
        Ok(TableCounts {
            positions: self.count(POSITIONS, &times).await?,
            positions_removed: removed(EXPIRED).await?,
            readings,
            readings_removed: removed(READINGS_EXPIRED).await?,
            values,
            values_removed: removed(VALUES_EXPIRED).await?,
            dead_letters: self.count(LETTERS, &times).await?,
            letters_removed: removed(PURGED).await? + removed(RESOLVED).await?,
            duplicates_ever: self.count(DUPLICATES, &[]).await?,
        })
    }

    async fn found(&self, what: &LookUp) -> Result<Found, Fault> {
        match what {
            LookUp::Bytes(bytes) => {
                let hash = bytes_hash(bytes);
                let letters = self.letters_of(&hash).await?;
                Ok(Found { rows: Vec::new(), letters })
            }
            LookUp::Recorded { device, recorded_at, frame_hash } => {
                let key: [Value<'_>; 2] = [(*device).into(), (*recorded_at).into()];
                let rows = self.found_rows(&key, *recorded_at, *frame_hash).await?;
                let letters = self.found_letters("device = ? AND recorded_at = ?", &key).await?;
                Ok(Found { rows, letters })
            }
        }
    }

    /// Letters by the hash of their bytes. Their numbers first: asked for the letters
    /// in order at once, a server may read the table from its beginning instead of
    /// the index.
    async fn letters_of(&self, hash: &[u8; 32]) -> Result<Vec<StoredLetter>, Fault> {
        const NUMBERS: &str =
            "SELECT id FROM dead_letters WHERE bytes_group = ? AND bytes_hash = ? LIMIT ?";
        let values = [bytes_group(hash).into(), Value::Bytes(hash), MAX_FOUND.into()];
        let rows = self.product.rows(fixed(NUMBERS), &values).await?;
        let numbers = rows.iter().map(|row| row.need::<u64>(0).map(Value::from));
        let numbers: Vec<Value<'_>> = numbers.collect::<Result<_, _>>()?;
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let condition = format!("id IN ({})", placeholders(numbers.len()));
        self.found_letters(&condition, &numbers).await
    }

    async fn found_letters(
        &self,
        condition: &str,
        key: &[Value<'_>],
    ) -> Result<Vec<StoredLetter>, Fault> {
        let text = format!("{SELECT_LETTERS} WHERE {condition} ORDER BY id LIMIT ?");
        let mut values: Vec<Value<'_>> = vec![LISTED_BYTES.into()];
        values.extend(key);
        values.push(MAX_FOUND.into());
        let rows = self.product.rows(sql(text), &values).await?;
        rows.iter().map(letter_of).collect()
    }

    async fn found_rows(
        &self,
        key: &[Value<'_>; 2],
        recorded_at: u32,
        frame_hash: Option<u64>,
    ) -> Result<Vec<FoundRow>, Fault> {
        const TIMES: &str = "SELECT times FROM duplicates \
            WHERE device = ? AND recorded_at = ? AND frame_hash = ?";
        let only = if frame_hash.is_some() { " AND frame_hash = ?" } else { "" };
        let text = format!(
            "{SELECT_POSITIONS} WHERE bucket = ? AND device = ? AND recorded_at = ?{only} \
             ORDER BY frame_hash LIMIT ?"
        );
        let mut values: Vec<Value<'_>> = vec![bucket_of(recorded_at).into()];
        values.extend(key);
        values.extend(frame_hash.map(Value::Hash));
        values.push(MAX_FOUND.into());
        let mut found = Vec::new();
        for row in self.product.rows(sql(text), &values).await? {
            let record = position_of(&row)?;
            let values = [key[0], key[1], Value::Hash(record.frame_hash)];
            let times = self.product.rows(fixed(TIMES), &values).await?;
            let duplicates = times.first().map_or(Ok(0), |row| row.need(0))?;
            found.push(FoundRow { record, duplicates });
        }
        Ok(found)
    }
}

fn line_of(row: &impl Fields) -> Result<BooksLine, Fault> {
    Ok(BooksLine { minute: row.need(0)?, worker: row.text(1)?, totals: totals_of(row, 2)? })
}

/// Nine sums from a column on; sums of nothing are NULL and count 0.
pub(super) fn totals_of(row: &impl Fields, first: usize) -> Result<Totals, Fault> {
    let sum = |column| Ok::<u64, Fault>(row.maybe(first + column)?.unwrap_or_default());
    Ok(Totals {
        received: sum(0)?,
        stored: sum(1)?,
        duplicates: sum(2)?,
        dead_letters: sum(3)?,
        pings: sum(4)?,
        values_received: sum(5)?,
        values_stored: sum(6)?,
        values_duplicate: sum(7)?,
        values_refused: sum(8)?,
    })
}
