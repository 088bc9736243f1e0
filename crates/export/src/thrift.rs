//! Thrift's compact protocol, as far as Parquet's metadata needs it.

/// Wire types of fields.
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct on its way; fields come in ascending order.
#[derive(Debug, Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

impl Struct {
    pub(super) fn i32(mut self, id: u8, value: i32) -> Self {
        self.field(id, I32);
        put_number(&mut self.bytes, i64::from(value));
        self
    }

    pub(super) fn i64(mut self, id: u8, value: i64) -> Self {
        self.field(id, I64);
        put_number(&mut self.bytes, value);
        self
    }

    pub(super) fn text(mut self, id: u8, value: &str) -> Self {
        self.field(id, BINARY);
        put_text(&mut self.bytes, value);
        self
    }

    pub(super) fn of(mut self, id: u8, value: Self) -> Self {
        self.field(id, STRUCT);
        self.bytes.extend(value.end());
        self
    }

    pub(super) fn i32s(mut self, id: u8, values: &[i32]) -> Self {
        self.list(id, I32, values.len());
        for value in values {
            put_number(&mut self.bytes, i64::from(*value));
        }
        self
    }

    pub(super) fn texts(mut self, id: u8, values: &[&str]) -> Self {
        self.list(id, BINARY, values.len());
        for value in values {
            put_text(&mut self.bytes, value);
        }
        self
    }

    pub(super) fn structs(mut self, id: u8, values: Vec<Self>) -> Self {
        self.list(id, STRUCT, values.len());
        for value in values {
            self.bytes.extend(value.end());
        }
        self
    }

    /// The bytes, with the sign that nothing follows.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    fn field(&mut self, id: u8, kind: u8) {
        debug_assert!(id > self.last && id - self.last < 16, "fields ascend");
        self.bytes.push((id - self.last) << 4 | kind);
        self.last = id;
    }

    fn list(&mut self, id: u8, kind: u8, count: usize) {
        self.field(id, LIST);
        match u8::try_from(count) {
            Ok(count) if count < 15 => self.bytes.push(count << 4 | kind),
            _ => {
                self.bytes.push(0xF0 | kind);
                put_varint(&mut self.bytes, count as u64);
            }
        }
    }
}

/// Small numbers of either sign become small (zigzag).
fn put_number(bytes: &mut Vec<u8>, value: i64) {
    put_varint(bytes, (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_varint(bytes, text.len() as u64);
    bytes.extend(text.bytes());
}

/// Seven bits a byte, the lowest first.
pub(super) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_specification_writes_it() {
        let inner = Struct::default().i64(1, -1);
        let bytes = Struct::default().i32(1, 1).text(4, "ab").i32s(5, &[300]).of(6, inner).end();
        let expected = [0x15, 2, 0x38, 2, b'a', b'b', 0x19, 0x15, 0xD8, 0x04, 0x1C, 0x16, 1, 0, 0];
        assert_eq!(bytes, expected);
        let many = Struct::default().texts(1, &["x"; 15]).end();
        assert_eq!(many[..4], [0x19, 0xF8, 15, 1]);
    }
}
