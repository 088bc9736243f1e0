//! `nemeses mosquitto-roles`: brings Mosquitto's dynamic-security plugin into
//! line with the identity store, in its file or in a running broker. What is not
//! ours in there is never touched.
//!
//! A running broker takes secrets in the clear only, which the identity store
//! does not have; its file takes hashes, in the store's own form. So the file can
//! be written whole, and a broker can be told everything but unknown secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use nemeses_store::history::{Login, Logins};

use crate::args::{DatabaseArgs, LinkArgs, Switch as _, TopicArgs};
use crate::config::{Secret, Wrong, link, topics};
use crate::tools::{OutputArgs, open_database, print, print_json};
use control::Control;
use plan::{Plan, Secrets, plan};
use present::Present;
use wanted::Wanted;

mod control;
mod file;
mod plan;
mod present;
mod secrets;
#[cfg(test)]
mod testing;
mod wanted;
mod words;

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
/// A running broker is told about its progress this often.
const TOLD_EVERY: usize = 500;

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
    let topics = topics(&args.topics)?;
    let broker = link(&args.link)?;
    let known = args.secrets.as_deref().map_or(Ok(BTreeMap::new()), read_secrets)?;
    let logins = all_logins(open_database(&args.database).await?.logins().as_ref()).await?;
    let wanted = Wanted::of(&logins, &topics);
    let plan = match &args.write {
        Some(path) => write(path, &wanted, args.dry_run)?,
        None => apply(&broker, &wanted, &known, args.dry_run).await?,
    };
    warn_of_strangers(&known, &wanted);
    if args.output.json {
        print_json(&plan.as_json(!args.dry_run))?;
    } else {
        print(&plan.as_text(args.dry_run))?;
    }
    Ok(plan.unresolved.is_empty())
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

fn read_secrets(path: &Path) -> anyhow::Result<BTreeMap<String, Secret>> {
    let what = || format!("the secrets in {} cannot be read", path.display());
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.with_context(what)?;
    secrets::read(&text).map_err(anyhow::Error::msg).with_context(what)
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

fn write(path: &Path, wanted: &Wanted, dry_run: bool) -> anyhow::Result<Plan> {
    let mut content = file::read(path)?;
    let present = Present::of_file(&content)
        .with_context(|| format!("{} is no dynamic-security file", path.display()))?;
    let plan = plan(wanted, &present, Secrets::Hashes);
    if dry_run {
        return Ok(plan);
    }
    if plan.steps.is_empty() {
        file::close_to_others(path)?;
    } else {
        file::carry_out(&mut content, &plan.steps);
        file::replace(path, &content)?;
    }
    Ok(plan)
}

async fn apply(
    broker: &nemeses_mqtt::Broker,
    wanted: &Wanted,
    known: &BTreeMap<String, Secret>,
    dry_run: bool,
) -> anyhow::Result<Plan> {
    let mut control = Control::connect(broker).await?;
    let present = control.present().await?;
    let plan = plan(wanted, &present, Secrets::Plain(known));
    if !dry_run {
        let all = plan.steps.len();
        if all > TOLD_EVERY {
            tracing::info!(
                all,
                "many changes: the broker writes its file after each; --write and a restart is faster"
            );
        }
        let told = |done: usize| {
            if done.is_multiple_of(TOLD_EVERY) && done < all {
                tracing::info!(done, all, "changes made");
            }
        };
        control.carry_out(&plan.steps, told).await?;
    }
    control.close().await;
    Ok(plan)
}

/// A secret for nobody is most likely a misspelt name.
fn warn_of_strangers(known: &BTreeMap<String, Secret>, wanted: &Wanted) {
    for name in known.keys().filter(|name| !wanted.clients.contains_key(*name)) {
        tracing::warn!(%name, "a secret is given for a login that does not exist");
    }
}
