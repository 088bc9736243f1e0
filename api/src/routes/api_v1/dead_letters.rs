//! `GET /api/v1/dead-letters/`: bytes that did not become rows, and why.
//! `POST /api/v1/dead-letters/{letter_id}/retry`: what today's decoder makes of
//! one. For admins. The decoder is the parser's; the program hands it in.

use axum::extract::State;
use axum::response::Response;
use nemeses_protocol::{DeviceNames, Reason};
use nemeses_store::history::{LetterFilter, StoredLetter};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::lookup::Letter;
use crate::access::{Principal, Right};
use crate::backend::Backend;
use crate::input::{Params, Segments, first_second, last_second, number, unknown_id};
use crate::letters::Retried;
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::output;
use crate::problem::{Kind, Problem, fault};

const DEFAULT_LIMIT: u32 = 100;
/// A letter in a list is some 900 bytes: an answer has 900 KB at most.
const MAX_LIMIT: u32 = 1000;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeadLettersAnswer")]
struct Page {
    /// Newest first; `bytes` are the first 256 of each.
    dead_letters: Vec<Letter>,
    count: usize,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}

/// What became of a letter that was tried again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RetriedDeadLetter")]
struct After {
    /// `resolved` (it became what the numbers say), or why it stays: `still_dead`,
    /// `wrong_identity`, `wrong_topic`.
    outcome: &'static str,
    stored: u64,
    duplicates: u64,
    pings: u64,
    /// Letters that its rest became.
    new_dead_letters: u64,
}

pub(crate) async fn list(
    principal: Principal,
    State(state): State<Backend>,
    params: Params,
) -> Result<Response, Problem> {
    principal.must(Right::Books)?;
    let (filter, limit) = read(params)?;
    let letters = state.history.ask(state.stores.letters.list(&filter)).await?;
    output::json(&page(&state.names, &letters, limit))
}

/// Asks for one letter more than is shown, to know whether anything follows.
fn read(mut params: Params) -> Result<(LetterFilter, usize), Problem> {
    let device = params.maybe_device("device_id")?;
    let reasons: Vec<_> =
        Reason::all().map(|reason| (reason.code(), Some(reason.code().to_owned()))).collect();
    let reason = params.take("reason")?;
    if let Some(text) = &reason
        && !reasons.iter().any(|(code, _)| code == text)
    {
        let codes: Vec<_> = reasons.iter().map(|(code, _)| *code).collect();
        let detail = format!("Must be one of {}.", codes.join(", "));
        return Err(Problem::parameter("reason", detail));
    }
    let moment = |second: u32| u64::from(second) * 1000;
    let from = params.take("from")?.map(|text| first_second("from", &text)).transpose()?;
    let to = params.take("to")?.map(|text| last_second("to", &text)).transpose()?;
    let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT - 1)?;
    let before_id = params.number("cursor")?;
    params.finish()?;
    let filter = LetterFilter {
        device,
        nobodys: false,
        reason,
        from_ms: from.map(moment),
        to_ms: to.map(|second| moment(second) + 999),
        before_id,
        limit: Some(limit + 1),
    };
    Ok((filter, usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn page(names: &DeviceNames, letters: &[StoredLetter], limit: usize) -> Page {
    let shown = &letters[..letters.len().min(limit)];
    let more = letters.len() > limit;
    Page {
        dead_letters: shown.iter().map(|letter| Letter::of(names, letter)).collect(),
        count: shown.len(),
        next_cursor: shown.last().filter(|_| more).map(|letter| letter.id.to_string()),
    }
}

pub(crate) async fn retry(
    principal: Principal,
    State(state): State<Backend>,
    Segments(path): Segments<String>,
) -> Result<Response, Problem> {
    principal.must(Right::Books)?;
    let id = number("letter_id", &path)?;
    let Some(decoder) = &state.stores.second_chance else {
        return Err(fault(&"this process was started without a decoder for dead letters"));
    };
    match state.history.ask(decoder.retry(id)).await? {
        Retried::Gone => Err(unknown_id("letter_id")),
        retried => output::json(&After::of(retried)),
    }
}

impl After {
    fn of(retried: Retried) -> Self {
        let stays =
            |outcome| Self { outcome, stored: 0, duplicates: 0, pings: 0, new_dead_letters: 0 };
        match retried {
            Retried::Resolved { stored, duplicates, pings, remains } => {
                Self { outcome: "resolved", stored, duplicates, pings, new_dead_letters: remains }
            }
            Retried::StillDead => stays("still_dead"),
            Retried::WrongIdentity => stays("wrong_identity"),
            Retried::WrongTopic => stays("wrong_topic"),
            Retried::Gone => stays("gone"),
        }
    }
}

pub(crate) fn list_doc() -> Doc {
    let letter = json!({
        "id": 7, "received_at": "2020-07-01T21:00:00.250Z", "reason": "bad_footer",
        "device_id": null, "recorded_at": null, "topic": "/messenger", "offset": 0,
        "length": 4, "bytes": "50F70A3F", "worker": "node",
    });
    let example = json!({"dead_letters": [letter], "count": 1, "next_cursor": null});
    Doc::new("listDeadLetters", Tag::Books, "Bytes that did not become rows")
        .about("Newest first. For admins.")
        .takes(Param::device("device_id", "Only this device's.").optional())
        .takes(Param::text("reason", 64, "Only with this reason, a code of docs/protocol.md."))
        .takes(Param::time("from", "Only received at or after this."))
        .takes(Param::time("to", "Only received at or before this."))
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT - 1, "Letters in this answer."))
        .takes(Param::query(
            "cursor",
            json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
            "`next_cursor` of the page before, as it came.",
        ))
        .answers(Answer::json::<Page>("A page of letters.", example))
}

pub(crate) fn retry_doc() -> Doc {
    let example = json!({
        "outcome": "resolved", "stored": 1, "duplicates": 0, "pings": 0, "new_dead_letters": 0,
    });
    Doc::new("retryDeadLetter", Tag::Books, "Decode a dead letter again")
        .about(
            "What is a good frame today becomes a row and the letter goes, in one transaction; \
             the books say so. Asking again harms nothing. For admins.",
        )
        .takes(Param::path_number("letter_id", "The letter's `id`."))
        .answers(Answer::json::<After>("What became of it.", example))
        .problems(&[Kind::UnknownId])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<(LetterFilter, usize), Problem> {
        read(Params::of(&format!("/?{query}").parse().unwrap()).unwrap())
    }

    #[test]
    fn filters_are_read() {
        let (filter, limit) =
            asked("device_id=0a3f73&reason=bad_footer&from=10&to=20&limit=5&cursor=9").unwrap();
        assert_eq!((filter.from_ms, filter.to_ms), (Some(10_000), Some(20_999)));
        assert_eq!((filter.before_id, filter.limit, limit), (Some(9), Some(6), 5));
        assert_eq!(filter.reason.as_deref(), Some("bad_footer"));
        assert_eq!(filter.device.unwrap().to_string(), "0A3F73");
        assert_eq!(asked("").unwrap().1, 100);
    }

    #[test]
    fn hostile_parameters_are_named() {
        for (query, name) in [
            ("device_id=x", "device_id"),
            ("reason=bad%20footer", "reason"),
            ("from=x", "from"),
            ("to=-1", "to"),
            ("limit=1000", "limit"),
            ("cursor=x", "cursor"),
            ("page=2", "page"),
        ] {
            assert_eq!(asked(query).unwrap_err().at_fault(), Some(name), "{query}");
        }
    }

    #[test]
    fn a_page_says_when_more_follows() {
        let letter = |id| StoredLetter {
            id,
            received_at_ms: 0,
            topic: "/messenger".into(),
            offset: 0,
            reason: "bad_footer".into(),
            device: None,
            recorded_at: None,
            length: 1,
            bytes: vec![0xAB],
            worker: "node".into(),
        };
        let letters = [letter(9), letter(7), letter(4)];
        assert_eq!(page(&DeviceNames::default(), &letters, 3).next_cursor, None);
        let first = page(&DeviceNames::default(), &letters, 2);
        assert_eq!((first.count, first.next_cursor.as_deref()), (2, Some("7")));
    }
}
