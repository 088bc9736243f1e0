//! `nemeses import`: a file of positions from elsewhere, stored as late data of a device.
//! The points are records like any other: they have keys, so a file that is imported twice
//! is stored once, and they are in the books.

mod report;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use jiff::tz::TimeZone;
use nemeses_imports::{Format, Mapping, Point, Points, Refused};
use nemeses_protocol::{
    BatchKey, DeviceId, Identity, PositionPart, ReadingsRecord, Record, record_hash,
};
use nemeses_runtime::Clock;
use nemeses_store::history::{Commits, Database, Part};

use crate::args::{DatabaseArgs, Switch as _};
use crate::config::Wrong;
use crate::dead_letters::random_run;
use crate::tools::{OutputArgs, open_database, print, print_json};
use report::Report;

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses import --device 0A3F73 monday.gpx
  nemeses import --device imei:356307042441013 --time-zone Europe/Berlin traccar.csv
  nemeses import --mapping columns.toml --dry-run fleet.csv

A point that is stored already is not stored again. docs/imports.md has the formats and the
keys of a mapping.";

/// Who the books say has made the rows.
const WORKER: &str = "import";
/// Points of one transaction.
const BATCH: usize = 1000;
/// A point that is further ahead of now than this is a mistake, as it is for frames.
const FUTURE_LIMIT_MS: u64 = 24 * 60 * 60 * 1000;

/// `nemeses import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file: CSV, GPX or KML
    file: PathBuf,
    /// Whose points they are, whatever the file says: six hex digits, or a name such as
    /// imei:356307042441013. Needed where no column names a device
    #[arg(long, env = "NEMESES_IMPORT_DEVICE", value_name = "DEVICE")]
    device: Option<Identity>,
    /// What the file is written in; without it, what its name ends with
    #[arg(long, env = "NEMESES_IMPORT_FORMAT", value_parser = format, value_name = "FORMAT")]
    format: Option<Format>,
    /// A TOML file that says which column of a CSV is what. Traccar's exports and ours need
    /// none
    #[arg(long, env = "NEMESES_IMPORT_MAPPING", value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// The zone of times that bear none
    #[arg(
        long,
        env = "NEMESES_IMPORT_TIME_ZONE",
        default_value = "UTC",
        value_parser = zone,
        value_name = "ZONE"
    )]
    time_zone: TimeZone,
    /// Read the file and store nothing
    #[arg(long, env = "NEMESES_IMPORT_DRY_RUN", switch = false)]
    dry_run: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn format(text: &str) -> Result<Format, String> {
    let known = Format::ALL.iter().find(|(name, _)| *name == text);
    known.map(|(_, format)| *format).ok_or_else(|| "write csv, gpx or kml".to_owned())
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text)
        .map_err(|_| "there is no such time zone; write one such as Europe/Berlin".to_owned())
}

/// Imports; `true` when every point of the file is stored.
///
/// # Errors
/// Wrong settings, a file that cannot be read, or what the database reports.
pub(crate) async fn run(args: ImportArgs) -> anyhow::Result<bool> {
    let points = open_file(&args)?;
    let database = if args.dry_run { None } else { Some(open_database(&args.database).await?) };
    let history = database.as_ref().map(Database::history);
    let mut report = Report::default();
    let import = Import {
        device: args.device,
        now_ms: Clock::system().now_ms(),
        run: random_run()?,
        history: history.as_deref().map(|history| history as &dyn Commits),
    };
    let outcome = import.all(points, &mut report).await;
    if args.output.json {
        print_json(&report.as_json(args.dry_run))?;
    } else {
        print(&report.as_text(args.dry_run))?;
    }
    outcome?;
    Ok(report.is_whole())
}

fn open_file(args: &ImportArgs) -> anyhow::Result<Points<'static>> {
    let name = args.file.to_string_lossy();
    let Some(format) = args.format.or_else(|| Format::of_file(&name)) else {
        let why = "its name ends with none of .csv, .gpx and .kml; say what it is with --format";
        return Err(Wrong::new("format", &name, why).of("import").into());
    };
    if format != Format::Csv && args.device.is_none() {
        let why = "such a file does not say whose it is; name the device";
        return Err(Wrong::new("device", &name, why).of("import").into());
    }
    let mapping = args.mapping.as_deref().map(mapping).transpose()?;
    let file = File::open(&args.file).with_context(|| format!("{name} cannot be opened"))?;
    Points::read(format, mapping, args.time_zone.clone(), BufReader::new(file))
        .with_context(|| format!("{name} cannot be imported"))
}

fn mapping(path: &Path) -> anyhow::Result<Mapping> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    Mapping::parse(&text).with_context(|| format!("{name} is no mapping"))
}

/// One run over one file.
struct Import<'a> {
    /// Whose points they are, whatever the file says.
    device: Option<Identity>,
    now_ms: u64,
    run: u64,
    /// `None` stores nothing.
    history: Option<&'a dyn Commits>,
}

impl Import<'_> {
    async fn all(&self, points: Points<'_>, report: &mut Report) -> anyhow::Result<()> {
        let (mut batch, mut sequence) = (Vec::with_capacity(BATCH), 0);
        for item in points {
            let item = match item {
                Ok(item) => item,
                Err(error) => {
                    self.store(&mut batch, sequence, report).await?;
                    return Err(error).context("the rest of the file cannot be read");
                }
            };
            match item.and_then(|point| self.record(point)) {
                Ok(record) => {
                    report.read(record.recorded_at_ms);
                    batch.push(Record::Readings(Box::new(record)));
                }
                Err(refused) => report.refuse(refused),
            }
            if batch.len() == BATCH {
                self.store(&mut batch, sequence, report).await?;
                sequence += 1;
            }
        }
        self.store(&mut batch, sequence, report).await
    }

    async fn store(
        &self,
        batch: &mut Vec<Record>,
        sequence: u64,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let records = std::mem::take(batch);
        let Some(history) = self.history.filter(|_| !records.is_empty()) else { return Ok(()) };
        let key = BatchKey { worker: WORKER.to_owned(), run: self.run, sequence };
        let part = Part { key, tallies: Vec::new(), records };
        let committed = history.commit(&[part], WORKER).await;
        let committed = committed.context("the points cannot be stored; what was before is, and importing the file again stores the rest")?;
        for committed in &committed {
            report.committed(committed);
        }
        Ok(())
    }

    fn record(&self, point: Point) -> Result<ReadingsRecord, Refused> {
        let line = point.line;
        self.record_of(point).map_err(|why| Refused { line, why })
    }

    fn record_of(&self, point: Point) -> Result<ReadingsRecord, String> {
        let Point { device, at_ms, whereabouts, readings, .. } = point;
        let identity = match (&self.device, device) {
            (Some(device), _) => device.clone(),
            (None, Some(text)) => {
                text.parse().map_err(|error| format!("'{text}' is no device: {error}"))?
            }
            (None, None) => {
                return Err(
                    "the file does not say whose it is; name the device with --device".to_owned()
                );
            }
        };
        if at_ms > self.now_ms.saturating_add(FUTURE_LIMIT_MS) {
            return Err("its time is more than a day from now".to_owned());
        }
        let at = |said: nemeses_protocol::Whereabouts| {
            said.at(identity.number().unwrap_or(DeviceId::NONE), at_ms)
        };
        let position = whereabouts.map(at).transpose().map_err(|error| error.to_string())?;
        let place = position.as_ref().map(|(position, optional)| (position, optional));
        let content_hash = record_hash(place, &readings);
        let position =
            position.map(|(position, optional)| Box::new(PositionPart::new(position, &optional)));
        let (recorded_at_ms, received_at_ms, timeless) = (at_ms, self.now_ms, false);
        Ok(ReadingsRecord {
            identity,
            recorded_at_ms,
            timeless,
            content_hash,
            received_at_ms,
            position,
            readings,
        })
    }
}
