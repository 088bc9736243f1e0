//! Mosquitto's dynamic-security plugin brought into line with the identity store, in its
//! file or in a running broker. What is not ours in there is never touched.
//!
//! A running broker takes secrets in the clear only, which the identity store
//! does not have; its file takes hashes, in the store's own form. So the file can
//! be written whole, and a broker can be told everything but unknown secrets.

use std::path::Path;

use anyhow::Context as _;
use nemeses_protocol::Topics;
use nemeses_store::history::Login;

use control::Control;
use plan::plan;
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

pub use secrets::{Secrets, read_secrets};
pub use wanted::GROUPS;
pub use words::{Change, NotInOrder, Outcome};

/// A running broker is told about its progress this often.
const TOLD_EVERY: usize = 500;

/// Brings the plugin's file into line, secrets included; only looks with `dry_run`.
///
/// # Errors
/// A file that cannot be read or written, or is not the plugin's.
pub fn write_file(
    path: &Path,
    logins: &[Login],
    topics: &Topics,
    dry_run: bool,
) -> anyhow::Result<Outcome> {
    let mut content = file::read(path)?;
    let present = Present::of_file(&content)
        .with_context(|| format!("{} is no dynamic-security file", path.display()))?;
    let plan = plan(&Wanted::of(logins, topics), &present, plan::Secrets::Hashes);
    match (dry_run, plan.steps.is_empty()) {
        (true, _) => {}
        (false, true) => file::close_to_others(path)?,
        (false, false) => {
            file::carry_out(&mut content, &plan.steps);
            file::replace(path, &content)?;
        }
    }
    Ok(Outcome::from(&plan))
}

/// Brings a running broker into line, as far as secrets are `known`; only looks with
/// `dry_run`.
///
/// # Errors
/// No broker, a login that may not administer it, or the first change that it refuses.
pub async fn apply(
    broker: &nemeses_mqtt::Broker,
    logins: &[Login],
    topics: &Topics,
    known: &Secrets,
    dry_run: bool,
) -> anyhow::Result<Outcome> {
    let wanted = Wanted::of(logins, topics);
    let mut control = Control::connect(broker).await?;
    let present = control.present().await?;
    let plan = plan(&wanted, &present, plan::Secrets::Plain(known));
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
    warn_of_strangers(known, &wanted);
    Ok(Outcome::from(&plan))
}

/// A secret for nobody is most likely a misspelt name.
fn warn_of_strangers(known: &Secrets, wanted: &Wanted) {
    for name in known.keys().filter(|name| !wanted.clients.contains_key(*name)) {
        tracing::warn!(%name, "a secret is given for a login that does not exist");
    }
}
