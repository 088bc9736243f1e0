//! `GET /api/v1/alarms/counts`: how many alarms opened, by rule, device or day.

use axum::extract::State;
use axum::response::Response;
use nemeses_protocol::DeviceId;
use nemeses_reports::date;
use nemeses_store::history::{AlarmCount, AlarmFilter, CountedBy};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{filter, filter_doc};
use crate::access::Principal;
use crate::backend::Backend;
use crate::input::{Params, first_second, last_second};
use crate::openapi::{self, Answer, Doc, Param, Tag};
use crate::output::{self, time_s};
use crate::problem::{Kind, Problem};

const BY: [(&str, CountedBy); 3] =
    [("rule", CountedBy::Rule), ("device", CountedBy::Device), ("day", CountedBy::Day)];
/// Rules or devices that are shown, those with the most alarms.
const BUSIEST: u32 = 10;
const MAX_DAYS: u32 = 400;
const DEFAULT_DAYS: u32 = 30;
const DAY_S: u32 = 86_400;

/// How many alarms opened, of a rule, a device or a day.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlarmCount")]
struct Counted {
    /// Null unless they are counted by rule, and so on.
    rule_id: Option<u64>,
    /// A name that the rule had.
    rule_name: Option<String>,
    #[schemars(with = "Option<openapi::Device>")]
    device_id: Option<String>,
    /// In UTC, by the device's clock.
    day: Option<String>,
    opened: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlarmCountsAnswer")]
struct Answered {
    #[schemars(with = "openapi::Time")]
    from: String,
    #[schemars(with = "openapi::Time")]
    to: String,
    /// The ten rules or devices with the most alarms, or the days on which any opened in their order.
    counts: Vec<Counted>,
    count: usize,
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<Backend>,
    mut params: Params,
) -> Result<Response, Problem> {
    let by = params.choice("by", &BY, CountedBy::Rule)?;
    let (from, to) = range(&mut params, state.clock.now_s())?;
    let filter = filter(&principal, &mut params)?;
    params.finish()?;
    let filter = AlarmFilter {
        opened_from_ms: Some(u64::from(from) * 1000),
        opened_to_ms: Some(u64::from(to) * 1000 + 999),
        limit: if by == CountedBy::Day { MAX_DAYS + 1 } else { BUSIEST },
        ..filter
    };
    let counts = state.ask_in_turn(state.stores.alarms.counts(&filter, by)).await?;
    let counts: Vec<Counted> =
        counts.into_iter().map(|count| Counted::of(&state, by, count)).collect();
    output::json(&Answered { from: time_s(from), to: time_s(to), count: counts.len(), counts })
}

/// `from` and `to`, recorded seconds, both included; the last thirty days if nothing is said.
fn range(params: &mut Params, now_s: u32) -> Result<(u32, u32), Problem> {
    let to = params.take("to")?.map_or(Ok(now_s), |text| last_second("to", &text))?;
    let usual = to.saturating_sub(DEFAULT_DAYS * DAY_S);
    let from = params.take("from")?.map_or(Ok(usual), |text| first_second("from", &text))?;
    if from > to {
        return Err(Problem::parameter("from", "The range ends before it begins."));
    }
    if to - from > MAX_DAYS * DAY_S {
        return Err(Problem::parameter("from", format!("At most {MAX_DAYS} days are counted.")));
    }
    Ok((from, to))
}

impl Counted {
    fn of(state: &Backend, by: CountedBy, count: AlarmCount) -> Self {
        let AlarmCount { of, rule_name, opened } = count;
        let none = Self { rule_id: None, rule_name: None, device_id: None, day: None, opened };
        match by {
            CountedBy::Rule => Self { rule_id: Some(of), rule_name: Some(rule_name), ..none },
            CountedBy::Device => {
                let device = DeviceId::new(u32::try_from(of).unwrap_or(u32::MAX));
                Self { device_id: Some(state.written(device)), ..none }
            }
            CountedBy::Day => {
                let day = i32::try_from(of / 1000 / u64::from(DAY_S)).unwrap_or(i32::MAX);
                Self { day: Some(date(day)), ..none }
            }
        }
    }
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "from": "2020-06-01T21:01:00Z", "to": "2020-07-01T21:01:00Z",
        "counts": [{
            "rule_id": 1, "rule_name": "Too fast", "device_id": null, "day": null, "opened": 7,
        }],
        "count": 1,
    });
    let doc = Doc::new("countAlarms", Tag::Alarms, "How many alarms opened")
        .about(
            "By rule or device the ten with the most, by day all in their order; of the devices \
             that the caller sees. At most 400 days. Not for share links.",
        )
        .takes(Param::choice("by", &BY, "What is counted."))
        .takes(Param::time("from", "Opened from this second on; 30 days before `to` if absent."))
        .takes(
            Param::time("to", "Opened not after this second; now if absent.")
                .example("2020-07-01T23:59:59Z"),
        );
    filter_doc(doc)
        .answers(Answer::json::<Answered>("The counts.", example))
        .problems(&[Kind::UnknownDevice, Kind::TooManyAtOnce])
}
