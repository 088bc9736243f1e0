//! `nemeses decode`: what is in these bytes? Shows every field of every frame
//! with its offset, and every stretch that is no frame with the reason.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use nemeses_protocol::{Form, Frame, Item, Normalised, Position, frame_hash, frames, normalise};
use serde_json::{Value, json};

use crate::tools::{OutputArgs, columns, moment, print, print_json};

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses decode 50F70A3F730150494E4773C4
  nemeses decode --file captured.bin
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
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows what the bytes hold; `true` when there is a good frame among them.
///
/// # Errors
/// Input that cannot be read.
pub(crate) fn run(args: &DecodeArgs) -> anyhow::Result<bool> {
    let payload = payload(args)?;
    let normalised = normalise(&payload);
    if args.output.json {
        print_json(&as_json(&normalised))?;
    } else {
        print(&as_text(&normalised))?;
    }
    Ok(frames(&normalised.bytes).any(|item| matches!(item, Item::Frame { .. })))
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

/// One line of a frame's table.
struct Field {
    /// From the frame's beginning.
    offset: usize,
    length: usize,
    name: &'static str,
    value: String,
}

/// Lays fields end to end.
struct Layout(Vec<Field>);

impl Layout {
    fn push(&mut self, length: usize, name: &'static str, value: impl Into<String>) {
        let offset = self.0.last().map_or(0, |field| field.offset + field.length);
        self.0.push(Field { offset, length, name, value: value.into() });
    }
}

fn fields(frame: &Frame<'_>) -> Vec<Field> {
    let mut layout = Layout(Vec::new());
    layout.push(2, "header", "");
    match frame {
        Frame::Ping { device, payload } => {
            layout.push(3, "device", device.to_string());
            layout.push(1, "type", "ping");
            if !payload.is_empty() {
                let text = payload.escape_ascii().to_string();
                layout.push(payload.len(), "payload", format!("\"{text}\""));
            }
        }
        Frame::Location(position) => location_fields(position, &mut layout),
    }
    layout.push(2, "footer", "");
    layout.0
}

fn location_fields(position: &Position, layout: &mut Layout) {
    layout.push(3, "device", position.device.to_string());
    layout.push(1, "type", "location");
    layout.push(4, "recorded at", moment(u64::from(position.recorded_at) * 1000));
    let direction = f64::from(position.direction_cdeg) / 100.0;
    layout.push(2, "direction", format!("{direction:.2} degrees"));
    layout.push(4, "odometer", format!("{} m", position.odometer_m));
    layout.push(4, "hour meter", format!("{} min", position.hour_meter_min));
    layout.push(2, "composition", composition(position));
    if let Some(extension) = position.extension {
        layout.push(2, "extension", format!("{extension:04X}"));
    }
    layout.push(1, "speed", format!("{} km/h", position.speed_kmh));
    layout.push(4, "latitude", degrees(position.latitude_udeg));
    layout.push(4, "longitude", degrees(position.longitude_udeg));
}

fn composition(position: &Position) -> String {
    let bits = position.composition;
    let fix = if bits.gps_fix() { "GPS fix" } else { "no GPS fix" };
    let age = if bits.historical() { "historical" } else { "live" };
    let ignition = if bits.ignition() { "ignition on" } else { "ignition off" };
    format!("{fix}, {age}, {ignition}")
}

/// Six digits behind the point: every digit of the wire.
fn degrees(micro: i32) -> String {
    format!("{:.6}", f64::from(micro) / 1e6)
}

pub(crate) fn as_text(normalised: &Normalised<'_>) -> String {
    let bytes = &normalised.bytes;
    let form = if normalised.form == Form::Hex { "hex text" } else { "raw bytes" };
    let mut text = String::new();
    let (mut good, mut skipped) = (0_u64, 0_u64);
    for item in frames(bytes) {
        match item {
            Item::Frame { offset, bytes, frame } => {
                good += 1;
                text.push_str(&frame_as_text(offset, bytes, &frame));
            }
            Item::Skipped { offset, bytes, reason, .. } => {
                skipped += 1;
                text.push_str(&skipped_as_text(offset, bytes, reason.code(), &reason.to_string()));
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
        bytes.len()
    )
}

fn frame_as_text(offset: usize, bytes: &[u8], frame: &Frame<'_>) -> String {
    let kind = match frame {
        Frame::Ping { .. } => "Ping".to_owned(),
        Frame::Location(_) => format!("Location, frame hash {:016x}", frame_hash(bytes)),
    };
    let rows: Vec<Vec<String>> = fields(frame)
        .into_iter()
        .map(|field| {
            let own = bytes.get(field.offset..field.offset + field.length).unwrap_or_default();
            let place = (offset + field.offset).to_string();
            vec![place, hex::encode_upper(own), field.name.to_owned(), field.value]
        })
        .collect();
    format!(
        "{kind}, {} bytes at offset {offset}\n{}\n",
        bytes.len(),
        columns(&["offset", "bytes", "field", "value"], &rows)
    )
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

fn as_json(normalised: &Normalised<'_>) -> Value {
    let items: Vec<Value> = frames(&normalised.bytes).map(|item| item_as_json(&item)).collect();
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

/// One frame or skipped stretch as JSON; field names as in the REST API.
pub(crate) fn item_as_json(item: &Item<'_>) -> Value {
    match *item {
        Item::Skipped { offset, bytes, device, reason } => json!({
            "kind": "skipped",
            "offset": offset,
            "bytes": hex::encode_upper(bytes),
            "device_id": device.map(|device| device.to_string()),
            "reason": reason.code(),
        }),
        Item::Frame { offset, bytes, frame: Frame::Ping { device, payload } } => json!({
            "kind": "ping",
            "offset": offset,
            "bytes": hex::encode_upper(bytes),
            "device_id": device.to_string(),
            "payload": hex::encode_upper(payload),
        }),
        Item::Frame { offset, bytes, frame: Frame::Location(position) } => json!({
            "kind": "location",
            "offset": offset,
            "bytes": hex::encode_upper(bytes),
            "device_id": position.device.to_string(),
            "frame_hash": format!("{:016x}", frame_hash(bytes)),
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
        }),
    }
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
            let Some(Item::Frame { frame, bytes: all, .. }) = frames(&bytes).next() else {
                panic!("{hex_text} is no frame");
            };
            let last = fields(&frame).into_iter().next_back().unwrap();
            assert_eq!(last.offset + last.length, all.len(), "{hex_text}");
        }
    }

    #[test]
    fn a_table_names_offset_bytes_field_and_value() {
        let payload = format!("{SHORT}FFFF{PING}");
        let text = as_text(&normalise(payload.as_bytes()));
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
    fn json_has_the_fields_of_the_rest_api() {
        let payload = format!("{LONG}zz");
        let json = as_json(&normalise(payload.as_bytes()));
        let location = &json["items"][0];
        assert_eq!(location["device_id"], "0A3F73");
        assert_eq!(location["latitude"], -19.932_833);
        assert_eq!(location["longitude"], -43.938_493);
        assert_eq!(location["historical"], true);
        assert_eq!(location["extension"], "8400");
        assert_eq!(json["unreadable"]["text"], "zz");
        let repeated = as_json(&normalise(SHORT.as_bytes()));
        assert_eq!(repeated["items"][0]["historical"], false);
    }
}
