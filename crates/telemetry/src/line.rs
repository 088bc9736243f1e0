//! Influx line protocol: `measurement,tag=value field=1i,other=2.5 1700000000000000000`.
//!
//! A line ends at a line feed, within quotes as well, so that an open quote costs one line.

use std::borrow::Cow;

use nemeses_protocol::{Identity, MAX_CHANNEL_NAME, Reading, is_channel_name};

use crate::item::Item;
use crate::output::{Output, quoted};
use crate::plain::bad_channel;
use crate::time::Moment;
use crate::{MAX_NAME, Precision, TelemetryError};

/// A line in its parts.
struct Line<'p> {
    measurement: Cow<'p, str>,
    tags: Vec<(Cow<'p, str>, Cow<'p, str>)>,
    fields: Vec<Field<'p>>,
    /// Empty when there is none.
    time: &'p str,
}

struct Field<'p> {
    key: Cow<'p, str>,
    item: Item<'p>,
    /// `key=value` as it was written.
    text: &'p str,
}

/// Why a line or a field is rejected, with the detail.
type Refused = (TelemetryError, String);

pub(crate) fn decode(precision: Precision, output: &mut Output<'_>) {
    let payload = output.payload;
    let bytes = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        if let Err((reason, detail)) = decode_line(line, number, precision, output) {
            output.reject(output.span(line), reason, format!("line {number}: {detail}"));
        }
    }
}

/// Whether the first line is one of line protocol, which JSON never is: a payload whose first
/// line is not readable is for the other formats to refuse.
pub(crate) fn looks_like(payload: &[u8]) -> bool {
    let bytes = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#")).unwrap_or_default();
    !first.starts_with(b"{")
        && !first.starts_with(b"[")
        && std::str::from_utf8(first).is_ok_and(|text| parse(text).is_ok())
}

fn decode_line(
    line: &[u8],
    number: usize,
    precision: Precision,
    output: &mut Output<'_>,
) -> Result<(), Refused> {
    let bad_line = |why: &str| (TelemetryError::BadLine, why.to_owned());
    let text = std::str::from_utf8(line).map_err(|_| bad_line("it is not UTF-8"))?;
    let Line { measurement, mut tags, fields, time } = parse(text).map_err(bad_line)?;
    tags.sort();
    if tags.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(bad_line("a tag is there twice"));
    }
    let moment = match time {
        "" => Moment::arrival(output.received_at_ms),
        time => Moment::of_line(time, precision.nanoseconds()).ok_or_else(|| bad_time(time))?,
    };
    let name = take_name(&mut tags)?;
    let tags = written(&tags);
    let group = output.group(name, moment);
    for Field { key, item, text } in fields {
        match reading(&measurement, &key, &tags, item) {
            Ok(reading) => output.put(group, reading, output.span(text.as_bytes())),
            Err((reason, detail)) => {
                let span = output.span(text.as_bytes());
                output.reject(span, reason, format!("line {number}: {detail}"));
            }
        }
    }
    Ok(())
}

fn bad_time(time: &str) -> Refused {
    let time = quoted(time);
    let detail = format!("{time} is no time from 1970 to 9999 in the precision that was named");
    (TelemetryError::BadTime, detail)
}

/// The device: the tag `device`, or else `host`. What is taken is no part of the channel. Where there
/// is a host, a `device` that is none of ours is a part of it (Telegraf's disks: `device=sda1`).
fn take_name(tags: &mut Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Result<Option<String>, Refused> {
    let named = |wanted: &str| tags.iter().position(|(key, _)| key == wanted);
    let host = named("host");
    let is_ours = |at: &usize| host.is_none() || is_device(&tags[*at].1);
    let name = match (named("device").filter(is_ours), host) {
        (Some(at), _) => tags.remove(at).1.into_owned(),
        (None, Some(at)) => format!("host:{}", tags.remove(at).1),
        (None, None) => return Ok(None),
    };
    if name.len() > MAX_NAME {
        let detail = format!("the device {} is longer than {MAX_NAME} bytes", quoted(&name));
        return Err((TelemetryError::BadDevice, detail));
    }
    Ok(Some(name))
}

fn is_device(name: &str) -> bool {
    name.starts_with("urn:") || name.parse::<Identity>().is_ok()
}

/// Tags as a part of the channel's name: in the order of their keys, whatever the line's.
fn written(tags: &[(Cow<'_, str>, Cow<'_, str>)]) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let tags: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{{{}}}", tags.join(","))
}

fn reading(measurement: &str, key: &str, tags: &str, item: Item<'_>) -> Result<Reading, Refused> {
    // Long names are not joined: they would be copied for each field.
    if measurement.len() + key.len() + tags.len() >= MAX_CHANNEL_NAME {
        let detail = format!(
            "measurement, field {} and tags make a name of more than {MAX_CHANNEL_NAME} bytes; \
             send fewer tags",
            quoted(key)
        );
        return Err((TelemetryError::BadChannel, detail));
    }
    let channel = format!("{measurement}.{key}{tags}");
    if !is_channel_name(&channel) {
        return Err(bad_channel(&channel));
    }
    let value = item.value().map_err(|why| {
        (TelemetryError::BadValue, format!("the value of {} {why}", quoted(&channel)))
    })?;
    Ok(Reading { channel: channel.into(), unit: None, value })
}

fn parse(line: &str) -> Result<Line<'_>, &'static str> {
    let mut rest = line;
    let measurement = token(&mut rest, b", ");
    if measurement.is_empty() {
        return Err("it begins with no measurement");
    }
    let mut tags = Vec::new();
    while skip(&mut rest, ",") {
        let key = token(&mut rest, b"=, ");
        let value = if skip(&mut rest, "=") { token(&mut rest, b", ") } else { Cow::default() };
        if key.is_empty() || value.is_empty() {
            return Err("a tag is not key=value");
        }
        tags.push((key, value));
    }
    rest = rest.trim_start();
    let mut fields = Vec::new();
    loop {
        fields.push(field(&mut rest)?);
        if !skip(&mut rest, ",") {
            break;
        }
    }
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err("something stands behind the quotes of a field");
    }
    Ok(Line { measurement, tags, fields, time: rest.trim() })
}

fn skip(rest: &mut &str, what: &str) -> bool {
    match rest.strip_prefix(what) {
        Some(behind) => {
            *rest = behind;
            true
        }
        None => false,
    }
}

/// Up to the first of the stops that has no backslash before it, or to the end. A
/// backslash before anything but a comma, an equals sign or a space stands for itself.
fn token<'p>(rest: &mut &'p str, stops: &[u8]) -> Cow<'p, str> {
    let (token, behind) = rest.split_at(end(rest, stops, b",= "));
    *rest = behind;
    unescaped(token, &[',', '=', ' '])
}

fn end(text: &str, stops: &[u8], escapable: &[u8]) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escapes =
            *byte == b'\\' && bytes.get(at + 1).is_some_and(|next| escapable.contains(next));
        if stops.contains(byte) {
            return at;
        }
        at += if escapes { 2 } else { 1 };
    }
    bytes.len()
}

fn unescaped<'p>(text: &'p str, escapable: &[char]) -> Cow<'p, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let escaped = rest.next_if(|next| character == '\\' && escapable.contains(next));
        out.push(escaped.unwrap_or(character));
    }
    Cow::Owned(out)
}

fn field<'p>(rest: &mut &'p str) -> Result<Field<'p>, &'static str> {
    let before = *rest;
    let key = token(rest, b"=, ");
    if key.is_empty() || !skip(rest, "=") {
        return Err("a field is not key=value");
    }
    let item = if skip(rest, "\"") {
        let (text, behind) = rest.split_at(end(rest, b"\"", b"\"\\"));
        *rest = behind;
        if !skip(rest, "\"") {
            return Err("the quotes of a text do not end on its line");
        }
        Item::Text(unescaped(text, &['"', '\\']))
    } else {
        let (text, behind) = rest.split_at(end(rest, b", ", b""));
        *rest = behind;
        bare(text).ok_or("a value is no number, boolean or text in double quotes")?
    };
    let text = &before[..before.len() - rest.len()];
    Ok(Field { key, item, text })
}

/// A value without quotes.
fn bare(text: &str) -> Option<Item<'_>> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Some(Item::Flag(true)),
        "f" | "F" | "false" | "False" | "FALSE" => return Some(Item::Flag(false)),
        _ => {}
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(integer) = text.strip_suffix('i') {
        let shaped = digits(integer.strip_prefix(['-', '+']).unwrap_or(integer));
        return shaped.then(|| whole(integer));
    }
    if let Some(unsigned) = text.strip_suffix('u') {
        return digits(unsigned).then(|| whole(unsigned));
    }
    // Not the words for infinity and the like that Rust reads as numbers.
    let shaped = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|_| shaped).map(Item::Number)
}

/// Digits as an integer, or as the nearest number when they are too many.
fn whole(text: &str) -> Item<'_> {
    match text.parse() {
        Ok(integer) => Item::Integer(integer),
        Err(_) => text.parse().map_or(Item::Unreadable, Item::Number),
    }
}
