//! Objects of values: `{"t": …, "position": {…}, "values": {…}}`, or the values alone.

use std::collections::HashMap;

use nemeses_protocol::{Reading, is_channel_name, is_unit};

use crate::item::Item;
use crate::json::{Member, item, members};
use crate::output::{GroupId, Output, quoted};
use crate::position::position;
use crate::time::Moment;
use crate::{MAX_NAME, TelemetryError};

/// Objects in objects become names with dots up to this many names.
pub const MAX_LEVELS: usize = 4;

/// Why something is rejected, with the detail.
type Refused = (TelemetryError, String);
/// Units by the names of channels.
type Units = HashMap<String, Box<str>>;

pub(crate) fn decode(elements: &[&str], output: &mut Output<'_>) {
    for (number, element) in elements.iter().enumerate() {
        let outcome = match members(element) {
            Some(members) => object(members, output),
            None => Err((
                TelemetryError::BadValue,
                format!("element {} of the list is no object of values", number + 1),
            )),
        };
        if let Err((reason, detail)) = outcome {
            output.reject(output.span(element.as_bytes()), reason, detail);
        }
    }
}

fn object(members: Vec<Member<'_>>, output: &mut Output<'_>) -> Result<(), Refused> {
    let is_position = |member: &Member<'_>| member.is("position") && member.value.starts_with('{');
    if members.iter().any(|member| member.is("values") || is_position(member)) {
        return envelope(members, output);
    }
    let group = output.open(None, Moment::arrival(output.received_at_ms));
    flatten(None, members, 1, &mut Target { group, units: HashMap::new(), output });
    Ok(())
}

/// The members beside `values` say when, who, where, and in which units.
fn envelope(all: Vec<Member<'_>>, output: &mut Output<'_>) -> Result<(), Refused> {
    let time = if all.iter().any(|member| member.is("t")) { "t" } else { "ts" };
    let mut moment = Moment::arrival(output.received_at_ms);
    let mut name = None;
    let mut values = None;
    let mut units = None;
    let mut place = None;
    let mut unknown = Vec::new();
    for member in all {
        match member.key.as_deref() {
            Some("values") => values = Some(member),
            Some("units") => units = Some(member),
            Some("position") => place = Some(member),
            Some("id") => name = device(item(member.value))?,
            Some(key) if key == time => moment = time_of(&member, output.received_at_ms)?,
            _ => unknown.push(member),
        }
    }
    let values = match values {
        None => Some(Vec::new()),
        Some(values) if item(values.value) == Item::Null => Some(Vec::new()),
        Some(values) => members(values.value),
    };
    let not_object = || (TelemetryError::BadValue, "the member values is no object".to_owned());
    let values = values.ok_or_else(not_object)?;
    for member in unknown {
        let detail = format!(
            "{} stands beside values and has no meaning there; put it into values if it is one",
            quoted(member.key.as_deref().unwrap_or_default())
        );
        output.reject(member.span(output), TelemetryError::UnknownMember, detail);
    }
    let units = units.map(|member| read_units(&member, output)).unwrap_or_default();
    let group = output.open(name, moment);
    match place.as_ref().map(|place| position(place, output)) {
        Some(Ok(Some(position))) => output.locate(group, position),
        Some(Err((reason, detail))) => {
            let span = place.map_or(0..0, |place| place.span(output));
            output.reject(span, reason, detail);
        }
        Some(Ok(None)) | None => {}
    }
    flatten(None, values, 1, &mut Target { group, units, output });
    Ok(())
}

fn time_of(member: &Member<'_>, received_at_ms: u64) -> Result<Moment, Refused> {
    let item = item(member.value);
    if item == Item::Null {
        return Ok(Moment::arrival(received_at_ms));
    }
    Moment::of_member(&item).ok_or_else(|| {
        let detail = format!(
            "{} is no time; send Unix seconds or milliseconds, or a text such as \
             2026-11-30T12:00:00Z, from 1970 to 9999",
            quoted(member.value)
        );
        (TelemetryError::BadTime, detail)
    })
}

fn device(item: Item<'_>) -> Result<Option<String>, Refused> {
    match item {
        Item::Null => Ok(None),
        Item::Text(text) if (1..=MAX_NAME).contains(&text.len()) => Ok(Some(text.into_owned())),
        _ => {
            let detail = format!("the member id is no text of 1 to {MAX_NAME} bytes");
            Err((TelemetryError::BadDevice, detail))
        }
    }
}

/// Whatever is no unit is rejected by itself: the value is as good without it.
fn read_units(member: &Member<'_>, output: &mut Output<'_>) -> Units {
    let mut units = HashMap::new();
    let listed = match item(member.value) {
        Item::Null => Some(Vec::new()),
        _ => members(member.value),
    };
    let Some(listed) = listed else {
        let detail = "the member units is no object of texts by the names of channels";
        output.reject(member.span(output), TelemetryError::BadUnit, detail.into());
        return units;
    };
    for entry in listed {
        match (&entry.key, item(entry.value)) {
            (_, Item::Null) => {}
            (Some(channel), Item::Text(unit)) if is_unit(&unit) => {
                units.insert(channel.to_string(), unit.into());
            }
            (key, _) => {
                let detail = format!(
                    "the unit of {} is no text of 1 to 32 visible bytes such as Cel or km/h",
                    quoted(key.as_deref().unwrap_or_default())
                );
                output.reject(entry.span(output), TelemetryError::BadUnit, detail);
            }
        }
    }
    units
}

/// Where the values of one object go.
struct Target<'o, 'p> {
    group: GroupId,
    units: Units,
    output: &'o mut Output<'p>,
}

fn flatten(
    prefix: Option<&str>,
    members: Vec<Member<'_>>,
    level: usize,
    target: &mut Target<'_, '_>,
) {
    for member in members {
        if let Err((reason, detail)) = value(prefix, &member, level, target) {
            target.output.reject(member.span(target.output), reason, detail);
        }
    }
}

fn value(
    prefix: Option<&str>,
    member: &Member<'_>,
    level: usize,
    target: &mut Target<'_, '_>,
) -> Result<(), Refused> {
    let item = item(member.value);
    if item == Item::Null {
        return Ok(());
    }
    let key = member.key.as_deref().unwrap_or_default();
    // What is too long by itself is not joined: the prefix is copied for each member.
    if !is_channel_name(key) {
        return Err(bad_channel(key));
    }
    let channel = prefix.map_or_else(|| key.to_owned(), |prefix| format!("{prefix}.{key}"));
    if prefix.is_some() && !is_channel_name(&channel) {
        return Err(bad_channel(&channel));
    }
    if item == Item::Object {
        if level == MAX_LEVELS {
            let name = quoted(&channel);
            let detail = format!("{name} is an object below {MAX_LEVELS} names; send it flatter");
            return Err((TelemetryError::BadValue, detail));
        }
        let inner = members(member.value).unwrap_or_default();
        flatten(Some(&channel), inner, level + 1, target);
        return Ok(());
    }
    let value = item.value().map_err(|why| {
        (TelemetryError::BadValue, format!("the value of {} {why}", quoted(&channel)))
    })?;
    let unit = target.units.get(&channel).cloned();
    let reading = Reading { channel: channel.into(), unit, value };
    target.output.put(target.group, reading, member.span(target.output));
    Ok(())
}

/// The rejection of a name.
pub(crate) fn bad_channel(channel: &str) -> Refused {
    let detail = format!(
        "{} cannot name a channel; a name has 1 to 128 bytes of visible characters",
        quoted(channel)
    );
    (TelemetryError::BadChannel, detail)
}
