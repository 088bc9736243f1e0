//! SenML (RFC 8428): base fields resolved, names divided into device and channel.
//!
//! `ut`, `l` and fields that are not known are passed over, as section 4.4 asks.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nemeses_protocol::{MAX_CHANNEL_NAME, Reading, Value, is_channel_name, is_unit};

use crate::item::Item;
use crate::output::{Output, quoted};
use crate::plain::bad_channel;
use crate::time::Moment;
use crate::{MAX_NAME, TelemetryError};

/// The version of SenML that is understood, that of RFC 8428.
pub const SENML_VERSION: i64 = 10;

/// A record as it was written, in JSON or CBOR.
pub(crate) struct Record<'p> {
    pub(crate) bytes: &'p [u8],
    /// By their labels of JSON; `None` when the record is no object.
    pub(crate) fields: Option<Fields<'p>>,
}

pub(crate) type Fields<'p> = Vec<(Cow<'p, str>, Item<'p>)>;

/// Why a record is rejected, with the detail.
type Refused = (TelemetryError, String);

/// What earlier records said for later ones.
#[derive(Default)]
struct Base<'r> {
    name: &'r str,
    time: Option<&'r Item<'r>>,
    unit: Option<&'r str>,
    value: Option<&'r Item<'r>>,
    sum: Option<&'r Item<'r>>,
}

pub(crate) fn decode(records: &[Record<'_>], output: &mut Output<'_>) {
    if let Some(detail) = unsupported(records) {
        return output.reject_all(TelemetryError::Unsupported, detail);
    }
    let mut base = Base::default();
    for (number, record) in records.iter().enumerate() {
        let span = output.span(record.bytes);
        let here = |detail: String| format!("record {}: {detail}", number + 1);
        let Some(fields) = &record.fields else {
            let detail = here("it is no object of fields".into());
            output.reject(span, TelemetryError::BadValue, detail);
            continue;
        };
        if let Err((reason, detail)) = base.update(fields) {
            // Nothing behind it can be resolved.
            let detail = here(format!("{detail}; it and all behind it are rejected"));
            return output.reject(span.start..output.payload.len(), reason, detail);
        }
        if let Err((reason, detail)) = measured(fields, &base, output, record.bytes) {
            output.reject(span, reason, here(detail));
        }
    }
}

/// What the whole pack is refused for (section 4.4).
fn unsupported(records: &[Record<'_>]) -> Option<String> {
    let mut fields = records.iter().flat_map(|record| record.fields.iter().flatten());
    fields.find_map(|(label, item)| match (&**label, item) {
        ("bver", Item::Integer(version)) if (0..=SENML_VERSION).contains(version) => None,
        ("bver", _) => Some(format!("the version bver is not one of 0 to {SENML_VERSION}")),
        (label, _) if label.ends_with('_') => {
            Some(format!("the field {} is mandatory and not known here", quoted(label)))
        }
        _ => None,
    })
}

impl<'r> Base<'r> {
    fn update(&mut self, fields: &'r Fields<'_>) -> Result<(), Refused> {
        use TelemetryError::{BadDevice, BadTime, BadUnit, BadValue};
        for (label, item) in fields {
            match (&**label, item) {
                ("bn", Item::Text(name)) if name.len() <= MAX_NAME => self.name = name,
                ("bt", Item::Integer(_) | Item::Number(_)) => self.time = Some(item),
                ("bu", Item::Text(unit)) => self.unit = Some(unit),
                ("bv", Item::Integer(_) | Item::Number(_)) => self.value = Some(item),
                ("bs", Item::Integer(_) | Item::Number(_)) => self.sum = Some(item),
                ("bn", _) => return Err((BadDevice, "bn is no text of up to 256 bytes".into())),
                ("bt", _) => return Err((BadTime, "bt is no number".into())),
                ("bu", _) => return Err((BadUnit, "bu is no text".into())),
                ("bv" | "bs", _) => return Err((BadValue, format!("{label} is no number"))),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Puts the readings of one record.
fn measured(
    fields: &Fields<'_>,
    base: &Base<'_>,
    output: &mut Output<'_>,
    bytes: &[u8],
) -> Result<(), Refused> {
    let is_base = |label: &str| matches!(label, "bn" | "bt" | "bu" | "bv" | "bs" | "bver");
    if fields.iter().all(|(label, _)| is_base(label)) {
        return Ok(());
    }
    let value = value_of(fields, base)?;
    let sum = with_base(get(fields, "s"), base.sum, "s")?.map(finite).transpose()?;
    if value.is_none() && sum.is_none() {
        let detail = "it has no value; send one of v, vs, vb, vd or s";
        return Err((TelemetryError::BadValue, detail.into()));
    }
    let unit = unit_of(fields, base)?;
    let (device, channel) = name_of(fields, base, unit)?;
    let moment = moment_of(fields, base, output.received_at_ms)?;
    let sum = sum.map(|sum| summed(&channel, unit, sum)).transpose()?;
    let value = value.map(|value| Reading { channel, unit: unit.map(Into::into), value });
    let group = output.group(device, moment);
    for reading in value.into_iter().chain(sum) {
        output.put(group, reading, output.span(bytes));
    }
    Ok(())
}

/// A channel of its own, in the unit times seconds (section 4.2).
fn summed(channel: &str, unit: Option<&str>, value: Value) -> Result<Reading, Refused> {
    let unit = unit.map(|unit| format!("{unit}.s"));
    let channel = format!("{channel}.sum");
    if !is_channel_name(&channel) {
        return Err(bad_channel(&channel));
    }
    if let Some(unit) = unit.as_deref().filter(|unit| !is_unit(unit)) {
        return Err(bad_unit(unit));
    }
    Ok(Reading { channel: channel.into(), unit: unit.map(Into::into), value })
}

/// Of equal labels the last.
fn get<'r, 'p>(fields: &'r Fields<'p>, wanted: &str) -> Option<&'r Item<'p>> {
    fields.iter().rev().find(|(label, _)| label == wanted).map(|(_, item)| item)
}

fn value_of(fields: &Fields<'_>, base: &Base<'_>) -> Result<Option<Value>, Refused> {
    let bad = |detail: &str| (TelemetryError::BadValue, detail.to_owned());
    let mut found = ["v", "vs", "vb", "vd"]
        .into_iter()
        .filter_map(|label| get(fields, label).map(|item| (label, item)));
    let Some((label, item)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(bad("it has more than one of v, vs, vb and vd"));
    }
    let item = match (label, item) {
        ("v", item) => return with_base(Some(item), base.value, "v")?.map(finite).transpose(),
        ("vs", Item::Text(_)) | ("vb", Item::Flag(_)) => item.clone(),
        ("vd", Item::Bytes(data)) => Item::Text(URL_SAFE_NO_PAD.encode(data).into()),
        ("vd", Item::Text(text)) if URL_SAFE_NO_PAD.decode(&**text).is_ok() => item.clone(),
        ("vd", _) => return Err(bad("vd is no base64url without padding")),
        _ => return Err(bad("the value is not of the type that its label says")),
    };
    item.value().map(Some).map_err(|why| bad(&format!("the value {why}")))
}

/// A number with its base added.
fn with_base<'p>(
    item: Option<&Item<'p>>,
    base: Option<&Item<'_>>,
    label: &str,
) -> Result<Option<Item<'p>>, Refused> {
    let Some(item) = item else { return Ok(None) };
    let sum = match (item, base) {
        (Item::Integer(_) | Item::Number(_), None) => Some(item.clone()),
        (_, Some(base)) => item.plus(base),
        _ => None,
    };
    sum.map(Some).ok_or_else(|| (TelemetryError::BadValue, format!("{label} is no number")))
}

fn finite(item: Item<'_>) -> Result<Value, Refused> {
    item.value().map_err(|why| (TelemetryError::BadValue, format!("the value {why}")))
}

fn unit_of<'r>(fields: &'r Fields<'_>, base: &Base<'r>) -> Result<Option<&'r str>, Refused> {
    let unit = match get(fields, "u") {
        None => base.unit,
        Some(Item::Text(unit)) => Some(&**unit),
        Some(_) => return Err((TelemetryError::BadUnit, "u is no text".into())),
    };
    match unit.filter(|unit| !is_unit(unit)) {
        Some(unit) => Err(bad_unit(unit)),
        None => Ok(unit),
    }
}

fn bad_unit(unit: &str) -> Refused {
    let detail = format!("{} is no unit of 1 to 32 visible bytes", quoted(unit));
    (TelemetryError::BadUnit, detail)
}

fn moment_of(fields: &Fields<'_>, base: &Base<'_>, received_at_ms: u64) -> Result<Moment, Refused> {
    let time = match (get(fields, "t"), base.time) {
        (None, None) => return Ok(Moment::arrival(received_at_ms)),
        (Some(time), None) | (None, Some(time)) => Some(time.clone()),
        (Some(time), Some(base)) => time.plus(base),
    };
    time.and_then(|time| Moment::of_senml(&time, received_at_ms)).ok_or_else(|| {
        let detail = "the time is no number of seconds from 1970 to 9999";
        (TelemetryError::BadTime, detail.into())
    })
}

/// Who, and which channel.
fn name_of(
    fields: &Fields<'_>,
    base: &Base<'_>,
    unit: Option<&str>,
) -> Result<(Option<String>, Box<str>), Refused> {
    let name = match get(fields, "n") {
        None => "",
        Some(Item::Text(name)) => name,
        Some(_) => return Err((TelemetryError::BadChannel, "n is no text".into())),
    };
    // Longer than both parts can be; and base names are copied for each record.
    if name.len() > MAX_NAME + MAX_CHANNEL_NAME {
        return Err(bad_channel(name));
    }
    let full = format!("{}{name}", base.name);
    let (device, channel) =
        divided_urn(&full).unwrap_or_else(|| (base.name.trim_end_matches(SEPARATORS), name));
    let channel = if channel.is_empty() { unit.unwrap_or("value") } else { channel };
    if !is_channel_name(channel) {
        return Err(bad_channel(channel));
    }
    if device.len() > MAX_NAME {
        let detail = format!("{} is longer than {MAX_NAME} bytes", quoted(device));
        return Err((TelemetryError::BadDevice, detail));
    }
    Ok((Some(device.to_owned()).filter(|device| !device.is_empty()), channel.into()))
}

const SEPARATORS: [char; 5] = [':', '/', '_', '.', '-'];

/// A device URN (RFC 9039: `urn:dev:TYPE:ID`) and what follows it behind a separator.
fn divided_urn(full: &str) -> Option<(&str, &str)> {
    let behind = full.strip_prefix("urn:dev:")?;
    let (_, id) = behind.split_once(':')?;
    let length = id.find([':', '/', '_']).unwrap_or(id.len());
    let (device, rest) = full.split_at(full.len() - id.len() + length);
    (length > 0).then(|| (device, rest.get(1..).unwrap_or_default()))
}
