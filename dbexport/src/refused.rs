//! A row that the database refuses for good must not block the line: it is
//! found by halving and becomes a dead letter, so that the rest can be stored.

use nemeses_protocol::{DeadLetter, Reason, Record, encode_location};
use nemeses_store::StoreError;
use nemeses_store::history::{History, Part};

/// The topic written on such a dead letter: the row's own is no longer known.
const TOPIC: &str = "";

/// Turns the refused positions of the parts into dead letters (reason
/// `refused`). Says how many there were; 0 means that each row alone is
/// acceptable, so the refusal has another cause.
///
/// # Errors
/// What the store reports when it cannot be asked.
pub(crate) async fn bury_refused(
    history: &dyn History,
    parts: &mut [Part],
) -> Result<usize, StoreError> {
    let mut buried = 0;
    for part in parts {
        for index in find_refused(history, &part.records).await? {
            if let Some(letter) = as_dead_letter(&part.records[index]) {
                part.records[index] = letter;
                buried += 1;
            }
        }
    }
    Ok(buried)
}

/// Indices of the records that are refused when tried alone. Costs about
/// 2 log2(n) probes for each.
async fn find_refused(history: &dyn History, records: &[Record]) -> Result<Vec<usize>, StoreError> {
    let mut refused = Vec::new();
    let mut ranges = Vec::from([(0, records.len())]);
    while let Some((start, end)) = ranges.pop() {
        let range = start..end;
        if range.is_empty() {
            continue;
        }
        match history.probe(&records[range.clone()]).await {
            Ok(()) => {}
            Err(StoreError::Refused { .. }) if range.len() == 1 => refused.push(start),
            Err(StoreError::Refused { .. }) => {
                let middle = start + range.len() / 2;
                ranges.push((middle, end));
                ranges.push((start, middle));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// The position as a dead letter with the frame's bytes; a dead letter stays
/// one, there is nothing further to fall back to.
fn as_dead_letter(record: &Record) -> Option<Record> {
    let Record::Position(record) = record else { return None };
    let bytes = record.raw.as_ref().map_or_else(
        || {
            let mut bytes = Vec::new();
            encode_location(&record.position, &mut bytes);
            bytes
        },
        |raw| raw.to_vec(),
    );
    Some(Record::DeadLetter(Box::new(DeadLetter {
        topic: TOPIC.to_owned(),
        offset: 0,
        reason: Reason::Refused,
        device: Some(record.position.device),
        received_at_ms: record.received_at_ms,
        bytes,
    })))
}
