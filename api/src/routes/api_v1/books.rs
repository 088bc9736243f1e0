//! `GET /api/v1/books`: what was received and what became of it, by worker and
//! minute of arrival. For admins.

use axum::extract::State;
use axum::response::Response;
use nemeses_store::history::{BooksLine, Minutes, Totals};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::backend::Backend;
use crate::input::{BooksCursor, Params, first_second, last_second};
use crate::openapi::{Answer, Doc, Param, Tag, Time};
use crate::output::{self, time_ms};
use crate::problem::Problem;

/// Seconds before `to` that are shown unless `from` says otherwise: the books of
/// all time are long.
const DEFAULT_SECONDS: u32 = 24 * 3600;
/// Characters of a worker's name at most, as the column has it.
const LONGEST_WORKER: usize = 64;
const DEFAULT_LIMIT: u32 = 1000;
/// A line is some 150 bytes: an answer has 1.5 MB at most.
const MAX_LIMIT: u32 = 10_000;

struct BooksQuery {
    minutes: Minutes,
    worker: Option<String>,
    after: Option<BooksCursor>,
    limit: u32,
}

impl BooksQuery {
    fn read(mut params: Params, now_s: u32) -> Result<Self, Problem> {
        let to = params.take("to")?.map_or(Ok(now_s), |text| last_second("to", &text))?;
        let day_before = to.saturating_sub(DEFAULT_SECONDS);
        let from =
            params.take("from")?.map_or(Ok(day_before), |text| first_second("from", &text))?;
        let worker = worker(&mut params)?;
        let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
        let after = params.take("cursor")?.map(|text| BooksCursor::decode(&text)).transpose()?;
        params.finish()?;
        if from > to {
            return Err(Problem::parameter("from", "The range ends before it begins."));
        }
        Ok(Self { minutes: Minutes { from: from / 60, to: to / 60 }, worker, after, limit })
    }
}

fn worker(params: &mut Params) -> Result<Option<String>, Problem> {
    let worker = params.take("worker")?;
    if worker.as_ref().is_some_and(|name| name.chars().count() > LONGEST_WORKER) {
        return Err(Problem::parameter("worker", "A worker's name has at most 64 characters."));
    }
    Ok(worker)
}

/// What was received and what became of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BooksSums")]
struct Sums {
    received: u64,
    stored: u64,
    duplicates: u64,
    dead_letters: u64,
    pings: u64,
    /// Whether received = stored + duplicates + dead_letters + pings.
    balanced: bool,
}

impl From<&Totals> for Sums {
    fn from(totals: &Totals) -> Self {
        let &Totals { received, stored, duplicates, dead_letters, pings, .. } = totals;
        Self { received, stored, duplicates, dead_letters, pings, balanced: totals.balance() }
    }
}

/// One worker and minute of arrival.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BooksLine")]
struct Line<'a> {
    #[schemars(with = "Time")]
    minute: String,
    worker: &'a str,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BooksAnswer")]
struct Books<'a> {
    #[schemars(with = "Time")]
    from: String,
    #[schemars(with = "Time")]
    to: String,
    /// Over all workers and the whole range, whatever the page.
    totals: Sums,
    lines: Vec<Line<'a>>,
    count: usize,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}

pub(crate) fn doc() -> Doc {
    let sums = json!({
        "received": 10, "stored": 4, "duplicates": 3, "dead_letters": 2, "pings": 1, "balanced": true,
    });
    let mut line = sums.clone();
    line["minute"] = "2020-07-01T21:00:00Z".into();
    line["worker"] = "node-0".into();
    let example = json!({
        "from": "2020-07-01T21:00:00Z",
        "to": "2020-07-01T21:59:59.999Z",
        "totals": sums,
        "lines": [line],
        "count": 1,
        "next_cursor": null,
    });
    Doc::new("getBooks", Tag::Books, "What was received and what became of it")
        .about("By worker and minute of arrival. For admins.")
        .takes(Param::time("from", "A day before `to` if absent; widened to whole minutes."))
        .takes(Param::time("to", "Now if absent.").example("2020-07-01T21:59:59Z"))
        .takes(Param::text("worker", LONGEST_WORKER, "Lines of this worker alone."))
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Lines in this answer."))
        .takes(Param::text("cursor", 256, "`next_cursor` of the page before, as it came."))
        .answers(Answer::json::<Books<'_>>("Totals of the whole range, and lines.", example))
}

pub(crate) async fn get(State(state): State<Backend>, params: Params) -> Result<Response, Problem> {
    let query = BooksQuery::read(params, state.clock.now_s())?;
    let books = &state.stores.books;
    let totals = state.history.ask(books.totals(query.minutes)).await?;
    let after = query.after.as_ref().map(|cursor| (cursor.minute, cursor.worker.as_str()));
    // One line more than is shown, to know whether anything follows.
    let lines = books.lines(query.minutes, query.worker.as_deref(), after, query.limit + 1);
    let lines = state.history.ask(lines).await?;
    output::json(&answer(query.minutes, query.limit, &totals, &lines))
}

fn answer<'a>(minutes: Minutes, limit: u32, totals: &Totals, lines: &'a [BooksLine]) -> Books<'a> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let shown = &lines[..lines.len().min(limit)];
    let more = lines.len() > limit;
    let (from_ms, to_ms) = minutes.as_ms();
    Books {
        from: time_ms(from_ms),
        to: time_ms(to_ms),
        totals: totals.into(),
        lines: shown
            .iter()
            .map(|line| Line {
                minute: time_ms(u64::from(line.minute) * 60_000),
                worker: &line.worker,
                sums: (&line.totals).into(),
            })
            .collect(),
        count: shown.len(),
        next_cursor: shown
            .last()
            .filter(|_| more)
            .map(|line| BooksCursor { minute: line.minute, worker: line.worker.clone() }.encode()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(minute: u32, worker: &str) -> BooksLine {
        let totals = Totals {
            received: 3,
            stored: 1,
            duplicates: 1,
            dead_letters: 0,
            pings: 1,
            ..Totals::default()
        };
        BooksLine { worker: worker.into(), minute, totals }
    }

    #[test]
    fn a_page_says_when_more_follows() {
        let lines = [line(1, "a"), line(1, "b"), line(2, "a")];
        let minutes = Minutes { from: 1, to: 2 };
        let page = answer(minutes, 2, &Totals::default(), &lines);
        assert_eq!((page.count, page.from.as_str()), (2, "1970-01-01T00:01:00Z"));
        let cursor = BooksCursor::decode(&page.next_cursor.unwrap()).unwrap();
        assert_eq!(cursor, BooksCursor { minute: 1, worker: "b".into() });
        assert!(page.lines.iter().all(|line| line.sums.balanced));
        assert_eq!(answer(minutes, 3, &Totals::default(), &lines).next_cursor, None);
    }

    #[test]
    fn a_day_by_default() {
        let minutes = |query: &str| {
            let params = Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
            let Minutes { from, to } = BooksQuery::read(params, 864_030).unwrap().minutes;
            (from, to)
        };
        assert_eq!(minutes(""), (12_960, 14_400));
        assert_eq!(minutes("to=86430"), (0, 1440));
        assert_eq!(minutes("to=60"), (0, 1));
        assert_eq!(minutes("from=60"), (1, 14_400));
    }

    #[test]
    fn hostile_parameters_are_named() {
        for (query, name) in [
            ("from=x", "from"),
            ("to=-1", "to"),
            ("from=2&to=1", "from"),
            ("limit=10001", "limit"),
            (&format!("worker={}", "x".repeat(65)), "worker"),
            ("cursor=x", "cursor"),
            ("device_id=0A3F73", "device_id"),
        ] {
            let params = Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
            let problem = BooksQuery::read(params, 9).err().unwrap();
            assert_eq!(problem.at_fault(), Some(name), "{query}");
        }
    }
}
