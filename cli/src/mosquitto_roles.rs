//! `nemeses mosquitto-roles`: brings Mosquitto's dynamic-security plugin into line with
//! the identity store; what is done is in `nemeses_mosquitto`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use nemeses_mosquitto::{Outcome, Secrets, apply, read_secrets, write_file};
use nemeses_store::history::{Login, Logins};
use serde_json::{Value, json};

use crate::args::{DatabaseArgs, LinkArgs, MappingArgs, Switch as _, TopicArgs};
use crate::config::{Wrong, link, mapped, topics};
use crate::tools::{OutputArgs, columns, open_database, print, print_json};

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses mosquitto-roles --write /var/lib/mosquitto/dynamic-security.json
      Before the broker starts. Mosquitto keeps the file in memory: restart it afterwards.
  nemeses mosquitto-roles --apply --mqtt-url mqtt://admin:PASSWORD@127.0.0.1:1883
      A running broker: roles, rights, disabled and removed logins, at once.
  nemeses device add 0A3F73 | nemeses mosquitto-roles --apply --secrets - \\
          --mqtt-url mqtt://admin:PASSWORD@127.0.0.1:1883
      A new login in a running broker. To store its secret, put `tee FILE |` in between.

Exit code 1 if a login still differs. docs/mosquitto.md describes it all.";

/// Logins read at once.
const PAGE: u32 = 500;

/// `nemeses mosquitto-roles`.
#[derive(Debug, Args)]
pub(crate) struct MosquittoRolesArgs {
    /// Update this file of the plugin, including secrets
    #[arg(long, env = "NEMESES_MOSQUITTO_ROLES_WRITE", value_name = "PATH")]
    write: Option<PathBuf>,
    /// Update the running broker at --mqtt-url; the URL needs the login of the plugin's
    /// administrator
    #[arg(long, env = "NEMESES_MOSQUITTO_ROLES_APPLY", switch = false)]
    apply: bool,
    /// For --apply: a file of secrets in plain text, as `nemeses device add` and
    /// `rotate` print them, or lines of NAME SECRET; - reads standard input
    #[arg(long, env = "NEMESES_MOSQUITTO_ROLES_SECRETS", value_name = "PATH")]
    secrets: Option<PathBuf>,
    /// Only show what would change
    #[arg(long, env = "NEMESES_MOSQUITTO_ROLES_DRY_RUN", switch = false)]
    dry_run: bool,
    #[command(flatten)]
    link: LinkArgs,
    #[command(flatten)]
    topics: TopicArgs,
    #[command(flatten)]
    mappings: MappingArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Brings the plugin into line; `true` when every login is in order.
///
/// # Errors
/// Wrong settings, or what the database, the file or the broker reports.
pub(crate) async fn run(args: MosquittoRolesArgs) -> anyhow::Result<bool> {
    check(&args)?;
    let (topics, _) = mapped(&args.mappings, topics(&args.topics)?)?;
    let broker = link(&args.link)?;
    let known = args.secrets.as_deref().map_or(Ok(Secrets::new()), secrets_in)?;
    let logins = all_logins(open_database(&args.database).await?.logins().as_ref()).await?;
    let outcome = match &args.write {
        Some(path) => write_file(path, &logins, &topics, args.dry_run)?,
        None => apply(&broker, &logins, &topics, &known, args.dry_run).await?,
    };
    if args.output.json {
        print_json(&as_json(&outcome, !args.dry_run))?;
    } else {
        print(&as_text(&outcome, args.dry_run))?;
    }
    Ok(outcome.not_in_order.is_empty())
}

fn check(args: &MosquittoRolesArgs) -> Result<(), Wrong> {
    let checked = match (&args.write, args.apply) {
        (None, false) => {
            Err(Wrong::missing("write", "say --write PATH for a file or --apply for a broker"))
        }
        (Some(path), true) => Err(Wrong::new(
            "write",
            path.display(),
            "it goes without --apply; run one, then the other",
        )),
        (Some(_), false) if args.secrets.is_some() => Err(Wrong::new(
            "secrets",
            "set",
            "it is for --apply; the file takes secrets from the database",
        )),
        _ => Ok(()),
    };
    checked.map_err(|wrong| wrong.of("mosquitto-roles"))
}

fn secrets_in(path: &Path) -> anyhow::Result<Secrets> {
    let what = || format!("the secrets in {} cannot be read", path.display());
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    read_secrets(&text.with_context(what)?).map_err(anyhow::Error::msg).with_context(what)
}

async fn all_logins(logins: &dyn Logins) -> anyhow::Result<Vec<Login>> {
    let mut all: Vec<Login> = Vec::new();
    loop {
        let after = all.last().map(|login| login.name.clone());
        let page = logins.list(after.as_deref(), PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// The changes one by one, or only how many when `in_full` is not asked.
fn as_text(outcome: &Outcome, in_full: bool) -> String {
    let mut text = match (outcome.changes.len(), in_full) {
        (0, _) => "Nothing to change.\n".to_owned(),
        (_, true) => {
            let rows = outcome.changes.iter().map(|change| {
                let role = change.role.clone().unwrap_or_default();
                vec![change.what.to_owned(), change.of.clone(), role]
            });
            columns(&["change", "of", "role"], &rows.collect::<Vec<_>>())
        }
        (1, false) => "1 change made.\n".to_owned(),
        (count, false) => format!("{count} changes made.\n"),
    };
    if !outcome.not_in_order.is_empty() {
        text.push_str("\nLogins that are not in order:\n\n");
        let rows = outcome
            .not_in_order
            .iter()
            .map(|login| vec![login.login.clone(), login.state.to_owned(), login.to_do.to_owned()]);
        text.push_str(&columns(&["login", "state", "to do"], &rows.collect::<Vec<_>>()));
    }
    text
}

/// For programs; no secrets.
fn as_json(outcome: &Outcome, made: bool) -> Value {
    let changes = outcome
        .changes
        .iter()
        .map(|change| json!({ "change": change.what, "of": change.of, "role": change.role }));
    let not_in_order = outcome
        .not_in_order
        .iter()
        .map(|login| json!({ "login": login.login, "state": login.state, "to_do": login.to_do }));
    json!({
        "made": made,
        "changes": changes.collect::<Vec<_>>(),
        "not_in_order": not_in_order.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_groups_are_those_of_the_workers() {
        let broker: nemeses_mqtt::Broker = "mqtt://localhost".parse().unwrap();
        let parsers = nemeses_parser::WorkerConfig::new(broker.clone(), 0).group;
        let exporters = nemeses_dbexport::WorkerConfig::new(broker, 0, "/DB").group;
        assert_eq!(nemeses_mosquitto::GROUPS, [parsers, exporters]);
    }
}
