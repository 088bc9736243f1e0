//! Readings become rows: who and which channel by number, and the values packed. A position
//! that came with them is a record of its own from here on.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use nemeses_protocol::{
    BatchKey, DeadLetter, DeviceId, Identity, Reading, ReadingsRecord, Reason, Record, pack,
};

use super::Engine;
use super::channels::{List, Wanted};
use super::fault::Fault;
use super::keyed::ReadingsRow;
use super::rule_marks::Concerned;
use super::seam::Product;
use crate::history::Part;

/// Parts without their readings, and these as rows. A record with both a position and readings is
/// two rows under the same time and hash.
pub(in crate::history) struct Prepared<'a> {
    pub(in crate::history) parts: Cow<'a, [Part]>,
    pub(in crate::history) readings: Vec<ReadingsRow>,
    /// By part: how many values became dead letters, since their device may have no more
    /// channels.
    pub(in crate::history) values_refused: Vec<u64>,
    /// Whose rows leave marks for the rules.
    pub(in crate::history) concerned: Arc<Concerned>,
}

impl Prepared<'_> {
    /// Those of the parts for whose index `wanted` holds, as one part.
    pub(super) fn together(
        &self,
        key: &BatchKey,
        wanted: impl Fn(usize) -> bool,
    ) -> Prepared<'static> {
        let mut part = Part { key: key.clone(), tallies: Vec::new(), records: Vec::new() };
        let mut values_refused = 0;
        for (index, other) in self.parts.iter().enumerate().filter(|(index, _)| wanted(*index)) {
            part.tallies.extend_from_slice(&other.tallies);
            part.records.extend_from_slice(&other.records);
            values_refused += self.values_refused[index];
        }
        let readings = self.readings.iter().filter(|row| wanted(row.part));
        Prepared {
            parts: Cow::Owned(vec![part]),
            readings: readings.map(|row| ReadingsRow { part: 0, ..row.clone() }).collect(),
            values_refused: vec![values_refused],
            concerned: Arc::clone(&self.concerned),
        }
    }
}

/// Numbers of devices, and their channels.
type Numbered<'a> = HashMap<&'a Identity, (DeviceId, Arc<List>)>;

impl<P: Product> Engine<P> {
    /// Gives devices and channels their numbers, and takes the readings out of the parts, whose
    /// positions stay in them.
    /// What is beyond a device's channels becomes a dead letter; the record's other values
    /// are kept.
    pub(super) async fn prepare<'a>(&self, parts: &'a [Part]) -> Result<Prepared<'a>, Fault> {
        let values_refused = vec![0; parts.len()];
        let concerned = self.concerned().await?;
        if records_of(parts).next().is_none() {
            let parts = Cow::Borrowed(parts);
            return Ok(Prepared { parts, readings: Vec::new(), values_refused, concerned });
        }
        let numbered = self.number_all(parts).await?;
        let mut prepared =
            Prepared { parts: Cow::default(), readings: Vec::new(), values_refused, concerned };
        for (index, part) in parts.iter().enumerate() {
            let mut rest =
                Part { key: part.key.clone(), tallies: part.tallies.clone(), records: Vec::new() };
            for record in &part.records {
                let Record::Readings(record) = record else {
                    rest.records.push(record.clone());
                    continue;
                };
                let Some((device, list)) = numbered.get(&record.identity) else { continue };
                rest.records.extend(record.position_of(*device).map(Record::Position));
                let (row, beyond) = row_of(index, *device, record, list);
                prepared.readings.extend(row);
                prepared.values_refused[index] += beyond.len() as u64;
                rest.records.extend(letters_of(record, *device, &beyond));
            }
            prepared.parts.to_mut().push(rest);
        }
        Ok(prepared)
    }

    /// The devices of all readings in the parts with their channels, all as new as need be.
    async fn number_all<'a>(&self, parts: &'a [Part]) -> Result<Numbered<'a>, Fault> {
        let mut wanted: HashMap<&Identity, (Vec<&Reading>, u64)> = HashMap::new();
        let mut order: Vec<&Identity> = Vec::new();
        for record in records_of(parts) {
            let arrived_ms = record.received_at_ms;
            let (readings, first_ms) = wanted.entry(&record.identity).or_insert_with(|| {
                order.push(&record.identity);
                (Vec::new(), arrived_ms)
            });
            readings.extend(&record.readings);
            *first_ms = arrived_ms.min(*first_ms);
        }
        let mut of_devices: Vec<Wanted<'_>> = Vec::with_capacity(order.len());
        let mut places: HashMap<DeviceId, usize> = HashMap::with_capacity(order.len());
        let mut devices = Vec::with_capacity(order.len());
        for identity in order {
            let Some((readings, now_ms)) = wanted.remove(identity) else { continue };
            let device = self.number_for(identity, now_ms).await?;
            devices.push((identity, device));
            // A device may be sent for under its name and under its number.
            if let Some(place) = places.get(&device) {
                of_devices[*place].readings.extend(readings);
                continue;
            }
            places.insert(device, of_devices.len());
            of_devices.push(Wanted { device, readings, now_ms });
        }
        let lists = self.channels_for(&of_devices).await?;
        let of =
            |device: DeviceId| places.get(&device).and_then(|place| lists.get(*place)).cloned();
        let numbered = devices.into_iter();
        Ok(numbered
            .filter_map(|(identity, device)| Some((identity, (device, of(device)?))))
            .collect())
    }
}

fn records_of(parts: &[Part]) -> impl Iterator<Item = &ReadingsRecord> {
    parts.iter().flat_map(|part| &part.records).filter_map(|record| match record {
        Record::Readings(record) => Some(&**record),
        Record::Position(_) | Record::DeadLetter(_) => None,
    })
}

/// A record as a row, unless none of its readings has a channel, and the readings that
/// have none.
fn row_of(
    part: usize,
    device: DeviceId,
    record: &ReadingsRecord,
    list: &List,
) -> (Option<ReadingsRow>, Vec<Reading>) {
    let mut values: Vec<(u16, &Reading)> = Vec::with_capacity(record.readings.len());
    let mut beyond = Vec::new();
    for reading in &record.readings {
        match list.number(reading) {
            Some(number) => values.push((number, reading)),
            None => beyond.push(reading.clone()),
        }
    }
    values.sort_by_key(|(number, _)| *number);
    // Two names can mean one channel, if one of them bears its unit.
    values.dedup_by(|later, kept| {
        let twin = later.0 == kept.0;
        beyond.extend(twin.then(|| later.1.clone()));
        twin
    });
    let row = ReadingsRow {
        part,
        device,
        recorded_at_ms: record.recorded_at_ms,
        content_hash: record.content_hash,
        received_at_ms: record.received_at_ms,
        timeless: record.timeless,
        value_count: u16::try_from(values.len()).unwrap_or(u16::MAX),
        packed: pack(values.iter().map(|(number, reading)| (*number, &reading.value))),
    };
    ((!values.is_empty()).then_some(row), beyond)
}

fn letters_of(
    record: &ReadingsRecord,
    device: DeviceId,
    beyond: &[Reading],
) -> impl Iterator<Item = Record> + use<> {
    let letter = (!beyond.is_empty()).then(|| DeadLetter {
        device: Some(device),
        ..record.letter_of(beyond, Reason::TooManyChannels)
    });
    letter.into_iter().flat_map(DeadLetter::split).map(Box::new).map(Record::DeadLetter)
}
