//! One value of a payload, before it is known what it is for.

use std::borrow::Cow;

use nemeses_protocol::{MAX_TEXT_VALUE, Value};

/// A value of JSON or CBOR. Numbers may be infinite here: they are refused where a value
/// is made of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item<'p> {
    Null,
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(Cow<'p, str>),
    /// CBOR only.
    Bytes(Cow<'p, [u8]>),
    List,
    Object,
    /// A text that escapes half a character, or a tagged value.
    Unreadable,
}

impl Item<'_> {
    /// An integer, or the nearest number when it is too large for one.
    pub(crate) fn of_i128(integer: i128) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "the nearest is meant")]
        i64::try_from(integer).map_or(Self::Number(integer as f64), Self::Integer)
    }

    /// As a value.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with its name.
    pub(crate) fn value(self) -> Result<Value, &'static str> {
        match self {
            Self::Flag(flag) => Ok(Value::Flag(flag)),
            Self::Integer(integer) => Ok(Value::Integer(integer)),
            Self::Number(number) if number.is_finite() => Ok(Value::Number(number)),
            Self::Number(_) => Err("is beyond the range of a 64-bit number"),
            Self::Text(text) if text.len() <= MAX_TEXT_VALUE => Ok(Value::Text(text.into())),
            Self::Text(_) => Err("is longer than 4096 bytes"),
            Self::List => Err("is a list; send each element under a name of its own"),
            Self::Object => Err("is an object where none can be"),
            Self::Null => Err("is null"),
            Self::Bytes(_) => Err("is a byte string"),
            Self::Unreadable => Err("is not a text that can be read"),
        }
    }

    /// The sum of two numbers: exact for integers, the nearest number beyond their range.
    pub(crate) fn plus(&self, other: &Item<'_>) -> Option<Item<'static>> {
        if let (Self::Integer(a), Item::Integer(b)) = (self, other) {
            return Some(Item::of_i128(i128::from(*a) + i128::from(*b)));
        }
        Some(Item::Number(self.number()? + other.number()?))
    }

    /// As a number, the nearest one.
    #[expect(clippy::cast_precision_loss, reason = "the nearest is meant")]
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(integer) => Some(*integer as f64),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}
