//! `nemeses dead-letters`: bytes that did not become rows, and a second chance
//! for them when the decoder has learnt more.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use nemeses_parser::Policy;
use nemeses_protocol::{DeviceNames, Identity, Reason, Topics};
use nemeses_store::history::{
    Database, DeadLetters, LetterFilter, MAX_LISTED_LETTERS, Purge, StoredLetter,
};
use serde_json::{Value, json};

use crate::args::{DatabaseArgs, MappingArgs};
use crate::config::{Reads, mapped, value};
use crate::tools::{OutputArgs, columns, device, moment, names, open_database, print, print_json};

mod retry;

pub(crate) use retry::{Judgement, Retrier, judge, random_run};

/// Bytes that could not be decoded.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List dead letters, newest first
    List(ListArgs),
    /// Show one with all its bytes, and the result of decoding them now
    Show(ShowArgs),
    /// Decode again; valid frames become rows
    Retry(RetryArgs),
    /// Delete dead letters; the books keep their number
    Purge(PurgeArgs),
}

/// Which dead letters.
#[derive(Clone, Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only this device's: six hex digits, or a name such as host:web1
    #[arg(long, env = "NEMESES_DEAD_LETTERS_DEVICE", value_name = "DEVICE")]
    device: Option<Identity>,
    /// Only with this reason, for example bad_footer
    #[arg(
        long,
        env = "NEMESES_DEAD_LETTERS_REASON",
        value_parser = reason_code,
        value_name = "REASON"
    )]
    reason: Option<String>,
    /// Only received at or after this moment, RFC 3339 or Unix seconds
    #[arg(
        long,
        env = "NEMESES_DEAD_LETTERS_FROM",
        value_parser = value::moment_ms,
        value_name = "MOMENT"
    )]
    from: Option<u64>,
    /// Only received at or before this moment
    #[arg(
        long,
        env = "NEMESES_DEAD_LETTERS_TO",
        value_parser = value::moment_ms,
        value_name = "MOMENT"
    )]
    to: Option<u64>,
}

/// `nemeses dead-letters list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Maximum number of dead letters
    #[arg(
        long,
        env = "NEMESES_DEAD_LETTERS_LIMIT",
        default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LISTED_LETTERS)),
        value_name = "COUNT"
    )]
    limit: u32,
    /// Only with a smaller number than this: the next page
    #[arg(long, env = "NEMESES_DEAD_LETTERS_BEFORE_ID", value_name = "NUMBER")]
    before_id: Option<u64>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses dead-letters show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The dead letter's number
    id: u64,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses dead-letters retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// Dead letters by number; without numbers, all that match the filters. Frames of
    /// unknown devices (quarantined, `unknown_device`) only by number or --reason:
    /// retrying them registers the device
    ids: Vec<u64>,
    #[command(flatten)]
    filter: FilterArgs,
    /// A frame recorded further ahead of its arrival than this stays a dead letter
    #[arg(
        long,
        env = "NEMESES_FUTURE_LIMIT",
        default_value = "24h",
        value_parser = value::future_limit,
        value_name = "DURATION"
    )]
    future_limit: std::time::Duration,
    #[command(flatten)]
    mappings: MappingArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses dead-letters purge`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["ids", "before"]))]
pub(crate) struct PurgeArgs {
    /// Dead letters by number
    ids: Vec<u64>,
    /// All received before this moment, RFC 3339 or Unix seconds
    #[arg(
        long,
        env = "NEMESES_DEAD_LETTERS_BEFORE",
        value_parser = value::moment_ms,
        value_name = "MOMENT"
    )]
    before: Option<u64>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The code of a reason that there is.
fn reason_code(text: &str) -> Result<String, String> {
    Reason::from_code(text).map(|reason| reason.code().to_owned()).ok_or_else(|| {
        let known: Vec<&str> = Reason::all().map(Reason::code).collect();
        format!("there is no such reason; write one of {}", known.join(", "))
    })
}

/// An error when some numbers are no letter's, after the others were served.
fn all_there(missing: &[u64]) -> anyhow::Result<()> {
    let numbers: Vec<String> = missing.iter().map(u64::to_string).collect();
    match numbers.as_slice() {
        [] => Ok(()),
        [one] => anyhow::bail!("there is no dead letter {one}"),
        _ => anyhow::bail!("there are no dead letters {}", numbers.join(", ")),
    }
}

impl FilterArgs {
    async fn filter(&self, database: &Database) -> anyhow::Result<LetterFilter> {
        let device = match &self.device {
            Some(identity) => Some(device(database, identity).await?),
            None => None,
        };
        Ok(LetterFilter {
            device,
            nobodys: false,
            reason: self.reason.clone(),
            from_ms: self.from,
            to_ms: self.to,
            before_id: None,
            limit: None,
        })
    }
}

/// Runs a `dead-letters` command.
///
/// # Errors
/// Wrong arguments, an unknown number, or what the database reports.
pub(crate) async fn run(command: DeadLettersCommand) -> anyhow::Result<()> {
    match command {
        DeadLettersCommand::List(args) => list(&args).await,
        DeadLettersCommand::Show(args) => show(&args).await,
        DeadLettersCommand::Retry(args) => retry(&args).await,
        DeadLettersCommand::Purge(args) => purge(&args).await,
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let (letters, names) = (database.dead_letters(), names(&database).await?);
    let mut filter = args.filter.filter(&database).await?;
    filter.limit = Some(args.limit);
    filter.before_id = args.before_id;
    let page = letters.list(&filter).await?;
    if args.output.json {
        return print_json(&Value::Array(
            page.iter().map(|letter| letter_as_json(letter, &names)).collect(),
        ));
    }
    let rows: Vec<Vec<String>> = page.iter().map(|letter| letter_as_row(letter, &names)).collect();
    print(&columns(
        &["number", "received at", "reason", "device", "topic", "length", "bytes"],
        &rows,
    ))
}

async fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let (letter, names) = (database.dead_letters().get(args.id).await?, names(&database).await?);
    let letter = letter.with_context(|| format!("there is no dead letter {}", args.id))?;
    if args.output.json {
        return print_json(&letter_as_json(&letter, &names));
    }
    let device = device_of(&letter, &names).unwrap_or_else(|| "unknown".to_owned());
    let mut text = format!(
        "number       {}\nreceived at  {}\nreason       {}\ndevice       {device}\ntopic        {}\noffset       {}\nworker       {}\nbytes        {}\n\nToday's decoder:\n\n",
        letter.id,
        moment(letter.received_at_ms),
        letter.reason,
        letter.topic,
        letter.offset,
        letter.worker,
        hex::encode_upper(&letter.bytes),
    );
    text.push_str(&described(&letter));
    print(&text)
}

/// What today's decoder says of a letter. On the topic of values they are shown as records; what a
/// mapping reads is shown by `nemeses mapping try`.
fn described(letter: &StoredLetter) -> String {
    if !Topics::default().is_below_telemetry(&letter.topic) {
        return crate::decode::described(&letter.topic, &letter.bytes);
    }
    let decoded = nemeses_telemetry::decode(
        nemeses_telemetry::Format::Auto,
        &letter.bytes,
        letter.received_at_ms,
    );
    let device = letter.topic.rsplit('/').next().unwrap_or_default();
    crate::mapping::as_text(&decoded, device)
}

async fn retry(args: &RetryArgs) -> anyhow::Result<()> {
    let (topics, Reads { mappings, .. }) = mapped(&args.mappings, Topics::default())?;
    let policy = Policy { topics, mappings, ..Policy::default() };
    let database = open_database(&args.database).await?;
    let mut retrier = retry::Retrier::new(&database, args.future_limit)?.reading_as(&policy);
    if args.ids.is_empty() {
        retry_all(&mut retrier, &database, args.filter.filter(&database).await?).await?;
    }
    let missing = missing(database.dead_letters().as_ref(), &args.ids).await?;
    for &id in &args.ids {
        retrier.retry(id).await?;
    }
    let summary = retrier.summary();
    if args.output.json {
        print_json(&summary.as_json())?;
    } else {
        print(&summary.as_text())?;
    }
    all_there(&missing)
}

/// Those of the numbers that are no letter's.
async fn missing(letters: &dyn DeadLetters, ids: &[u64]) -> anyhow::Result<Vec<u64>> {
    let mut missing = Vec::new();
    for &id in ids {
        if letters.get(id).await?.is_none() {
            missing.push(id);
        }
    }
    Ok(missing)
}

/// Newest first, page by page; letters that come meanwhile have larger numbers
/// and are left for the next time.
async fn retry_all(
    retrier: &mut retry::Retrier,
    database: &Database,
    mut filter: LetterFilter,
) -> anyhow::Result<()> {
    let letters = database.dead_letters();
    loop {
        let page = letters.list(&filter).await?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.before_id = Some(last.id);
        let asked_for = filter.reason.is_some();
        for letter in page.into_iter().filter(|letter| asked_for || !awaits_its_device(letter)) {
            retrier.retry(letter.id).await?;
        }
    }
}

/// Whether nothing is wrong with a letter but that its device is unknown. What is tried
/// again because the decoder has learnt more is others; these want their reason said.
fn awaits_its_device(letter: &StoredLetter) -> bool {
    [Reason::Quarantined, Reason::UnknownDevice].map(Reason::code).contains(&&*letter.reason)
}

async fn purge(args: &PurgeArgs) -> anyhow::Result<()> {
    let letters = open_database(&args.database).await?.dead_letters();
    let missing = missing(letters.as_ref(), &args.ids).await?;
    let purged = purge_from(letters.as_ref(), &args.ids, args.before).await?;
    if args.output.json {
        print_json(&json!({ "purged": purged, "not_there": missing }))?;
    } else {
        print(&format!("{purged} dead letters thrown away.\n"))?;
    }
    all_there(&missing)
}

/// Both when both are given.
async fn purge_from(
    letters: &dyn DeadLetters,
    ids: &[u64],
    before_ms: Option<u64>,
) -> anyhow::Result<u64> {
    let mut purged = 0;
    if !ids.is_empty() {
        purged += letters.purge(&Purge::Ids(ids.to_vec())).await?;
    }
    if let Some(before_ms) = before_ms {
        purged += letters.purge(&Purge::Before(before_ms)).await?;
    }
    Ok(purged)
}

fn device_of(letter: &StoredLetter, names: &DeviceNames) -> Option<String> {
    letter.device.map(|device| names.identity(device).to_string())
}

fn letter_as_row(letter: &StoredLetter, names: &DeviceNames) -> Vec<String> {
    const SHOWN_BYTES: usize = 16;
    let shown = &letter.bytes[..letter.bytes.len().min(SHOWN_BYTES)];
    let more = if letter.length > SHOWN_BYTES as u64 { "..." } else { "" };
    vec![
        letter.id.to_string(),
        moment(letter.received_at_ms),
        letter.reason.clone(),
        device_of(letter, names).unwrap_or_else(|| "-".to_owned()),
        letter.topic.clone(),
        letter.length.to_string(),
        hex::encode_upper(shown) + more,
    ]
}

fn letter_as_json(letter: &StoredLetter, names: &DeviceNames) -> Value {
    json!({
        "id": letter.id,
        "received_at": moment(letter.received_at_ms),
        "reason": letter.reason,
        "device_id": device_of(letter, names),
        "recorded_at": letter.recorded_at.map(|at| moment(u64::from(at) * 1000)),
        "topic": letter.topic,
        "offset": letter.offset,
        "length": letter.length,
        "bytes": hex::encode_upper(&letter.bytes),
        "worker": letter.worker,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_codes() {
        for code in ["bad_footer", "future", "bad_batch"] {
            assert_eq!(reason_code(code).as_deref(), Ok(code));
        }
        for text in ["", "Bad Footer", "bad_foter"] {
            let refusal = reason_code(text).unwrap_err();
            assert!(refusal.contains("bad_footer") && refusal.contains("future"), "{refusal}");
        }
    }

    #[test]
    fn a_letter_in_a_list_is_short_and_says_so() {
        let letter = StoredLetter {
            id: 7,
            received_at_ms: 0,
            topic: "/messenger".to_owned(),
            offset: 3,
            reason: "bad_header".to_owned(),
            device: None,
            recorded_at: None,
            length: 300,
            bytes: vec![0xAB; 256],
            worker: "node".to_owned(),
        };
        let names = DeviceNames::default();
        let row = letter_as_row(&letter, &names);
        assert_eq!(row[6], "AB".repeat(16) + "...");
        assert_eq!(row[3], "-");
        assert_eq!(letter_as_json(&letter, &names)["length"], 300);
    }
}
