//! What a rule would have raised, had it been there: rows of the past, as if each had come at once.

use futures_util::StreamExt as _;
use nemeses_protocol::DeviceId;
use nemeses_rules::{Change, DeviceState, FenceIndex, RuleSet, Sample, Transition};
use nemeses_store::StoreError;
use nemeses_store::history::{Database, RangeQuery, ReadingsQuery};

use crate::channels::values;

/// An alarm that would have been.
#[derive(Clone, Debug, PartialEq)]
pub struct WouldBe {
    /// How it would have opened.
    pub opened: Transition,
    /// When it would have cleared, Unix milliseconds; `None` where it would still be open.
    pub cleared_at_ms: Option<u64>,
}

/// What rules would have raised by a device's rows from one second to another, inclusive. Rows are read as they
/// are taken.
///
/// # Errors
/// What the database reports.
pub async fn would_have_raised(
    database: &Database,
    set: &RuleSet,
    fences: &FenceIndex,
    device: DeviceId,
    (since, until): (u32, u32),
) -> Result<Vec<WouldBe>, StoreError> {
    let (history, channels) = (database.history(), database.channels());
    let list = channels.channels(device).await?;
    let query =
        RangeQuery { device, from: since, to: until, descending: false, after: None, limit: None };
    let positions = history.positions(query).map(|row| row.map(|row| Sample::of_position(&row)));
    let (from_ms, to_ms) = (u64::from(since) * 1000, u64::from(until) * 1000 + 999);
    let query = ReadingsQuery { device, from_ms, to_ms, descending: false };
    let readings = channels.readings(query).map(|row| {
        row.map(|row| {
            let read = values(&list, &row.values);
            let read = read.iter().map(|(name, value)| (*name, value));
            Sample::of_readings(row.recorded_at_ms, row.received_at_ms, row.content_hash, read)
        })
    });
    let (mut positions, mut readings) = (positions.boxed(), readings.boxed());
    let (mut position, mut reading) =
        (positions.next().await.transpose()?, readings.next().await.transpose()?);
    let mut rehearsal = Rehearsal::new(set, fences);
    loop {
        let positions_first = match (&position, &reading) {
            (None, None) => return Ok(rehearsal.end(to_ms)),
            (Some(position), Some(reading)) => position.at_ms <= reading.at_ms,
            (position, _) => position.is_some(),
        };
        if positions_first {
            rehearsal.take(position.as_ref());
            position = positions.next().await.transpose()?;
        } else {
            rehearsal.take(reading.as_ref());
            reading = readings.next().await.transpose()?;
        }
    }
}

/// Rules and a device's rows in order of time.
struct Rehearsal<'a> {
    set: &'a RuleSet,
    fences: &'a FenceIndex,
    state: DeviceState,
    raised: Vec<Transition>,
}

impl<'a> Rehearsal<'a> {
    fn new(set: &'a RuleSet, fences: &'a FenceIndex) -> Self {
        Self { set, fences, state: DeviceState::default(), raised: Vec::new() }
    }

    fn take(&mut self, sample: Option<&Sample>) {
        let Some(sample) = sample else { return };
        let now_ms = sample.at_ms;
        self.raised.extend(self.state.tick(self.set, now_ms, 0));
        let on_time = Sample { received_at_ms: now_ms, ..sample.clone() };
        self.raised.extend(self.state.apply(self.set, self.fences, &on_time, now_ms).transitions);
    }

    fn end(mut self, until_ms: u64) -> Vec<WouldBe> {
        self.raised.extend(self.state.tick(self.set, until_ms, 0));
        let key = |one: &Transition| (one.rule, one.episode);
        let end_of = |opened: &Transition| {
            let is_end =
                |one: &&Transition| one.change == Change::Cleared && key(one) == key(opened);
            self.raised.iter().find(is_end).map(|one| one.at_ms)
        };
        let opened = self.raised.iter().filter(|one| one.change == Change::Opened);
        opened.map(|one| WouldBe { opened: *one, cleared_at_ms: end_of(one) }).collect()
    }
}
