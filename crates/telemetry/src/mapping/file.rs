//! A file of mappings: TOML, checked so that what is wrong is named by line, mapping and field.

use std::collections::BTreeMap;

use nemeses_protocol::{Identity, ParseIdentityError, is_channel_name, is_unit};

use super::pattern::Pattern;
use super::pointer::Each;
use super::raw::{File, Raw, RawChannel, RawFormat, RawPosition, RawTime, RawUnit};
use super::rules::{
    BelowRule, ChannelRule, Mapping, OneRule, PlaceRule, Shape, TimeRule, TimeUnit, Whose,
};
use super::template::{Pointers, Template};
use crate::output::quoted;

/// More channels than this in a mapping are a mistake; `below` names many at once.
const MOST_CHANNELS: usize = 256;

/// Why a file of mappings cannot be used: line, mapping, field and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MappingError(String);

/// What is wrong, with the field.
struct Wrong {
    /// Of a channel, where it begins in the file.
    offset: Option<usize>,
    field: String,
    why: String,
}

fn wrong(field: impl Into<String>, why: impl Into<String>) -> Wrong {
    Wrong { offset: None, field: field.into(), why: why.into() }
}

pub(super) fn read(text: &str) -> Result<Vec<Mapping>, MappingError> {
    let file: File = toml::from_str(text)
        .map_err(|error| MappingError(error.to_string().trim_end().to_owned()))?;
    let mut all: Vec<Mapping> = Vec::new();
    for raw in file.mapping {
        let begins = raw.span().start;
        let raw = raw.into_inner();
        let name = raw.name.clone();
        let mapping = mapping(raw).and_then(|mapping| clashes(&all, &mapping).map(|()| mapping));
        all.push(mapping.map_err(|Wrong { offset, field, why }| {
            let line = line_of(text, offset.unwrap_or(begins));
            MappingError(format!("line {line}, mapping {}, {field}: {why}", quoted(&name)))
        })?);
    }
    if all.is_empty() {
        return Err(MappingError("there is no [[mapping]] in the file".to_owned()));
    }
    Ok(all)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

fn clashes(all: &[Mapping], mapping: &Mapping) -> Result<(), Wrong> {
    for other in all {
        if other.name == mapping.name {
            return Err(wrong("name", "another mapping has it"));
        }
        if mapping.filter().is_some() && other.filter() == mapping.filter() {
            let why = format!("the mapping {} has these topics; the first counts", other.name);
            return Err(wrong("topic", why));
        }
        if mapping.post.is_some() && other.post == mapping.post {
            return Err(wrong("post", format!("the mapping {} has it", other.name)));
        }
    }
    Ok(())
}

fn is_plain_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn mapping(raw: Raw) -> Result<Mapping, Wrong> {
    for (field, name) in [("name", Some(&raw.name)), ("post", raw.post.as_ref())] {
        if name.is_some_and(|name| !is_plain_name(name)) {
            return Err(wrong(field, "write 1 to 64 of a-z, 0-9 and -"));
        }
    }
    if raw.topic.is_none() && raw.post.is_none() {
        return Err(wrong("topic", "a mapping has a topic, a post, or both"));
    }
    let of = |field: &'static str| move |why: String| wrong(field, why);
    let pattern = raw.topic.as_deref().map(Pattern::parse).transpose().map_err(of("topic"))?;
    let records = raw.records.as_deref().map(Each::parse).transpose().map_err(of("records"))?;
    let topic_names = pattern.iter().flat_map(Pattern::names).map(ToOwned::to_owned);
    let mut known: Vec<String> = topic_names.collect();
    if raw.post.is_some() {
        // Over HTTP there is no topic.
        known.clear();
    }
    known.extend(records.iter().flat_map(Each::names).map(ToOwned::to_owned));
    let shape = shape(&raw)?;
    let mut pointers = Pointers::default();
    let device = whose(raw.device.as_deref(), shape, &known, &mut pointers)?;
    if device == Whose::Login && raw.post.is_some() {
        return Err(wrong("device", "{login} is the login of an MQTT client; a post has none"));
    }
    let time = raw.time.map(|time| time_rule(&time, &mut pointers)).transpose()?;
    let place_required = raw.position.as_ref().is_some_and(|position| position.required);
    let place = raw.position.map(|position| place_rules(&position, &mut pointers)).transpose()?;
    if raw.channels.len() > MOST_CHANNELS {
        return Err(wrong("channels", format!("{MOST_CHANNELS} is the most; use below for many")));
    }
    let mut channels = Vec::new();
    for (number, channel) in (1..).zip(raw.channels) {
        let offset = channel.span().start;
        let rule = channel_rule(channel.get_ref(), shape, &known, &mut pointers);
        channels.push(rule.map_err(|Wrong { field, why, .. }| Wrong {
            offset: Some(offset),
            field: format!("channel {number}, {field}"),
            why,
        })?);
    }
    if shape == Shape::Json && channels.is_empty() && place.is_none() {
        return Err(wrong("channels", "nothing would be stored; name channels or a position"));
    }
    Ok(Mapping {
        name: raw.name,
        pattern,
        post: raw.post,
        shape,
        records,
        device,
        pointers,
        time,
        place: place.unwrap_or_default(),
        place_required,
        text_numbers: raw.text_numbers,
        channels,
    })
}

/// The format, and what goes with it.
fn shape(raw: &Raw) -> Result<Shape, Wrong> {
    let json_only = [
        ("time", raw.time.is_some()),
        ("position", raw.position.is_some()),
        ("channels", raw.channels.len() > 1),
    ];
    let refused = json_only.into_iter().find(|(_, is_there)| *is_there).map(|(field, _)| field);
    match raw.format {
        RawFormat::Json => Ok(Shape::Json),
        RawFormat::Text => match refused {
            Some(field) => Err(wrong(field, "a text is one value; it has one channel alone")),
            None if raw.channels.len() != 1 || raw.records.is_some() => {
                Err(wrong("channels", "a text is one value: one channel at \"\", no records"))
            }
            None => Ok(Shape::Text),
        },
        RawFormat::Telemetry if refused.is_some() || !raw.channels.is_empty() => Err(wrong(
            refused.unwrap_or("channels"),
            "the format telemetry says it by itself (docs/telemetry.md)",
        )),
        RawFormat::Telemetry => Ok(Shape::Telemetry),
    }
}

fn whose(
    text: Option<&str>,
    shape: Shape,
    known: &[String],
    pointers: &mut Pointers,
) -> Result<Whose, Wrong> {
    let Some(text) = text else {
        return if shape == Shape::Telemetry {
            Ok(Whose::Payload)
        } else {
            Err(wrong("device", "it is missing; write for example id:{device} or eui:{/devEui}"))
        };
    };
    if text == "{login}" {
        return Ok(Whose::Login);
    }
    let template = Template::parse(text, known, pointers).map_err(|why| wrong("device", why))?;
    if shape != Shape::Json && template.has_pointer() {
        return Err(wrong("device", "only payloads of the format json have pointers"));
    }
    let beginning = template.beginning();
    let kind = beginning.split_once(':').map(|(kind, _)| format!("{kind}:x"));
    match kind.map(|text| text.parse::<Identity>()) {
        Some(Err(error @ ParseIdentityError::Kind)) => Err(wrong("device", error.to_string())),
        None if !beginning.is_empty() => Err(wrong(
            "device",
            "write a kind and a name, such as id:{device}, imei:{/imei} or host:{host}",
        )),
        _ => Ok(Whose::Named(template)),
    }
}

fn time_rule(raw: &RawTime, pointers: &mut Pointers) -> Result<TimeRule, Wrong> {
    let at = pointers.place(&raw.at).map_err(|why| wrong("time.at", why))?;
    let unit = match raw.unit {
        RawUnit::S => TimeUnit::Nanoseconds(1_000_000_000),
        RawUnit::Ms => TimeUnit::Nanoseconds(1_000_000),
        RawUnit::Us => TimeUnit::Nanoseconds(1_000),
        RawUnit::Ns => TimeUnit::Nanoseconds(1),
        RawUnit::Text => TimeUnit::Text,
    };
    let zone = match &raw.zone {
        Some(_) if unit != TimeUnit::Text => {
            return Err(wrong("time.zone", "a number has no zone; it is for unit = \"text\""));
        }
        Some(name) => Some(jiff::tz::TimeZone::get(name).map_err(|_| {
            let why = format!("there is no zone {}; write one such as Europe/Berlin", quoted(name));
            wrong("time.zone", why)
        })?),
        None => None,
    };
    Ok(TimeRule { at, unit, zone, optional: raw.optional })
}

/// Units with their factors to the one that positions have.
const SPEEDS: [(&str, f64); 4] = [("km/h", 1.0), ("m/s", 3.6), ("kn", 1.852), ("mph", 1.609_344)];
const LENGTHS: [(&str, f64); 4] = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.344)];

fn factor(
    field: &'static str,
    unit: Option<&str>,
    units: &[(&'static str, f64)],
) -> Result<f64, Wrong> {
    let Some(unit) = unit else { return Ok(1.0) };
    let known = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    known.ok_or_else(|| {
        let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        wrong(field, format!("there is no unit {}; write {}", quoted(unit), names.join(", ")))
    })
}

fn place_rules(raw: &RawPosition, pointers: &mut Pointers) -> Result<Vec<PlaceRule>, Wrong> {
    let speed = factor("position.speed_unit", raw.speed_unit.as_deref(), &SPEEDS)?;
    let altitude = factor("position.altitude_unit", raw.altitude_unit.as_deref(), &LENGTHS)?;
    let odometer = factor("position.odometer_unit", raw.odometer_unit.as_deref(), &LENGTHS)?;
    let degrees = raw.coordinate_scale.unwrap_or(1.0);
    if !degrees.is_finite() || degrees == 0.0 {
        return Err(wrong("position.coordinate_scale", "write a factor, such as 1e-7"));
    }
    let parts = [
        ("latitude", "lat", Some(&raw.latitude), degrees),
        ("longitude", "lon", Some(&raw.longitude), degrees),
        ("altitude", "alt", raw.altitude.as_ref(), altitude),
        ("speed", "speed", raw.speed.as_ref(), speed),
        ("heading", "heading", raw.heading.as_ref(), 1.0),
        ("satellites", "sats", raw.satellites.as_ref(), 1.0),
        ("hdop", "hdop", raw.hdop.as_ref(), 1.0),
        ("accuracy", "accuracy", raw.accuracy.as_ref(), 1.0),
        ("odometer", "odometer", raw.odometer.as_ref(), odometer),
        ("ignition", "ignition", raw.ignition.as_ref(), 1.0),
        ("fix", "fix", raw.fix.as_ref(), 1.0),
    ];
    let mut rules = Vec::new();
    for (field, part, at, factor) in parts {
        let Some(at) = at else { continue };
        let at = pointers.place(at).map_err(|why| wrong(format!("position.{field}"), why))?;
        rules.push(PlaceRule { at, part, factor });
    }
    Ok(rules)
}

fn channel_rule(
    raw: &RawChannel,
    shape: Shape,
    known: &[String],
    pointers: &mut Pointers,
) -> Result<ChannelRule, Wrong> {
    match (&raw.at, &raw.below) {
        (Some(at), None) if raw.decode.is_some() && shape == Shape::Json => {
            Ok(ChannelRule::Cayenne { at: pointers.place(at).map_err(|why| wrong("at", why))? })
        }
        (Some(at), None) => one(raw, at, shape, known, pointers).map(ChannelRule::One),
        (None, Some(below)) if shape == Shape::Json => {
            below_rule(raw, below, known, pointers).map(ChannelRule::Below)
        }
        (None, Some(_)) => Err(wrong("below", "a text is one value; write at = \"\"")),
        _ => Err(wrong("at", "a channel has either at, for one value, or below, for many")),
    }
}

fn unit(field: &str, text: &str) -> Result<Box<str>, Wrong> {
    if is_unit(text) {
        Ok(text.into())
    } else {
        Err(wrong(field, "a unit has 1 to 32 visible bytes, such as Cel or km/h"))
    }
}

fn one(
    raw: &RawChannel,
    at: &str,
    shape: Shape,
    known: &[String],
    pointers: &mut Pointers,
) -> Result<OneRule, Wrong> {
    for (field, is_there) in [
        ("prefix", raw.prefix.is_some()),
        ("units", !raw.units.is_empty()),
        ("skip", !raw.skip.is_empty()),
        ("texts", raw.texts),
    ] {
        if is_there {
            return Err(wrong(field, "it goes with below"));
        }
    }
    if shape == Shape::Text && !at.is_empty() {
        return Err(wrong("at", "a text has no parts; write at = \"\""));
    }
    let place = pointers.place(at).map_err(|why| wrong("at", why))?;
    let name = match &raw.name {
        Some(name) => Template::parse(name, known, pointers).map_err(|why| wrong("name", why))?,
        None => Template::plain(&pointers.0[place].dotted()),
    };
    if shape == Shape::Text && name.has_pointer() {
        return Err(wrong("name", "only payloads of the format json have pointers"));
    }
    if name.is_plain() && !is_channel_name(name.beginning()) {
        return Err(wrong("name", "a channel has a name of 1 to 128 bytes of visible characters"));
    }
    let linear = match (raw.scale, raw.offset) {
        (None, None) => None,
        (scale, offset) => Some((scale.unwrap_or(1.0), offset.unwrap_or(0.0))),
    };
    if linear.is_some_and(|(scale, offset)| !scale.is_finite() || !offset.is_finite()) {
        return Err(wrong("scale", "scale and offset are finite numbers"));
    }
    let unit = raw.unit.as_deref().map(|text| unit("unit", text)).transpose()?;
    Ok(OneRule { at: place, name, unit, linear, required: raw.required })
}

fn below_rule(
    raw: &RawChannel,
    below: &str,
    known: &[String],
    pointers: &mut Pointers,
) -> Result<BelowRule, Wrong> {
    for (field, is_there) in [
        ("name", raw.name.is_some()),
        ("unit", raw.unit.is_some()),
        ("scale", raw.scale.is_some()),
        ("offset", raw.offset.is_some()),
        ("required", raw.required),
        ("decode", raw.decode.is_some()),
    ] {
        if is_there {
            return Err(wrong(field, "it goes with at"));
        }
    }
    let at = pointers.place(below).map_err(|why| wrong("below", why))?;
    let prefix = raw.prefix.as_deref().unwrap_or_default();
    let prefix = Template::parse(prefix, known, pointers).map_err(|why| wrong("prefix", why))?;
    let mut units = BTreeMap::new();
    for (name, text) in &raw.units {
        units.insert(name.clone(), unit(&format!("units.{name}"), text)?);
    }
    Ok(BelowRule { at, prefix, units, skip: raw.skip.clone(), texts: raw.texts })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[mapping]]
name = "a"
topic = "sensors/{device}/up"
device = "id:{device}"

[[mapping.channels]]
at = "/t"
"#;

    #[test]
    fn what_is_wrong_is_named_by_line_mapping_and_field() {
        assert_eq!(read(GOOD).unwrap().len(), 1);
        let with = |find: &str, replace: &str| {
            assert!(GOOD.contains(find), "{find}");
            read(&GOOD.replace(find, replace)).unwrap_err().to_string()
        };
        for (find, replace, error) in [
            ("\"a\"", "\"A b\"", "line 2, mapping \"A b\", name: write 1 to 64"),
            ("topic", "#topic", "line 2, mapping \"a\", topic: a mapping has a topic"),
            ("{device}/up", "{device/up", "line 2, mapping \"a\", topic: \"{device\" is neither"),
            ("id:{device}", "id:{dev}", "line 2, mapping \"a\", device: {dev} is neither a level"),
            ("id:{device}", "xx:{device}", "device: there is no kind of device id"),
            ("id:{device}", "dev{device}", "device: write a kind and a name"),
            ("device = ", "#", "device: it is missing"),
            ("at = \"/t\"", "at = \"t\"", "line 7, mapping \"a\", channel 1, at: \"t\" is no JSON"),
            ("at = \"/t\"", "at = \"/t\"\nprefix = \"x\"", "channel 1, prefix: it goes with below"),
            ("at = \"/t\"", "below = \"/t\"\nunit = \"x\"", "channel 1, unit: it goes with at"),
            ("at = \"/t\"", "at = \"/t\"\nunit = \"a b\"", "channel 1, unit: a unit has"),
            ("at = \"/t\"", "at = \"\"", "channel 1, name: a channel has a name"),
            ("at = \"/t\"", "name = \"x\"", "channel 1, at: a channel has either"),
            ("at = \"/t\"", "at = \"/t\"\nscale = nan", "channel 1, scale: scale and offset are"),
            ("[[mapping.channels]]\nat = \"/t\"", "", "channels: nothing would be stored"),
        ] {
            let found = with(find, replace);
            assert!(found.contains(error), "{replace}: {found}");
        }
        for (more, error) in [
            ("[mapping.time]\nat = \"/t\"\nunit = \"days\"", "unknown variant `days`"),
            (
                "[mapping.time]\nat = \"/t\"\nunit = \"s\"\nzone = \"UTC\"",
                "time.zone: a number has",
            ),
            (
                "[mapping.time]\nat = \"/t\"\nunit = \"text\"\nzone = \"X\"",
                "time.zone: there is no",
            ),
            (
                "[mapping.position]\nlatitude = \"/a\"\nlongitude = \"/b\"\nspeed_unit = \"c\"",
                "position.speed_unit: there is no unit \"c\"; write km/h, m/s, kn, mph",
            ),
            ("[mapping.position]\nlatitude = \"/a\"", "missing field `longitude`"),
            ("colour = 1", "unknown field `colour`"),
            (&GOOD[1..], "name: another mapping has it"),
            (&GOOD[1..].replace("\"a\"", "\"b\""), "topic: the mapping a has these topics"),
        ] {
            let found = read(&format!("{GOOD}{more}\n")).unwrap_err().to_string();
            assert!(found.contains(error), "{more}: {found}");
            assert!(found.contains("line "), "{found}");
        }
        assert!(read("").unwrap_err().to_string().contains("no [[mapping]]"));
        assert!(read("x").unwrap_err().to_string().contains("line 1"));
    }
}
