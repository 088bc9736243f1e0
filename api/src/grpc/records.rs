//! Records of a call as the JSON that the REST API accepts, so that there is one decoder, and a record
//! that it refuses is a dead letter that can be read and decoded again. Pure.

use nemeses_reports::number::time_ms;
use serde_json::{Map, Number, Value as Json, json};

use super::v1::{self, value::Kind};
use crate::posting::MAX_BODY;
use crate::problem::{self, Problem, fault};

/// 9999-12-31T23:59:59.999Z, Unix milliseconds.
const LAST_MS: u64 = 253_402_300_799_999;

/// The body.
pub(super) fn body(records: Vec<v1::Record>) -> Result<Vec<u8>, Problem> {
    if records.is_empty() {
        return Err(Problem::field("records", "There are none."));
    }
    let records = records.into_iter().enumerate().map(|(at, record)| of(at, record));
    let records = records.collect::<Result<Vec<_>, _>>()?;
    let body = serde_json::to_vec(&records).map_err(|error| fault(&error))?;
    if body.len() > MAX_BODY {
        let detail = "The records have more than 256 KiB as JSON. Send them in several requests.";
        return Err(Problem::new(problem::Kind::BodyTooLarge, detail));
    }
    Ok(body)
}

fn of(at: usize, record: v1::Record) -> Result<Json, Problem> {
    let field = |name: &str| format!("records[{at}].{name}");
    let mut written = Map::new();
    if !record.device_id.is_empty() {
        written.insert("id".to_owned(), record.device_id.into());
    }
    if let Some(ms) = record.time_ms {
        let ms = u64::try_from(ms).ok().filter(|ms| *ms <= LAST_MS).ok_or_else(|| {
            Problem::field(field("time_ms"), "Must be Unix milliseconds from 1970 to 9999.")
        })?;
        written.insert("t".to_owned(), time_ms(ms).into());
    }
    let mut values = Map::new();
    for (name, value) in record.values {
        let value = of_value(value, || field(&format!("values[{name}]")))?;
        values.insert(name, value);
    }
    written.insert("values".to_owned(), values.into());
    if !record.units.is_empty() {
        written.insert("units".to_owned(), json!(record.units));
    }
    if let Some(place) = record.position {
        written.insert("position".to_owned(), of_place(&place, || field("position"))?);
    }
    Ok(written.into())
}

fn of_value(value: v1::Value, field: impl Fn() -> String) -> Result<Json, Problem> {
    Ok(match value.kind {
        Some(Kind::Number(number)) => finite(number, field)?,
        Some(Kind::Integer(integer)) => integer.into(),
        Some(Kind::Flag(flag)) => flag.into(),
        Some(Kind::Text(text)) => text.into(),
        None => {
            let detail = "Must be a number, an integer, a flag or a text.";
            return Err(Problem::field(field(), detail));
        }
    })
}

/// JSON has no other numbers.
fn finite(number: f64, field: impl Fn() -> String) -> Result<Json, Problem> {
    let number = Number::from_f64(number).map(Json::Number);
    number.ok_or_else(|| Problem::field(field(), "Must be a finite number."))
}

fn of_place(place: &v1::Place, field: impl Fn() -> String) -> Result<Json, Problem> {
    let mut written = Map::new();
    let numbers = [
        ("lat", Some(place.latitude)),
        ("lon", Some(place.longitude)),
        ("alt", place.altitude_m),
        ("speed", place.speed_kmh),
        ("heading", place.heading_deg),
        ("hdop", place.hdop),
        ("accuracy", place.accuracy_m),
        ("odometer", place.odometer_m),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            written.insert(name.to_owned(), finite(number, &field)?);
        }
    }
    if let Some(satellites) = place.satellites {
        written.insert("sats".to_owned(), satellites.into());
    }
    for (name, flag) in [("ignition", place.ignition), ("fix", place.fix)] {
        written.extend(flag.map(|flag| (name.to_owned(), flag.into())));
    }
    Ok(written.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: Kind) -> v1::Value {
        v1::Value { kind: Some(kind) }
    }

    fn record(name: &str, kind: Option<Kind>) -> v1::Record {
        let values = [(name.to_owned(), v1::Value { kind })].into();
        v1::Record { values, ..v1::Record::default() }
    }

    #[test]
    fn records_are_what_the_rest_api_accepts() {
        let whole = v1::Record {
            device_id: "host:web1".to_owned(),
            time_ms: Some(1_593_637_200_250),
            values: [
                ("load".to_owned(), value(Kind::Number(0.5))),
                ("count".to_owned(), value(Kind::Integer(i64::MAX))),
                ("up".to_owned(), value(Kind::Flag(true))),
                ("state".to_owned(), value(Kind::Text("idle".to_owned()))),
            ]
            .into(),
            units: [("load".to_owned(), "1".to_owned())].into(),
            position: Some(v1::Place {
                latitude: -19.5,
                longitude: 43.25,
                satellites: Some(7),
                fix: Some(false),
                ..v1::Place::default()
            }),
        };
        let read: Json = serde_json::from_slice(&body(vec![whole]).unwrap()).unwrap();
        let expected = json!([{
            "id": "host:web1", "t": "2020-07-01T21:00:00.250Z",
            "values": {"count": i64::MAX, "load": 0.5, "state": "idle", "up": true},
            "units": {"load": "1"},
            "position": {"lat": -19.5, "lon": 43.25, "sats": 7, "fix": false},
        }]);
        assert_eq!(read, expected);
    }

    #[test]
    fn what_json_cannot_say_is_refused_and_not_dropped() {
        for (record, name) in [
            (record("x", Some(Kind::Number(f64::NAN))), "records[0].values[x]"),
            (record("x", Some(Kind::Number(f64::INFINITY))), "records[0].values[x]"),
            (record("x", None), "records[0].values[x]"),
            (v1::Record { time_ms: Some(-1), ..v1::Record::default() }, "records[0].time_ms"),
            (v1::Record { time_ms: Some(i64::MAX), ..v1::Record::default() }, "records[0].time_ms"),
            (
                v1::Record {
                    position: Some(v1::Place { latitude: f64::NAN, ..v1::Place::default() }),
                    ..v1::Record::default()
                },
                "records[0].position",
            ),
        ] {
            assert_eq!(body(vec![record]).unwrap_err().at_fault(), Some(name));
        }
        assert_eq!(body(Vec::new()).unwrap_err().at_fault(), Some("records"));
        let long = record("x", Some(Kind::Text("x".repeat(MAX_BODY))));
        assert_eq!(body(vec![long]).unwrap_err().kind(), problem::Kind::BodyTooLarge);
    }
}
