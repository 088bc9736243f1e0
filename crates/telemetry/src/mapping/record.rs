//! A payload by a mapping: its records, each with its device, time, position and values.

use nemeses_protocol::Identity;

use super::channels::{self, Read};
use super::pattern::Names;
use super::pointer::{Found, look_up};
use super::rules::{Mapping, PlaceRule, Refused, Shape, TimeRule, TimeUnit, Whose};
use super::template::in_a_name;
use crate::TelemetryError::{BadDevice, BadPayload, BadTime, BadValue};
use crate::item::Item;
use crate::json::{Member, elements, item, number, text_of, whole};
use crate::output::{Decoded, GroupId, Output, quoted};
use crate::position::Place;
use crate::time::Moment;
use crate::{Format, decode_into, plain};

impl Mapping {
    /// Reads a payload that arrived at `received_at_ms` (Unix milliseconds) on a topic that
    /// [`Self::filter`] matches, or over HTTP. What cannot be read is among the rejected parts.
    pub fn decode(&self, topic: Option<&str>, payload: &[u8], received_at_ms: u64) -> Decoded {
        let mut output = Output::new(payload, received_at_ms);
        let names = self.pattern.as_ref().zip(topic).map(|(pattern, topic)| pattern.read(topic));
        match names.unwrap_or_else(|| Ok(Names::default())) {
            Ok(names) => read(self, &names, &mut output),
            Err(detail) => output.reject_all(BadDevice, detail),
        }
        output.finish()
    }
}

fn read(mapping: &Mapping, names: &Names, output: &mut Output<'_>) {
    if mapping.shape == Shape::Telemetry && mapping.records.is_none() {
        decode_into(Format::Auto, output);
        return name_all(mapping, names, 0, output);
    }
    let Some(text) = text_of(output.payload) else {
        return output.reject_all(BadPayload, "the payload is not UTF-8".into());
    };
    if mapping.shape == Shape::Text {
        if let Err((reason, detail)) = one_text(mapping, names, text, output) {
            output.reject_all(reason, detail);
        }
        return;
    }
    match records(mapping, names, text) {
        Ok((start, records)) => {
            for (part, names) in records {
                let outcome = match mapping.shape {
                    Shape::Telemetry => telemetry(mapping, &part, &names, output),
                    _ => record(mapping, &part, &names, &start, output),
                };
                if let Err((reason, detail)) = outcome {
                    output.reject(output.span(part.value.as_bytes()), reason, detail);
                }
            }
        }
        Err((reason, detail)) => output.reject_all(reason, detail),
    }
}

type Records<'p> = Vec<(Member<'p>, Names)>;

/// The records of a payload, and what pointers into the whole of it name.
fn records<'p>(
    mapping: &Mapping,
    names: &Names,
    text: &'p str,
) -> Result<(Found<'p>, Records<'p>), Refused> {
    let (is_list, listed) = elements(text).map_err(|error| {
        (BadPayload, format!("the payload is not JSON: {error}; send the whole of it"))
    })?;
    let root = whole(text);
    let mut start = vec![None; mapping.pointers.0.len()];
    let of_payload = mapping.pointers.0.iter().enumerate().filter(|(_, it)| it.of_payload);
    look_up(&root, of_payload, &mut start).map_err(|why| (BadValue, why))?;
    let records: Records<'p> = match &mapping.records {
        Some(each) => each.of(&root, names),
        None if is_list => listed.into_iter().map(|it| (whole(it), names.clone())).collect(),
        None => vec![(root, names.clone())],
    };
    if records.is_empty() && mapping.records.is_some() {
        let why = format!("nothing is where the mapping {} looks for records", mapping.name);
        return Err((BadValue, why));
    }
    Ok((start, records))
}

/// Elements in the form of `docs/telemetry.md`.
fn telemetry(
    mapping: &Mapping,
    part: &Member<'_>,
    names: &Names,
    output: &mut Output<'_>,
) -> Result<(), Refused> {
    device(mapping, names, &Vec::new())?;
    let first = output.groups_so_far();
    plain::decode(&[part.value], output);
    name_all(mapping, names, first, output);
    Ok(())
}

/// Says whose the records from `first` on are. What cannot be said rejects them.
fn name_all(mapping: &Mapping, names: &Names, first: usize, output: &mut Output<'_>) {
    match device(mapping, names, &Vec::new()) {
        Ok(None) => {}
        Ok(Some(name)) => output.name_from(first, &name),
        Err((reason, detail)) => {
            output.drop_from(first);
            output.reject_all(reason, detail);
        }
    }
}

/// One value, which is the whole payload.
fn one_text(
    mapping: &Mapping,
    names: &Names,
    text: &str,
    output: &mut Output<'_>,
) -> Result<(), Refused> {
    let name = device(mapping, names, &Vec::new())?;
    let group = output.open(name, Moment::arrival(output.received_at_ms));
    let value = match (text, number(text)) {
        ("", _) => return Err((BadValue, "the payload is empty".into())),
        ("true", _) => Item::Flag(true),
        ("false", _) => Item::Flag(false),
        (_, Item::Unreadable) => Item::Text(text.into()),
        (_, number) => number,
    };
    let read = Read { mapping, names, found: &Vec::new(), group };
    channels::of_text(&read, value, output)
}

fn record<'p>(
    mapping: &Mapping,
    part: &Member<'p>,
    names: &Names,
    start: &Found<'p>,
    output: &mut Output<'p>,
) -> Result<(), Refused> {
    let mut found = start.clone();
    let of_record = mapping.pointers.0.iter().enumerate().filter(|(_, it)| !it.of_payload);
    look_up(part, of_record, &mut found).map_err(|why| (BadValue, why))?;
    let name = device(mapping, names, &found)?;
    let moment = match &mapping.time {
        Some(rule) => moment(mapping, rule, &found, output.received_at_ms)?,
        None => Moment::arrival(output.received_at_ms),
    };
    let group = output.open(name, moment);
    let refused_before = output.refused_so_far();
    let place = place(mapping, &found, group, output)?;
    let read = Read { mapping, names, found: &found, group };
    let values = channels::of_record(&read, output)?;
    if !place && values == 0 && output.refused_so_far() == refused_before {
        let why = format!("nothing that the mapping {} names is in this record", mapping.name);
        return Err((BadValue, why));
    }
    Ok(())
}

/// Whose the records are, if the mapping says so.
fn device(mapping: &Mapping, names: &Names, found: &Found<'_>) -> Result<Option<String>, Refused> {
    let Whose::Named(template) = &mapping.device else { return Ok(None) };
    // A value that is all of the id is written as ids are.
    let form = if template.beginning().contains(':') { in_a_name } else { str::to_owned };
    let name = template
        .fill(names, (&mapping.pointers, found), form)
        .map_err(|why| (BadDevice, format!("the device has no name: {why}")))?;
    match name.parse::<Identity>() {
        Ok(identity) => Ok(Some(identity.to_string())),
        Err(error) => Err((BadDevice, format!("{} is no device: {error}", quoted(&name)))),
    }
}

fn moment(
    mapping: &Mapping,
    rule: &TimeRule,
    found: &Found<'_>,
    received_at_ms: u64,
) -> Result<Moment, Refused> {
    let value = found[rule.at].as_ref().map_or(Item::Null, |part| item(part.value));
    if value == Item::Null && rule.optional {
        return Ok(Moment::arrival(received_at_ms));
    }
    let moment = match (&value, rule.unit) {
        (Item::Text(text), TimeUnit::Text) => Moment::of_text(text, rule.zone.as_ref()),
        (value, TimeUnit::Nanoseconds(unit)) => Moment::of_number(value, unit),
        _ => None,
    };
    moment.ok_or_else(|| {
        let shown = found[rule.at].as_ref().map_or("nothing".to_owned(), |it| quoted(it.value));
        let wanted = match (rule.unit, &rule.zone) {
            (TimeUnit::Nanoseconds(_), _) => "a number of the unit that time.unit names",
            (TimeUnit::Text, Some(_)) => "a date with a time of day",
            (TimeUnit::Text, None) => {
                "a date with a time of day and its zone; name the zone in time.zone if it has none"
            }
        };
        let pointer = &mapping.pointers.0[rule.at];
        (BadTime, format!("at {pointer} is {shown}, and the time must be {wanted}, from 1970 on"))
    })
}

/// Whether there is a position. One that cannot be read is rejected as a whole, without the
/// values.
fn place(
    mapping: &Mapping,
    found: &Found<'_>,
    group: GroupId,
    output: &mut Output<'_>,
) -> Result<bool, Refused> {
    let is_there = |rule: &&PlaceRule| {
        let part = found[rule.at].as_ref();
        part.is_some_and(|part| item(part.value) != Item::Null)
    };
    let there: Vec<&PlaceRule> = mapping.place.iter().filter(is_there).collect();
    let wanted = there.iter().any(|rule| matches!(rule.part, "lat" | "lon"));
    if !wanted {
        return if mapping.place_required {
            Err((BadValue, "the record has no position, and position.required is set".into()))
        } else {
            Ok(false)
        };
    }
    let mut place = Place::new();
    let whole = there.iter().try_for_each(|rule| {
        let part = found[rule.at].as_ref().ok_or_else(String::new)?;
        place
            .set(rule.part, &part_of_place(mapping, rule, item(part.value)))
            .map(|_known| ())
            .map_err(|why| {
                format!("{why}: at {} is {}", mapping.pointers.0[rule.at], quoted(part.value))
            })
    });
    match whole.and_then(|()| place.whereabouts()) {
        Ok(position) => output.locate(group, position),
        Err(why) => {
            let spans = there.iter().filter_map(|rule| found[rule.at].as_ref());
            let spans: Vec<_> = spans.map(|part| part.span(output)).collect();
            let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
            let end = spans.iter().map(|span| span.end).max().unwrap_or_default();
            output.reject(start..end, BadValue, why);
            return Ok(false);
        }
    }
    Ok(true)
}

fn part_of_place<'p>(mapping: &Mapping, rule: &PlaceRule, value: Item<'p>) -> Item<'p> {
    let value = channels::as_number(mapping, value);
    if matches!(rule.part, "ignition" | "fix") {
        return match value {
            Item::Integer(0) => Item::Flag(false),
            Item::Integer(1) => Item::Flag(true),
            value => value,
        };
    }
    #[expect(clippy::float_cmp, reason = "1 as it is written, to keep whole numbers whole")]
    let as_it_is = rule.factor == 1.0;
    match value.number().filter(|_| !as_it_is) {
        Some(number) => Item::Number(number * rule.factor),
        None => value,
    }
}
