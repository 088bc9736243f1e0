//! What the tools share: opening the database, and printing for people or as
//! JSON.

use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;
use clap::Args;
use nemeses_protocol::{DeviceId, DeviceNames, Identity};
use nemeses_store::history::{Database, Options, StorageEngine, open};
use serde_json::Value;

use crate::args::{DatabaseArgs, EngineArgs, Switch as _};
use crate::config::{DatabaseUrl, database};

/// Connections a tool needs: it asks one thing at a time.
const CONNECTIONS: u32 = 2;

/// How a tool answers.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Answer in JSON instead of a table
    #[arg(long, env = "NEMESES_JSON", switch = false)]
    pub(crate) json: bool,
}

/// Opens the database for a tool, whose tables must be there in this version.
///
/// # Errors
/// Wrong settings, a database that is not there, does not answer or has other
/// tables.
pub(crate) async fn open_database(args: &DatabaseArgs) -> anyhow::Result<Database> {
    let url = database(args)?;
    // Opening would make the file: in a wrong directory that helps nobody.
    if let Some(path) = url.file().filter(|path| matches!(path.try_exists(), Ok(false))) {
        anyhow::bail!(
            "there is no database at {}; say where with --data-dir or --database-url, or make it with `nemeses migrate`",
            path.display()
        );
    }
    let database = open_url(&url, None).await?;
    let checked = database.history().check_schema().await;
    checked.with_context(|| format!("the database {url} cannot be used"))?;
    Ok(database)
}

/// The names of all devices.
///
/// # Errors
/// What the database reports.
pub(crate) async fn names(database: &Database) -> anyhow::Result<DeviceNames> {
    database.named().refresh(database.identities().as_ref()).await?;
    Ok(database.named().names())
}

/// The device that an argument names.
///
/// # Errors
/// A name that the database does not know, or what it reports.
pub(crate) async fn device(database: &Database, identity: &Identity) -> anyhow::Result<DeviceId> {
    let found = match identity.number() {
        Some(device) => Some(device),
        None => database.identities().number_of(identity).await?,
    };
    found.with_context(|| format!("nothing is known of {identity} in this database"))
}

/// The same for what makes a device known: a name gets a number.
///
/// # Errors
/// What the database reports.
pub(crate) async fn device_to_be(
    database: &Database,
    identity: &Identity,
    now_ms: u64,
) -> anyhow::Result<DeviceId> {
    if let Some(device) = identity.number() {
        return Ok(device);
    }
    let given = database.identities().give_numbers(std::slice::from_ref(identity), now_ms).await?;
    given.first().copied().with_context(|| format!("{identity} got no number"))
}

async fn open_url(url: &DatabaseUrl, engine: Option<StorageEngine>) -> anyhow::Result<Database> {
    let options = Options { max_connections: CONNECTIONS, engine, ..Options::default() };
    open(url.expose(), options)
        .await
        .with_context(|| format!("the database {url} cannot be opened"))
}

/// `nemeses migrate`.
///
/// # Errors
/// Wrong settings, or what the database reports.
pub(crate) async fn migrate(args: &DatabaseArgs, engine: EngineArgs) -> anyhow::Result<()> {
    let url = database(args)?;
    if !url.is_server() && args.database_url.is_none() {
        std::fs::create_dir_all(&args.data_dir).with_context(|| {
            format!("the data directory {} cannot be made", args.data_dir.display())
        })?;
    }
    let database = open_url(&url, engine.database_engine.map(Into::into)).await?;
    let history = database.history();
    let migrated = async {
        let before = history.schema_version().await?;
        history.migrate().await?;
        Ok::<_, nemeses_store::StoreError>((before, history.schema_version().await?))
    };
    let migrated = migrated.await;
    let (before, now) =
        migrated.with_context(|| format!("the tables in {url} cannot be brought up to date"))?;
    print(&what_was_done(&url.to_string(), before, now))
}

/// What a migration did, in a line.
fn what_was_done(url: &str, before: u32, now: u32) -> String {
    match before {
        0 => format!("The tables in {url} were made, schema version {now}.\n"),
        _ if before == now => {
            format!("The tables in {url} were up to date, schema version {now}.\n")
        }
        _ => format!("The tables in {url} were upgraded from schema version {before} to {now}.\n"),
    }
}

/// Writes to standard output. A reader that went away (`| head`) is no error.
///
/// # Errors
/// What else the system reports.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("the answer cannot be written")
        }
        _ => Ok(()),
    }
}

/// Writes a JSON value and a line end.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&format!("{value:#}\n"))
}

/// Unix milliseconds as RFC 3339, `2026-07-01T18:00:00.123Z`.
pub(crate) fn moment(at_ms: u64) -> String {
    let moment =
        i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(|| format!("{at_ms} ms"), |moment| moment.to_string())
}

/// Columns as wide as their widest cell, two spaces between, no space at the
/// ends of lines.
pub(crate) fn columns(headings: &[&str], rows: &[Vec<String>]) -> String {
    let headings: Vec<String> = headings.iter().map(|&text| text.to_owned()).collect();
    let lines = || std::iter::once(&headings).chain(rows);
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            let cells = lines().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines() {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        let whole = cells.collect::<Vec<_>>().join("  ");
        text.push_str(whole.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
