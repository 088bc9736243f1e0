//! `GET /api/v1/storage`: what the history takes on disk. For admins.

use axum::extract::State;
use axum::response::Response;
use nemeses_store::history::{Minutes, Survey};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::input::Params;
use crate::openapi::{Answer, Doc, Tag, Time};
use crate::output::{self, time_s};
use crate::problem::Problem;
use crate::state::ApiState;

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
}

pub(crate) async fn get(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    // Nothing was recorded before 1970: no row is counted one by one.
    let survey = state.history.ask(state.stores.retention.survey(0)).await?;
    let minute = state.clock.now_s() / 60;
    let day = Minutes { from: minute.saturating_sub(DAY_MINUTES - 1), to: minute };
    let stored = state.history.ask(state.stores.books.totals(day)).await?.stored;
    output::json(&answer(&survey, stored))
}

fn answer(survey: &Survey, rows_last_day: u64) -> Storage {
    Storage {
        bytes: survey.bytes,
        rows: survey.rows,
        rows_last_day,
        oldest_at: survey.oldest.map(time_s),
        partitions: survey.partitions,
    }
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "bytes": 73_400_320, "rows": 1_204_312, "rows_last_day": 86_400,
        "oldest_at": "2020-06-01T00:00:00Z", "partitions": 32,
    });
    Doc::new("getStorage", Tag::Books, "What the history takes on disk")
        .about("For admins.")
        .answers(Answer::json::<Storage>("Sizes.", example))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_has_no_oldest_row() {
        assert_eq!(answer(&Survey::default(), 0).oldest_at, None);
        let survey = Survey { oldest: Some(60), bytes: 4096, ..Survey::default() };
        let shown = answer(&survey, 7);
        assert_eq!(shown.oldest_at.as_deref(), Some("1970-01-01T00:01:00Z"));
        assert_eq!((shown.bytes, shown.rows_last_day), (4096, 7));
    }
}
