//! `nemeses decode`: what is in these bytes? Shows every field of every frame
//! with its offset, and every stretch that is no frame with the reason.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use nemeses_protocol::{
    AnyProtocol, Content, Field, FieldValue, Form, Item, Normalised, OwnTracks, PROTOCOLS,
    Position, Protocol as _, Reading, Shown, ShownValue, Value as Measured, protocol_named,
};
use serde_json::{Value, json};

use crate::tools::{OutputArgs, columns, moment, print, print_json};

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses decode 50F70A3F730150494E4773C4
  nemeses decode --file captured.bin
  nemeses decode --protocol gt06 78780D01086471700328358100093F040D0A
  mosquitto_sub -h localhost -t /messenger -C 1 -F %x | nemeses decode --json";

/// Most that is read from a file or from standard input.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// `nemeses decode`.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// Frames as hex; without it and without --file, standard input is read
    #[arg(value_name = "HEX", conflicts_with = "file")]
    hex: Vec<String>,
    /// Read this file, which holds raw bytes or hex text
    #[arg(long, env = "NEMESES_DECODE_FILE", value_name = "PATH")]
    file: Option<PathBuf>,
    /// In which protocol the bytes are: sft9001, teltonika, gt06, queclink, osmand, owntracks or cayenne
    #[arg(long, env = "NEMESES_DECODE_PROTOCOL", value_name = "NAME", default_value = "sft9001")]
    protocol: String,
    /// The topic that the message came on, where that says whose it is
    #[arg(long, env = "NEMESES_DECODE_TOPIC", value_name = "TOPIC", default_value = "")]
    topic: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows what the bytes hold; `true` when there is a good frame among them.
///
/// # Errors
/// Input that cannot be read.
pub(crate) fn run(args: &DecodeArgs) -> anyhow::Result<bool> {
    let payload = payload(args)?;
    let protocol = protocol(&args.protocol)?;
    let normalised = match of_hex(&payload).filter(|_| protocol.name() != PROTOCOLS[0].name()) {
        Some(bytes) => Normalised { form: Form::Hex, bytes: bytes.into(), unreadable: None },
        None => protocol.raw(&payload),
    };
    let items = protocol.show(&args.topic, &normalised.bytes);
    if args.output.json {
        print_json(&as_json(&normalised, &items))?;
    } else {
        print(&as_text(&normalised, &items))?;
    }
    Ok(items.iter().any(|item| matches!(item, Item::Frame { .. })))
}

fn protocol(name: &str) -> anyhow::Result<&'static dyn AnyProtocol> {
    protocol_named(name).with_context(|| {
        let names: Vec<_> = PROTOCOLS.iter().map(|protocol| protocol.name()).collect();
        format!("there is no protocol {name}; choose one of {}", names.join(", "))
    })
}

/// The bytes of a text of hex digits. No text of a protocol consists of them alone.
fn of_hex(payload: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        payload.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    hex::decode(digits).ok()
}

fn payload(args: &DecodeArgs) -> anyhow::Result<Vec<u8>> {
    let mut payload = Vec::new();
    if let Some(path) = &args.file {
        let file = std::fs::File::open(path)
            .with_context(|| format!("the file {} cannot be opened", path.display()))?;
        file.take(MOST_BYTES + 1).read_to_end(&mut payload).context("the file cannot be read")?;
    } else if args.hex.is_empty() {
        std::io::stdin()
            .lock()
            .take(MOST_BYTES + 1)
            .read_to_end(&mut payload)
            .context("standard input cannot be read")?;
    } else {
        // The spaces of an unquoted argument are no part of the frames.
        payload = args.hex.concat().into_bytes();
        anyhow::ensure!(
            payload.iter().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace()),
            "an argument is not hex; raw bytes are read from --file or from standard input"
        );
    }
    anyhow::ensure!(
        u64::try_from(payload.len()).unwrap_or(u64::MAX) <= MOST_BYTES,
        "more than {MOST_BYTES} bytes; split the input"
    );
    Ok(payload)
}

/// What a payload that came on a topic holds, for people: in the protocol that the topic names, which
/// is a listener's (`tcp:gt06`) or that of phones, and else in the first one.
pub(crate) fn described(topic: &str, payload: &[u8]) -> String {
    let [first, ..] = PROTOCOLS;
    let named = topic.split_once(':').filter(|(way, _)| ["tcp", "udp", "http"].contains(way));
    let name = named.map_or(topic, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let is_of_phone = named.is_none() && name == OwnTracks::NAME;
    let protocol = protocol_named(name).filter(|_| named.is_some() || is_of_phone);
    let protocol = protocol.unwrap_or(first);
    let normalised = protocol.raw(payload);
    as_text(&normalised, &protocol.show(topic, &normalised.bytes))
}

fn as_text(normalised: &Normalised<'_>, items: &[Item<'_, Shown<'_>>]) -> String {
    let form = if normalised.form == Form::Hex { "hex text" } else { "raw bytes" };
    let mut text = String::new();
    let (mut good, mut skipped) = (0_u64, 0_u64);
    for item in items {
        match item {
            Item::Frame { offset, bytes, frame } => {
                good += 1;
                text.push_str(&frame_as_text(*offset, bytes, frame));
            }
            Item::Skipped { offset, bytes, reason, .. } => {
                skipped += 1;
                text.push_str(&skipped_as_text(*offset, bytes, reason.code(), &reason.to_string()));
            }
        }
    }
    if let Some((offset, rest)) = normalised.unreadable {
        skipped += 1;
        let _ = write!(
            text,
            "No hex at offset {offset} of the text, {} characters (bad_hex): \"{}\"\n\n",
            rest.len(),
            shortened(rest).escape_ascii()
        );
    }
    text + &format!(
        "{} bytes from {form}: frames {good}, skipped stretches {skipped}\n",
        normalised.bytes.len()
    )
}

fn frame_as_text(offset: usize, bytes: &[u8], frame: &Shown<'_>) -> String {
    let mut kind = frame.kind.to_owned();
    if let Some(first) = kind.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    for (_, hash) in &frame.records {
        let _ = write!(kind, ", frame hash {hash:016x}");
    }
    let row = |(place, own, field): (usize, &[u8], &Field)| {
        let value = match &field.value {
            FieldValue::Text(text) => text.clone(),
            FieldValue::Moment(second) => moment(u64::from(*second) * 1000),
        };
        vec![(offset + place).to_string(), hex::encode_upper(own), field.name.to_owned(), value]
    };
    let rows: Vec<Vec<String>> = placed(bytes, &frame.fields).map(row).collect();
    format!(
        "{kind}, {} bytes at offset {offset}\n{}\n",
        bytes.len(),
        columns(&["offset", "bytes", "field", "value"], &rows)
    )
}

/// Each field with its place in the frame and its bytes.
fn placed<'f>(
    bytes: &'f [u8],
    fields: &'f [Field],
) -> impl Iterator<Item = (usize, &'f [u8], &'f Field)> {
    let mut place = 0;
    fields.iter().map(move |field| {
        let at = place;
        place += field.length;
        (at, bytes.get(at..place).unwrap_or_default(), field)
    })
}

fn skipped_as_text(offset: usize, bytes: &[u8], code: &str, why: &str) -> String {
    let more = if bytes.len() > SHOWN_BYTES { "..." } else { "" };
    format!(
        "Skipped, {} bytes at offset {offset} ({code}): {why}\n{}{more}\n\n",
        bytes.len(),
        hex::encode_upper(shortened(bytes))
    )
}

/// Rubbish is shown up to this length; `--json` gives all of it.
const SHOWN_BYTES: usize = 64;

fn shortened(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(SHOWN_BYTES)]
}

fn as_json(normalised: &Normalised<'_>, items: &[Item<'_, Shown<'_>>]) -> Value {
    let items: Vec<Value> = items.iter().flat_map(item_as_json).collect();
    json!({
        "form": if normalised.form == Form::Hex { "hex" } else { "raw" },
        "length": normalised.bytes.len(),
        "items": items,
        "unreadable": normalised.unreadable.map(|(offset, text)| json!({
            "text_offset": offset,
            "reason": "bad_hex",
            "text": String::from_utf8_lossy(text),
        })),
    })
}

/// One skipped stretch, one frame without records, or each record of a frame as JSON; field
/// names as in the REST API.
fn item_as_json(item: &Item<'_, Shown<'_>>) -> Vec<Value> {
    match item {
        Item::Skipped { offset, bytes, identity, reason } => vec![json!({
            "kind": "skipped",
            "offset": offset,
            "bytes": hex::encode_upper(bytes),
            "device_id": identity.as_ref().map(ToString::to_string),
            "reason": reason.code(),
        })],
        Item::Frame { offset, bytes, frame } if frame.records.is_empty() => {
            let payload =
                placed(bytes, &frame.fields).find(|(_, _, field)| field.name == "payload");
            vec![json!({
                "kind": frame.kind,
                "offset": offset,
                "bytes": hex::encode_upper(bytes),
                "device_id": frame.identity.to_string(),
                "payload": payload.map_or_else(String::new, |(_, own, _)| hex::encode_upper(own)),
            })]
        }
        Item::Frame { offset, frame, .. } => {
            let record = |(content, hash): &(Content<'_>, u64)| {
                let mut record =
                    content.position.as_ref().map_or_else(|| json!({}), position_as_json);
                for (field, value) in content.optional.iter() {
                    record[field.spec().shown] = match field.shown(value) {
                        ShownValue::Whole(number) => number.into(),
                        ShownValue::Number(number) => number.into(),
                        ShownValue::True => true.into(),
                    };
                }
                for Reading { channel, value, .. } in &content.readings {
                    record["values"][&**channel] = match value {
                        Measured::Flag(flag) => (*flag).into(),
                        Measured::Integer(number) => (*number).into(),
                        Measured::Number(number) => (*number).into(),
                        Measured::Text(text) => (&**text).into(),
                    };
                }
                record["kind"] = frame.kind.into();
                record["offset"] = (offset + content.offset).into();
                record["bytes"] = hex::encode_upper(content.bytes).into();
                record["device_id"] = frame.identity.to_string().into();
                record["frame_hash"] = format!("{hash:016x}").into();
                record
            };
            frame.records.iter().map(record).collect()
        }
    }
}

fn position_as_json(position: &Position) -> Value {
    json!({
        "recorded_at": moment(u64::from(position.recorded_at) * 1000),
        "latitude": f64::from(position.latitude_udeg) / 1e6,
        "longitude": f64::from(position.longitude_udeg) / 1e6,
        "speed_kmh": position.speed_kmh,
        "direction_deg": f64::from(position.direction_cdeg) / 100.0,
        "odometer_m": position.odometer_m,
        "hour_meter_min": position.hour_meter_min,
        "ignition": position.composition.ignition(),
        "gps_fix": position.composition.gps_fix(),
        "historical": position.composition.historical(),
        "composition": position.composition.0,
        "extension": position.extension.map(|bits| format!("{bits:04X}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
    const LONG: &str = "50F70A3F73025EFCF950156F017D784000008CA0F80084003C013026A1029E72BD73C4";
    const PING: &str = "50F70A3F730150494E4773C4";

    #[test]
    fn fields_cover_every_byte_of_a_frame() {
        for hex_text in [SHORT, LONG, PING, "50F70A3F730173C4"] {
            let bytes = hex::decode(hex_text).unwrap();
            let [Item::Frame { frame, bytes: all, .. }] = &PROTOCOLS[0].show("", &bytes)[..] else {
                panic!("{hex_text} is no frame");
            };
            let (place, own, _) = placed(all, &frame.fields).last().unwrap();
            assert_eq!(place + own.len(), all.len(), "{hex_text}");
        }
    }

    #[test]
    fn a_table_names_offset_bytes_field_and_value() {
        let payload = format!("{SHORT}FFFF{PING}");
        let text = described("/messenger", payload.as_bytes());
        for line in [
            "0       50F7      header",
            "2       0A3F73    device       0A3F73",
            "6       5EFCF950  recorded at  2020-07-01T21:00:00Z",
            "10      156F      direction    54.87 degrees",
            "12      017D7840  odometer     25000000 m",
            "20      B800      composition  GPS fix, live, ignition on",
            "22      3C        speed        60 km/h",
            "23      013026A1  latitude     -19.932833",
            "27      029E72BD  longitude    -43.938493",
            "Skipped, 2 bytes at offset 33",
            "35      50F7      header",
            "41      50494E47  payload  \"PING\"",
            "47 bytes from hex text: frames 2, skipped stretches 1",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }

    #[test]
    fn a_payload_is_shown_in_the_protocol_of_its_topic() {
        let login = hex::decode("78780D01086471700328358100093F040D0A").unwrap();
        assert!(
            described("tcp:gt06", &login).starts_with("Login"),
            "{}",
            described("tcp:gt06", &login)
        );
        let phone = br#"{"_type":"location","lat":1,"lon":2,"tst":1497349316}"#;
        for topic in ["owntracks/jane/phone", "http:owntracks/jane/phone"] {
            assert!(described(topic, phone).contains("frames 1"), "{topic}");
        }
        assert!(described("/messenger", phone).contains("frames 0"));
    }

    fn json_of(payload: &str) -> Value {
        let normalised = PROTOCOLS[0].raw(payload.as_bytes());
        as_json(&normalised, &PROTOCOLS[0].show("", &normalised.bytes))
    }

    #[test]
    fn json_has_the_fields_of_the_rest_api() {
        let payload = format!("{LONG}zz");
        let json = json_of(&payload);
        let location = &json["items"][0];
        assert_eq!(location["device_id"], "0A3F73");
        assert_eq!(location["latitude"], -19.932_833);
        assert_eq!(location["longitude"], -43.938_493);
        assert_eq!(location["historical"], true);
        assert_eq!(location["extension"], "8400");
        assert_eq!(json["unreadable"]["text"], "zz");
        let repeated = json_of(SHORT);
        assert_eq!(repeated["items"][0]["historical"], false);
    }
}
