//! Reads the values of series: each device's readings and positions once, in order of time,
//! whatever is made of them.

use futures_util::TryStreamExt as _;
use nemeses_protocol::PositionRecord;
use nemeses_series::{Aggregate, Drawing, Resampler, SeriesError, Value, Windows};
use nemeses_store::history::{RangeQuery, ReadingsQuery, StoredReadings};

use super::positions::at_ms;
use super::select::{OfDevice, Source, value};
use super::{MAX_READ, MAX_VALUES};
use crate::backend::Backend;
use crate::problem::Problem;

/// Rows before the range that are looked through for the value to count from.
const LOOKED_BACK: usize = 1000;

/// What becomes of a series' values.
#[derive(Debug)]
pub(super) enum Sink<'a> {
    /// All of them, at most so many.
    Values {
        kept: Vec<(i64, Value)>,
        most: usize,
    },
    Windows(Resampler<'a>),
    Drawing(Drawing),
}

impl Sink<'_> {
    /// Adds a value; whether another is wanted.
    fn push(&mut self, at_ms: i64, value: Value) -> Result<bool, SeriesError> {
        match self {
            Self::Values { kept, most } => {
                kept.push((at_ms, value));
                return Ok(kept.len() < *most);
            }
            Self::Windows(resampler) => resampler.push(at_ms, &value)?,
            Self::Drawing(drawing) => drawing.push(at_ms, value.as_finite())?,
        }
        Ok(true)
    }
}

/// Where a device's values go.
struct Target<'a, 'w> {
    of: &'a OfDevice,
    /// Of each of its channels.
    sinks: &'a mut [Sink<'w>],
    /// Whether it wants more.
    open: &'a mut [bool],
}

impl Target<'_, '_> {
    /// Whether a channel of such a source wants more.
    fn wants(&self, is_meant: impl Fn(&Source) -> bool) -> bool {
        let mut channels = self.of.channels.iter().zip(self.open.iter());
        channels.any(|(channel, open)| *open && is_meant(&channel.source))
    }
}

/// Reads for one request, within its bounds.
pub(super) struct Reader<'a> {
    state: &'a Backend,
    rows_left: usize,
    values_left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(state: &'a Backend) -> Self {
        Self { state, rows_left: MAX_READ, values_left: MAX_VALUES }
    }

    /// Hands a device's values in the range to the sinks of its channels, the newest first if
    /// `descending`.
    pub(super) async fn read(
        &mut self,
        of: &OfDevice,
        range_ms: (u64, u64),
        descending: bool,
        sinks: &mut [Sink<'_>],
    ) -> Result<(), Problem> {
        let mut open = vec![true; sinks.len()];
        let mut into = Target { of, sinks, open: &mut open };
        self.readings(range_ms, descending, &mut into).await?;
        self.positions(range_ms, descending, &mut into).await
    }

    async fn readings(
        &mut self,
        (from_ms, to_ms): (u64, u64),
        descending: bool,
        into: &mut Target<'_, '_>,
    ) -> Result<(), Problem> {
        let query = ReadingsQuery { device: into.of.device, from_ms, to_ms, descending };
        let mut records = self.state.stores.channels.readings(query);
        while into.wants(|source| matches!(source, Source::Own(_))) {
            let Some(record) = self.state.history.ask(records.try_next()).await? else { break };
            self.counted()?;
            self.hand_on(into, record.recorded_at_ms, |source| value_in(source, &record))?;
        }
        Ok(())
    }

    async fn positions(
        &mut self,
        (from_ms, to_ms): (u64, u64),
        descending: bool,
        into: &mut Target<'_, '_>,
    ) -> Result<(), Problem> {
        let second = |ms: u64| u32::try_from(ms / 1000).unwrap_or(u32::MAX);
        let query = RangeQuery {
            device: into.of.device,
            from: second(from_ms),
            to: second(to_ms),
            descending,
            after: None,
            limit: None,
        };
        let mut records = self.state.stores.history.positions(query);
        // Rows come by seconds; those of one second are put in order here.
        let mut of_second: Vec<(i64, PositionRecord)> = Vec::new();
        while into.wants(|source| matches!(source, Source::Position(_))) {
            let record = self.state.history.ask(records.try_next()).await?;
            let (ended, begins) = (record.is_none(), record.as_ref().map(at_ms));
            let next = begins.is_some_and(|at_ms| {
                of_second.last().is_some_and(|(held, _)| held / 1000 != at_ms / 1000)
            });
            if ended || next {
                of_second.sort_by_key(|(at_ms, _)| if descending { -at_ms } else { *at_ms });
                for (at_ms, record) in of_second.drain(..) {
                    let at_ms = at_ms.max(0).cast_unsigned();
                    self.hand_on(into, at_ms, |source| value_at(source, &record))?;
                }
            }
            let Some(record) = record else { break };
            self.counted()?;
            of_second.push((at_ms(&record), record));
        }
        Ok(())
    }

    /// Hands on what a row says of the channels that want more.
    fn hand_on(
        &mut self,
        into: &mut Target<'_, '_>,
        at_ms: u64,
        value: impl Fn(&Source) -> Option<Value>,
    ) -> Result<(), Problem> {
        for (at, channel) in into.of.channels.iter().enumerate() {
            if into.open[at]
                && let Some(value) = value(&channel.source)
            {
                into.open[at] = self.push(&mut into.sinks[at], at_ms, value)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, sink: &mut Sink<'_>, at_ms: u64, value: Value) -> Result<bool, Problem> {
        if matches!(sink, Sink::Values { .. }) {
            self.values_left = self.values_left.checked_sub(1).ok_or_else(|| {
                let detail = format!(
                    "The answer has more than {MAX_VALUES} values: choose a shorter range, or a step."
                );
                Problem::parameter("from", detail)
            })?;
        }
        sink.push(at_ms.cast_signed(), value)
            .map_err(|error| Problem::parameter("agg", format!("{error}: choose a shorter step.")))
    }

    /// One more row was read.
    fn counted(&mut self) -> Result<(), Problem> {
        self.rows_left = self.rows_left.checked_sub(1).ok_or_else(|| {
            let detail = format!(
                "More than {MAX_READ} records are in the range: choose a shorter one, or fewer devices."
            );
            Problem::parameter("from", detail)
        })?;
        Ok(())
    }

    /// Each channel's last number before a time, which differences count from.
    pub(super) async fn before(
        &mut self,
        of: &OfDevice,
        from_ms: u64,
    ) -> Result<Vec<Option<(i64, f64)>>, Problem> {
        let mut found = vec![None; of.channels.len()];
        let Some(to_ms) = from_ms.checked_sub(1) else { return Ok(found) };
        if of.channels.iter().any(|channel| matches!(channel.source, Source::Own(_))) {
            let query = ReadingsQuery { device: of.device, from_ms: 0, to_ms, descending: true };
            let mut records = self.state.stores.channels.readings(query);
            let mut left = LOOKED_BACK;
            while left > 0 && missing(of, &found, |source| matches!(source, Source::Own(_))) {
                let Some(record) = self.state.history.ask(records.try_next()).await? else { break };
                let at_ms = record.recorded_at_ms.cast_signed();
                note(of, &mut found, at_ms, |source| value_in(source, &record));
                left -= 1;
            }
        }
        if of.channels.iter().any(|channel| matches!(channel.source, Source::Position(_))) {
            let to = u32::try_from(to_ms / 1000).unwrap_or(u32::MAX);
            let past = self.state.stores.history.last_position(of.device, to, false);
            if let Some(record) = self.state.history.ask(past).await? {
                note(of, &mut found, at_ms(&record), |source| value_at(source, &record));
            }
        }
        Ok(found)
    }
}

fn missing(
    of: &OfDevice,
    found: &[Option<(i64, f64)>],
    is_meant: impl Fn(&Source) -> bool,
) -> bool {
    of.channels
        .iter()
        .zip(found)
        .any(|(channel, found)| is_meant(&channel.source) && found.is_none())
}

fn note(
    of: &OfDevice,
    found: &mut [Option<(i64, f64)>],
    at_ms: i64,
    value: impl Fn(&Source) -> Option<Value>,
) {
    for (channel, found) in of.channels.iter().zip(found).filter(|(_, found)| found.is_none()) {
        *found = value(&channel.source).and_then(|value| Some((at_ms, value.as_finite()?)));
    }
}

fn value_in(source: &Source, record: &StoredReadings) -> Option<Value> {
    match source {
        Source::Own(channel) => Some(value(&channel.read(record.value(channel.number)?)?)),
        Source::Position(_) => None,
    }
}

fn value_at(source: &Source, record: &PositionRecord) -> Option<Value> {
    match source {
        Source::Position(channel) => channel.value(record),
        Source::Own(_) => None,
    }
}

/// What windows are made of: each series by the aggregates that were asked for, or those that
/// suit it.
pub(super) async fn by_window(
    reader: &mut Reader<'_>,
    of: &OfDevice,
    windows: &Windows,
    aggregates: &[Vec<Aggregate>],
) -> Result<Vec<nemeses_series::Resampled>, Problem> {
    let whole = windows.range_ms();
    let from_ms = whole.start.max(0).cast_unsigned();
    let to_ms = (whole.end - 1).max(0).cast_unsigned();
    let counts = |aggregate: &Aggregate| matches!(aggregate, Aggregate::Rate | Aggregate::Delta);
    let before = if aggregates.iter().flatten().any(counts) {
        reader.before(of, from_ms).await?
    } else {
        vec![None; of.channels.len()]
    };
    let mut sinks: Vec<Sink<'_>> = (of.channels.iter().zip(aggregates).zip(before))
        .map(|((channel, aggregates), before)| {
            Sink::Windows(Resampler::new(windows, aggregates, channel.kind(), before))
        })
        .collect();
    reader.read(of, (from_ms, to_ms), false, &mut sinks).await?;
    let done = |sink| match sink {
        Sink::Windows(resampler) => Some(resampler.finish()),
        Sink::Values { .. } | Sink::Drawing(_) => None,
    };
    Ok(sinks.into_iter().filter_map(done).collect())
}
