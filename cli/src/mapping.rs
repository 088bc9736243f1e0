//! `nemeses mapping`: what a mapping makes of samples, before anything is stored, and the mappings
//! that come with the program.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use nemeses_protocol::{DeviceId, PackedFields, PositionPart, Reading, readings_json};
use nemeses_runtime::Clock;
use nemeses_telemetry::{BUILT_IN, Decoded, Mapping, Mappings, Measured, Rejected, built_in};
use serde_json::{Value, json};

use crate::config::read_mappings;
use crate::tools::{OutputArgs, moment, print, print_json};

const TRY_EXAMPLES: &str = "\
Examples:
  nemeses mapping try mappings.toml --topic sensors/a1/up '{\"temp\": 21.5}'
  nemeses mapping try chirpstack --post chirpstack - < uplink.json
  mosquitto_sub -h localhost -t sensors/a1/up -C 1 | nemeses mapping try mappings.toml --topic sensors/a1/up -

Nothing is stored or sent. Exit code 1 if no sample yields a record.";

/// Longer samples are refused: a message has at most 16 MiB.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// `nemeses mapping`.
#[derive(Debug, Subcommand)]
pub(crate) enum MappingCommand {
    /// Show what a mapping makes of samples, without storing anything
    #[command(after_help = TRY_EXAMPLES)]
    Try(TryArgs),
    /// Print a built-in mapping, to read or to copy; without a name, list them
    Show(ShowArgs),
}

/// `nemeses mapping try`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("way").required(true).args(["topic", "post"]))]
pub(crate) struct TryArgs {
    /// The file of mappings, or the name of a built-in one
    file: PathBuf,
    /// The topic that the samples come on
    #[arg(long, env = "NEMESES_MAPPING_TOPIC", value_name = "TOPIC")]
    topic: Option<String>,
    /// The samples are posted to /devices/NAME
    #[arg(long, env = "NEMESES_MAPPING_POST", value_name = "NAME")]
    post: Option<String>,
    /// Payloads; without any, or for -, standard input is read as one
    #[arg(value_name = "SAMPLE")]
    samples: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses mapping show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Which
    name: Option<String>,
}

/// Runs one of them; `false` when no sample yields a record.
///
/// # Errors
/// A file that cannot be read, or no mapping for the samples.
pub(crate) fn run(command: &MappingCommand) -> anyhow::Result<bool> {
    match command {
        MappingCommand::Try(args) => attempt(args),
        MappingCommand::Show(args) => show(args.name.as_deref()).map(|()| true),
    }
}

fn show(name: Option<&str>) -> anyhow::Result<()> {
    let names = || BUILT_IN.map(|(name, _)| name).join("\n");
    let Some(name) = name else { return print(&(names() + "\n")) };
    let found = BUILT_IN.into_iter().find(|(known, _)| *known == name);
    let (_, text) = found.with_context(|| {
        format!("there is no built-in mapping {name}; choose one of\n{}", names())
    })?;
    print(text)
}

fn attempt(args: &TryArgs) -> anyhow::Result<bool> {
    let mappings = mappings(&args.file)?;
    let mapping = mapping(&mappings, args)?;
    let now_ms = Clock::system().now_ms();
    let samples = samples(&args.samples)?;
    let tried: Vec<Decoded> = samples
        .iter()
        .map(|sample| mapping.decode(args.topic.as_deref(), sample, now_ms))
        .collect();
    if args.output.json {
        print_json(&json!({
            "mapping": mapping.name(),
            "samples": tried.iter().map(as_json).collect::<Vec<_>>(),
        }))?;
    } else {
        let login = if mapping.is_of_login() { "the device that is signed in" } else { "" };
        let texts: Vec<String> = tried.iter().map(|decoded| as_text(decoded, login)).collect();
        print(&format!("mapping {}\n\n{}", mapping.name(), texts.join("\n")))?;
    }
    Ok(tried.iter().any(|decoded| !decoded.records.is_empty()))
}

fn mappings(file: &Path) -> anyhow::Result<Mappings> {
    let name = file.to_str().unwrap_or_default();
    match built_in(name) {
        Some(built) => Ok(built?),
        None => read_mappings(file)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("the mappings in {} cannot be used", file.display())),
    }
}

fn mapping<'m>(mappings: &'m Mappings, args: &TryArgs) -> anyhow::Result<&'m Mapping> {
    if let Some(name) = &args.post {
        let names: Vec<&str> = mappings.posts().collect();
        return mappings.of_post(name).with_context(|| {
            format!("no mapping has the post {name:?}; there are: {}", names.join(", "))
        });
    }
    let topic = args.topic.as_deref().unwrap_or_default();
    mappings.of_topic(topic).with_context(|| {
        let filters = mappings.filters().join(", ");
        format!("no mapping has the topic {topic:?}; their topics are: {filters}")
    })
}

fn samples(arguments: &[String]) -> anyhow::Result<Vec<Vec<u8>>> {
    let from_input = || {
        let mut sample = Vec::new();
        let mut input = std::io::stdin().lock().take(MOST_BYTES);
        input.read_to_end(&mut sample).context("standard input cannot be read")?;
        Ok(sample)
    };
    if arguments.is_empty() {
        return from_input().map(|sample| vec![sample]);
    }
    let sample = |text: &String| {
        if text == "-" { from_input() } else { Ok(text.clone().into_bytes()) }
    };
    arguments.iter().map(sample).collect()
}

/// The position and the values of a record, as `POST /api/v1/telemetry` would take them.
fn telemetry(record: &Measured) -> Value {
    let place =
        record.position.and_then(|said| said.at(DeviceId::NONE, record.recorded_at_ms).ok());
    let part = place.map(|(position, optional)| PositionPart {
        position,
        packed: PackedFields::new(&optional, None),
    });
    serde_json::from_str(&readings_json(None, part.as_ref(), &record.readings)).unwrap_or_default()
}

fn as_json(decoded: &Decoded) -> Value {
    let record = |record: &Measured| {
        let mut json = telemetry(record);
        json["device_id"] = record.name.clone().into();
        json["recorded_at"] = moment(record.recorded_at_ms).into();
        json["arrival"] = record.timeless.into();
        json
    };
    let rejected = |rejected: &Rejected| {
        json!({
            "offset": rejected.offset,
            "text": String::from_utf8_lossy(&rejected.bytes),
            "reason": rejected.reason.code(),
            "detail": rejected.detail,
        })
    };
    json!({
        "records": decoded.records.iter().map(record).collect::<Vec<_>>(),
        "rejected": decoded.rejected.iter().map(rejected).collect::<Vec<_>>(),
    })
}

/// Records and rejected parts for people; `login` stands for the device of records that name none.
pub(crate) fn as_text(decoded: &Decoded, login: &str) -> String {
    let mut text = String::new();
    for record in &decoded.records {
        let device = record.name.as_deref().unwrap_or(login);
        let arrival = if record.timeless { " (arrival)" } else { "" };
        let _ = writeln!(text, "{device}  {}{arrival}", moment(record.recorded_at_ms));
        let json = telemetry(record);
        if let Some(position) = json["position"].as_object() {
            let parts: Vec<String> =
                position.iter().map(|(name, value)| format!("{name} {value}")).collect();
            let _ = writeln!(text, "  position: {}", parts.join(", "));
        }
        for Reading { channel, unit, .. } in &record.readings {
            let value = &json["values"][&**channel];
            let unit = unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
            let _ = writeln!(text, "  {channel} = {value}{unit}");
        }
    }
    for Rejected { offset, bytes, reason, detail } in &decoded.rejected {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let _ =
            writeln!(text, "rejected ({}) at byte {offset}: {detail}\n  {shown}", reason.code());
    }
    let (records, rejected) = (decoded.records.len(), decoded.rejected.len());
    text + &format!("records {records}, rejected parts {rejected}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_shown_as_what_it_becomes() {
        let mappings = Mappings::read(
            "[[mapping]]\nname = \"a\"\ntopic = \"fleet/{device}/pos\"\ndevice = \"{device}\"\n\
             [mapping.time]\nat = \"/t\"\nunit = \"s\"\n\
             [mapping.position]\nlatitude = \"/lat\"\nlongitude = \"/lng\"\nspeed = \"/spd\"\n\
             [[mapping.channels]]\nat = \"/temp\"\nunit = \"Cel\"\nscale = 0.1\n",
        )
        .unwrap();
        let topic = "fleet/0A3F73/pos";
        let mapping = mappings.of_topic(topic).unwrap();
        let sample = br#"{"lat":-19.932833,"lng":-43.938493,"spd":60,"t":1768480245,"temp":215}"#;
        let decoded = mapping.decode(Some(topic), sample, 1_800_000_000_000);
        assert_eq!(
            as_text(&decoded, ""),
            "0A3F73  2026-01-15T12:30:45Z\n  position: fix true, lat -19.932833, lon -43.938493, \
             speed 60\n  temp = 21.5 Cel\nrecords 1, rejected parts 0\n"
        );
        let json = as_json(&decoded);
        assert_eq!(json["records"][0]["values"], json!({"temp": 21.5}));
        assert_eq!(json["records"][0]["device_id"], "0A3F73");
        let decoded = mapping.decode(Some(topic), br#"{"t":1768480245,"temp":"x"}"#, 0);
        let text = as_text(&decoded, "");
        assert!(
            text.contains("rejected (bad_value) at byte 16: at /temp: the text \"x\""),
            "{text}"
        );
    }
}
