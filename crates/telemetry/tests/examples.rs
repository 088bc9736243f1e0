//! The RFC's own examples, and what stands at the limits.
#![allow(missing_docs, reason = "a test program")]

mod common;

use common::{NOW, check, records, rejected};
use nemeses_telemetry::{Decoded, Format, MAX_REJECTED, Precision, decode};

fn read(format: Format, payload: impl AsRef<[u8]>) -> Decoded {
    let decoded = decode(format, payload.as_ref(), NOW);
    check(payload.as_ref(), &decoded);
    decoded
}

fn codes(decoded: &Decoded) -> Vec<&'static str> {
    decoded.rejected.iter().map(|rejected| rejected.reason.code()).collect()
}

/// RFC 8428, sections 5.1.1 to 5.1.3 and 6.
mod rfc_8428 {
    use super::*;

    const CURRENTS: &str = r#"[
      {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,
       "n":"voltage","u":"V","v":120.1},
      {"n":"current","t":-5,"v":1.2}, {"n":"current","t":-4,"v":1.3},
      {"n":"current","t":-3,"v":1.4}, {"n":"current","t":-2,"v":1.5},
      {"n":"current","t":-1,"v":1.6}, {"n":"current","v":1.7}]"#;

    const CURRENTS_IN_CBOR: &str = "87a721781b75726e3a6465763a6f773a313065323037336130313038303036\
        3a22fb41d303a15b00106223614120050067766f6c7461676501615602fb405e066666666666a30067637572\
        72656e74062402fb3ff3333333333333a3006763757272656e74062302fb3ff4cccccccccccda30067637572\
        72656e74062202fb3ff6666666666666a3006763757272656e74062102f93e00a3006763757272656e740620\
        02fb3ff999999999999aa3006763757272656e74060002fb3ffb333333333333";

    #[test]
    fn one_value() {
        let payload = r#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#;
        let decoded = read(Format::Auto, payload);
        assert_eq!(records(&decoded), ["now urn:dev:ow:10e2073a01080063\nCel = 23.1 Cel"]);
        assert_eq!(decoded.rejected, []);
    }

    #[test]
    fn values_of_five_seconds_in_both_representations() {
        let device = "urn:dev:ow:10e2073a0108006";
        let mut expected =
            vec![format!("1276020076001 {device}\ncurrent = 1.7 A\nvoltage = 120.1 V")];
        for (second, ampere) in [(71, "1.2"), (72, "1.3"), (73, "1.4"), (74, "1.5"), (75, "1.6")] {
            expected.push(format!("12760200{second}001 {device}\ncurrent = {ampere} A"));
        }
        let json = read(Format::Auto, CURRENTS);
        assert_eq!(records(&json), expected);
        assert_eq!(json, read(Format::Auto, hex::decode(CURRENTS_IN_CBOR).unwrap()));
        assert_eq!(json.rejected, []);
    }

    #[test]
    fn values_that_are_told_apart_by_their_units() {
        let payload = r#"[
          {"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,"bu":"%RH","v":20},
          {"u":"lon","v":24.30621}, {"u":"lat","v":60.07965}, {"t":60,"v":20.3},
          {"u":"lon","t":60,"v":24.30622}, {"u":"lat","t":60,"v":60.07965},
          {"u":"%EL","t":150,"v":98}]"#;
        let device = "urn:dev:ow:10e2073a01080063";
        let decoded = read(Format::Auto, payload);
        assert_eq!(
            records(&decoded),
            [
                format!(
                    "1320067464000 {device}\n%RH = 20 %RH\nlat = 60.07965 lat\nlon = 24.30621 lon"
                ),
                format!(
                    "1320067524000 {device}\n%RH = 20.3 %RH\nlat = 60.07965 lat\nlon = 24.30622 lon"
                ),
                format!("1320067614000 {device}\n%EL = 98 %EL"),
            ]
        );
    }

    #[test]
    fn two_devices() {
        let payload = r#"[
          {"bn":"2001:db8::2/","bt":1.320078429e+09,"n":"temperature","u":"Cel","v":25.2},
          {"n":"humidity","u":"%RH","v":30},
          {"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3},
          {"n":"humidity","u":"%RH","v":67}]"#;
        assert_eq!(
            records(&read(Format::Auto, payload)),
            [
                "1320078429000 2001:db8::2\nhumidity = 30 %RH\ntemperature = 25.2 Cel",
                "1320078429000 2001:db8::1\nhumidity = 67 %RH\ntemperature = 12.3 Cel",
            ]
        );
    }
}

#[test]
fn a_base_that_cannot_be_read_takes_what_follows() {
    let payload = r#"[{"n":"a","v":1},{"bt":"x","n":"b","v":2},{"n":"c","v":3}]"#;
    let decoded = read(Format::SenmlJson, payload);
    assert_eq!(records(&decoded), ["now\na = 1"]);
    let rest = r#"{"bt":"x","n":"b","v":2},{"n":"c","v":3}]"#;
    assert_eq!(rejected(&decoded), [("bad_time", rest.to_owned())]);
}

#[test]
fn records_of_senml_are_rejected_alone() {
    for (record, code) in [
        ("1", "bad_value"),
        (r#"{"n":"a","v":"1"}"#, "bad_value"),
        (r#"{"n":"a","v":1e999}"#, "bad_value"),
        (r#"{"n":"a","v":1,"vb":true}"#, "bad_value"),
        (r#"{"n":"a","vd":"a="}"#, "bad_value"),
        (r#"{"n":"a","s":true}"#, "bad_value"),
        (r#"{"n":7,"v":1}"#, "bad_channel"),
        (r#"{"n":"\u202e","v":1}"#, "bad_channel"),
        (r#"{"n":"a","u":7,"v":1}"#, "bad_unit"),
        (r#"{"n":"a","t":"now","v":1}"#, "bad_time"),
        (r#"{"n":"a","t":1e300,"v":1}"#, "bad_time"),
        (r#"{"n":"a","t":-1e10,"v":1}"#, "bad_time"),
    ] {
        let payload = format!(r#"[{record},{{"n":"good","v":1}}]"#);
        let decoded = read(Format::SenmlJson, &payload);
        assert_eq!(records(&decoded), ["now\ngood = 1"], "{record}");
        assert_eq!(rejected(&decoded), [(code, record.to_owned())], "{record}");
    }
    for pack in [r#"[{"bver":11,"n":"a","v":1}]"#, r#"[{"bver":"x","n":"a","v":1}]"#] {
        assert_eq!(codes(&read(Format::SenmlJson, pack)), ["unsupported"], "{pack}");
    }
    assert_eq!(codes(&read(Format::SenmlJson, r#"{"n":"a","v":1}"#)), ["bad_payload"]);
    assert_eq!(read(Format::SenmlJson, r#"[{"bn":"a","bt":1}]"#), Decoded::default());
}

#[test]
fn numbers_keep_what_they_are() {
    let payload = r#"{"a":-0.0,"b":9223372036854775807,"c":9223372036854775808,"d":1e3,
        "e":0.1,"f":-9223372036854775809,"g":1e999,"h":7.2057594037927933e16}"#;
    let decoded = read(Format::Json, payload);
    let expected = "now\na = -0.0\nb = 9223372036854775807\nc = 9.223372036854776e18\nd = 1000.0\n\
        e = 0.1\nf = -9.223372036854776e18\nh = 7.205759403792794e16";
    assert_eq!(records(&decoded), [expected]);
    assert_eq!(rejected(&decoded), [("bad_value", r#""g":1e999"#.to_owned())]);
}

#[test]
fn members_are_rejected_alone() {
    let long = "x".repeat(4097);
    let name = "n".repeat(129);
    for (member, code) in [
        (r#""a":[1]"#.to_owned(), "bad_value"),
        (format!(r#""a":"{long}""#), "bad_value"),
        (r#""a":"\ud800""#.to_owned(), "bad_value"),
        (r#""\ud800":1"#.to_owned(), "bad_channel"),
        (r#""":1"#.to_owned(), "bad_channel"),
        (r#""":{"b":1}"#.to_owned(), "bad_channel"),
        (r#"" a":1"#.to_owned(), "bad_channel"),
        (format!(r#""{name}":1"#), "bad_channel"),
        (format!(r#""{name}":{{"b":1}}"#), "bad_channel"),
    ] {
        let decoded = read(Format::Auto, format!(r#"{{"good":1, {member}}}"#));
        assert_eq!(records(&decoded), ["now\ngood = 1"], "{member}");
        assert_eq!(rejected(&decoded), [(code, member)]);
    }
}

#[test]
fn what_stands_beside_values_is_checked() {
    for (object, code) in [
        (r#"{"t":true,"values":{"a":1}}"#, "bad_time"),
        (r#"{"id":7,"values":{"a":1}}"#, "bad_device"),
        (r#"{"id":"","values":{"a":1}}"#, "bad_device"),
        (r#"{"t":1,"values":[1]}"#, "bad_value"),
        ("[1]", "bad_value"),
    ] {
        let decoded = read(Format::Json, format!("[{object}]"));
        assert_eq!(decoded.records, [], "{object}");
        assert_eq!(rejected(&decoded), [(code, object.to_owned())]);
    }
    for (member, code) in [
        (r#""units":7"#, "bad_unit"),
        (r#""units":{"a":"a b"}"#, "bad_unit"),
        (r#""x":1"#, "unknown_member"),
    ] {
        let decoded = read(Format::Json, format!(r#"{{"values":{{"a":1}},{member}}}"#));
        assert_eq!(records(&decoded), ["now\na = 1"], "{member}");
        assert_eq!(codes(&decoded), [code], "{member}");
    }
}

#[test]
fn a_payload_that_is_not_of_its_format_is_rejected_whole() {
    let deep = "[".repeat(1_000_000);
    let utf_16: Vec<u8> = "\u{feff}{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for payload in
        [&b""[..], b" ", b"1", b"{\"a\":1", b"[{\"a\":1}] x", b"\xff\xfe", &utf_16, deep.as_bytes()]
    {
        for format in [Format::Auto, Format::Json, Format::SenmlJson, Format::SenmlCbor] {
            let decoded = read(format, payload);
            assert_eq!(codes(&decoded), ["bad_payload"], "{format:?} {payload:.20?}");
            assert_eq!((decoded.rejected[0].offset, &*decoded.rejected[0].bytes), (0, payload));
        }
    }
    let with_bom = read(Format::Auto, "\u{feff}{\"a\":[]}");
    assert_eq!(with_bom.rejected[0].offset, 4);
}

#[test]
fn a_full_record_rejects_the_rest() {
    let members: Vec<_> = (0..1030).map(|number| format!(r#""c{number:04}":1"#)).collect();
    let decoded = read(Format::Json, format!("{{{}}}", members.join(",")));
    assert_eq!(decoded.records[0].readings.len(), 1024);
    assert_eq!(codes(&decoded), ["too_many_values"; 6]);
    assert_eq!(decoded.rejected[0].bytes, br#""c1024":1"#);

    let text = "x".repeat(4096);
    let members: Vec<_> = (0..20).map(|number| format!(r#""c{number:02}":"{text}""#)).collect();
    let decoded = read(Format::Json, format!("{{{}}}", members.join(",")));
    assert_eq!(decoded.records[0].readings.len(), 15);
    assert_eq!(codes(&decoded), ["too_many_values"; 5]);
}

#[test]
fn many_rejected_parts_end_in_one() {
    let payload = format!("[{}]", vec!["1"; 5000].join(","));
    let decoded = read(Format::Json, &payload);
    assert_eq!(decoded.rejected.len(), MAX_REJECTED);
    let bytes: usize = decoded.rejected.iter().map(|rejected| rejected.bytes.len()).sum();
    assert_eq!(bytes, payload.len() - 2 - (MAX_REJECTED - 1));
    assert!(decoded.rejected[MAX_REJECTED - 1].detail.contains("4000 more"));
}

#[test]
fn two_values_of_a_channel_at_one_moment_are_in_two_records() {
    let ns = Format::LineProtocol(Precision::Nanoseconds);
    assert_eq!(
        records(&read(ns, "m v=1i,w=1i\nm v=2i\nm v=2i")),
        ["now\nm.v = 1\nm.w = 1", "now\nm.v = 2"]
    );
    // Within a millisecond, too.
    assert_eq!(
        records(&read(ns, "m v=1i 1700000000000000000\nm v=2i,w=1i 1700000000000100000")),
        ["1700000000000\nm.v = 1", "1700000000000\nm.v = 2\nm.w = 1"]
    );
    let collision = r#"{"a":{"b":1},"a.b":2}"#;
    assert_eq!(records(&read(Format::Json, collision)), ["now\na.b = 1", "now\na.b = 2"]);
}

#[test]
fn times_of_lines_have_a_precision() {
    for (precision, time, ms) in [
        ("ns", "1700000000123456789", "1700000000123"),
        ("us", "1700000000123500", "1700000000124"),
        ("ms", "1700000000123", "1700000000123"),
        ("s", "1700000000", "1700000000000"),
    ] {
        let format = Format::LineProtocol(Precision::of_name(precision).unwrap());
        assert_eq!(records(&read(format, format!("m v=1i {time}"))), [format!("{ms}\nm.v = 1")]);
    }
    let seconds = Format::LineProtocol(Precision::Seconds);
    assert_eq!(codes(&read(seconds, "m v=1i 1700000000000")), ["bad_time"]);
}

#[test]
fn lines_are_rejected_alone() {
    let long = "x".repeat(130);
    for (line, code) in [
        ("m", "bad_line"),
        ("m ", "bad_line"),
        (",a=b f=1", "bad_line"),
        ("m,a f=1", "bad_line"),
        ("m,a= f=1", "bad_line"),
        ("m,a=b,a=c f=1", "bad_line"),
        ("m f", "bad_line"),
        ("m f=", "bad_line"),
        ("m f=1,", "bad_line"),
        ("m f=1 2 3", "bad_time"),
        ("m f=inf", "bad_line"),
        ("m f=NaN", "bad_line"),
        ("m f=-1u", "bad_line"),
        ("m f=1.5i", "bad_line"),
        ("m f=\"open", "bad_line"),
        ("m f=\"a\"b", "bad_line"),
        ("m f=1 x", "bad_time"),
        ("\u{202e} f=1", "bad_channel"),
        (&format!("m,a={long} f=1"), "bad_channel"),
        (&format!("m,device={long}{long} f=1"), "bad_device"),
    ] {
        let payload = format!("good v=1i\n{line}\r\ngood w=2i");
        let decoded = read(Format::LineProtocol(Precision::default()), &payload);
        assert_eq!(records(&decoded), ["now\ngood.v = 1\ngood.w = 2"], "{line}");
        assert_eq!(codes(&decoded), [code], "{line}");
        assert!(decoded.rejected[0].detail.starts_with("line 2: "), "{line}");
    }
    let decoded = read(Format::LineProtocol(Precision::default()), b"m f=\"\xff\"\nm f=t");
    assert_eq!(
        (records(&decoded), codes(&decoded)),
        (vec!["now\nm.f = true".into()], vec!["bad_line"])
    );
}
