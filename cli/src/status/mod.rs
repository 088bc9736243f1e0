//! `nemeses status`: the state of a running system on one page. Asks the stores, and
//! the processes that announced themselves or run on this machine; judges by a few
//! rules (`state`), and ends with code 1 when something is not as it should be.

pub(crate) mod ask;
mod state;

use std::time::Duration;

use clap::Args;
use nemeses_runtime::Clock;
use nemeses_store::history::{Minutes, Options, Totals, open};
use nemeses_store::live::{Alive, RedisOptions, open_with};

use self::ask::process_at;
use self::state::{Books, Found, LiveState, Rows, State};
use crate::args::{DatabaseArgs, LiveArgs};
use crate::config::{self, database};
use crate::tools::{OutputArgs, print, print_json};

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses status                             a node of this machine with its data in ./data
  nemeses --config /etc/nemeses/nemeses.toml status --json
  nemeses status --database-url mysql://nemeses_support:PASSWORD@db/nemeses \\
                 --redis-url redis://nemeses-support:PASSWORD@redis --ask off
      A system of stations, from any machine: Redis knows them all.

Exit code 1 if something is wrong.";

/// A store that answers later is told as one that does not.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The books of so many minutes are looked at; `nemeses audit` looks at all.
const BOOKS_MINUTES: u32 = 60;
/// Lines of the books that do not balance, counted at most.
const MOST_UNBALANCED: u32 = 100;

/// `nemeses status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Admin listeners to ask in addition to what Redis knows, separated by commas; or
    /// off
    #[arg(
        long,
        env = "NEMESES_STATUS_ASK",
        default_value = "http://127.0.0.1:9180",
        value_name = "URL,...|off"
    )]
    ask: String,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Asks, and tells; `false` when something is not as it should be.
///
/// # Errors
/// Wrong settings. A store that does not answer is told, not an error.
pub(crate) async fn run(args: StatusArgs) -> anyhow::Result<bool> {
    let url = database(&args.database)?;
    let redis = config::redis(&args.live)?;
    let clock = Clock::system();
    let (database, books) = history(&url, &clock).await;
    let (live, announced) = match &redis {
        Some(redis) => {
            let (state, alive) = live_store(redis, args.live.live_ttl, &clock).await;
            (Some(state), alive)
        }
        None => (None, Vec::new()),
    };
    let (asked, silent) = processes_here(&args.ask).await;
    let state = State {
        now_ms: clock.now_ms(),
        database,
        books,
        live,
        processes: merged(announced, asked),
        silent,
    };
    if args.output.json {
        print_json(&state.as_json())?;
    } else {
        print(&state.as_text())?;
    }
    Ok(state.complaints().is_empty())
}

/// The database, and its books.
async fn history(url: &config::DatabaseUrl, clock: &Clock) -> (Found<Rows>, Option<Books>) {
    let shown = url.to_string();
    if let Some(path) = url.file().filter(|path| matches!(path.try_exists(), Ok(false))) {
        let why = format!(
            "there is no file {}; say where with --data-dir or --database-url",
            path.display()
        );
        return (Found::failed(shown, why), None);
    }
    let options = Options {
        max_connections: 1,
        acquire_timeout: ANSWER_WITHIN,
        statement_timeout: ANSWER_WITHIN,
        engine: None,
    };
    let database = match open(url.expose(), options).await {
        Ok(database) => database,
        Err(error) => return (Found::failed(shown, error.to_string()), None),
    };
    let looked = async {
        let history = database.history();
        history.check_schema().await?;
        let schema = history.schema_version().await?;
        let survey = database.retention().survey(0).await?;
        // Whoever may read only has no inspection, and needs none.
        let product = history.inspect().await.map_or_else(|_| String::new(), |found| found.product);
        Ok::<_, nemeses_store::StoreError>(Rows {
            product,
            schema,
            count: survey.rows,
            bytes: survey.bytes,
        })
    };
    let rows = match looked.await {
        Ok(rows) => rows,
        Err(error) => return (Found::failed(shown, error.to_string()), None),
    };
    let now = u32::try_from(clock.now_ms() / 60_000).unwrap_or(u32::MAX);
    let minutes = Minutes { from: now.saturating_sub(BOOKS_MINUTES), to: Minutes::ALL.to };
    let books = database.books();
    let read = async {
        let totals: Totals = books.totals(minutes).await?;
        let unbalanced = books.unbalanced(minutes, MOST_UNBALANCED).await?;
        Ok::<_, nemeses_store::StoreError>(Books { totals, unbalanced: unbalanced.len() })
    };
    match read.await {
        Ok(books) => (Found::there(shown, rows), Some(books)),
        Err(error) => (Found::failed(shown, error.to_string()), None),
    }
}

/// Redis, and who announced himself there.
async fn live_store(
    redis: &config::RedisUrl,
    ttl: Duration,
    clock: &Clock,
) -> (Found<LiveState>, Vec<Alive>) {
    let shown = redis.to_string();
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let options =
        RedisOptions { answer_within: ANSWER_WITHIN, root_certificates: redis.certificates() };
    let looked = async {
        let live = open_with(Some(redis.expose()), ttl_ms, clock.clone(), options)?;
        let alive = live.workers().await?;
        let found = live.inspect().await;
        let (product, used_bytes) =
            found.map_or_else(|_| (String::new(), None), |found| (found.product, found.used_bytes));
        Ok::<_, nemeses_store::StoreError>((LiveState { product, used_bytes }, alive))
    };
    match looked.await {
        Ok((state, alive)) => (Found::there(shown, state), alive),
        Err(error) => (Found::failed(shown, error.to_string()), Vec::new()),
    }
}

/// Those that answer, and the addresses of those that do not.
async fn processes_here(ask: &str) -> (Vec<Alive>, Vec<String>) {
    let (mut alive, mut silent) = (Vec::new(), Vec::new());
    for base in ask.split(',').map(str::trim).filter(|base| !base.is_empty() && *base != "off") {
        match process_at(&format!("{}/status", base.trim_end_matches('/'))).await {
            Ok(worker) => alive.push(Alive { worker, silent_ms: 0 }),
            Err(error) => silent.push(format!("{error:#}")),
        }
    }
    (alive, silent)
}

/// One line a process, whichever way it is known; what it says itself is newer.
fn merged(announced: Vec<Alive>, asked: Vec<Alive>) -> Vec<Alive> {
    let mut all = asked;
    for alive in announced {
        if !all.iter().any(|known| known.worker.name == alive.worker.name) {
            all.push(alive);
        }
    }
    all.sort_by(|one, two| one.worker.name.cmp(&two.worker.name));
    all
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::Worker;

    use super::*;

    #[test]
    fn a_process_known_by_both_ways_is_one() {
        let alive = |name: &str, silent_ms| Alive {
            worker: Worker::here(name, "node", "0.1.0", 1),
            silent_ms,
        };
        let all =
            merged(vec![alive("a", 500), alive("c", 700)], vec![alive("b", 0), alive("a", 0)]);
        let names: Vec<_> =
            all.iter().map(|alive| (alive.worker.name.as_str(), alive.silent_ms)).collect();
        assert_eq!(names, [("a", 0), ("b", 0), ("c", 700)]);
    }

    #[tokio::test]
    async fn off_asks_nobody_and_who_is_not_there_is_named() {
        assert_eq!(processes_here("off").await, (Vec::new(), Vec::new()));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (alive, silent) = processes_here(&format!(" http://{free}/ ,")).await;
        assert!(alive.is_empty() && silent.len() == 1, "{silent:?}");
        assert!(silent[0].contains(&free.to_string()), "{silent:?}");
    }
}
