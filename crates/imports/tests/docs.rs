//! The examples of docs/imports.md: a mapping perhaps, a file, and the points in it.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use jiff::tz::TimeZone;
use nemeses_imports::{Format, Item, Mapping, Point, Points};
use nemeses_protocol::{Reading, ShownValue, Value, Whereabouts};

/// Blocks in fences: what they are called, and what is in them.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let mut rest = text;
    let mut blocks = Vec::new();
    while let Some((_, open)) = rest.split_once("\n```") {
        let (name, body) = open.split_once('\n').unwrap();
        let (body, after) = body.split_once("```\n").unwrap();
        blocks.push((name, body));
        // The fence of the next block may follow at once.
        rest = &text[text.len() - after.len() - 1..];
    }
    blocks
}

fn shown(item: &Item) -> String {
    let point = match item {
        Ok(point) => point,
        Err(refused) => return format!("{} refused: {}", refused.line, refused.why),
    };
    let Point { line, device, at_ms, whereabouts, readings } = point;
    let at = jiff::Timestamp::from_millisecond(i64::try_from(*at_ms).unwrap()).unwrap();
    let mut words = vec![line.to_string()];
    words.extend(device.clone());
    words.push(at.to_string());
    words.extend(whereabouts.iter().flat_map(shown_place));
    for Reading { channel, unit, value } in readings {
        words.push(match value {
            Value::Flag(flag) => format!("{channel}={flag}"),
            Value::Integer(number) => format!("{channel}={number}"),
            Value::Number(number) => format!("{channel}={number}"),
            Value::Text(value) => format!("{channel}={value:?}"),
        });
        words.extend(unit.as_deref().map(str::to_owned));
    }
    words.join(" ")
}

fn shown_place(place: &Whereabouts) -> Vec<String> {
    assert!(place.historical, "never the live position");
    let scaled = |value: Option<f64>, by: f64| value.map(|value| (value / by).to_string());
    let fields = [
        ("speed", scaled(place.speed_dkmh.map(f64::from), 10.0)),
        ("course", scaled(place.direction_cdeg.map(f64::from), 100.0)),
        ("odometer", scaled(place.odometer_m.map(f64::from), 1.0)),
        ("engine_min", scaled(place.hour_meter_min.map(f64::from), 1.0)),
        ("ignition", place.ignition.map(|on| on.to_string())),
        ("fix", place.gps_fix.filter(|fix| !fix).map(|fix| fix.to_string())),
    ];
    let optional = place.optional.iter().map(|(field, value)| {
        let value = match field.shown(value) {
            ShownValue::Whole(whole) => whole.to_string(),
            ShownValue::Number(number) => number.to_string(),
            ShownValue::True => "true".to_owned(),
        };
        (field.spec().shown, Some(value))
    });
    let degrees = [place.latitude_udeg, place.longitude_udeg].map(|udeg| f64::from(udeg) / 1e6);
    let known = fields.into_iter().chain(optional).filter_map(|(name, value)| Some((name, value?)));
    let known = known.map(|(name, value)| format!("{name}={value}"));
    degrees.map(|degrees| degrees.to_string()).into_iter().chain(known).collect()
}

fn read(format: Format, mapping: Option<&str>, file: &str) -> Vec<String> {
    let mapping = mapping.map(|text| Mapping::parse(text).unwrap());
    let points = Points::read(format, mapping, TimeZone::UTC, file.as_bytes()).unwrap();
    points.map(|item| shown(&item.unwrap())).collect()
}

#[test]
fn examples_are_read_as_the_document_says() {
    let text = include_str!("../../../docs/imports.md");
    let (mut mapping, mut file, mut examples) = (None, None, 0);
    for (name, body) in blocks(text) {
        match name {
            "mapping" => mapping = Some(body),
            "points" => {
                let (format, file): (Format, &str) = file.take().unwrap();
                let lines: Vec<&str> = body.lines().collect();
                assert_eq!(read(format, mapping.take(), file), lines);
                examples += 1;
            }
            name => file = Some((Format::of_file(&format!("x.{name}")).unwrap(), body)),
        }
    }
    assert_eq!(examples, 5);
}
