//! `GET /api/v1/lookup`: what became of a frame, found by device and recorded
//! second or by its bytes. For admins.

use axum::extract::State;
use axum::response::Response;
use nemeses_protocol::{DeviceNames, Item, PROTOCOLS, Position, PositionRecord, protocol_of};
use nemeses_reports::{Doubt, Zone};
use nemeses_store::history::{Found, FoundRow, LookUp, StoredLetter};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::report::marks::doubt_of;
use crate::backend::Backend;
use crate::input::{Params, one_second};
use crate::openapi::{self, Device, Doc, Param, Tag, Time};
use crate::output::{self, Row, example_row, time_ms, time_s};
use crate::problem::Problem;

/// Longest stretch that can be looked up, in hex digits: far more than a frame.
const LONGEST_FRAME_TEXT: usize = 2048;

pub(crate) async fn get(State(state): State<Backend>, params: Params) -> Result<Response, Problem> {
    let mut found = Found::default();
    for what in read(params)? {
        let part = state.history.ask(state.stores.books.look_up(&what)).await?;
        found.rows.extend(part.rows);
        found.letters.extend(part.letters);
    }
    found.letters.sort_by_key(|letter| letter.id);
    found.letters.dedup_by_key(|letter| letter.id);
    let mut doubts = Vec::with_capacity(found.rows.len());
    for row in &found.rows {
        doubts.push(doubt_of(&state, &row.record).await?);
    }
    output::json(&answer(&state.names, &found, &doubts))
}

/// What to ask the store.
fn read(mut params: Params) -> Result<Vec<LookUp>, Problem> {
    let asked = if let Some(text) = params.take("frame")? {
        by_frame(&text)?
    } else {
        let device = params.device("device_id")?;
        let recorded_at = one_second("recorded_at", &params.require("recorded_at")?)?;
        vec![LookUp::Recorded { device, recorded_at, frame_hash: None }]
    };
    params.finish()?;
    Ok(asked)
}

/// A frame's records may be rows; any bytes may be a dead letter.
fn by_frame(text: &str) -> Result<Vec<LookUp>, Problem> {
    let refuse = |detail| Problem::parameter("frame", detail);
    if text.len() > LONGEST_FRAME_TEXT {
        return Err(refuse("Too long: at most 1024 bytes as hex digits."));
    }
    let bytes = hex::decode(text).map_err(|_| refuse("Must be hex digits, two a byte."))?;
    let mut asked = Vec::with_capacity(2);
    for protocol in PROTOCOLS {
        let Some(Item::Frame { bytes: whole, frame, .. }) =
            protocol.show("", &bytes).into_iter().next()
        else {
            continue;
        };
        if frame.is_heartbeat {
            return Err(refuse("A ping: they are counted, not kept."));
        }
        if whole.len() == bytes.len() {
            asked.extend(frame.records.into_iter().filter_map(|(content, hash)| {
                let Position { device, recorded_at, .. } = content.position?;
                Some(LookUp::Recorded { device, recorded_at, frame_hash: Some(hash) })
            }));
        }
    }
    asked.push(LookUp::Bytes(bytes));
    Ok(asked)
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LookupAnswer")]
struct Answer {
    /// `stored`, `duplicate` (stored, and it came again), `dead_letter` or `unknown`.
    outcome: &'static str,
    rows: Vec<StoredRow>,
    dead_letters: Vec<Letter>,
}

#[derive(Serialize, JsonSchema)]
struct StoredRow {
    #[serde(flatten)]
    row: Row,
    frame_hash: String,
    /// How often the same frame came again.
    duplicates: u64,
    /// The frame's bytes as hex digits, where they are kept or follow from the row
    /// (the hash says so); else null.
    frame: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeadLetter")]
pub(super) struct Letter {
    id: u64,
    #[schemars(with = "Time")]
    received_at: String,
    /// A code of docs/protocol.md.
    reason: String,
    #[schemars(with = "Option<Device>")]
    device_id: Option<String>,
    #[schemars(with = "Option<Time>")]
    recorded_at: Option<String>,
    topic: String,
    offset: u32,
    length: u64,
    /// Hex digits of the stretch, or of its beginning when it is long.
    bytes: String,
    worker: String,
}

pub(crate) fn doc() -> Doc {
    let mut row = example_row();
    row["frame_hash"] = "8d2c6f3f5b0e9a17".into();
    row["duplicates"] = 0.into();
    row["frame"] = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4".into();
    let example = json!({"outcome": "stored", "rows": [row], "dead_letters": []});
    let frame = json!({
        "type": "string", "pattern": "^([0-9A-Fa-f]{2})*$", "maxLength": LONGEST_FRAME_TEXT,
    });
    Doc::new("lookUp", Tag::Books, "What became of a frame")
        .about("By device and recorded second, or by the frame's bytes. For admins.")
        .takes(Param::device("device_id", "Not with `frame`.").optional())
        .takes(Param::time("recorded_at", "A whole second; not with `frame`."))
        .takes(Param::query("frame", frame, "The bytes as hex digits; without the other two."))
        .answers(openapi::Answer::json::<Answer>("What is known of it.", example))
}

fn answer(names: &DeviceNames, found: &Found, doubts: &[Option<Doubt>]) -> Answer {
    let again = found.rows.iter().any(|row| row.duplicates > 0);
    let outcome = match (found.rows.is_empty(), again, found.letters.is_empty()) {
        (false, true, _) => "duplicate",
        (false, false, _) => "stored",
        (true, _, false) => "dead_letter",
        (true, _, true) => "unknown",
    };
    let rows =
        found.rows.iter().zip(doubts).map(|(row, doubt)| stored_row(names, row, *doubt)).collect();
    Answer {
        outcome,
        rows,
        dead_letters: found.letters.iter().map(|letter| Letter::of(names, letter)).collect(),
    }
}

fn stored_row(names: &DeviceNames, found: &FoundRow, doubtful: Option<Doubt>) -> StoredRow {
    let device_id = names.identity(found.record.position.device).to_string();
    StoredRow {
        row: Row::of(device_id, &found.record, doubtful, &Zone::utc()),
        frame_hash: format!("{:016x}", found.record.frame_hash),
        duplicates: found.duplicates,
        frame: frame_of(&found.record).map(hex::encode_upper),
    }
}

/// As it was kept, else written again from the row's fields when that gives the
/// frame's hash: then it is the frame.
fn frame_of(record: &PositionRecord) -> Option<Vec<u8>> {
    if let Some(raw) = record.raw() {
        return Some(raw.to_vec());
    }
    protocol_of(record.position.device)?.frame_again(record)
}

impl Letter {
    pub(super) fn of(names: &DeviceNames, letter: &StoredLetter) -> Self {
        Self {
            id: letter.id,
            received_at: time_ms(letter.received_at_ms),
            reason: letter.reason.clone(),
            device_id: letter.device.map(|device| names.identity(device).to_string()),
            recorded_at: letter.recorded_at.map(time_s),
            topic: letter.topic.clone(),
            offset: letter.offset,
            length: letter.length,
            bytes: hex::encode_upper(&letter.bytes),
            worker: letter.worker.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{DeviceId, Frame, frame_hash, frames};

    use super::*;

    const LOCATION: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
    const PING: &str = "50F70A3F730150494E4773C4";

    fn asked(query: &str) -> Result<Vec<LookUp>, Problem> {
        read(Params::of(&format!("/?{query}").parse().unwrap()).unwrap())
    }

    #[test]
    fn by_device_and_second() {
        let device = DeviceId::new(0x0A_3F73);
        let expected = LookUp::Recorded { device, recorded_at: 1_593_637_200, frame_hash: None };
        let asked = asked("device_id=0A3F73&recorded_at=2020-07-01T21:00:00Z").unwrap();
        assert_eq!(asked, [expected]);
    }

    #[test]
    fn by_frame_as_row_and_as_dead_letter() {
        let bytes = hex::decode(LOCATION).unwrap();
        let expected = LookUp::Recorded {
            device: DeviceId::new(0x0A_3F73),
            recorded_at: 1_593_637_200,
            frame_hash: Some(frame_hash(&bytes)),
        };
        assert_eq!(asked(&format!("frame={LOCATION}")).unwrap(), [expected, LookUp::Bytes(bytes)]);
        let rubbish = LookUp::Bytes(vec![0xDE, 0xAD]);
        assert_eq!(asked("frame=dead").unwrap(), [rubbish]);
    }

    #[test]
    fn hostile_parameters_are_named() {
        for (query, name) in [
            ("", "device_id"),
            ("device_id=0A3F73", "recorded_at"),
            ("device_id=0A3F73&recorded_at=1.5", "recorded_at"),
            ("device_id=0A3F73&recorded_at=2020-07-01T21:00:00.5Z", "recorded_at"),
            ("frame=5", "frame"),
            ("frame=xy", "frame"),
            (&format!("frame={PING}"), "frame"),
            (&format!("frame={}", "00".repeat(1025)), "frame"),
            (&format!("frame={LOCATION}&device_id=0A3F73"), "device_id"),
        ] {
            assert_eq!(asked(query).unwrap_err().at_fault(), Some(name), "{query}");
        }
    }

    #[test]
    fn a_frame_is_written_again_only_when_it_is_the_one_that_came() {
        let bytes = hex::decode(LOCATION).unwrap();
        let Some(Item::Frame { frame: Frame::Location(position), .. }) = frames(&bytes).next()
        else {
            panic!("no location");
        };
        let mut record = PositionRecord {
            position,
            frame_hash: frame_hash(&bytes),
            received_at_ms: 0,
            packed: None,
        };
        assert_eq!(frame_of(&record).map(hex::encode_upper).as_deref(), Some(LOCATION));
        record.frame_hash ^= 1;
        assert_eq!(frame_of(&record), None);
    }

    #[test]
    fn outcomes() {
        let letter = StoredLetter {
            id: 3,
            received_at_ms: 0,
            topic: "/messenger".into(),
            offset: 4,
            reason: "future".into(),
            device: None,
            recorded_at: None,
            length: 2,
            bytes: vec![0xDE, 0xAD],
            worker: "node".into(),
        };
        assert_eq!(answer(&DeviceNames::default(), &Found::default(), &[]).outcome, "unknown");
        let dead = Found { letters: vec![letter], ..Found::default() };
        let answer = answer(&DeviceNames::default(), &dead, &[]);
        assert_eq!(
            (answer.outcome, answer.dead_letters[0].bytes.as_str()),
            ("dead_letter", "DEAD")
        );
    }
}
