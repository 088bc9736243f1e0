//! `nemeses replay`: does today's decoder read the kept raw bytes as they are
//! stored? Reads row by row, judges each purely, and shows what differs. Nothing
//! is changed. Exit code 1 when a row differs.

use clap::Args;
use futures_util::TryStreamExt as _;
use nemeses_protocol::{DeviceId, Identity};
use nemeses_store::history::{Positions, RangeQuery};

use crate::args::DatabaseArgs;
use crate::config::{Wrong, value};
use crate::tools::{OutputArgs, device, names, open_database, print};
use judge::{Counts, Verdict, judge};
use show::Show;

mod judge;
mod show;

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses replay
  nemeses replay --device 0A3F73 --from 2026-07-01T00:00:00Z --json

Raw bytes exist for frames that were stored with --keep-raw. Bytes that could
not be decoded are dead letters: `nemeses dead-letters retry` decodes them again.";

/// Devices looked up at once.
const DEVICES_AT_ONCE: u32 = 500;

/// `nemeses replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Only this device's rows: six hex digits, or a name such as host:web1
    #[arg(long, env = "NEMESES_REPLAY_DEVICE", value_name = "DEVICE")]
    device: Option<Identity>,
    /// Only rows recorded at or after this moment, RFC 3339 or Unix seconds
    #[arg(
        long,
        env = "NEMESES_REPLAY_FROM",
        value_parser = value::moment_ms,
        value_name = "MOMENT"
    )]
    from: Option<u64>,
    /// Only rows recorded at or before this moment
    #[arg(
        long,
        env = "NEMESES_REPLAY_TO",
        value_parser = value::moment_ms,
        value_name = "MOMENT"
    )]
    to: Option<u64>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Replays; `true` when nothing differs.
///
/// # Errors
/// Wrong settings, or what the database reports.
pub(crate) async fn run(args: ReplayArgs) -> anyhow::Result<bool> {
    let period = period(args.from, args.to)?;
    let database = open_database(&args.database).await?;
    let history = database.history();
    let mut show = Show::new(args.output.json, names(&database).await?);
    let one = match &args.device {
        Some(identity) => Some(device(&database, identity).await?),
        None => None,
    };
    let counts = replay(history.as_ref(), one, period, |text| print(&text), &mut show);
    let counts = counts.await?;
    print(&show.end(&counts))?;
    Ok(counts.differ == 0)
}

/// First and last recorded second. Rows have whole seconds.
fn period(from_ms: Option<u64>, to_ms: Option<u64>) -> Result<(u32, u32), Wrong> {
    let whole = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
    let from = from_ms.map_or(0, |ms| whole(ms.div_ceil(1000)));
    let to = to_ms.map_or(u32::MAX, |ms| whole(ms / 1000));
    if from > to {
        return Err(
            Wrong::new("from", from, format!("it is later than to, which is {to}")).of("replay")
        );
    }
    Ok((from, to))
}

async fn replay(
    history: &dyn Positions,
    device: Option<DeviceId>,
    (from, to): (u32, u32),
    mut say: impl FnMut(String) -> anyhow::Result<()>,
    show: &mut Show,
) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut devices = match device {
        Some(device) => vec![device],
        None => history.devices_after(None, DEVICES_AT_ONCE).await?,
    };
    while let Some(last) = devices.last().copied() {
        for device in devices {
            let (descending, after, limit) = (false, None, None);
            let query = RangeQuery { device, from, to, descending, after, limit };
            let mut rows = history.positions(query);
            while let Some(row) = rows.try_next().await? {
                let verdict = judge(&row);
                counts.count(&verdict);
                if let Verdict::Differs(differences) = verdict {
                    say(show.row(&row, &differences))?;
                }
            }
        }
        devices = match device {
            Some(_) => Vec::new(),
            None => history.devices_after(Some(last), DEVICES_AT_ONCE).await?,
        };
    }
    Ok(counts)
}

#[cfg(test)]
mod tests;
