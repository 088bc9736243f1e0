//! The state of a system, what is not as it should be in it, and how people and
//! programs read it. Pure.

use std::fmt::Write as _;

use nemeses_runtime::PipelineState;
use nemeses_store::history::Totals;
use nemeses_store::live::Alive;
use serde_json::{Value, json};

use crate::retention::size;
use crate::tools::{columns, moment};

/// A frame that waits longer for its commit is told, as by the alert FramesWait.
const WAITS_TOO_LONG_S: f64 = 60.0;
const CLOCKS_APART_MS: u64 = 2_000;
/// A quarter of an hour is usual.
const SUMS_LAG_TOO_LONG_S: f64 = 3_600.0;

/// Something that was looked for: where, and what it is or why it is not there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found<T> {
    at: String,
    what: Result<T, String>,
}

impl<T> Found<T> {
    pub(super) fn there(at: String, what: T) -> Self {
        Self { at, what: Ok(what) }
    }

    pub(super) fn failed(at: String, why: String) -> Self {
        Self { at, what: Err(why) }
    }
}

/// The database.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows {
    pub(super) product: String,
    pub(super) schema: u32,
    /// By the server's estimate; unknown on SQLite.
    pub(super) count: Option<u64>,
    pub(super) bytes: u64,
}

/// The books of the last hour.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Books {
    pub(super) totals: Totals,
    /// Lines that do not balance.
    pub(super) unbalanced: usize,
}

/// Redis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LiveState {
    pub(super) product: String,
    pub(super) used_bytes: Option<u64>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) now_ms: u64,
    pub(super) database: Found<Rows>,
    pub(super) books: Option<Books>,
    /// None without Redis.
    pub(super) live: Option<Found<LiveState>>,
    pub(super) processes: Vec<Alive>,
    /// Admin listeners that do not answer, and why.
    pub(super) silent: Vec<String>,
}

impl State {
    /// What is not as it should be, in words, the worst first.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut said = Vec::new();
        if let Err(why) = &self.database.what {
            said.push(format!("the database {} does not serve: {why}", self.database.at));
        }
        if let Some(Found { at, what: Err(why) }) = &self.live {
            said.push(format!("the live store {at} does not serve: {why}"));
        }
        if let Some(books) = &self.books
            && (books.unbalanced > 0 || !books.totals.balance())
        {
            said.push("the books do not balance; run nemeses audit, and see BooksOutOfBalance in docs/operations.md".to_owned());
        }
        if self.processes.is_empty() {
            said.push("no process of this system is known; start one, give --redis-url, or say with --ask where its admin listener is".to_owned());
            said.extend(self.silent.iter().cloned());
        }
        for alive in &self.processes {
            said.extend(self.complaints_of(alive));
        }
        said
    }

    fn complaints_of(&self, alive: &Alive) -> Vec<String> {
        let (name, ours) = (&alive.worker.name, env!("CARGO_PKG_VERSION"));
        let figure = |name: &str| alive.worker.figures.get(name).copied();
        let mut said = Vec::new();
        if let Some(age) = figure("oldest_unstored_s").filter(|age| *age > WAITS_TOO_LONG_S) {
            said.push(format!("{name}: a frame has waited {age:.0} s for its commit; see FramesWait in docs/operations.md"));
        }
        if figure("broker_connected") == Some(0.0) {
            said.push(format!(
                "{name} has no connection to the broker; see WorkerCutOff in docs/operations.md"
            ));
        }
        if let Some(lag_s) = figure("daily_lag_s").filter(|lag_s| *lag_s > SUMS_LAG_TOO_LONG_S) {
            said.push(format!(
                "{name}: the sums of days are {:.0} min behind; see SumsLag in docs/operations.md",
                lag_s / 60.0
            ));
        }
        let pipeline = figure("pipeline_state").and_then(PipelineState::of_code);
        let broken = pipeline.filter(|state| state.is_broken());
        if let Some(words) = broken.and_then(PipelineState::words) {
            let delay_s = figure("pipeline_delay_s").unwrap_or_default();
            said.push(format!("{name}: {words} (a canary has taken {delay_s:.0} s so far; see CanaryLost in docs/operations.md)"));
        }
        if figure("live_store_down") == Some(1.0) {
            said.push(format!(
                "{name} cannot write live positions; see LiveStoreDown in docs/operations.md"
            ));
        }
        if alive.worker.version != ours {
            said.push(format!("{name} has version {}, this program {ours}", alive.worker.version));
        }
        let ahead_ms = alive.clock_ahead_ms(self.now_ms);
        if ahead_ms.unsigned_abs() >= CLOCKS_APART_MS {
            let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
            said.push(format!(
                "the clock of {name} is {} s {side} this machine's",
                ahead_ms.unsigned_abs() / 1000
            ));
        }
        said
    }

    fn sum(&self, name: &str) -> f64 {
        self.figures(name).sum()
    }

    fn most(&self, name: &str) -> f64 {
        self.figures(name).fold(0.0, f64::max)
    }

    fn figures<'s>(&'s self, name: &'s str) -> impl Iterator<Item = f64> + 's {
        self.processes.iter().filter_map(move |alive| alive.worker.figures.get(name).copied())
    }

    pub(super) fn as_text(&self) -> String {
        let mut text =
            format!("Nemeses {}, {}\n\n", env!("CARGO_PKG_VERSION"), moment(self.now_ms));
        for (name, what) in self.facts() {
            let _ = writeln!(text, "{name:<12} {what}");
        }
        if !self.processes.is_empty() {
            text.push('\n');
            text.push_str(&self.table());
        }
        let complaints = self.complaints();
        text.push('\n');
        if complaints.is_empty() {
            text.push_str("All is well.\n");
        }
        for said in complaints {
            let _ = writeln!(text, "NOT WELL: {said}");
        }
        text
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("database", self.database_as_text())];
        facts.push((
            "live store",
            match &self.live {
                None => "in the node's memory".to_owned(),
                Some(Found { at, what: Err(_) }) => format!("{at}: does not serve"),
                Some(Found { at, what: Ok(live) }) => {
                    let used = live
                        .used_bytes
                        .map_or_else(String::new, |bytes| format!(", {}", size(bytes)));
                    format!("{at}: {}{used}", live.product)
                }
            },
        ));
        if let Some(Books { totals, unbalanced }) = &self.books {
            let Totals { received, stored, duplicates, dead_letters, pings, .. } = totals;
            let verdict =
                if *unbalanced == 0 && totals.balance() { "balance" } else { "DO NOT BALANCE" };
            facts.push(("books", format!(
                "of the last hour {verdict}: {received} received = {stored} stored + {duplicates} duplicates + {pings} pings + {dead_letters} dead letters"
            )));
        }
        if self.figures("queued_rows").next().is_some() {
            let (rows, oldest_s) = (self.sum("queued_rows"), self.most("oldest_unstored_s"));
            let waits = if rows > 0.0 {
                format!("{rows} rows wait for their commit, the oldest for {oldest_s:.1} s")
            } else {
                "nothing waits for its commit".to_owned()
            };
            facts.push(("queue", waits));
        }
        if self.figures("daily_lag_s").next().is_some() {
            let (lag_min, days) =
                (self.most("daily_lag_s") / 60.0, self.most("daily_waiting_days"));
            facts.push((
                "sums of days",
                format!("hold what arrived until {lag_min:.0} min ago; {days} days wait"),
            ));
        }
        if self.figures("pipeline_delay_s").next().is_some() {
            facts.push(("pipeline", self.pipeline_as_text()));
        }
        if let Some(said) = self.unknown_devices() {
            facts.push(("strangers", said));
        }
        facts
    }

    /// What the canaries of the workers say, the worst of them.
    fn pipeline_as_text(&self) -> String {
        let worst = PipelineState::of_code(self.most("pipeline_state")).unwrap_or_default();
        match worst.words() {
            Some(words) => words.to_owned(),
            None => format!(
                "a canary takes {:.0} ms from publishing to the news of its commit",
                self.most("pipeline_delay_s") * 1000.0
            ),
        }
    }

    /// What is done with unknown devices, and how many wait.
    fn unknown_devices(&self) -> Option<String> {
        let policy = match self.figures("unknown_devices_policy").next()? {
            0.0 => "accepted",
            1.0 => "quarantined",
            _ => "rejected",
        };
        let waiting = self.most("quarantined_devices");
        let wait = if waiting > 0.0 {
            format!("; {waiting} wait in quarantine to be made known")
        } else {
            String::new()
        };
        Some(format!("unknown devices are {policy}{wait}"))
    }

    fn database_as_text(&self) -> String {
        let Found { at, what } = &self.database;
        let Ok(Rows { product, schema, count, bytes }) = what else {
            return format!("{at}: does not serve");
        };
        let rows = count.map_or_else(String::new, |rows| format!("about {rows} rows, "));
        let product = if product.is_empty() { String::new() } else { format!("{product}, ") };
        format!("{at}: {product}schema {schema}; positions: {rows}{}", size(*bytes))
    }

    /// A line a process.
    fn table(&self) -> String {
        let headings = [
            "process",
            "role",
            "version",
            "up for",
            "heard",
            "queued",
            "oldest",
            "stored",
            "connections",
            "requests",
        ];
        let rows: Vec<Vec<String>> = self
            .processes
            .iter()
            .map(|alive| {
                let worker = &alive.worker;
                let figure = |name: &str| {
                    worker.figures.get(name).map_or_else(|| "-".to_owned(), f64::to_string)
                };
                let up_s = worker.seen_at_ms.saturating_sub(worker.started_at_ms) / 1000;
                let oldest = worker.figures.get("oldest_unstored_s");
                vec![
                    worker.name.clone(),
                    worker.role.clone(),
                    worker.version.clone(),
                    humantime::format_duration(std::time::Duration::from_secs(up_s)).to_string(),
                    format!("{} s ago", alive.silent_ms / 1000),
                    figure("queued_rows"),
                    oldest.map_or_else(|| "-".to_owned(), |age| format!("{age:.1} s")),
                    figure("stored"),
                    figure("connections"),
                    figure("requests"),
                ]
            })
            .collect();
        columns(&headings, &rows)
    }

    pub(super) fn as_json(&self) -> Value {
        let complaints = self.complaints();
        json!({
            "well": complaints.is_empty(),
            "complaints": complaints,
            "at": moment(self.now_ms),
            "version": env!("CARGO_PKG_VERSION"),
            "database": match &self.database.what {
                Ok(rows) => json!({
                    "url": self.database.at, "serves": true, "product": rows.product,
                    "schema": rows.schema, "rows": rows.count, "bytes": rows.bytes,
                }),
                Err(why) => json!({"url": self.database.at, "serves": false, "why": why}),
            },
            "live_store": self.live.as_ref().map(|Found { at, what }| match what {
                Ok(live) => json!({
                    "url": at, "serves": true, "product": live.product, "used_bytes": live.used_bytes,
                }),
                Err(why) => json!({"url": at, "serves": false, "why": why}),
            }),
            "books_last_hour": self.books.as_ref().map(|Books { totals, unbalanced }| json!({
                "received": totals.received, "stored": totals.stored,
                "duplicates": totals.duplicates, "pings": totals.pings,
                "dead_letters": totals.dead_letters, "unbalanced_lines": unbalanced,
                "balance": *unbalanced == 0 && totals.balance(),
            })),
            "queued_rows": self.sum("queued_rows"),
            "pipeline_delay_s": self.figures("pipeline_delay_s").reduce(f64::max),
            "oldest_unstored_s": self.most("oldest_unstored_s"),
            "processes": self.processes.iter().map(|alive| json!({
                "name": alive.worker.name, "role": alive.worker.role,
                "version": alive.worker.version, "host": alive.worker.host,
                "pid": alive.worker.pid, "started_at": moment(alive.worker.started_at_ms),
                "heard_ms_ago": alive.silent_ms,
                "clock_ahead_ms": alive.clock_ahead_ms(self.now_ms),
                "figures": alive.worker.figures,
            })).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::Worker;

    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    type Change<'a> = Box<dyn Fn(&mut State) + 'a>;

    fn well() -> State {
        let totals = Totals {
            received: 10,
            stored: 7,
            duplicates: 1,
            dead_letters: 0,
            pings: 2,
            ..Totals::default()
        };
        let mut worker =
            Worker::here("node@h:1883", "node", env!("CARGO_PKG_VERSION"), NOW_MS - 60_000);
        worker.seen_at_ms = NOW_MS;
        worker.figures = [("queued_rows", 3.0), ("oldest_unstored_s", 0.5), ("stored", 7.0)]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        let rows = Rows { product: "SQLite 3".into(), schema: 3, count: None, bytes: 4096 };
        State {
            now_ms: NOW_MS,
            database: Found::there("sqlite:d".into(), rows),
            books: Some(Books { totals, unbalanced: 0 }),
            live: None,
            processes: vec![Alive { worker, silent_ms: 0 }],
            silent: Vec::new(),
        }
    }

    #[test]
    fn a_system_that_is_well() {
        let text = well().as_text();
        assert!(text.ends_with("\nAll is well.\n"), "{text}");
        for part in
            ["schema 3; positions: 4.0 KiB", "last hour balance", "3 rows wait", "1m", "0.5 s"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = well().as_json();
        assert_eq!((&json["well"], &json["queued_rows"]), (&json!(true), &json!(3.0)));
        assert_eq!(json["processes"][0]["figures"]["stored"], json!(7.0));
    }

    #[test]
    fn what_is_done_with_unknown_devices_is_told() {
        let told = |figures: &[(&str, f64)]| {
            let mut state = well();
            for (name, value) in figures {
                state.processes[0].worker.figures.insert((*name).to_owned(), *value);
            }
            state.unknown_devices()
        };
        assert_eq!(told(&[]), None);
        let accepted = told(&[("unknown_devices_policy", 0.0)]);
        assert_eq!(accepted.as_deref(), Some("unknown devices are accepted"));
        let waiting = told(&[("unknown_devices_policy", 1.0), ("quarantined_devices", 3.0)]);
        let text = "unknown devices are quarantined; 3 wait in quarantine to be made known";
        assert_eq!(waiting.as_deref(), Some(text));
    }

    #[test]
    fn each_ill_is_named() {
        let figure = |state: &mut State, name: &str, value| {
            state.processes[0].worker.figures.insert(name.to_owned(), value);
        };
        let cases: Vec<(&str, Change<'_>)> = vec![
            ("does not serve: down", Box::new(|s| s.database.what = Err("down".into()))),
            (
                "live store",
                Box::new(|s| s.live = Some(Found::failed("redis://r".into(), "down".into()))),
            ),
            ("books do not balance", Box::new(|s| s.books.as_mut().unwrap().unbalanced = 1)),
            ("books do not balance", Box::new(|s| s.books.as_mut().unwrap().totals.received += 1)),
            ("no process", Box::new(|s| s.processes.clear())),
            ("has waited 61 s", Box::new(|s| figure(s, "oldest_unstored_s", 61.0))),
            ("sums of days are 61 min behind", Box::new(|s| figure(s, "daily_lag_s", 3_660.0))),
            ("no connection to the broker", Box::new(|s| figure(s, "broker_connected", 0.0))),
            ("reaches no parser", Box::new(|s| figure(s, "pipeline_state", 5.0))),
            ("cannot write live positions", Box::new(|s| figure(s, "live_store_down", 1.0))),
            ("has version 0.0.1", Box::new(|s| s.processes[0].worker.version = "0.0.1".into())),
            ("3 s behind", Box::new(|s| s.processes[0].worker.seen_at_ms -= 3_000)),
        ];
        for (says, change) in cases {
            let mut state = well();
            change(&mut state);
            let text = state.as_text();
            let complaints = state.complaints();
            assert!(
                complaints.len() == 1 && complaints[0].contains(says),
                "{says}: {complaints:?}"
            );
            assert!(text.contains(&format!("NOT WELL: {}", complaints[0])), "{text}");
            assert_eq!(state.as_json()["well"], false);
        }
    }
}
