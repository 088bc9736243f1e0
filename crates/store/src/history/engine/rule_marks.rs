//! The marks that commits leave for the rules: which devices rules concern, and the rows that are
//! newly stored of them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nemeses_protocol::PositionRecord;

use super::Engine;
use super::fault::{Fault, Kind};
use super::keyed::ReadingsRow;
use super::seam::{Product, Session, fixed};
use super::value::{Fields as _, Value};
use crate::history::marked::Packer;

/// How often it is looked whether rules changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the devices are read anew, since groups change without notice.
const READ_EVERY: Duration = Duration::from_secs(10);
/// Bytes of a mark, one row more than that at most: any server takes packets of that size, in
/// a script as well, where bytes are two characters.
const MAX_BYTES: usize = 128 * 1024;

pub(in crate::history) const INSERT_MARK: &str = "INSERT INTO rule_marks (packed) VALUES (?)";
pub(super) const CHANGES: &str = "SELECT number FROM rule_changes WHERE id = 1";
const FOR_ALL: &str = "SELECT COUNT(*) FROM rules WHERE enabled = 1 AND scope_all = 1";
const NAMED: &str = "SELECT d.device FROM rule_devices d JOIN rules r ON r.id = d.rule_id \
    WHERE r.enabled = 1";
const GROUPED: &str = "SELECT g.device FROM group_devices g JOIN rules r ON r.scope_group = g.group_id \
    WHERE r.enabled = 1";

/// The devices that some rule concerns.
#[derive(Debug, Default)]
pub(in crate::history) struct Concerned {
    all: bool,
    devices: HashSet<u32>,
}

impl Concerned {
    pub(in crate::history) fn nobody(&self) -> bool {
        !self.all && self.devices.is_empty()
    }

    fn has(&self, device: u32) -> bool {
        self.all || self.devices.contains(&device)
    }

    /// The rows as marks: none as long as no rule concerns any of them.
    pub(in crate::history) fn marks(
        &self,
        rows: &[&PositionRecord],
        readings: &[&ReadingsRow],
    ) -> Vec<Vec<u8>> {
        if self.nobody() {
            return Vec::new();
        }
        let mut marks = Vec::new();
        let mut packer = Packer::new();
        let mut split = |packer: &mut Packer| {
            if packer.bytes() >= MAX_BYTES {
                marks.push(packer.take());
            }
        };
        for record in rows.iter().filter(|row| self.has(row.position.device.number())) {
            packer.position(record);
            split(&mut packer);
        }
        for row in readings.iter().filter(|row| self.has(row.device.number())) {
            packer.readings(
                row.device,
                row.recorded_at_ms,
                row.received_at_ms,
                row.content_hash,
                &row.packed,
            );
            split(&mut packer);
        }
        if !packer.is_empty() {
            marks.push(packer.take());
        }
        marks
    }
}

/// What a process knows of the devices that rules concern.
#[derive(Default)]
pub(in crate::history) struct KnownConcerned(Mutex<Option<Known>>);

#[derive(Clone)]
struct Known {
    number: u64,
    looked: Instant,
    read: Instant,
    concerned: Arc<Concerned>,
}

impl KnownConcerned {
    fn get(&self) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, known: Option<Known>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Reads anew before the next commit.
    pub(super) fn forget(&self) {
        self.set(None);
    }
}

impl<P: Product> Engine<P> {
    /// The devices that rules concern, as of a second ago; with no answer from the database, as they
    /// were known last.
    pub(super) async fn concerned(&self) -> Result<Arc<Concerned>, Fault> {
        let known = self.concerned.get();
        if let Some(known) = known.as_ref().filter(|known| known.looked.elapsed() < LOOK_EVERY) {
            return Ok(Arc::clone(&known.concerned));
        }
        match (self.read_concerned(known.as_ref()).await, known) {
            (Ok(read), _) => {
                let concerned = Arc::clone(&read.concerned);
                self.concerned.set(Some(read));
                Ok(concerned)
            }
            (Err(fault), Some(known)) if fault.kind == Kind::Unavailable => Ok(known.concerned),
            (Err(fault), _) => Err(fault),
        }
    }

    async fn read_concerned(&self, known: Option<&Known>) -> Result<Known, Fault> {
        let looked = Instant::now();
        let rows = self.product.rows(fixed(CHANGES), &[]).await?;
        let number: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        if let Some(known) = known
            && known.number == number
            && known.read.elapsed() < READ_EVERY
        {
            return Ok(Known { looked, ..known.clone() });
        }
        let rows = self.product.rows(fixed(FOR_ALL), &[]).await?;
        let for_all: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        let mut concerned = Concerned { all: for_all > 0, devices: HashSet::new() };
        if !concerned.all {
            for text in [NAMED, GROUPED] {
                for row in self.product.rows(fixed(text), &[]).await? {
                    concerned.devices.insert(row.need(0)?);
                }
            }
        }
        Ok(Known { number, looked, read: looked, concerned: Arc::new(concerned) })
    }
}

/// Writes marks in a transaction.
pub(super) async fn insert_rule_marks<S: Session>(
    session: &mut S,
    marks: &[Vec<u8>],
) -> Result<(), Fault> {
    for mark in marks {
        session.execute(fixed(INSERT_MARK), &[Value::Bytes(mark)]).await?;
    }
    Ok(())
}
