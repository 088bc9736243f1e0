//! Channels and their readings as people ask for them: what is said of a channel, and a
//! device's records in time order, a page at a time as positions are (`reads.rs`), rows and sealed
//! records alike.

use std::collections::VecDeque;

use async_trait::async_trait;
use futures_util::{TryStreamExt as _, stream};
use nemeses_protocol::{DeviceId, unpack};

use super::Engine;
use super::channels::text_or_null;
use super::fault::Fault;
use super::plan::DAY_SECONDS;
use super::reads::{PAGE_DAYS, days};
use super::rows::bucket_of;
use super::sealing::{Stretch, hash32, join, sealed_between};
use super::seam::{Product, Session, sql};
use super::sql::placeholders;
use super::value::{Fields, Value};
use super::window::{DAY_BUCKETS, seconds_of};
use super::work::Work;
use crate::StoreError;
use crate::history::channels::{
    Channel, ChannelChange, Channels, NewDerived, ReadingsQuery, ReadingsStream, StoredReadings,
};
use crate::history::derived::Derived;

/// Records of one page of a read.
const PAGE_ROWS: usize = 1000;

/// The assignments of a change and their values.
fn assignments(change: &ChannelChange) -> (Vec<&'static str>, Vec<Value<'_>>) {
    let possible = [
        ("unit = ?", change.unit.as_ref().map(|unit| text_or_null(unit.as_deref()))),
        ("kind = ?", change.kind.map(|kind| kind.word().into())),
        ("label = ?", change.label.as_ref().map(|label| text_or_null(label.as_deref()))),
        (
            "decimals = ?",
            change.decimals.map(|decimals| decimals.map_or(Value::NoNumber, Value::from)),
        ),
    ];
    possible.into_iter().filter_map(|(text, value)| value.map(|value| (text, value))).unzip()
}

#[async_trait]
impl<P: Product> Channels for Engine<P> {
    async fn channels(&self, device: DeviceId) -> Result<Vec<Channel>, StoreError> {
        let list = async {
            let mut own = self.list_of(device).await?;
            let derived = self.derived_from(device, &own).await?;
            own.extend(derived);
            Ok(own)
        };
        list.await.map_err(|fault: Fault| fault.into_error(P::STORE))
    }

    async fn describe(
        &self,
        device: DeviceId,
        name: &str,
        change: &ChannelChange,
    ) -> Result<bool, StoreError> {
        let channels = self.channels(device).await?;
        let Some(channel) = channels.iter().find(|channel| channel.name == name) else {
            return Ok(false);
        };
        let table = if channel.derivation.is_some() { "derived_channels" } else { "channels" };
        let (sets, mut values) = assignments(change);
        if sets.is_empty() {
            return Ok(true);
        }
        values.extend([Value::from(device), name.into()]);
        let text = format!("UPDATE {table} SET {} WHERE device = ? AND name = ?", sets.join(", "));
        let work = Change { text, values: &values };
        self.transact(work).await.map_err(|fault| fault.into_error(P::STORE))?;
        self.lists.forget(device);
        Ok(true)
    }

    async fn derive(
        &self,
        device: DeviceId,
        new: &NewDerived,
        now_ms: u64,
    ) -> Result<Derived, StoreError> {
        let derived = self.derive_channel(device, new, now_ms).await;
        derived.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn underive(&self, device: DeviceId, name: &str) -> Result<bool, StoreError> {
        self.remove_derived(device, name).await.map_err(|fault| fault.into_error(P::STORE))
    }

    fn readings(&self, query: ReadingsQuery) -> ReadingsStream<'_> {
        readings(self, query)
    }
}

/// Runs a statement that was put together.
struct Change<'a> {
    text: String,
    values: &'a [Value<'a>],
}

#[async_trait]
impl<P: Product> Work<P> for Change<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        session.execute(sql(self.text.clone()), self.values).await
    }
}

/// Where a read stands.
struct Cursor {
    query: ReadingsQuery,
    /// Days still to read, in order; more are looked up when none is left.
    days: VecDeque<u32>,
    /// The next day to look up from; `None` behind the last.
    next_day: Option<u32>,
    /// The last row of the page before.
    after: Option<(u64, u64)>,
}

pub(super) fn readings<P: Product>(engine: &Engine<P>, query: ReadingsQuery) -> ReadingsStream<'_> {
    let cursor = Cursor::new(query);
    let pages = stream::try_unfold(cursor, move |mut cursor| async move {
        let page = cursor.next_page(engine).await.map_err(|fault| fault.into_error(P::STORE))?;
        Ok::<_, StoreError>(page.map(|rows| (stream::iter(rows.into_iter().map(Ok)), cursor)))
    });
    Box::pin(pages.try_flatten())
}

/// The second of a time, for the days and buckets that it lies in.
fn second(time_ms: u64) -> u32 {
    u32::try_from(time_ms / 1000).unwrap_or(u32::MAX)
}

impl Cursor {
    fn new(query: ReadingsQuery) -> Self {
        let first = if query.descending { query.to_ms } else { query.from_ms };
        let next_day = (query.from_ms <= query.to_ms).then(|| second(first) / DAY_SECONDS);
        Self { query, days: VecDeque::new(), next_day, after: None }
    }

    /// The next rows, never none of them; `None` at the end.
    async fn next_page<P: Product>(
        &mut self,
        engine: &Engine<P>,
    ) -> Result<Option<Vec<StoredReadings>>, Fault> {
        loop {
            let Some(day) = self.day(engine).await? else { return Ok(None) };
            let rows = self.read(engine, day).await?;
            let page_end = if rows.len() < PAGE_ROWS {
                None
            } else {
                rows.last().map(|row| (row.recorded_at_ms, row.content_hash))
            };
            let (records, end) = self.with_sealed(engine, day, rows, page_end).await?;
            self.after = end;
            if end.is_none() {
                self.days.pop_front();
            }
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
    }

    /// The day to read now.
    async fn day<P: Product>(&mut self, engine: &Engine<P>) -> Result<Option<u32>, Fault> {
        if let (None, Some(from)) = (self.days.front(), self.next_day) {
            let ReadingsQuery { device, from_ms, to_ms, descending } = self.query;
            let end = second(if descending { from_ms } else { to_ms }) / DAY_SECONDS;
            let days = days(engine, device, from, end, descending).await?;
            let more = days.len() as u64 == PAGE_DAYS;
            self.next_day = days
                .last()
                .filter(|_| more)
                .and_then(|day| if descending { day.checked_sub(1) } else { day.checked_add(1) });
            self.days = days.into();
        }
        Ok(self.days.front().copied())
    }

    /// The times that are left of the range, both included.
    const fn left_ms(&self) -> (u64, u64) {
        let ReadingsQuery { from_ms, to_ms, descending, .. } = self.query;
        match self.after {
            Some((after_ms, _)) if descending => (from_ms, after_ms),
            Some((after_ms, _)) => (after_ms, to_ms),
            None => (from_ms, to_ms),
        }
    }

    /// Adds what is sealed of the stretch in which these rows are all the rows: up to `page_end`,
    /// or the rest of the day. Returns the records and where they end within the day.
    async fn with_sealed<P: Product>(
        &self,
        engine: &Engine<P>,
        day: u32,
        mut rows: Vec<StoredReadings>,
        page_end: Option<(u64, u64)>,
    ) -> Result<(Vec<StoredReadings>, Option<(u64, u64)>), Fault> {
        let ReadingsQuery { device, descending, .. } = self.query;
        let (first, last) = seconds_of(day);
        let (from_ms, to_ms) = self.left_ms();
        let mut low_ms = from_ms.max(u64::from(first) * 1000);
        let mut high_ms = to_ms.min(u64::from(last) * 1000 + 999);
        match page_end {
            Some((end_ms, _)) if descending => low_ms = end_ms,
            Some((end_ms, _)) => high_ms = end_ms,
            None => {}
        }
        if low_ms > high_ms {
            return Ok((rows, page_end));
        }
        let stretch = Stretch { device, low_ms, high_ms, descending };
        let mut sealed = sealed_between(&engine.product, stretch).await?;
        let mut end = page_end;
        if let Some(until_ms) = sealed.until_ms {
            end = Some((until_ms, if descending { 0 } else { u64::MAX }));
            rows.retain(|row| {
                let at_ms = row.recorded_at_ms;
                if descending { at_ms >= until_ms } else { at_ms <= until_ms }
            });
        }
        let place = |(at_ms, hash): (u64, u64)| (at_ms, hash32(hash));
        sealed.records.retain(|record| {
            let at = place((record.recorded_at_ms, record.content_hash));
            let (after, end) = (self.after.map(place), end.map(place));
            if descending {
                after.is_none_or(|after| at < after) && end.is_none_or(|end| at >= end)
            } else {
                after.is_none_or(|after| at > after) && end.is_none_or(|end| at <= end)
            }
        });
        Ok((join(rows, sealed.records, descending), end))
    }

    async fn read<P: Product>(
        &self,
        engine: &Engine<P>,
        day: u32,
    ) -> Result<Vec<StoredReadings>, Fault> {
        let ReadingsQuery { device, descending, .. } = self.query;
        let (from_ms, to_ms) = self.left_ms();
        let (first, last) = seconds_of(day);
        let buckets = bucket_of(first)..=bucket_of(last);
        let mut values: Vec<Value<'_>> = buckets.map(Value::from).collect();
        values.resize(DAY_BUCKETS, bucket_of(last).into());
        values.extend([Value::from(device), from_ms.into(), to_ms.into()]);
        if let Some((after_ms, hash)) = self.after {
            values.extend([after_ms.into(), Value::Hash(hash)]);
        }
        values.push((PAGE_ROWS as u64).into());
        let text = page_sql(self.after.is_some(), descending);
        let rows = engine.product.rows(sql(text), &values).await?;
        rows.iter().map(stored).collect()
    }
}

/// As the page of positions (`reads.rs`): the bucket follows from the time, so the order
/// of the key is the order of time.
fn page_sql(with_cursor: bool, descending: bool) -> String {
    let (beyond, order) = if descending { ("<", "DESC") } else { (">", "ASC") };
    let cursor = if with_cursor {
        format!(" AND (recorded_at_ms + 0 {beyond} ? OR content_hash {beyond} ?)")
    } else {
        String::new()
    };
    format!(
        "SELECT recorded_at_ms, content_hash, received_at_ms, timeless, packed FROM readings \
         WHERE bucket IN ({}) AND device = ? AND recorded_at_ms BETWEEN ? AND ?{cursor} \
         ORDER BY bucket {order}, device {order}, recorded_at_ms {order}, content_hash {order} \
         LIMIT ?",
        placeholders(DAY_BUCKETS),
    )
}

/// A row as [`page_sql`] selects it.
pub(super) fn stored(row: &impl Fields) -> Result<StoredReadings, Fault> {
    let packed = row.bytes(4)?.unwrap_or_default();
    Ok(StoredReadings {
        recorded_at_ms: row.need(0)?,
        content_hash: row.hash(1)?,
        received_at_ms: row.need(2)?,
        timeless: row.need::<u8>(3)? != 0,
        values: unpack(&packed).ok_or_else(|| Fault::column(4, "holds no packed values"))?,
    })
}
