//! JSON as text: its parts where they stand in the payload, without a tree of copies.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::TelemetryError::BadPayload;
use crate::item::Item;
use crate::output::Output;
use crate::senml::Record;
use crate::{plain, senml};

/// What the elements of a document are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Objects of values.
    Plain,
    /// Records of SenML.
    Senml,
}

/// A member of an object.
#[derive(Clone)]
pub(crate) struct Member<'p> {
    /// `None` when it escapes half a character.
    pub(crate) key: Option<Cow<'p, str>>,
    /// Its value's text.
    pub(crate) value: &'p str,
    raw_key: &'p str,
}

impl Member<'_> {
    /// Where it stands in the payload, from its key to its value.
    pub(crate) fn span(&self, output: &Output<'_>) -> Range<usize> {
        output.span(self.raw_key.as_bytes()).start..output.span(self.value.as_bytes()).end
    }

    pub(crate) fn is(&self, key: &str) -> bool {
        self.key.as_deref() == Some(key)
    }
}

/// Decodes a payload of JSON; without a shape, its first element decides.
pub(crate) fn decode(shape: Option<Shape>, output: &mut Output<'_>) {
    let payload = output.payload;
    let Some(text) = text_of(payload) else {
        let detail = "the payload is neither JSON in UTF-8 nor SenML in CBOR; send one of them";
        return output.reject_all(BadPayload, detail.into());
    };
    let (list, elements) = match elements(text) {
        Ok(elements) => elements,
        Err(error) => {
            let detail = format!("the payload is not JSON: {error}; send the whole of it");
            return output.reject_all(BadPayload, detail);
        }
    };
    if elements.iter().any(|element| !list && !element.starts_with('{')) {
        let detail = "the payload is a single value; send an object of values, or a list of them";
        return output.reject_all(BadPayload, detail.into());
    }
    let shape = shape.unwrap_or_else(|| shape_of(list, &elements));
    match shape {
        Shape::Plain => plain::decode(&elements, output),
        Shape::Senml if list => {
            let records: Vec<_> = elements.into_iter().map(record).collect();
            senml::decode(&records, output);
        }
        Shape::Senml => {
            let detail = "a SenML pack is a list of records; put the record between [ and ]";
            output.reject_all(BadPayload, detail.into());
        }
    }
}

/// A payload's text, without a byte order mark and the space around it; `None` when it is no
/// UTF-8.
pub(crate) fn text_of(payload: &[u8]) -> Option<&str> {
    let bytes = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
    std::str::from_utf8(bytes).ok().map(str::trim)
}

/// A document as a part of itself.
pub(crate) const fn whole(text: &str) -> Member<'_> {
    Member { key: None, value: text, raw_key: text }
}

/// The members of an object, those with equal keys as well, or the elements of a list under
/// their numbers; nothing of what is neither.
pub(crate) fn parts(text: &str) -> Vec<Member<'_>> {
    if text.starts_with('{') {
        return serde_json::from_str(text).map(|Members(members)| members).unwrap_or_default();
    }
    let elements: Vec<&RawValue> = if text.starts_with('[') {
        serde_json::from_str(text).unwrap_or_default()
    } else {
        Vec::new()
    };
    let named = elements.into_iter().enumerate().map(|(number, element)| Member {
        key: Some(Cow::Owned(number.to_string())),
        value: element.get(),
        raw_key: element.get(),
    });
    named.collect()
}

/// A list is SenML when its first element has a text `bn` or `n`, and no `values`.
fn shape_of(list: bool, elements: &[&str]) -> Shape {
    let first = elements.first().filter(|_| list).and_then(|first| members(first));
    let members = first.unwrap_or_default();
    let named = members
        .iter()
        .any(|member| (member.is("bn") || member.is("n")) && member.value.starts_with('"'));
    let values = members.iter().any(|member| member.is("values"));
    if named && !values { Shape::Senml } else { Shape::Plain }
}

fn record(element: &str) -> Record<'_> {
    let fields = members(element).map(|members| {
        let fields = members.into_iter();
        fields.filter_map(|member| Some((member.key?, item(member.value)))).collect()
    });
    Record { bytes: element.as_bytes(), fields }
}

/// The texts of a list's elements, or that of the one value that is no list.
pub(crate) fn elements(text: &str) -> serde_json::Result<(bool, Vec<&str>)> {
    if text.starts_with('[') {
        let elements: Vec<&RawValue> = serde_json::from_str(text)?;
        Ok((true, elements.into_iter().map(RawValue::get).collect()))
    } else {
        let value: &RawValue = serde_json::from_str(text)?;
        Ok((false, vec![value.get()]))
    }
}

/// So many keys are compared each with each, which is less work than to hash them.
const FEW: usize = 32;

fn has_twins(members: &[Member<'_>]) -> bool {
    let twin_before = |(at, member): (usize, &Member<'_>)| {
        members[..at].iter().any(|before| before.key == member.key && before.key.is_some())
    };
    members.iter().enumerate().any(twin_before)
}

/// An object's members, of equal keys the last; `None` when it is no object.
pub(crate) fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let Members(members) = serde_json::from_str(text).ok()?;
    if members.len() <= FEW && !has_twins(&members) {
        return Some(members);
    }
    let mut seen = HashSet::new();
    let mut last = Vec::with_capacity(members.len());
    for member in members.into_iter().rev() {
        if member.key.as_ref().is_none_or(|key| seen.insert(key.clone())) {
            last.push(member);
        }
    }
    last.reverse();
    Some(last)
}

/// What a value's text says.
pub(crate) fn item(text: &str) -> Item<'_> {
    match text.as_bytes().first() {
        Some(b'{') => Item::Object,
        Some(b'[') => Item::List,
        Some(b'"') => string(text).map_or(Item::Unreadable, Item::Text),
        Some(b't') => Item::Flag(true),
        Some(b'f') => Item::Flag(false),
        Some(b'n') => Item::Null,
        _ => number(text),
    }
}

/// Not by serde_json, whose numbers may be one bit off the nearest.
pub(crate) fn number(text: &str) -> Item<'_> {
    match text.parse() {
        Ok(integer) => Item::Integer(integer),
        Err(_) => text.parse().map_or(Item::Unreadable, Item::Number),
    }
}

fn string(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('\\') {
        return serde_json::from_str(text).ok().map(Cow::Owned);
    }
    text.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}

struct Members<'p>(Vec<Member<'p>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let raw_key = key.get();
            members.push(Member { key: string(raw_key), value: value.get(), raw_key });
        }
        Ok(Members(members))
    }
}
