//! Whatever comes in: no panic, the bounds, and every value accounted for.
#![allow(missing_docs, clippy::unwrap_used, clippy::format_push_string, reason = "a test program")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use common::{NOW, check};
use nemeses_protocol::{Value, readings_hash};
use nemeses_telemetry::{Decoded, Format, Precision, decode};
use proptest::prelude::*;

const FORMATS: [Format; 5] = [
    Format::Auto,
    Format::Json,
    Format::SenmlJson,
    Format::SenmlCbor,
    Format::LineProtocol(Precision::Nanoseconds),
];

/// JSON whose leaves are numbered when it is written.
#[derive(Clone, Debug)]
enum Tree {
    Leaf,
    Null,
    List(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![4 => Just(Tree::Leaf), 1 => Just(Tree::Null)];
    leaf.prop_recursive(7, 60, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
            4 => object(inner),
        ]
    })
}

/// Keys that meet when they are joined, and such that are none.
fn object(inner: impl Strategy<Value = Tree>) -> impl Strategy<Value = Tree> {
    let key = prop_oneof![8 => "[a-c](\\.[a-c])?", 1 => "[a-z ]{0,3}", 1 => "\u{202e}|é{60,70}"];
    prop::collection::btree_map(key, inner, 0..6).prop_map(Tree::Object)
}

impl Tree {
    /// Appends the text, and the places of the leaves, each of which is its own number.
    fn write(&self, out: &mut String, leaves: &mut Vec<usize>) {
        match self {
            Self::Leaf => {
                *out += &(1_000_000 + leaves.len()).to_string();
                leaves.push(out.len() - 1);
            }
            Self::Null => *out += "null",
            Self::List(list) => {
                *out += "[ ";
                for (number, element) in list.iter().enumerate() {
                    *out += if number == 0 { "" } else { ", " };
                    element.write(out, leaves);
                }
                *out += "]";
            }
            Self::Object(members) => {
                *out += "{ ";
                for (number, (key, value)) in members.iter().enumerate() {
                    *out += if number == 0 { "" } else { " ,\n" };
                    let _ = write!(out, "\"{key}\" : ");
                    value.write(out, leaves);
                }
                *out += "}";
            }
        }
    }
}

fn accounted(decoded: &Decoded, leaf: usize, place: usize) -> bool {
    let value = Value::Integer(i64::try_from(1_000_000 + leaf).unwrap());
    let read = decoded.records.iter().flat_map(|record| &record.readings);
    let in_reading = read.filter(|reading| reading.value == value).count();
    let holds = |offset: usize, length: usize| (offset..offset + length).contains(&place);
    let in_rejected = decoded
        .rejected
        .iter()
        .filter(|rejected| holds(rejected.offset, rejected.bytes.len()))
        .count();
    in_reading + in_rejected == 1
}

proptest! {
    #[test]
    fn every_value_is_read_or_rejected_once(elements in prop::collection::vec((any::<bool>(), object(tree())), 0..4)) {
        let (mut text, mut leaves) = ("[".to_owned(), Vec::new());
        for (number, (envelope, object)) in elements.iter().enumerate() {
            text += if number == 0 { "" } else { "," };
            text += if *envelope { "{\"t\":1,\"values\":" } else { "" };
            object.write(&mut text, &mut leaves);
            text += if *envelope { "}" } else { "" };
        }
        text += "]";
        let decoded = decode(Format::Json, text.as_bytes(), NOW);
        check(text.as_bytes(), &decoded);
        for (leaf, place) in leaves.iter().enumerate() {
            prop_assert!(accounted(&decoded, leaf, *place), "{leaf} of {text}: {decoded:?}");
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_rejected(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[\\[\\]{}:,\"a-cnv\\\\0-9. =\n-]{0,100}".prop_map(String::into_bytes),
        ],
        now in any::<u64>(),
    ) {
        for format in FORMATS {
            check_any(&bytes, format, now);
        }
    }

    #[test]
    fn damaged_payloads_are_decoded_or_rejected(
        which in 0..4_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let cbor = hex::decode("82a721656465763a31221a6553f100236341654301001823f6054202fb405e066666666666a2006161038161").unwrap();
        let payloads: [&[u8]; 4] = [
            br#"[{"t":"2023-11-14T22:13:20Z","id":"host:a","values":{"a":{"b":-0.5}},"units":{"a.b":"V"}}]"#,
            br#"[{"bn":"urn:dev:ow:1:","bt":1.7e9,"bu":"V","bv":1,"bs":2,"n":"a","v":1,"s":2,"t":-1}]"#,
            br#"a\,b,host=x,y=z f=1i,g="q\"",h=T,k=-1.5e3 1700000000000000000"#,
            &cbor,
        ];
        let mut bytes = payloads[which].to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(if cut { at } else { bytes.len() });
        for format in FORMATS {
            check_any(&bytes, format, NOW);
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter(names in prop::collection::hash_set("[a-z]{1,3}", 1..40)) {
        let members: Vec<_> = names.iter().map(|name| format!("\"{name}\":\"{name}\"")).collect();
        let reversed: Vec<_> = members.iter().rev().cloned().collect();
        let hash = |members: &[String]| {
            let decoded = decode(Format::Auto, format!("{{{}}}", members.join(",")).as_bytes(), NOW);
            readings_hash(&decoded.records[0].readings)
        };
        prop_assert_eq!(hash(&members), hash(&reversed));
    }

    #[test]
    fn numbers_of_json_are_read_exactly(number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
        let text = format!("{{\"a\":{number:e}}}");
        let decoded = decode(Format::Json, text.as_bytes(), NOW);
        let value = &decoded.records[0].readings[0].value;
        prop_assert!(value.as_number() == Some(number), "{text}: {value:?}");
    }

    #[test]
    fn lines_are_read_as_they_were_escaped(
        measurement in "[a-c ,=]{1,5}", key in "[a-c ,=]{1,5}", tag in "[a-c ,=]{1,5}",
        text in "[a-c\"\\\\ ,=]{0,9}", time in 0..i64::MAX,
    ) {
        prop_assume!(measurement.trim() == measurement && !measurement.is_empty());
        let escaped = |text: &str| {
            text.replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ")
        };
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let line = format!(
            "{},tag={} {}=\"{quoted}\" {time}", escaped(&measurement), escaped(&tag), escaped(&key)
        );
        let decoded = decode(Format::LineProtocol(Precision::Nanoseconds), line.as_bytes(), NOW);
        prop_assert_eq!(&decoded.rejected, &[]);
        let reading = &decoded.records[0].readings[0];
        prop_assert_eq!(&*reading.channel, format!("{measurement}.{key}{{tag={tag}}}"));
        prop_assert_eq!(&reading.value, &Value::Text(text.into()));
    }

    /// The same pack in both representations says the same.
    #[test]
    fn senml_says_the_same_in_json_and_cbor(
        pack in prop::collection::vec((any::<Option<bool>>(), any::<i32>(), "[a-c]{1,2}", any::<i64>(), any::<bool>()), 1..20)
    ) {
        let mut json = Vec::new();
        let mut cbor = vec![0x98, u8::try_from(pack.len()).unwrap()];
        for (base, time, name, value, whole) in pack {
            let base = base.map(|other| if other { "x/" } else { "urn:dev:ow:1:" });
            let bn = base.map_or(String::new(), |base| format!("\"bn\":\"{base}\","));
            #[expect(clippy::cast_precision_loss, reason = "any number will do")]
            let number = value as f64 / 8.0;
            let shown = if whole { value.to_string() } else { format!("{number:e}") };
            json.push(format!("{{{bn}\"t\":{time},\"n\":\"{name}\",\"v\":{shown}}}"));
            cbor.push(0xA3 + u8::from(base.is_some()));
            if let Some(base) = base {
                cbor.extend([0x21, 0x60 + u8::try_from(base.len()).unwrap()]);
                cbor.extend(base.as_bytes());
            }
            cbor.push(6);
            push_integer(time.into(), &mut cbor);
            cbor.extend([0, 0x60 + u8::try_from(name.len()).unwrap()]);
            cbor.extend(name.as_bytes());
            cbor.push(2);
            if whole {
                push_integer(value, &mut cbor);
            } else {
                cbor.push(0xFB);
                cbor.extend(number.to_be_bytes());
            }
        }
        let json = format!("[{}]", json.join(","));
        let (json, cbor) = (decode(Format::SenmlJson, json.as_bytes(), NOW), decode(Format::SenmlCbor, &cbor, NOW));
        prop_assert_eq!(json.records, cbor.records);
        prop_assert_eq!(json.rejected.len(), cbor.rejected.len());
    }
}

/// Where the time of arrival makes no difference to the bounds, or is within them.
fn check_any(bytes: &[u8], format: Format, now: u64) {
    let decoded = decode(format, bytes, now);
    if now <= nemeses_telemetry::MAX_TIME_MS {
        check(bytes, &decoded);
    }
}

fn push_integer(integer: i64, out: &mut Vec<u8>) {
    let (major, number) = if integer < 0 { (0x20, !integer) } else { (0, integer) };
    out.push(major + 27);
    out.extend(number.to_be_bytes());
}
