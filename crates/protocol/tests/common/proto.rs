//! A reader of protobuf bytes that knows nothing but a `.proto` file: the view of
//! another language on our messages. It reads as much of the language as
//! `docs/db-message.proto` uses.

use std::collections::BTreeMap;

/// A field as the file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// `repeated`, `optional` or nothing.
    pub(crate) label: String,
}

/// The fields of every message, by their numbers.
pub(crate) type Schema = BTreeMap<String, BTreeMap<u64, Field>>;

/// Reads the declarations; a oneof's members belong to the message around it.
pub(crate) fn schema(file: &str) -> Schema {
    let mut schema = Schema::new();
    let mut message = String::new();
    for line in file.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("message ") {
            name.trim_end_matches(" {").clone_into(&mut message);
        } else if let Some((declaration, number)) =
            line.strip_suffix(';').and_then(|line| line.split_once(" = "))
            && !declaration.starts_with("syntax")
        {
            let number = number.parse().expect("a field's number");
            let fields = schema.entry(message.clone()).or_default();
            let before = fields.insert(number, field(declaration));
            assert_eq!(before, None, "number {number} of {message} is given once");
        }
    }
    schema
}

fn field(declaration: &str) -> Field {
    let words: Vec<&str> = declaration.split(' ').collect();
    let (label, kind, name) = match words[..] {
        [label @ ("repeated" | "optional"), kind, name] => (label, kind, name),
        [kind, name] => ("", kind, name),
        _ => panic!("a field's declaration: {declaration}"),
    };
    Field { name: name.to_owned(), kind: kind.to_owned(), label: label.to_owned() }
}

/// The values in a message's bytes as `path=value` lines, in the order of the bytes.
pub(crate) fn values(schema: &Schema, message: &str, mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = &schema[message][&(key >> 3)];
        let name = &field.name;
        match (field.kind.as_str(), key & 7) {
            ("uint32" | "uint64" | "bool", 0) => {
                lines.push(format!("{name}={}", varint(&mut bytes)));
            }
            ("sint32", 0) => {
                let zigzag = i64::try_from(varint(&mut bytes)).expect("32 bits");
                lines.push(format!("{name}={}", (zigzag >> 1) ^ -(zigzag & 1)));
            }
            ("fixed64", 1) => {
                let value = bytes.split_off(..8).expect("8 bytes").try_into().expect("8 bytes");
                lines.push(format!("{name}={}", u64::from_le_bytes(value)));
            }
            ("fixed32", 5) => {
                let value = bytes.split_off(..4).expect("4 bytes").try_into().expect("4 bytes");
                lines.push(format!("{name}={}", u32::from_le_bytes(value)));
            }
            (kind, 2) => {
                let length = usize::try_from(varint(&mut bytes)).expect("a length");
                let content = bytes.split_off(..length).expect("as many bytes as said");
                match kind {
                    "string" => lines.push(format!("{name}={}", String::from_utf8_lossy(content))),
                    "bytes" => lines.push(format!("{name}={content:02X?}")),
                    inner => lines.extend(
                        values(schema, inner, content).iter().map(|line| format!("{name}.{line}")),
                    ),
                }
            }
            (kind, wire_type) => panic!("{name}: {kind} as wire type {wire_type}"),
        }
    }
    lines
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first().expect("a varint's byte");
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a varint has at most ten bytes");
}
