//! Inserts positions of which some may be there already, and finds out which.
//!
//! A plain INSERT either takes all of its rows or, when one key is taken, none:
//! then the keys that exist are looked up in the same transaction and the rest
//! is inserted. So the common case costs one statement, no error is hidden, and
//! every row is known to be new or not.

use std::collections::HashSet;

use nemeses_protocol::PositionRecord;

use super::fault::{Fault, Kind};
use super::ladder::{NARROW, WIDE, rungs};
use super::rows::{key_of, key_values, position_values};
use super::seam::{Session, sql};
use super::sql::{POSITION_COLUMNS, existing_positions, insert};
use super::value::{Fields as _, Value};

/// A row's key can be taken and yet not be seen while another transaction
/// writes or takes back the same row. That ends when the other does.
const MAX_ROUNDS: u32 = 10;

/// A slice of the rows, and how often its insertion has failed.
struct Pending<'a> {
    indexes: Vec<usize>,
    rows: &'a [&'a PositionRecord],
    round: u32,
}

/// Inserts the rows (each key once); says for each whether it is new.
pub(in crate::history) async fn insert_positions<S: Session>(
    session: &mut S,
    rows: &[&PositionRecord],
) -> Result<Vec<bool>, Fault> {
    let mut is_new = vec![true; rows.len()];
    let all: Vec<usize> = (0..rows.len()).collect();
    // A stack, the first slice on top: rows are written in order of their keys.
    let mut stack = pending(&all, rows, 0);
    while let Some(slice) = stack.pop() {
        match insert_slice(session, &slice).await {
            Ok(()) => continue,
            Err(fault) if fault.kind == Kind::Taken && slice.round < MAX_ROUNDS => {}
            Err(fault) if fault.kind == Kind::Taken => {
                return Err(Fault::new(Kind::Conflict, fault.detail));
            }
            Err(fault) => return Err(fault),
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

fn pending<'a>(indexes: &[usize], rows: &'a [&'a PositionRecord], round: u32) -> Vec<Pending<'a>> {
    let mut slices: Vec<Pending<'a>> = rungs(indexes, WIDE)
        .map(|slice| Pending { indexes: slice.to_vec(), rows, round })
        .collect();
    slices.reverse();
    slices
}

async fn insert_slice<S: Session>(session: &mut S, slice: &Pending<'_>) -> Result<(), Fault> {
    let values: Vec<Value<'_>> =
        slice.indexes.iter().flat_map(|index| position_values(slice.rows[*index])).collect();
    let text = insert("positions", POSITION_COLUMNS, slice.indexes.len());
    session.execute(sql(text), &values).await.map(drop)
}

/// What identifies a frame: device, recorded second, hash.
type Identity = (u32, u32, u64);

fn identity(record: &PositionRecord) -> Identity {
    let (_, device, recorded_at, frame_hash) = key_of(record);
    (device, recorded_at, frame_hash)
}

async fn existing<S: Session>(
    session: &mut S,
    slice: &Pending<'_>,
) -> Result<HashSet<Identity>, Fault> {
    let mut existing = HashSet::new();
    for keys in rungs(&slice.indexes, NARROW) {
        let values: Vec<Value<'_>> =
            keys.iter().flat_map(|index| key_values(key_of(slice.rows[*index]))).collect();
        for row in session.rows(sql(existing_positions(keys.len())), &values).await? {
            existing.insert((row.need(0)?, row.need(1)?, row.hash(2)?));
        }
    }
    Ok(existing)
}
