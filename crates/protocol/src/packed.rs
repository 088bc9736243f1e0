//! What only some rows have, as one value: the optional fields and, where they are kept,
//! the record's raw bytes. This is the column `raw` of `positions`; it is NULL for a row
//! with neither.
//!
//! Raw bytes alone are stored as they are. Else the value is [`MARK`], a bit for each
//! field that is present, the fields' values in the order of their numbers, and the raw
//! bytes, if any. Bits and values are LEB128 numbers, so a reader passes over the fields
//! that a later build has added. Raw bytes that begin with [`MARK`] are marked
//! too, with no bit set.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::varint::{read_varint, unzigzag, write_varint, zigzag};
use crate::{FieldForm, OptionalField, OptionalFields};

/// No frame whose bytes are stored as they are begins with it.
const MARK: u8 = 0x01;

/// Optional fields and raw bytes of a position, at least one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedFields(Box<[u8]>);

impl PackedFields {
    /// The longest value without raw bytes: mark and bits, and at most 5 bytes for each
    /// number and 1 for each mark. Tables made before the column was widened take 64.
    pub const MAX_FIELDS_BYTES: usize = {
        let (mut bytes, mut at) = (1 + 5, 0);
        while at < OptionalField::ALL.len() {
            let is_mark = matches!(OptionalField::ALL[at].spec().form, FieldForm::Mark);
            bytes += if is_mark { 1 } else { 5 };
            at += 1;
        }
        bytes
    };

    /// Packs them; `None` when there is nothing to pack.
    pub fn new(fields: &OptionalFields, raw: Option<&[u8]>) -> Option<Self> {
        if fields.is_empty() && raw?.first() != Some(&MARK) {
            return raw.map(|raw| Self(raw.into()));
        }
        let raw = raw.unwrap_or_default();
        let mut bytes = Vec::with_capacity(Self::MAX_FIELDS_BYTES + raw.len());
        bytes.push(MARK);
        let bit = |(field, _): (OptionalField, i32)| 1_u64 << (field.number() - 1);
        write_varint(fields.iter().map(bit).sum(), &mut bytes);
        for (field, value) in fields.iter() {
            write_varint(unsigned(field, value), &mut bytes);
        }
        bytes.extend_from_slice(raw);
        Some(Self(bytes.into_boxed_slice()))
    }

    /// A value as a table has it.
    pub const fn from_stored(bytes: Box<[u8]>) -> Self {
        Self(bytes)
    }

    /// What a table stores.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The record's own bytes, if they are kept.
    pub fn raw(&self) -> Option<&[u8]> {
        match self.parts() {
            Some((fields, raw)) => (fields == 0 || !raw.is_empty()).then_some(raw),
            None => Some(&self.0),
        }
    }

    /// Whether any optional field is present, also one of a later build.
    pub fn has_fields(&self) -> bool {
        self.parts().is_some_and(|(fields, _)| fields != 0)
    }

    /// The fields that this build knows.
    pub fn fields(&self) -> OptionalFields {
        let mut fields = OptionalFields::NONE;
        self.read(|field, value| {
            // What a later build stores beyond the bounds of this one is absent.
            let _ = fields.set(field, value);
        });
        fields
    }

    /// The bits of the fields, and what stands behind their values; `None` for a value
    /// that is raw bytes alone.
    fn parts(&self) -> Option<(u64, &[u8])> {
        self.read(|_, _| {})
    }

    fn read(&self, mut each: impl FnMut(OptionalField, i32)) -> Option<(u64, &[u8])> {
        let mut rest = self.0.strip_prefix(&[MARK])?;
        let bits = read_varint(&mut rest)?;
        for number in (1..).take(64).filter(|number| bits >> (number - 1) & 1 == 1) {
            let value = read_varint(&mut rest)?;
            if let Some(field) = OptionalField::from_number(number)
                && let Some(value) = signed(field, value)
            {
                each(field, value);
            }
        }
        Some((bits, rest))
    }
}

fn unsigned(field: OptionalField, value: i32) -> u64 {
    let value = i64::from(value);
    if field.spec().min < 0 { zigzag(value) } else { value.cast_unsigned() }
}

fn signed(field: OptionalField, number: u64) -> Option<i32> {
    let value = if field.spec().min < 0 { unzigzag(number) } else { i64::try_from(number).ok()? };
    i32::try_from(value).ok()
}

#[cfg(test)]
mod tests;
