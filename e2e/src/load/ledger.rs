//! What was sent and what was acknowledged, and the verdict on a table.

use std::collections::{BTreeMap, HashMap, HashSet};

use nemeses_protocol::Position;

use crate::FrameKey;
use crate::frames::key;

/// What became of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fate {
    /// Its odometer, which no other frame of the device has.
    sequence: u32,
    /// As a live frame or from memory.
    acknowledged: bool,
    /// As a live frame.
    acknowledged_live: bool,
}

/// All that the load sent.
#[derive(Debug, Default)]
pub struct Ledger {
    frames: HashMap<FrameKey, Fate>,
    rubbish: HashMap<Vec<u8>, bool>,
}

/// What a table does not hold as it should: all empty when the promises hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acknowledged, not in the table.
    pub lost: Vec<FrameKey>,
    /// More than once in the table.
    pub doubled: Vec<FrameKey>,
    /// In the table, never sent.
    pub invented: Vec<FrameKey>,
    /// Acknowledged rubbish that is no dead letter.
    pub lost_rubbish: Vec<Vec<u8>>,
}

impl Verdict {
    /// Fails with counts and a few examples unless all is as it should be.
    ///
    /// # Errors
    /// Something is lost, doubled or invented.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            *self == Self::default(),
            "{} lost, {} doubled, {} invented, {} pieces of rubbish lost; for example {:?} {:?} {:?} {:?}",
            self.lost.len(),
            self.doubled.len(),
            self.invented.len(),
            self.lost_rubbish.len(),
            self.lost.first(),
            self.doubled.first(),
            self.invented.first(),
            self.lost_rubbish.first().map(hex::encode),
        );
        Ok(())
    }
}

impl Ledger {
    pub(super) fn sending(&mut self, position: &Position) {
        self.frames.entry(key(position)).or_default().sequence = position.odometer_m;
    }

    pub(super) fn sending_rubbish(&mut self, bytes: &[u8]) {
        self.rubbish.entry(bytes.to_vec()).or_default();
    }

    pub(super) fn note_acknowledged(&mut self, position: &Position) {
        let fate = self.frames.entry(key(position)).or_default();
        fate.acknowledged = true;
        fate.acknowledged_live |= !position.composition.historical();
    }

    pub(super) fn acknowledged_rubbish(&mut self, bytes: &[u8]) {
        self.rubbish.insert(bytes.to_vec(), true);
    }

    /// Frames sent.
    pub fn frames_sent(&self) -> usize {
        self.frames.len()
    }

    /// Frames acknowledged.
    pub fn acknowledged(&self) -> HashSet<FrameKey> {
        let acknowledged = self.frames.iter().filter(|(_, fate)| fate.acknowledged);
        acknowledged.map(|(key, _)| *key).collect()
    }

    /// Compares with the rows of the table and the bytes of the dead letters.
    pub fn judge(&self, rows: &[FrameKey], dead_letters: &HashSet<Vec<u8>>) -> Verdict {
        let mut verdict = Verdict::default();
        let mut seen = HashSet::with_capacity(rows.len());
        for row in rows {
            if !seen.insert(*row) {
                verdict.doubled.push(*row);
            }
            if !self.frames.contains_key(row) {
                verdict.invented.push(*row);
            }
        }
        let acknowledged = self.frames.iter().filter(|(_, fate)| fate.acknowledged);
        verdict.lost =
            acknowledged.map(|(key, _)| *key).filter(|key| !seen.contains(key)).collect();
        let rubbish = self.rubbish.iter().filter(|(_, acknowledged)| **acknowledged);
        verdict.lost_rubbish = rubbish
            .map(|(bytes, _)| bytes)
            .filter(|bytes| !dead_letters.contains(*bytes))
            .cloned()
            .collect();
        verdict
    }

    /// For each device which frames (by odometer) its live entry may show: the
    /// newest acknowledged as live, or a newer one that was sent live and whose
    /// acknowledgement got lost.
    pub fn live_candidates(&self) -> BTreeMap<u32, HashSet<u32>> {
        let mut newest: HashMap<u32, FrameKey> = HashMap::new();
        for (key, _) in self.frames.iter().filter(|(_, fate)| fate.acknowledged_live) {
            let newest = newest.entry(key.device).or_insert(*key);
            *newest = (*newest).max(*key);
        }
        let may_be_shown =
            |key: &FrameKey| newest.get(&key.device).is_some_and(|least| key >= least);
        let mut candidates: BTreeMap<u32, HashSet<u32>> = BTreeMap::new();
        for (key, fate) in self.frames.iter().filter(|(key, _)| may_be_shown(key)) {
            candidates.entry(key.device).or_default().insert(fate.sequence);
        }
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{FOUNDING_DEVICE, historical, live};

    fn frame(sequence: u32) -> Position {
        live(FOUNDING_DEVICE, 1_600_000_000 + sequence, sequence)
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for sequence in 1..=4 {
            ledger.sending(&frame(sequence));
        }
        ledger.note_acknowledged(&frame(1));
        ledger.note_acknowledged(&frame(2));
        ledger.note_acknowledged(&historical(frame(3)));
        ledger.sending_rubbish(b"x");
        ledger.acknowledged_rubbish(b"x");
        ledger.sending_rubbish(b"never acknowledged");
        ledger
    }

    #[test]
    fn a_table_that_holds_at_least_the_acknowledged_is_good() {
        let rows: Vec<FrameKey> = (1..=3).map(|sequence| key(&frame(sequence))).collect();
        let letters = HashSet::from([b"x".to_vec()]);
        ledger().judge(&rows, &letters).check().unwrap();
        let more: Vec<FrameKey> = (1..=4).map(|sequence| key(&frame(sequence))).collect();
        ledger().judge(&more, &letters).check().unwrap();
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        let rows = [key(&frame(1)), key(&frame(1)), key(&frame(9))];
        let verdict = ledger().judge(&rows, &HashSet::new());
        let mut lost = verdict.lost.clone();
        lost.sort_unstable();
        assert_eq!(lost, [key(&frame(2)), key(&frame(3))]);
        assert_eq!(verdict.doubled, [key(&frame(1))]);
        assert_eq!(verdict.invented, [key(&frame(9))]);
        assert_eq!(verdict.lost_rubbish, [b"x".to_vec()]);
        assert!(verdict.check().unwrap_err().to_string().starts_with("2 lost, 1 doubled"));
    }

    #[test]
    fn a_live_entry_is_never_older_than_what_was_acknowledged_live() {
        let candidates = ledger().live_candidates();
        let expected = HashSet::from([2, 3, 4]);
        assert_eq!(candidates, BTreeMap::from([(FOUNDING_DEVICE.number(), expected)]));
    }
}
