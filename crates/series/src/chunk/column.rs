//! A column: the values of one channel, stored by their type.

use std::collections::HashMap;
use std::sync::Arc;

use super::ChunkError;
use super::bytes::{Reader, write_count};
use super::{integers, numbers};
use crate::Value;

const NUMBERS: u8 = 0;
const INTEGERS: u8 = 1;
const BOOLS: u8 = 2;
const TEXTS: u8 = 3;
const MIXED: u8 = 4;

/// The values of a channel in order of their keys, of one type or of several. Equal means the
/// same values with the same bits.
#[derive(Clone, Debug)]
pub struct Column(Form);

#[derive(Clone, Debug)]
enum Form {
    Numbers(Vec<f64>),
    Integers(Vec<i64>),
    Bools(Vec<bool>),
    Texts(Vec<Arc<str>>),
    Mixed(Vec<Value>),
}

impl Column {
    /// How many values.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Numbers(values) => values.len(),
            Form::Integers(values) => values.len(),
            Form::Bools(values) => values.len(),
            Form::Texts(values) => values.len(),
            Form::Mixed(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a place.
    pub fn get(&self, place: usize) -> Option<Value> {
        match &self.0 {
            Form::Numbers(values) => values.get(place).copied().map(Value::Number),
            Form::Integers(values) => values.get(place).copied().map(Value::Integer),
            Form::Bools(values) => values.get(place).copied().map(Value::Bool),
            Form::Texts(values) => values.get(place).cloned().map(Value::Text),
            Form::Mixed(values) => values.get(place).cloned(),
        }
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.len()).map_while(|place| self.get(place))
    }

    /// The values, if all of them are [`Value::Number`]: the quick way to them.
    pub fn as_numbers(&self) -> Option<&[f64]> {
        match &self.0 {
            Form::Numbers(numbers) => Some(numbers),
            _ => None,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Numbers(values) => {
                out.push(NUMBERS);
                numbers::encode(values, out);
            }
            Form::Integers(values) => {
                out.push(INTEGERS);
                integers::encode(values, out);
            }
            Form::Bools(values) => {
                out.push(BOOLS);
                integers::encode(&values.iter().copied().map(i64::from).collect::<Vec<_>>(), out);
            }
            Form::Texts(values) => {
                out.push(TEXTS);
                encode_texts(values, out);
            }
            Form::Mixed(values) => {
                out.push(MIXED);
                encode_mixed(values, out);
            }
        }
    }

    /// Reads a column of `count` values.
    pub(super) fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Self, ChunkError> {
        let form = reader.byte()?;
        if form == MIXED {
            return decode_mixed(reader, count);
        }
        Self::decode_form(reader, form, count)
    }

    fn decode_form(reader: &mut Reader<'_>, form: u8, count: usize) -> Result<Self, ChunkError> {
        Ok(Self(match form {
            NUMBERS => Form::Numbers(numbers::decode(reader, count)?),
            INTEGERS => Form::Integers(integers::decode(reader, count)?),
            BOOLS => {
                let values = integers::decode(reader, count)?;
                Form::Bools(values.into_iter().map(boolean).collect::<Result<_, _>>()?)
            }
            TEXTS => Form::Texts(decode_texts(reader, count)?),
            _ => return Err(ChunkError::Malformed("a column has an unknown type")),
        }))
    }
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Column {}

impl From<Vec<f64>> for Column {
    fn from(numbers: Vec<f64>) -> Self {
        Self(Form::Numbers(numbers))
    }
}

impl FromIterator<Value> for Column {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let values: Vec<Value> = values.into_iter().collect();
        let one_form = match values.first() {
            None | Some(Value::Number(_)) => all(&values, as_number).map(Form::Numbers),
            Some(Value::Integer(_)) => all(&values, as_integer).map(Form::Integers),
            Some(Value::Bool(_)) => all(&values, as_bool).map(Form::Bools),
            Some(Value::Text(_)) => all(&values, as_text).map(Form::Texts),
        };
        Self(one_form.unwrap_or(Form::Mixed(values)))
    }
}

/// The values as one type; none if one of them is another.
fn all<T>(values: &[Value], of: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    values.iter().map(of).collect()
}

fn as_number(value: &Value) -> Option<f64> {
    if let Value::Number(value) = value { Some(*value) } else { None }
}

fn as_integer(value: &Value) -> Option<i64> {
    if let Value::Integer(value) = value { Some(*value) } else { None }
}

fn as_bool(value: &Value) -> Option<bool> {
    if let Value::Bool(value) = value { Some(*value) } else { None }
}

fn as_text(value: &Value) -> Option<Arc<str>> {
    if let Value::Text(value) = value { Some(value.clone()) } else { None }
}

fn boolean(value: i64) -> Result<bool, ChunkError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ChunkError::Malformed("a boolean is neither 0 nor 1")),
    }
}

/// The texts that differ, in order of appearance, and the place of each value among them.
fn encode_texts(values: &[Arc<str>], out: &mut Vec<u8>) {
    let mut places: HashMap<&str, i64> = HashMap::new();
    let mut texts: Vec<&str> = Vec::new();
    let mut next = 0;
    let indexes = values.iter().map(|text| {
        *places.entry(text).or_insert_with(|| {
            texts.push(text);
            next += 1;
            next - 1
        })
    });
    let indexes: Vec<i64> = indexes.collect();
    write_count(out, texts.len());
    for text in texts {
        write_text(out, text);
    }
    integers::encode(&indexes, out);
}

fn decode_texts(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Arc<str>>, ChunkError> {
    let different = reader.count(count)?;
    // Each is a byte at least, so that a short chunk cannot ask for much memory.
    let texts = (0..different).map(|_| read_text(reader)).collect::<Result<Vec<_>, _>>()?;
    let text =
        |index: i64| -> Option<Arc<str>> { texts.get(usize::try_from(index).ok()?).cloned() };
    let indexes = integers::decode(reader, count)?;
    let values = indexes.into_iter().map(text).collect::<Option<_>>();
    values.ok_or(ChunkError::Malformed("a text is not in the list of texts"))
}

pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_count(out, text.len());
    out.extend(text.as_bytes());
}

pub(super) fn read_text(reader: &mut Reader<'_>) -> Result<Arc<str>, ChunkError> {
    let length = usize::try_from(reader.unsigned()?).map_err(|_| ChunkError::Truncated)?;
    let text = std::str::from_utf8(reader.bytes(length)?);
    text.map(Arc::from).map_err(|_| ChunkError::Malformed("a text is not UTF-8"))
}

/// The type of each value, then a column of each type.
fn encode_mixed(values: &[Value], out: &mut Vec<u8>) {
    let forms: Vec<i64> = values.iter().map(|value| i64::from(form_of(value))).collect();
    integers::encode(&forms, out);
    for form in NUMBERS..MIXED {
        let of_form = values.iter().filter(|value| form_of(value) == form);
        let column: Column = of_form.cloned().collect();
        if !column.is_empty() {
            column.encode(out);
        }
    }
}

fn decode_mixed(reader: &mut Reader<'_>, count: usize) -> Result<Column, ChunkError> {
    let forms = integers::decode(reader, count)?;
    let mut columns = Vec::new();
    for form in NUMBERS..MIXED {
        let of_form = forms.iter().filter(|value| **value == i64::from(form)).count();
        let column = if of_form == 0 {
            Column::from(Vec::new())
        } else {
            let named = reader.byte()?;
            if named != form {
                return Err(ChunkError::Malformed("the columns of a mixed one are out of order"));
            }
            Column::decode_form(reader, form, of_form)?
        };
        columns.push((column, 0));
    }
    let mut next = |form: i64| {
        let (column, place) = columns.get_mut(usize::try_from(form).ok()?)?;
        *place += 1;
        column.get(*place - 1)
    };
    let values = forms.iter().map(|form| next(*form)).collect::<Option<Vec<Value>>>();
    let values = values.ok_or(ChunkError::Malformed("a value has an unknown type"))?;
    Ok(Column(Form::Mixed(values)))
}

fn form_of(value: &Value) -> u8 {
    match value {
        Value::Number(_) => NUMBERS,
        Value::Integer(_) => INTEGERS,
        Value::Bool(_) => BOOLS,
        Value::Text(_) => TEXTS,
    }
}

/// Writes a single value with its type.
pub(super) fn write_value(out: &mut Vec<u8>, value: &Value) {
    out.push(form_of(value));
    match value {
        Value::Number(number) => numbers::write_number(out, *number),
        Value::Integer(whole) => super::bytes::write_signed(out, *whole),
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Text(text) => write_text(out, text),
    }
}

/// Reads a single value.
pub(super) fn read_value(reader: &mut Reader<'_>) -> Result<Value, ChunkError> {
    match reader.byte()? {
        NUMBERS => numbers::read_number(reader).map(Value::Number),
        INTEGERS => reader.signed().map(Value::Integer),
        BOOLS => boolean(i64::from(reader.byte()?)).map(Value::Bool),
        TEXTS => read_text(reader).map(Value::Text),
        _ => Err(ChunkError::Malformed("a value has an unknown type")),
    }
}
