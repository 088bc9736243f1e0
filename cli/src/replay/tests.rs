use nemeses_protocol::{
    BatchKey, Composition, DeviceNames, OptionalField, OptionalFields, PackedFields, Position,
    PositionRecord, Record, encode_location, frame_hash,
};
use nemeses_store::history::{Database, Options, Part, open};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const FRAME: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";

/// The row of a frame, stored as it is decoded.
fn row(position: Position, keep_raw: bool) -> PositionRecord {
    let mut raw = Vec::new();
    encode_location(&position, &mut raw);
    PositionRecord {
        position,
        frame_hash: frame_hash(&raw),
        received_at_ms: 1_593_637_200_000,
        packed: keep_raw.then(|| PackedFields::from_stored(raw.into_boxed_slice())),
    }
}

fn position(device: u32, recorded_at: u32) -> Position {
    Position {
        device: DeviceId::new(device),
        recorded_at,
        direction_cdeg: 5487,
        odometer_m: 25_000_000,
        hour_meter_min: 36_000,
        composition: Composition(0xB800),
        extension: None,
        speed_kmh: 60,
        latitude_udeg: -19_932_833,
        longitude_udeg: -43_938_493,
    }
}

fn fields(verdict: &Verdict) -> Vec<&'static str> {
    match verdict {
        Verdict::Differs(differences) => differences.iter().map(|found| found.field).collect(),
        _ => Vec::new(),
    }
}

type Change = fn(&mut PositionRecord);

#[test]
fn each_field_is_compared() {
    let good = row(position(0x0A_3F73, 1_593_637_200), true);
    assert_eq!(hex::encode_upper(good.raw().unwrap()), FRAME);
    assert_eq!(judge(&good), Verdict::Same);
    let cases: [(&str, Change); 12] = [
        ("device", |row| row.position.device = DeviceId::new(1)),
        ("recorded_at", |row| row.position.recorded_at += 1),
        ("frame_hash", |row| row.frame_hash ^= 1),
        ("direction_cdeg", |row| row.position.direction_cdeg += 1),
        ("odometer_m", |row| row.position.odometer_m += 1),
        ("hour_meter_min", |row| row.position.hour_meter_min += 1),
        ("composition", |row| row.position.composition.0 ^= 1),
        ("extension", |row| row.position.extension = Some(0)),
        ("speed_kmh", |row| row.position.speed_kmh += 1),
        ("latitude_udeg", |row| row.position.latitude_udeg += 1),
        ("longitude_udeg", |row| row.position.longitude_udeg += 1),
        ("altitude_dm", |row| {
            let mut fields = OptionalFields::NONE;
            fields.set(OptionalField::Altitude, 5).unwrap();
            row.packed = PackedFields::new(&fields, row.raw());
        }),
    ];
    for (field, change) in cases {
        let mut row = good.clone();
        change(&mut row);
        assert_eq!(fields(&judge(&row)), [field]);
    }
}

#[test]
fn bytes_that_are_no_frame_today_differ() {
    let stored = position(0x0A_3F73, 1_593_637_200);
    for (raw, today) in [
        ("", "truncated"),
        (&FRAME[..40], "truncated"),
        ("50F70A3F730150494E4773C4", "ping"),
        (&[FRAME, FRAME].concat(), "more than one frame"),
        ("FFFF", "bad_header"),
    ] {
        let packed = Some(PackedFields::from_stored(hex::decode(raw).unwrap().into()));
        let verdict = judge(&PositionRecord { packed, ..row(stored, true) });
        let Verdict::Differs(differences) = verdict else { panic!("{today}: {verdict:?}") };
        assert_eq!((differences[0].field, differences[0].today.as_str()), ("frame", today));
    }
}

proptest! {
    #[test]
    fn what_was_decoded_is_read_the_same(
        device in 0_u32..=0xFF_FFFF,
        recorded_at: u32,
        direction_cdeg in 0_u16..=36_000,
        bits: u16,
        extension: Option<u16>,
        latitude in 0..=90_000_000_i32,
        longitude in 0..=180_000_000_i32,
    ) {
        let composition = Composition(bits);
        let signed = |bit, value: i32| if bits & bit == 0 { value } else { -value };
        let stored = Position {
            direction_cdeg,
            composition,
            extension,
            latitude_udeg: signed(Composition::LATITUDE_NEGATIVE, latitude),
            longitude_udeg: signed(Composition::LONGITUDE_NEGATIVE, longitude),
            ..position(device, recorded_at)
        };
        prop_assert_eq!(judge(&row(stored, true)), Verdict::Same);
        prop_assert_eq!(judge(&row(stored, false)), Verdict::NoRaw);
    }
}

#[test]
fn a_period_is_whole_seconds() {
    assert_eq!(period(None, None).unwrap(), (0, u32::MAX));
    assert_eq!(period(Some(1_001), Some(2_999)).unwrap(), (2, 2));
    assert!(period(Some(5_000), Some(4_000)).unwrap_err().to_string().contains("later"));
}

async fn database(rows: Vec<PositionRecord>, folder: &std::path::Path) -> Database {
    let url = format!("sqlite:{}", folder.join("rows.db").display());
    let database = open(&url, Options::default()).await.unwrap();
    database.history().migrate().await.unwrap();
    let key = BatchKey { worker: "test".to_owned(), run: 1, sequence: 1 };
    let records = rows.into_iter().map(Record::Position).collect();
    let part = Part { key, tallies: Vec::new(), records };
    database.history().commit(&[part], "test").await.unwrap();
    database
}

async fn said(
    database: &Database,
    device: Option<DeviceId>,
    period: (u32, u32),
    as_json: bool,
) -> (Counts, String) {
    let (mut show, mut text) = (Show::new(as_json, DeviceNames::default()), String::new());
    let history = database.history();
    let say = |said: String| {
        text.push_str(&said);
        Ok(())
    };
    let counts = replay(history.as_ref(), device, period, say, &mut show).await.unwrap();
    text.push_str(&show.end(&counts));
    (counts, text)
}

#[tokio::test]
async fn all_devices_and_periods_are_walked() {
    const ALL: (u32, u32) = (0, u32::MAX);
    let at = 1_593_637_200;
    // More devices than are looked up at once; one row each, every third without
    // raw bytes, and of three devices one that an older decoder read differently.
    let mut rows: Vec<_> =
        (0..1200).map(|device| row(position(device, at + device), device % 3 != 0)).collect();
    for wrong in [1, 601, 1199] {
        rows[wrong].position.odometer_m += 7;
    }
    rows[1].position.speed_kmh = 0;
    let folder = tempfile::tempdir().unwrap();
    let database = database(rows, folder.path()).await;

    let (counts, text) = said(&database, None, ALL, false).await;
    assert_eq!(counts, Counts { same: 797, differ: 3, no_raw: 400 });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "device  recorded at           field           stored            today");
    assert_eq!(
        lines[1],
        "000001  2020-07-01T21:00:01Z  odometer_m      25000007          25000000"
    );
    assert_eq!(lines[2], "000001  2020-07-01T21:00:01Z  speed_kmh       0                 60");
    assert_eq!(lines.len(), 5 + 4);

    let (_, text) = said(&database, None, ALL, true).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["rows"].as_array().unwrap().len(), 3);
    assert_eq!(document["rows"][0]["differences"][1]["field"], "speed_kmh");
    assert_eq!((&document["differ"], &document["same"]), (&3.into(), &797.into()));

    let one = Some(DeviceId::new(601));
    let (counts, _) = said(&database, one, ALL, false).await;
    assert_eq!(counts, Counts { differ: 1, ..Counts::default() });
    let (counts, text) = said(&database, one, (0, at), true).await;
    assert_eq!(counts, Counts::default());
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["differ"], 0);
    let (counts, _) = said(&database, None, (at, at + 9), false).await;
    assert_eq!(counts, Counts { same: 5, differ: 1, no_raw: 4 });
    let (_, text) = said(&database, Some(DeviceId::new(0)), ALL, false).await;
    assert!(text.contains("--keep-raw"), "{text}");
}
