//! How readings leave: some thousand records at a time, oldest bucket first, in the order
//! of the key, booked by minute of arrival in the same transaction; then blocks of sealed ones.

use async_trait::async_trait;

use super::Engine;
use super::dead_letters::{READINGS_EXPIRED, VALUES_EXPIRED};
use super::fault::{Fault, Kind};
use super::plan::minute_of;
use super::removals::book_removed;
use super::sealing::expire_blocks;
use super::seam::{Product, Session, fixed};
use super::value::Fields as _;
use super::work::Work;
use crate::history::BUCKET_SECONDS;
use crate::history::retention::Step;

/// Records of a step, and those of the last device among them.
const AT_ONCE: u32 = 5000;

const OLDEST: &str = "SELECT MIN(bucket) FROM readings WHERE bucket < ?";
/// The device at which a step ends; none when the bucket holds fewer records.
const LAST_DEVICE: &str =
    "SELECT device FROM readings WHERE bucket = ? ORDER BY device LIMIT 1 OFFSET ?";
const ARRIVALS: &str = "SELECT received_at_ms - received_at_ms % 60000 AS minute_ms, COUNT(*), \
    CAST(SUM(value_count) AS UNSIGNED) FROM readings WHERE bucket = ? AND device <= ? \
    GROUP BY minute_ms";
const DELETE: &str = "DELETE FROM readings WHERE bucket = ? AND device <= ?";

/// Takes the next records before a bucket away.
struct Expire {
    before: u32,
}

#[async_trait]
impl<P: Product> Work<P> for Expire {
    type Output = Step;

    async fn run(&self, session: &mut P::Session) -> Result<Step, Fault> {
        let oldest = session.rows(fixed(OLDEST), &[self.before.into()]).await?;
        let Some(bucket) = oldest.first().map_or(Ok(None), |row| row.maybe::<u32>(0))? else {
            return Ok(Step::default());
        };
        let last = session.rows(fixed(LAST_DEVICE), &[bucket.into(), AT_ONCE.into()]).await?;
        let last: u32 = last.first().map_or(Ok(u32::MAX), |row| row.need(0))?;
        let which = [bucket.into(), last.into()];
        let arrivals = session.rows(fixed(ARRIVALS), &which).await?;
        let removed = session.execute(fixed(DELETE), &which).await?;
        let mut booked = 0;
        for row in &arrivals {
            booked += row.need::<u64>(1)?;
            let minute = minute_of(row.need(0)?);
            for (kind, column) in [(READINGS_EXPIRED, 1), (VALUES_EXPIRED, 2)] {
                book_removed(session, P::DIALECT, kind, minute, row.need(column)?).await?;
            }
        }
        if booked != removed {
            return Err(Fault::new(Kind::Conflict, "readings came while they were deleted"));
        }
        Ok(Step { readings: removed, more: true, ..Step::default() })
    }
}

impl<P: Product> Engine<P> {
    /// Takes some of the readings before a bucket away and books them.
    pub(super) async fn expire_readings(&self, before: u32) -> Result<Step, Fault> {
        let step = self.transact(Expire { before }).await?;
        if step.more {
            return Ok(step);
        }
        expire_blocks(self, u64::from(before) * u64::from(BUCKET_SECONDS) * 1000).await
    }
}
