//! Inserts rows of which some may be there already, and finds out which.
//!
//! A plain INSERT either takes all of its rows or, when one key is taken, none:
//! then the keys that exist are looked up in the same transaction and the rest
//! is inserted. So the common case costs one statement, no error is hidden, and
//! every row is known to be new or not.

use std::collections::HashSet;

use nemeses_protocol::PositionRecord;

use super::fault::{Fault, Kind};
use super::keyed::{Key, Keyed};
use super::ladder::{NARROW, WIDE, rungs};
use super::rows::{key_of, position_values};
use super::seam::{Session, sql};
use super::sql::{POSITION_COLUMNS, existing_rows, insert};
use super::value::{Fields as _, Value};

/// A row's key can be taken and yet not be seen while another transaction
/// writes or takes back the same row. That ends when the other does.
const MAX_ROUNDS: u32 = 10;

/// A statement holds at most this many bytes of rows, so that it fits the packets of any
/// server (`max_allowed_packet`); a row alone fits them always.
const MAX_BYTES: usize = 512 * 1024;

impl Keyed for PositionRecord {
    const TABLE: &'static str = "positions";
    const COLUMNS: &'static [&'static str] = POSITION_COLUMNS;
    const KEY: [&'static str; 4] = ["bucket", "device", "recorded_at", "frame_hash"];

    fn key(&self) -> Key {
        let (bucket, device, recorded_at, frame_hash) = key_of(self);
        (bucket, device, recorded_at.into(), frame_hash)
    }

    fn bind<'a>(&'a self, values: &mut Vec<Value<'a>>) {
        values.extend(position_values(self));
    }
}

/// A slice of the rows, and how often its insertion has failed.
struct Pending<'a, R> {
    indexes: Vec<usize>,
    rows: &'a [&'a R],
    round: u32,
}

/// Inserts the rows (each key once); says for each whether it is new.
pub(in crate::history) async fn insert_rows<S: Session, R: Keyed>(
    session: &mut S,
    rows: &[&R],
) -> Result<Vec<bool>, Fault> {
    let mut is_new = vec![true; rows.len()];
    let all: Vec<usize> = (0..rows.len()).collect();
    // A stack, the first slice on top: rows are written in order of their keys.
    let mut stack = pending(&all, rows, 0);
    while let Some(slice) = stack.pop() {
        match insert_slice(session, &slice.indexes, rows).await {
            Ok(()) => continue,
            Err(fault) if fault.kind == Kind::Taken && slice.round < MAX_ROUNDS => {}
            Err(fault) => return Err(fault.lost_race()),
        }
        let existing = existing(session, &slice).await?;
        let (there, rest): (Vec<usize>, Vec<usize>) =
            slice.indexes.iter().partition(|index| existing.contains(&identity(rows[**index])));
        for index in there {
            is_new[index] = false;
        }
        stack.extend(pending(&rest, rows, slice.round + 1));
    }
    Ok(is_new)
}

/// Inserts rows (each key once) that are taken to be new.
pub(in crate::history) async fn insert_new<S: Session, R: Keyed>(
    session: &mut S,
    rows: &[&R],
) -> Result<(), Fault> {
    let all: Vec<usize> = (0..rows.len()).collect();
    for indexes in statements(&all, rows) {
        insert_slice(session, indexes, rows).await?;
    }
    Ok(())
}

/// Which rows go into one statement each, in order.
fn statements<'i, R: Keyed>(
    indexes: &'i [usize],
    rows: &[&R],
) -> impl Iterator<Item = &'i [usize]> {
    rungs(indexes, WIDE).flat_map(|slice| {
        let bytes: usize = slice.iter().map(|index| rows[*index].bytes()).sum();
        slice.chunks(if bytes > MAX_BYTES { 1 } else { slice.len() })
    })
}

fn pending<'a, R: Keyed>(indexes: &[usize], rows: &'a [&'a R], round: u32) -> Vec<Pending<'a, R>> {
    let statements = statements(indexes, rows);
    let mut slices: Vec<Pending<'a, R>> =
        statements.map(|slice| Pending { indexes: slice.to_vec(), rows, round }).collect();
    slices.reverse();
    slices
}

async fn insert_slice<S: Session, R: Keyed>(
    session: &mut S,
    indexes: &[usize],
    rows: &[&R],
) -> Result<(), Fault> {
    let mut values: Vec<Value<'_>> = Vec::with_capacity(indexes.len() * R::COLUMNS.len());
    for index in indexes {
        rows[*index].bind(&mut values);
    }
    let text = insert(R::TABLE, R::COLUMNS, indexes.len());
    session.execute(sql(text), &values).await.map(drop)
}

/// What identifies a row: device, time, hash.
type Identity = (u32, u64, u64);

fn identity(row: &impl Keyed) -> Identity {
    let (_, device, time, hash) = row.key();
    (device, time, hash)
}

async fn existing<S: Session, R: Keyed>(
    session: &mut S,
    slice: &Pending<'_, R>,
) -> Result<HashSet<Identity>, Fault> {
    let mut existing = HashSet::new();
    for keys in rungs(&slice.indexes, NARROW) {
        let values: Vec<Value<'_>> = keys
            .iter()
            .flat_map(|index| {
                let (bucket, device, time, hash) = slice.rows[*index].key();
                [bucket.into(), device.into(), time.into(), Value::Hash(hash)]
            })
            .collect();
        let text = existing_rows(R::TABLE, R::KEY, keys.len());
        for row in session.rows(sql(text), &values).await? {
            existing.insert((row.need(0)?, row.need(1)?, row.hash(2)?));
        }
    }
    Ok(existing)
}
