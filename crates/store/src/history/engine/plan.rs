//! Decides what a commit writes: which rows once, which are repeats inside the
//! batch, which letters, and afterwards the lines of the books. Pure: the
//! database's only answer is which of the rows are new.

use std::collections::{BTreeMap, HashSet};

use nemeses_protocol::{BatchKey, PositionRecord, Record};

use super::days::DeviceDay;
use super::keyed::{Key, Keyed as _, ReadingsRow};
use super::rows::{LetterRow, PositionKey, key_of};
use crate::history::books::Totals;
use crate::history::{Committed, Part};

/// Seconds of a day.
pub(in crate::history) const DAY_SECONDS: u32 = 86_400;
const MINUTE_MS: u64 = 60_000;

/// One of the caller's records that bears a key: whose it is.
#[derive(Clone, Copy, Debug)]
struct Bearer<'a> {
    key: PositionKey,
    /// Index of the part in the call.
    part: usize,
    record: &'a PositionRecord,
}

/// What a commit writes.
pub(in crate::history) struct Plan<'a> {
    parts: &'a [Part],
    /// Parts to write; the others are repeats.
    fresh: Vec<bool>,
    /// Sorted by key, then by order of arrival in the call. The first of equal
    /// keys is the row, the others are duplicates. Sorted, so that pages are
    /// written in order and two exporters lock rows in the same order.
    bearers: Vec<Bearer<'a>>,
    /// The same for readings.
    readings: Vec<(Key, &'a ReadingsRow)>,
    /// By part: values that became dead letters.
    values_refused: &'a [u64],
    pub(in crate::history) letters: Vec<LetterRow<'a>>,
}

/// A line of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::history) struct BooksRow<'a> {
    pub(in crate::history) key: &'a BatchKey,
    pub(in crate::history) minute: u32,
    pub(in crate::history) totals: Totals,
}

/// A line of the itemised duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::history) struct DuplicateRow {
    pub(in crate::history) device: u32,
    pub(in crate::history) recorded_at: u32,
    pub(in crate::history) hash: u64,
    pub(in crate::history) times: u64,
    pub(in crate::history) last_received_at_ms: u64,
}

/// What follows from which rows are new.
pub(in crate::history) struct Settled<'a> {
    pub(in crate::history) committed: Vec<Committed>,
    pub(in crate::history) books: Vec<BooksRow<'a>>,
    pub(in crate::history) duplicates: Vec<DuplicateRow>,
}

/// The minute of a time.
pub(in crate::history) fn minute_of(time_ms: u64) -> u32 {
    u32::try_from(time_ms / MINUTE_MS).unwrap_or(u32::MAX)
}

/// Plans the parts whose keys are not in `booked`; a key offered twice counts once. Readings
/// come beside the parts, as rows, with how many values of each part became letters.
pub(in crate::history) fn plan<'a>(
    parts: &'a [Part],
    readings: &'a [ReadingsRow],
    values_refused: &'a [u64],
    booked: &HashSet<(String, u64, u64)>,
) -> Plan<'a> {
    let mut seen = HashSet::with_capacity(parts.len());
    let fresh: Vec<bool> = parts
        .iter()
        .map(|part| {
            let key = &part.key;
            !booked.contains(&(key.worker.clone(), key.run, key.sequence)) && seen.insert(key)
        })
        .collect();
    let mut bearers = Vec::with_capacity(parts.iter().map(|part| part.records.len()).sum());
    let mut letters = Vec::new();
    for (index, part) in parts.iter().enumerate().filter(|(index, _)| fresh[*index]) {
        for (item, record) in (0_u32..).zip(&part.records) {
            match record {
                Record::Position(record) => {
                    bearers.push(Bearer { key: key_of(record), part: index, record });
                }
                Record::DeadLetter(letter) => {
                    letters.push(LetterRow::new(letter, &part.key, item));
                }
                // They come as rows.
                Record::Readings(_) => {}
            }
        }
    }
    // Stable: among equal keys the order of arrival stays.
    bearers.sort_by_key(|bearer| bearer.key);
    let mut readings: Vec<(Key, &ReadingsRow)> =
        readings.iter().filter(|row| fresh[row.part]).map(|row| (row.key(), row)).collect();
    readings.sort_by_key(|(key, _)| *key);
    Plan { parts, fresh, bearers, readings, values_refused, letters }
}

impl<'a> Plan<'a> {
    /// Whether there is anything to write.
    pub(in crate::history) fn is_empty(&self) -> bool {
        !self.fresh.contains(&true)
    }

    /// The rows to insert, sorted by key, each key once.
    pub(in crate::history) fn rows(&self) -> Vec<&'a PositionRecord> {
        self.bearers.chunk_by(|a, b| a.key == b.key).map(|equal| equal[0].record).collect()
    }

    /// Whether there are any readings.
    pub(in crate::history) fn has_readings(&self) -> bool {
        !self.readings.is_empty()
    }

    /// The readings to insert, sorted by key, each key once.
    pub(in crate::history) fn readings(&self) -> Vec<&'a ReadingsRow> {
        self.readings.chunk_by(|a, b| a.0 == b.0).map(|equal| equal[0].1).collect()
    }

    /// All records that bear a key, sorted by key, with the index of their part.
    pub(in crate::history) fn borne(&self) -> Vec<(u32, &'a PositionRecord)> {
        let part = |part| u32::try_from(part).unwrap_or(u32::MAX);
        self.bearers.iter().map(|bearer| (part(bearer.part), bearer.record)).collect()
    }

    /// The keys of all parts.
    pub(in crate::history) fn part_keys(&self) -> Vec<&'a BatchKey> {
        self.parts.iter().map(|part| &part.key).collect()
    }

    /// The days with positions, sorted, each once: whose sums change.
    pub(in crate::history) fn position_days(&self) -> Vec<DeviceDay> {
        let of_bearer = |bearer: &Bearer<'_>| (bearer.key.1, bearer.key.2 / DAY_SECONDS);
        each_once(self.bearers.iter().map(of_bearer).collect())
    }

    /// These days of positions and those of the readings, sorted, each once: the days that
    /// the devices have data for.
    pub(in crate::history) fn days(&self, mut positions: Vec<DeviceDay>) -> Vec<DeviceDay> {
        if self.readings.is_empty() {
            return positions;
        }
        let of_row = |row: &ReadingsRow| (row.device.number(), row.recorded_at() / DAY_SECONDS);
        positions.extend(self.readings.iter().map(|(_, row)| of_row(row)));
        each_once(positions)
    }

    /// The books, now that `is_new` says for each of [`Plan::rows`] whether it was new, and
    /// `readings_new` for each of [`Plan::readings`].
    pub(in crate::history) fn settle(&self, is_new: &[bool], readings_new: &[bool]) -> Settled<'a> {
        let mut lines: Vec<BTreeMap<u32, Totals>> = vec![BTreeMap::new(); self.parts.len()];
        let mut duplicates = Vec::new();
        let groups = self.bearers.chunk_by(|a, b| a.key == b.key);
        for (equal, is_new) in groups.zip(is_new) {
            let repeats = if *is_new { &equal[1..] } else { equal };
            if *is_new {
                line_of(&mut lines, equal[0].part, equal[0].record.received_at_ms).stored += 1;
            }
            for repeat in repeats {
                line_of(&mut lines, repeat.part, repeat.record.received_at_ms).duplicates += 1;
            }
            duplicates.extend(duplicate_row(equal[0].key, repeats));
        }
        self.settle_readings(readings_new, &mut lines, &mut duplicates);
        self.count_letters_and_pings(&mut lines);
        self.finish(lines, duplicates)
    }

    fn settle_readings(
        &self,
        is_new: &[bool],
        lines: &mut [BTreeMap<u32, Totals>],
        duplicates: &mut Vec<DuplicateRow>,
    ) {
        for (equal, is_new) in self.readings.chunk_by(|a, b| a.0 == b.0).zip(is_new) {
            for (index, (_, row)) in equal.iter().enumerate() {
                let line = line_of(lines, row.part, row.received_at_ms);
                if index == 0 && *is_new {
                    line.stored += 1;
                    line.values_stored += u64::from(row.value_count);
                } else {
                    line.duplicates += 1;
                    line.values_duplicate += u64::from(row.value_count);
                }
            }
            let repeats = if *is_new { &equal[1..] } else { equal };
            let last_received_at_ms = repeats.iter().map(|(_, row)| row.received_at_ms).max();
            duplicates.extend(last_received_at_ms.map(|last_received_at_ms| DuplicateRow {
                device: equal[0].1.device.number(),
                recorded_at: equal[0].1.recorded_at(),
                hash: equal[0].1.content_hash,
                times: repeats.len() as u64,
                last_received_at_ms,
            }));
        }
    }

    fn count_letters_and_pings(&self, lines: &mut [BTreeMap<u32, Totals>]) {
        for (index, part) in self.fresh_parts() {
            for record in &part.records {
                if let Record::DeadLetter(letter) = record {
                    line_of(lines, index, letter.received_at_ms).dead_letters += 1;
                }
            }
            let refused = self.values_refused.get(index).copied().unwrap_or_default();
            if let (1.., Some((_, line))) = (refused, lines[index].iter_mut().next()) {
                line.values_refused += refused;
            }
            for tally in &part.tallies {
                let line = lines[index].entry(tally.minute).or_default();
                line.pings += u64::from(tally.pings);
            }
            // A part without anything still has its key in the books.
            if lines[index].is_empty() {
                lines[index].entry(0).or_default();
            }
        }
    }

    fn finish(
        &self,
        mut lines: Vec<BTreeMap<u32, Totals>>,
        duplicates: Vec<DuplicateRow>,
    ) -> Settled<'a> {
        let mut committed = vec![Committed { repeated: true, ..Committed::default() }; lines.len()];
        let mut books = Vec::new();
        for (index, part) in self.fresh_parts() {
            let mut sum = Totals::default();
            for (minute, mut totals) in std::mem::take(&mut lines[index]) {
                totals.received =
                    totals.stored + totals.duplicates + totals.dead_letters + totals.pings;
                totals.values_received =
                    totals.values_stored + totals.values_duplicate + totals.values_refused;
                sum.add(&totals);
                books.push(BooksRow { key: &part.key, minute, totals });
            }
            committed[index] = Committed {
                repeated: false,
                stored: sum.stored,
                duplicates: sum.duplicates,
                dead_letters: sum.dead_letters,
                pings: sum.pings,
                values: sum.values_received,
            };
        }
        Settled { committed, books, duplicates }
    }

    fn fresh_parts(&self) -> impl Iterator<Item = (usize, &'a Part)> {
        self.parts.iter().enumerate().filter(|(index, _)| self.fresh[*index])
    }
}

fn each_once(mut days: Vec<DeviceDay>) -> Vec<DeviceDay> {
    days.sort_unstable();
    days.dedup();
    days
}

fn line_of(lines: &mut [BTreeMap<u32, Totals>], part: usize, time_ms: u64) -> &mut Totals {
    lines[part].entry(minute_of(time_ms)).or_default()
}

fn duplicate_row(key: PositionKey, repeats: &[Bearer<'_>]) -> Option<DuplicateRow> {
    let last_received_at_ms = repeats.iter().map(|repeat| repeat.record.received_at_ms).max()?;
    let times = u64::try_from(repeats.len()).unwrap_or(u64::MAX);
    let (_, device, recorded_at, hash) = key;
    Some(DuplicateRow { device, recorded_at, hash, times, last_received_at_ms })
}

#[cfg(test)]
mod tests;
