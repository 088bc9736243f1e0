//! Reads of one device's positions: its days from `device_days`, then the
//! buckets of a day, a page at a time. No connection is held between pages, so a
//! slow reader costs memory for one page and nothing else. How many buckets one
//! statement looks into follows from how many rows the last ones held.

use std::collections::VecDeque;

use futures_util::TryStreamExt as _;
use futures_util::stream;
use nemeses_protocol::{DeviceId, PositionRecord, Reason};

use super::Engine;
use super::fault::Fault;
use super::plan::DAY_SECONDS;
use super::rows::{bucket_of, position_of};
use super::seam::{Product, fixed, sql};
use super::sql::{SELECT_POSITIONS, placeholders};
use super::value::{Fields as _, Value};
use super::window::{DAY_BUCKETS, Density, padded, seconds_of, window};
use crate::history::{PositionStream, RangeQuery};

/// Rows of one page: about 100 KiB.
const PAGE_ROWS: u64 = 1000;
/// Days looked up at once.
pub(super) const PAGE_DAYS: u64 = 64;

/// Where a read stands.
struct Cursor {
    query: RangeQuery,
    /// Days still to read, in order.
    days: VecDeque<u32>,
    /// No more days behind these.
    last_days: bool,
    /// The next day to look up from.
    next_day: Option<u32>,
    left: u64,
    density: Density,
}

pub(in crate::history) fn positions<P: Product>(
    engine: &Engine<P>,
    query: RangeQuery,
) -> PositionStream<'_> {
    let cursor = Cursor::new(query);
    let pages = stream::try_unfold(cursor, move |mut cursor| async move {
        let page = cursor.next_page(engine).await;
        let page = page.map_err(|fault| fault.into_error(P::STORE))?;
        Ok(page.map(|rows| (stream::iter(rows.into_iter().map(Ok)), cursor)))
    });
    Box::pin(pages.try_flatten())
}

impl Cursor {
    fn new(mut query: RangeQuery) -> Self {
        if let Some((recorded_at, _)) = query.after {
            if query.descending {
                query.to = query.to.min(recorded_at);
            } else {
                query.from = query.from.max(recorded_at);
            }
        }
        let first_day = if query.descending { query.to } else { query.from } / DAY_SECONDS;
        let left = query.limit.unwrap_or(u64::MAX);
        let last_days = query.from > query.to;
        let one_day = query.from / DAY_SECONDS == query.to / DAY_SECONDS;
        // Whether it has rows is known when it is read.
        let days = if one_day { [first_day].into() } else { VecDeque::new() };
        let last_days = last_days || one_day;
        let density = Density::default();
        Self { query, days, last_days, next_day: Some(first_day), left, density }
    }

    /// The next rows, never none of them; `None` at the end.
    async fn next_page<P: Product>(
        &mut self,
        engine: &Engine<P>,
    ) -> Result<Option<Vec<PositionRecord>>, Fault> {
        while self.left > 0 {
            let Some(day) = self.day(engine).await? else { break };
            let wanted = self.left.min(PAGE_ROWS);
            let Some((from, to)) = self.window(day, wanted) else {
                self.days.pop_front();
                continue;
            };
            let rows = self.read(engine, (from, to), wanted).await?;
            let found = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            if found < wanted {
                self.density.learn(found, from, to);
                self.pass(from, to);
            }
            let Some(last) = rows.last() else { continue };
            if found == wanted {
                let at = last.position.recorded_at;
                self.density.learn(found, rows[0].position.recorded_at, at);
                self.query.after = Some((at, last.frame_hash));
            }
            self.left -= found;
            return Ok(Some(rows));
        }
        Ok(None)
    }

    /// The day to read now; looks further days up when none is left.
    async fn day<P: Product>(&mut self, engine: &Engine<P>) -> Result<Option<u32>, Fault> {
        if self.days.is_empty() && !self.last_days {
            let Some(from) = self.next_day else { return Ok(None) };
            let query = &self.query;
            let end = if query.descending { query.from } else { query.to } / DAY_SECONDS;
            let days = days(engine, query.device, from, end, query.descending).await?;
            self.last_days = u64::try_from(days.len()).unwrap_or(u64::MAX) < PAGE_DAYS;
            self.next_day = days.last().and_then(|day| {
                if query.descending { day.checked_sub(1) } else { day.checked_add(1) }
            });
            self.days = days.into();
        }
        Ok(self.days.front().copied())
    }

    /// The seconds of this day to read next; `None` when it has been read.
    fn window(&self, day: u32, wanted: u64) -> Option<(u32, u32)> {
        let query = &self.query;
        let (first, last) = seconds_of(day);
        let (mut from, mut to) = (first.max(query.from), last.min(query.to));
        match query.after {
            Some((after, _)) if query.descending => to = to.min(after),
            Some((after, _)) => from = from.max(after),
            None => {}
        }
        window(from, to, self.density.buckets_of(wanted), query.descending)
    }

    /// Notes that these seconds were read to their end.
    fn pass(&mut self, from: u32, to: u32) {
        let query = &mut self.query;
        query.after = None;
        let end = if query.descending {
            from.checked_sub(1).map(|to| query.to = to)
        } else {
            to.checked_add(1).map(|from| query.from = from)
        };
        // Beyond the first or last second of time there are no days.
        if end.is_none() {
            self.days.clear();
            self.last_days = true;
        }
    }

    async fn read<P: Product>(
        &self,
        engine: &Engine<P>,
        (from, to): (u32, u32),
        rows: u64,
    ) -> Result<Vec<PositionRecord>, Fault> {
        let query = &self.query;
        let buckets = padded(from, to);
        let mut values: Vec<Value<'_>> = buckets.iter().map(|bucket| (*bucket).into()).collect();
        values.extend([Value::from(query.device), from.into(), to.into()]);
        if let Some((after, hash)) = query.after {
            values.extend([after.into(), Value::Hash(hash)]);
        }
        values.push(rows.into());
        let text = page_sql(buckets.len(), query.after.is_some(), query.descending);
        let found = engine.product.rows(sql(text), &values).await?;
        found.iter().map(position_of).collect()
    }
}

/// The bucket follows from the second, so the order of the key is the order of
/// time, and the rows come out of the table sorted. A page behind a row begins with
/// that row's second; `+ 0` keeps MariaDB from making twice as many ranges of it
/// (5 us each of planning, more than the rows themselves take). A day's buckets are more
/// than servers look into one by one when they plan (`eq_range_index_dive_limit`, 200), if
/// each is one value of the key and not a range: then it takes a third less.
fn page_sql(buckets: usize, with_cursor: bool, descending: bool) -> String {
    let (beyond, order) = if descending { ("<", "DESC") } else { (">", "ASC") };
    let second = if buckets == DAY_BUCKETS { "recorded_at + 0" } else { "recorded_at" };
    let cursor = if with_cursor {
        format!(" AND (recorded_at + 0 {beyond} ? OR frame_hash {beyond} ?)")
    } else {
        String::new()
    };
    format!(
        "{SELECT_POSITIONS} WHERE bucket IN ({}) AND device = ? AND {second} BETWEEN ? AND ?\
         {cursor} ORDER BY bucket {order}, device {order}, recorded_at {order}, \
         frame_hash {order} LIMIT ?",
        placeholders(buckets),
    )
}

/// Days with data from `first` towards `last`, at most [`PAGE_DAYS`].
pub(super) async fn days<P: Product>(
    engine: &Engine<P>,
    device: DeviceId,
    first: u32,
    last: u32,
    descending: bool,
) -> Result<Vec<u32>, Fault> {
    let text = if descending {
        "SELECT day FROM device_days WHERE device = ? AND day BETWEEN ? AND ? \
         ORDER BY day DESC LIMIT ?"
    } else {
        "SELECT day FROM device_days WHERE device = ? AND day BETWEEN ? AND ? \
         ORDER BY day ASC LIMIT ?"
    };
    let (low, high) = if descending { (last, first) } else { (first, last) };
    let values = [device.into(), low.into(), high.into(), PAGE_DAYS.into()];
    let rows = engine.product.rows(fixed(text), &values).await?;
    rows.iter().map(|row| row.need(0)).collect()
}

/// The condition that a row has a GPS fix, bit 15.
pub(super) const HAS_FIX: &str = " AND composition & 32768 <> 0";

pub(in crate::history) async fn last_position<P: Product>(
    engine: &Engine<P>,
    device: DeviceId,
    not_after: u32,
    with_fix: bool,
) -> Result<Option<PositionRecord>, Fault> {
    last_row(engine, device, not_after, if with_fix { HAS_FIX } else { "" }).await
}

/// Walks the device's days backwards until a row is found for which the condition holds.
pub(super) async fn last_row<P: Product>(
    engine: &Engine<P>,
    device: DeviceId,
    not_after: u32,
    condition: &str,
) -> Result<Option<PositionRecord>, Fault> {
    let text = format!(
        "{SELECT_POSITIONS} WHERE bucket IN ({}) AND device = ? AND recorded_at <= ?{condition} \
         ORDER BY bucket DESC, device DESC, recorded_at DESC, frame_hash DESC LIMIT 1",
        placeholders(DAY_BUCKETS),
    );
    let mut next_day = Some(not_after / DAY_SECONDS);
    while let Some(from) = next_day {
        let days = days(engine, device, from, 0, true).await?;
        next_day = days.last().and_then(|day| day.checked_sub(1));
        for day in days {
            let (first, last) = seconds_of(day);
            let buckets = bucket_of(first)..=bucket_of(last);
            let mut values: Vec<Value<'_>> = buckets.map(Value::from).collect();
            values.resize(DAY_BUCKETS, bucket_of(last).into());
            values.extend([Value::from(device), not_after.into()]);
            let rows = engine.product.rows(sql(text.clone()), &values).await?;
            if let Some(row) = rows.first() {
                return position_of(row).map(Some);
            }
        }
    }
    Ok(None)
}

pub(in crate::history) async fn knows_device<P: Product>(
    engine: &Engine<P>,
    device: DeviceId,
) -> Result<bool, Fault> {
    // A letter that only says that the device is unknown does not make it known.
    let is_trace = |reason: &Reason| !matches!(reason, Reason::Quarantined | Reason::UnknownDevice);
    let reasons: Vec<&str> = Reason::all().filter(is_trace).map(Reason::code).collect();
    let text = format!(
        "SELECT EXISTS (SELECT 1 FROM device_days WHERE device = ?) \
         OR EXISTS (SELECT 1 FROM logins WHERE device = ?) \
         OR EXISTS (SELECT 1 FROM devices WHERE device = ?) \
         OR EXISTS (SELECT 1 FROM group_devices WHERE device = ?) \
         OR EXISTS (SELECT 1 FROM dead_letters WHERE device = ? AND reason IN ({}))",
        placeholders(reasons.len())
    );
    let mut values: Vec<Value<'_>> = vec![device.into(); 5];
    values.extend(reasons.into_iter().map(Value::from));
    let rows = engine.product.rows(sql(text), &values).await?;
    rows.first().map_or(Ok(false), |row| Ok(row.need::<u64>(0)? != 0))
}

/// Devices from `device_days`, whose key begins with the device.
pub(in crate::history) async fn devices_after<P: Product>(
    engine: &Engine<P>,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<DeviceId>, Fault> {
    const DEVICES: &str =
        "SELECT DISTINCT device FROM device_days WHERE device >= ? ORDER BY device LIMIT ?";
    let Some(from) = after.map_or(Some(0), |after| after.number().checked_add(1)) else {
        return Ok(Vec::new());
    };
    let rows = engine.product.rows(fixed(DEVICES), &[from.into(), limit.into()]).await?;
    rows.iter().map(|row| row.need(0).map(DeviceId::new)).collect()
}
