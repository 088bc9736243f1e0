//! `GET /api/v1/storage`: what the history takes on disk. For admins.

use axum::extract::State;
use axum::response::Response;
use nemeses_store::history::{Backlog, Minutes, Survey};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::backend::Backend;
use crate::input::Params;
use crate::openapi::{Answer, Doc, Tag, Time};
use crate::output::{self, time_s};
use crate::problem::Problem;

const DAY_MINUTES: u32 = 24 * 60;

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "StorageAnswer")]
struct Storage {
    /// What the positions take, keys included; on SQLite the whole file.
    bytes: u64,
    /// Rows of positions by the server's estimate; null on SQLite.
    rows: Option<u64>,
    /// Rows stored in the last 24 hours.
    rows_last_day: u64,
    /// About when the oldest position was recorded; null without any.
    #[schemars(with = "Option<Time>")]
    oldest_at: Option<String>,
    /// Partitions of the table; null on SQLite.
    partitions: Option<u32>,
    sums: Sums,
}

/// How far the sums of days are behind what arrives. They are kept up by a node or an
/// exporter while it runs.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "StorageSums")]
struct Sums {
    /// What arrived before is in them.
    #[schemars(with = "Time")]
    as_of: String,
    /// Seconds since then; up to a quarter of an hour is usual.
    lag_s: u32,
    /// Days of devices that wait, counted up to 100 000.
    waiting_days: u64,
}

pub(crate) async fn get(State(state): State<Backend>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    // Nothing was recorded before 1970: no row is counted one by one.
    let survey = state.history.ask(state.stores.retention.survey(0)).await?;
    let minute = state.clock.now_s() / 60;
    let day = Minutes { from: minute.saturating_sub(DAY_MINUTES - 1), to: minute };
    let stored = state.history.ask(state.stores.books.totals(day)).await?.stored;
    let backlog = state.history.ask(state.stores.daily.backlog()).await?;
    output::json(&answer(&survey, stored, &backlog, state.clock.now_s()))
}

fn answer(survey: &Survey, rows_last_day: u64, backlog: &Backlog, now_s: u32) -> Storage {
    let lag_s = backlog.lag_s(now_s);
    Storage {
        bytes: survey.bytes,
        rows: survey.rows,
        rows_last_day,
        oldest_at: survey.oldest.map(time_s),
        partitions: survey.partitions,
        sums: Sums { as_of: time_s(now_s - lag_s), lag_s, waiting_days: backlog.marks },
    }
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "bytes": 73_400_320, "rows": 1_204_312, "rows_last_day": 86_400,
        "oldest_at": "2020-06-01T00:00:00Z", "partitions": 32,
        "sums": {"as_of": "2020-07-01T20:50:00Z", "lag_s": 600, "waiting_days": 12},
    });
    Doc::new("getStorage", Tag::Books, "What the history takes on disk, and how far its sums are")
        .about("For admins.")
        .answers(Answer::json::<Storage>("Sizes.", example))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_has_no_oldest_row() {
        let none = Backlog::default();
        let empty = answer(&Survey::default(), 0, &none, 6_000_060);
        assert_eq!((empty.oldest_at, empty.sums.lag_s), (None, 0));
        let survey = Survey { oldest: Some(60), bytes: 4096, ..Survey::default() };
        let backlog = Backlog { marks: 3, oldest_slot: Some(9_999) };
        let shown = answer(&survey, 7, &backlog, 6_000_060);
        let (as_of, lag_s) = ("1970-03-11T10:30:00Z".to_owned(), 660);
        assert_eq!(shown.sums, Sums { as_of, lag_s, waiting_days: 3 });
        assert_eq!(shown.oldest_at.as_deref(), Some("1970-01-01T00:01:00Z"));
        assert_eq!((shown.bytes, shown.rows_last_day), (4096, 7));
    }
}
