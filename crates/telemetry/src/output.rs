//! What comes out, and how readings are gathered into records.

use std::collections::HashMap;
use std::ops::Range;

use nemeses_protocol::{
    MAX_READINGS, MAX_READINGS_BYTES, Reading, Value, Whereabouts, write_readings,
};

use crate::TelemetryError;
use crate::time::Moment;

/// So many parts of a payload are rejected one by one; what is rejected beyond them is in
/// the last one, with the bytes between. A payload of rubbish must not cost a hundred
/// times its size.
pub const MAX_REJECTED: usize = 1000;

/// What a payload says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// In the order in which they first appear. Several may be of one moment: a channel
    /// that has two values there has them in two records.
    pub records: Vec<Measured>,
    /// What could not be read.
    pub rejected: Vec<Rejected>,
}

/// Values that were measured together, as a [`nemeses_protocol::ReadingsRecord`] holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The device, where the payload names it: the member `id`, SenML's base name, or line
    /// protocol's tags `device` and `host` (the latter as `host:NAME`). At most
    /// [`crate::MAX_NAME`] bytes, otherwise unchecked.
    pub name: Option<String>,
    /// Unix milliseconds.
    pub recorded_at_ms: u64,
    /// Whether the time is that of the arrival or relative to it: sent again, it is another.
    pub timeless: bool,
    /// Where the device was, if the payload says so.
    pub position: Option<Whereabouts>,
    /// In the order of their channels, each channel once, within the bounds of a record; at
    /// least one, unless there is a position.
    pub readings: Vec<Reading>,
}

/// A part of a payload that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where it begins in the payload.
    pub offset: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Why, for programs.
    pub reason: TelemetryError,
    /// Why, for people: what is wrong, where, and what to do.
    pub detail: String,
}

/// A reading and where it stands in the payload.
struct Placed {
    reading: Reading,
    span: Range<usize>,
}

struct Group {
    name: Option<String>,
    moment: Moment,
    position: Option<Whereabouts>,
    readings: Vec<Placed>,
    /// At least as many bytes as the readings take.
    bytes: usize,
}

struct Refusal {
    span: Range<usize>,
    reason: TelemetryError,
    detail: String,
    /// How many more are in it.
    more: usize,
}

/// Gathers readings and rejected parts of one payload.
pub(crate) struct Output<'p> {
    pub(crate) payload: &'p [u8],
    pub(crate) received_at_ms: u64,
    groups: Vec<Group>,
    by_moment: HashMap<(Option<String>, Moment), usize>,
    refusals: Vec<Refusal>,
}

/// A record that readings can be put into.
#[derive(Clone, Copy)]
pub(crate) struct GroupId(usize);

impl<'p> Output<'p> {
    pub(crate) fn new(payload: &'p [u8], received_at_ms: u64) -> Self {
        let by_moment = HashMap::new();
        Self { payload, received_at_ms, groups: Vec::new(), by_moment, refusals: Vec::new() }
    }

    /// A record of its own.
    pub(crate) fn open(&mut self, name: Option<String>, moment: Moment) -> GroupId {
        self.groups.push(Group { name, moment, position: None, readings: Vec::new(), bytes: 0 });
        GroupId(self.groups.len() - 1)
    }

    /// How many records were opened.
    pub(crate) fn groups_so_far(&self) -> usize {
        self.groups.len()
    }

    /// Gives the records from `first` on this device.
    pub(crate) fn name_from(&mut self, first: usize, name: &str) {
        for group in self.groups.iter_mut().skip(first) {
            group.name = Some(name.to_owned());
        }
    }

    /// Removes the records from `first` on; the caller rejects their bytes.
    pub(crate) fn drop_from(&mut self, first: usize) {
        self.groups.truncate(first);
        self.by_moment.retain(|_, at| *at < first);
    }

    /// How many parts were rejected, those that one stands for included.
    pub(crate) fn refused_so_far(&self) -> usize {
        self.refusals.iter().map(|refusal| 1 + refusal.more).sum()
    }

    /// The record of this device and moment.
    pub(crate) fn group(&mut self, name: Option<String>, moment: Moment) -> GroupId {
        let key = (name, moment);
        if let Some(found) = self.by_moment.get(&key) {
            return GroupId(*found);
        }
        let opened = self.open(key.0.clone(), moment);
        self.by_moment.insert(key, opened.0);
        opened
    }

    pub(crate) fn put(&mut self, GroupId(group): GroupId, reading: Reading, span: Range<usize>) {
        let group = &mut self.groups[group];
        group.bytes += most_bytes(&reading);
        group.readings.push(Placed { reading, span });
    }

    /// Puts a reading into the record of this device and moment, and into a further one when that
    /// is full.
    pub(crate) fn put_at(
        &mut self,
        name: &str,
        moment: Moment,
        reading: Reading,
        span: Range<usize>,
    ) {
        let key = (Some(name.to_owned()), moment);
        let mut found = self.group(key.0.clone(), moment);
        let Group { readings, bytes, .. } = &self.groups[found.0];
        if readings.len() >= MAX_READINGS || bytes + most_bytes(&reading) > MAX_READINGS_BYTES {
            found = self.open(key.0.clone(), moment);
            self.by_moment.insert(key, found.0);
        }
        self.put(found, reading, span);
    }

    /// Says where the device was; in the first record of a moment.
    pub(crate) fn locate(&mut self, GroupId(group): GroupId, position: Whereabouts) {
        self.groups[group].position = Some(position);
    }

    /// Where a part of the payload stands in it.
    pub(crate) fn span(&self, part: &[u8]) -> Range<usize> {
        let start = part.as_ptr().addr().saturating_sub(self.payload.as_ptr().addr());
        start..start + part.len()
    }

    pub(crate) fn reject(&mut self, span: Range<usize>, reason: TelemetryError, detail: String) {
        let same = |last: &&mut Refusal| last.span == span && last.reason == reason;
        if let Some(last) = self.refusals.last_mut().filter(same) {
            // The same bytes are stored once.
            last.more += 1;
        } else if self.refusals.len() < MAX_REJECTED {
            self.refusals.push(Refusal { span, reason, detail, more: 0 });
        } else if let Some(last) = self.refusals.last_mut() {
            last.span = last.span.start.min(span.start)..last.span.end.max(span.end);
            last.more += 1;
        }
    }

    pub(crate) fn reject_all(&mut self, reason: TelemetryError, detail: String) {
        self.reject(0..self.payload.len(), reason, detail);
    }

    pub(crate) fn finish(mut self) -> Decoded {
        let mut records = Vec::new();
        for group in std::mem::take(&mut self.groups) {
            let Group { name, moment, mut position, readings, .. } = group;
            let mut layers = layers(readings);
            if layers.is_empty() && position.is_some() {
                layers.push(Vec::new());
            }
            for layer in layers {
                records.push(Measured {
                    name: name.clone(),
                    recorded_at_ms: moment.at_ms,
                    timeless: moment.timeless,
                    position: position.take(),
                    readings: self.bounded(layer),
                });
            }
        }
        let payload = self.payload;
        let rejected = self.refusals.into_iter().map(|refusal| refusal.written(payload)).collect();
        Decoded { records, rejected }
    }

    /// The readings that a record has room for; the others are rejected. In the order of
    /// the channels, so that a record that is sent with its members in another order has
    /// the same ones.
    fn bounded(&mut self, layer: Vec<Placed>) -> Vec<Reading> {
        let most: usize = layer.iter().map(|placed| most_bytes(&placed.reading)).sum();
        if layer.len() <= MAX_READINGS && most <= MAX_READINGS_BYTES {
            return layer.into_iter().map(|placed| placed.reading).collect();
        }
        let mut readings = Vec::with_capacity(layer.len().min(MAX_READINGS));
        let mut bytes = 0;
        for Placed { reading, span } in layer {
            let size = write_readings(std::slice::from_ref(&reading)).len();
            if readings.len() < MAX_READINGS && bytes + size <= MAX_READINGS_BYTES {
                bytes += size;
                readings.push(reading);
            } else {
                let detail = format!(
                    "a record holds {MAX_READINGS} values and {MAX_READINGS_BYTES} bytes, and {} \
                     no longer fits; send fewer values at a time",
                    quoted(&reading.channel)
                );
                self.reject(span, TelemetryError::TooManyValues, detail);
            }
        }
        readings
    }
}

/// At least as many bytes as the reading takes encoded: lengths of 5 bytes, a value of 11.
fn most_bytes(reading: &Reading) -> usize {
    let text = if let Value::Text(text) = &reading.value { text.len() } else { 0 };
    16 + reading.channel.len() + text
}

/// The readings of one moment in records that have each channel once, in its order. The
/// second value of a channel is in the second record; an equal one is the same reading.
fn layers(mut readings: Vec<Placed>) -> Vec<Vec<Placed>> {
    readings.sort_by(|a, b| a.reading.channel.cmp(&b.reading.channel));
    readings.dedup_by(|later, kept| later.reading == kept.reading);
    let mut layers: Vec<Vec<Placed>> = Vec::new();
    let mut layer = 0_usize;
    for placed in readings {
        // The last reading went to the layer before this one.
        let previous = layer.checked_sub(1).and_then(|last| layers[last].last());
        if previous.is_none_or(|previous| previous.reading.channel != placed.reading.channel) {
            layer = 0;
        }
        if layer == layers.len() {
            layers.push(Vec::new());
        }
        layers[layer].push(placed);
        layer += 1;
    }
    layers
}

impl Refusal {
    fn written(self, payload: &[u8]) -> Rejected {
        let Self { span, reason, mut detail, more } = self;
        if more > 0 {
            detail =
                format!("{detail}; {more} more parts up to byte {} are here as well", span.end);
        }
        let bytes = payload.get(span.clone()).unwrap_or_default().to_vec();
        Rejected { offset: span.start, bytes, reason, detail }
    }
}

/// A text of the payload as a detail shows it: in quotes, and not too much of it.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
