//! A row that the database refuses for good must not block the line: it is
//! found by halving and becomes a dead letter, so that the rest can be stored. A
//! dead letter that is refused itself is kept with less and less of it.

use nemeses_protocol::{DeadLetter, Position, Reason, Record, protocol_of};
use nemeses_store::StoreError;
use nemeses_store::history::{Commits, Part};

/// The topic written on such a dead letter: the row's own is no longer known.
const TOPIC: &str = "";

/// Turns what is refused into dead letters that are not. Says how many there were;
/// 0 means that each row alone is acceptable, so the refusal has another cause, or
/// that even a dead letter without bytes is refused.
///
/// # Errors
/// What the store reports when it cannot be asked.
pub(crate) async fn bury_refused(
    history: &dyn Commits,
    parts: &mut [Part],
) -> Result<usize, StoreError> {
    let mut buried = 0;
    for part in parts {
        for index in find_refused(history, &part.records).await? {
            if let Some(letter) = acceptable(history, &part.records[index]).await? {
                part.records[index] = letter;
                buried += 1;
            }
        }
    }
    Ok(buried)
}

/// The first of a record's lesser forms that is not refused.
async fn acceptable(history: &dyn Commits, record: &Record) -> Result<Option<Record>, StoreError> {
    for letter in lesser_forms(record) {
        match history.probe(std::slice::from_ref(&letter)).await {
            Ok(()) => return Ok(Some(letter)),
            Err(StoreError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Indices of the records that are refused when tried alone. Costs about
/// 2 log2(n) probes for each.
async fn find_refused(history: &dyn Commits, records: &[Record]) -> Result<Vec<usize>, StoreError> {
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

/// The frame written again from its fields; none where no frame can say them.
fn written(position: &Position) -> Vec<u8> {
    let protocol = protocol_of(position.device);
    protocol.and_then(|protocol| protocol.frame_of(position)).unwrap_or_default()
}

/// A record as dead letters that say less and less: all that is known but the
/// topic; without the device; without the bytes, which is better than nothing and
/// than a line that stands still.
fn lesser_forms(record: &Record) -> [Record; 3] {
    let whole = match record {
        Record::Position(record) => DeadLetter {
            topic: TOPIC.to_owned(),
            offset: 0,
            reason: Reason::Refused,
            device: Some(record.position.device),
            received_at_ms: record.received_at_ms,
            bytes: record.raw().map_or_else(|| written(&record.position), Vec::from),
        },
        Record::DeadLetter(letter) => DeadLetter {
            topic: TOPIC.to_owned(),
            reason: Reason::Refused,
            ..letter.as_ref().clone()
        },
        Record::Readings(record) => record.as_letter(Reason::Refused),
    };
    let nameless = DeadLetter { device: None, ..whole.clone() };
    let empty = DeadLetter { bytes: Vec::new(), ..nameless.clone() };
    [whole, nameless, empty].map(|letter| Record::DeadLetter(Box::new(letter)))
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Composition, DeviceId};

    use super::*;

    #[test]
    fn a_frame_is_written_again_for_devices_that_have_frames_alone() {
        let position = |number| Position {
            device: DeviceId::new(number),
            recorded_at: 1,
            direction_cdeg: 0,
            odometer_m: 0,
            hour_meter_min: 0,
            composition: Composition(0),
            extension: None,
            speed_kmh: 0,
            latitude_udeg: 0,
            longitude_udeg: 0,
        };
        assert_eq!(written(&position(DeviceId::MAX_SFT9001)).len(), 33);
        // Else the bytes would be a frame of device 0A3F73.
        assert!(written(&position(0x010A_3F73)).is_empty());
    }
}
