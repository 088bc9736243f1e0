//! Values by a mapping's rules.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nemeses_protocol::{
    Cayenne, DeviceId, Item as Stretch, Items, ProtocolFrame as _, Reading, Source, Value,
    Whereabouts, is_channel_name,
};

use super::pattern::Names;
use super::pointer::Found;
use super::rules::{BelowRule, ChannelRule, Mapping, OneRule, Refused};
use crate::MAX_LEVELS;
use crate::TelemetryError::{BadChannel, BadValue};
use crate::item::Item;
use crate::json::{Member, item, number, parts};
use crate::output::{GroupId, Output, quoted};
use crate::plain::bad_channel;

/// A record that is being read.
pub(super) struct Read<'r, 'p> {
    pub(super) mapping: &'r Mapping,
    pub(super) names: &'r Names,
    pub(super) found: &'r Found<'p>,
    pub(super) group: GroupId,
}

/// Reads what the rules name, and returns how many values there are. What is wrong with one is
/// rejected alone.
///
/// # Errors
/// A value that must be there is not.
pub(super) fn of_record(read: &Read<'_, '_>, output: &mut Output<'_>) -> Result<usize, Refused> {
    let mut count = 0;
    for rule in &read.mapping.channels {
        let at = match rule {
            ChannelRule::One(OneRule { at, .. })
            | ChannelRule::Below(BelowRule { at, .. })
            | ChannelRule::Cayenne { at } => *at,
        };
        let part = read.found[at].as_ref().filter(|part| item(part.value) != Item::Null);
        let Some(part) = part else {
            if matches!(rule, ChannelRule::One(one) if one.required) {
                let pointer = &read.mapping.pointers.0[at];
                return Err((BadValue, format!("at {pointer} is nothing, and it is required")));
            }
            continue;
        };
        let outcome = match rule {
            ChannelRule::One(rule) => one(read, rule, item(part.value)).map(|reading| {
                output.put(read.group, reading, part.span(output));
                1
            }),
            ChannelRule::Below(rule) => below(read, rule, part, output),
            ChannelRule::Cayenne { .. } => cayenne(read, part, output),
        };
        match outcome {
            Ok(more) => count += more,
            Err((reason, detail)) => {
                let detail = format!("at {}: {detail}", read.mapping.pointers.0[at]);
                output.reject(part.span(output), reason, detail);
            }
        }
    }
    Ok(count)
}

/// The one value of a payload that is text.
pub(super) fn of_text(
    read: &Read<'_, '_>,
    value: Item<'_>,
    output: &mut Output<'_>,
) -> Result<(), Refused> {
    let Some(ChannelRule::One(rule)) = read.mapping.channels.first() else { return Ok(()) };
    let reading = one(read, rule, value)?;
    output.put(read.group, reading, 0..output.payload.len());
    Ok(())
}

/// A number that is written as text, where the mapping allows that.
pub(super) fn as_number<'p>(mapping: &Mapping, value: Item<'p>) -> Item<'p> {
    let read = match &value {
        Item::Text(text) if mapping.text_numbers => match number(text.trim()) {
            Item::Integer(integer) => Some(Item::Integer(integer)),
            Item::Number(number) => Some(Item::Number(number)),
            _ => None,
        },
        _ => None,
    };
    read.unwrap_or(value)
}

fn one(read: &Read<'_, '_>, rule: &OneRule, value: Item<'_>) -> Result<Reading, Refused> {
    let value = as_number(read.mapping, value);
    let value = match rule.linear {
        None if rule.unit.is_some() && matches!(value, Item::Text(_)) => {
            return Err(not_a_number(&value));
        }
        None => value,
        Some((scale, offset)) => {
            let number = value.number().ok_or_else(|| not_a_number(&value))?;
            Item::Number(number * scale + offset)
        }
    };
    let channel = rule
        .name
        .fill(read.names, (&read.mapping.pointers, read.found), str::to_owned)
        .map_err(|why| (BadChannel, format!("the channel has no name: {why}")))?;
    reading(&channel, rule.unit.clone(), value)
}

fn not_a_number(value: &Item<'_>) -> Refused {
    let detail = match value {
        Item::Text(text) => format!(
            "the text {} is no number, and a unit, scale and offset need one; set text_numbers = \
             true if numbers come as text",
            quoted(text)
        ),
        _ => "scale and offset need a number".to_owned(),
    };
    (BadValue, detail)
}

fn reading(channel: &str, unit: Option<Box<str>>, value: Item<'_>) -> Result<Reading, Refused> {
    if !is_channel_name(channel) {
        return Err(bad_channel(channel));
    }
    let value = value
        .value()
        .map_err(|why| (BadValue, format!("the value of {} {why}", quoted(channel))))?;
    Ok(Reading { channel: channel.into(), unit, value })
}

/// All numbers and booleans below a value, and texts where the rule asks for them.
fn below<'p>(
    read: &Read<'_, 'p>,
    rule: &BelowRule,
    part: &Member<'p>,
    output: &mut Output<'_>,
) -> Result<usize, Refused> {
    let prefix = rule
        .prefix
        .fill(read.names, (&read.mapping.pointers, read.found), str::to_owned)
        .map_err(|why| (BadChannel, format!("the channels have no name: {why}")))?;
    if !matches!(item(part.value), Item::Object | Item::List) {
        return Err((BadValue, "there is no object with values, but a value alone".into()));
    }
    let mut walk = Walk { read, rule, prefix: &prefix, output, count: 0 };
    walk.parts(part, "", 1);
    Ok(walk.count)
}

struct Walk<'w, 'r, 'p, 'o> {
    read: &'w Read<'r, 'p>,
    rule: &'w BelowRule,
    prefix: &'w str,
    output: &'w mut Output<'o>,
    count: usize,
}

impl Walk<'_, '_, '_, '_> {
    fn parts(&mut self, of: &Member<'_>, path: &str, level: usize) {
        let mut seen = std::collections::HashSet::new();
        for part in parts(of.value) {
            let key = part.key.as_deref().unwrap_or_default();
            let outcome = if !is_channel_name(key) {
                Err(bad_channel(key))
            } else if !seen.insert(key.to_owned()) {
                Err((BadValue, format!("{} is there twice; send it once", quoted(key))))
            } else {
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                self.part(&part, &path, level)
            };
            if let Err((reason, detail)) = outcome {
                self.output.reject(part.span(self.output), reason, detail);
            }
        }
    }

    fn part(&mut self, part: &Member<'_>, path: &str, level: usize) -> Result<(), Refused> {
        if self.rule.skip.iter().any(|skipped| skipped == path) {
            return Ok(());
        }
        // What is too long by itself is not joined: the path is copied for each part.
        if !is_channel_name(path) {
            return Err(bad_channel(path));
        }
        let value = match as_number(self.read.mapping, item(part.value)) {
            Item::Null => return Ok(()),
            Item::Text(_) if !self.rule.texts => return Ok(()),
            Item::Object | Item::List if level == MAX_LEVELS => {
                let name = quoted(path);
                let detail = format!("{name} lies below {MAX_LEVELS} names; name it by itself");
                return Err((BadValue, detail));
            }
            Item::Object | Item::List => {
                self.parts(part, path, level + 1);
                return Ok(());
            }
            value => value,
        };
        let last = path.rsplit('.').next().unwrap_or(path);
        let unit = self.rule.units.get(path).or_else(|| self.rule.units.get(last)).cloned();
        let reading = reading(&format!("{}{path}", self.prefix), unit, value)?;
        self.output.put(self.read.group, reading, part.span(self.output));
        self.count += 1;
        Ok(())
    }
}

/// Cayenne LPP in base64.
fn cayenne(
    read: &Read<'_, '_>,
    part: &Member<'_>,
    output: &mut Output<'_>,
) -> Result<usize, Refused> {
    let bad = |detail: String| (BadValue, detail);
    let Item::Text(text) = item(part.value) else {
        return Err(bad("Cayenne LPP must be a text in base64".into()));
    };
    let bytes =
        STANDARD.decode(&*text).map_err(|error| bad(format!("it is not base64: {error}")))?;
    // The payload names no device; the number is not used.
    let source = Source::Message { topic: "000001" };
    let mut items = Items::<Cayenne>::new((), source, &bytes, 0);
    let (position, readings) = match items.next() {
        Some(Stretch::Frame { frame, bytes, .. }) => {
            let content = frame.records(bytes, DeviceId::NONE).next();
            content.map_or_else(Default::default, |content| {
                let place = content.position.map(|it| Whereabouts::of(&it, &content.optional));
                (place, content.readings)
            })
        }
        Some(Stretch::Skipped { reason, .. }) => {
            let code = reason.code();
            return Err(bad(format!(
                "it is not Cayenne LPP ({code}): it has a type that there is not, or ends early"
            )));
        }
        None => return Err(bad("it is empty".into())),
    };
    let count = readings.len() + usize::from(position.is_some());
    if let Some(position) = position {
        output.locate(read.group, position);
    }
    for reading in readings {
        let Reading { channel, unit, value } = reading;
        let value = match value {
            Value::Number(number) if !number.is_finite() => continue,
            value => value,
        };
        output.put(read.group, Reading { channel, unit, value }, part.span(output));
    }
    Ok(count)
}
