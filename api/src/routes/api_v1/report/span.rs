//! What every computed report is asked for: a device, a range, a time zone, and
//! what counts as moving.

use nemeses_protocol::DeviceId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::input::{Params, first_second, last_second};
use crate::openapi::{Answer, Device, Doc, Param, Tag, Time};
use crate::problem::{Kind, Problem};
use crate::reports::{Settings, Zone};

const DAY_S: u32 = 86_400;
const MOST_MOTION_KMH: u32 = 100;
const MOST_DISTANCE_M: u32 = 100_000;

/// A checked request.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) device: DeviceId,
    /// First recorded second.
    pub(super) from: u32,
    /// Last recorded second.
    pub(super) to: u32,
    pub(super) zone: Zone,
    pub(super) settings: Settings,
}

impl Span {
    /// Takes its parameters and leaves the others.
    pub(super) fn take(params: &mut Params) -> Result<Self, Problem> {
        let device = params.device("device_id")?;
        let from = params.take("from")?.map_or(Ok(0), |text| first_second("from", &text))?;
        let to = params.take("to")?.map_or(Ok(u32::MAX), |text| last_second("to", &text))?;
        if from > to {
            return Err(Problem::parameter("from", "The range ends before it begins."));
        }
        let zone = params.take("tz")?.map_or_else(|| Ok(Zone::utc()), |text| zone(&text))?;
        Ok(Self { device, from, to, zone, settings: settings(params)? })
    }

    /// What the answer repeats of the question.
    pub(super) fn echo(&self) -> Question {
        Question {
            device_id: self.device.to_string(),
            from: self.zone.time(self.from),
            to: self.zone.time(self.to),
            tz: self.zone.name().to_owned(),
            settings: self.settings,
        }
    }

    /// Its parameters, for the API's own description.
    pub(super) fn described() -> Vec<Param> {
        let usual = Settings::default();
        let words = serde_json::json!({"type": "string", "default": "UTC"});
        let tz = Param::query(
            "tz",
            words,
            "The viewer's time zone: `UTC`, an offset such as \
            `+02:00`, or a name such as `Europe/Berlin`. Times are written in it, days begin in it.",
        );
        vec![
            Param::device("device_id", "Whose report."),
            Param::time("from", "First recorded second; all of time if absent."),
            Param::time("to", "Last recorded second, included.").example("2020-07-01T23:59:59Z"),
            tz.example("America/Sao_Paulo"),
            Param::count("motion_kmh", usual.motion_kmh, MOST_MOTION_KMH, "Slower is standing."),
            Param::count(
                "min_distance_m",
                usual.min_distance_m,
                MOST_DISTANCE_M,
                "A trip leads at least this far from its start.",
            ),
            Param::count("min_duration_s", usual.min_duration_s, DAY_S, "And lasts this long."),
            Param::count("stop_s", usual.stop_s, DAY_S, "Standing for this long ends a trip."),
            Param::count("gap_s", usual.gap_s, 7 * DAY_S, "Longer silence says nothing."),
        ]
    }
}

/// What an answer repeats of its question.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Question {
    #[schemars(with = "Device")]
    device_id: String,
    #[schemars(with = "Time")]
    from: String,
    #[schemars(with = "Time")]
    to: String,
    tz: String,
    settings: Settings,
}

/// The documentation of an answer that is computed from a span.
pub(super) fn computed_doc<T: JsonSchema>(
    id: &'static str,
    summary: &'static str,
    example: serde_json::Value,
) -> Doc {
    Doc::new(id, Tag::Reports, summary)
        .takes_all(Span::described())
        .answers(Answer::json::<T>("The question, and what was found; nothing is cut.", example))
        .problems(&[Kind::UnknownDevice, Kind::LiveUnavailable])
}

/// A [`Question`], for examples.
pub(super) fn example_question() -> serde_json::Value {
    serde_json::json!({
        "device_id": "0A3F73",
        "from": "2020-07-01T00:00:00-03:00",
        "to": "2020-07-01T23:59:59-03:00",
        "tz": "America/Sao_Paulo",
        "settings": Settings::default(),
    })
}

/// An example of an answer: the question and what else it holds.
pub(super) fn example_answer(rest: serde_json::Value) -> serde_json::Value {
    let mut answer = example_question();
    if let (Some(answer), serde_json::Value::Object(rest)) = (answer.as_object_mut(), rest) {
        answer.extend(rest);
    }
    answer
}

fn zone(text: &str) -> Result<Zone, Problem> {
    Zone::parse(text).ok_or_else(|| {
        let detail = "Must be UTC, an offset such as +02:00, or a name such as Europe/Berlin.";
        Problem::parameter("tz", detail)
    })
}

fn settings(params: &mut Params) -> Result<Settings, Problem> {
    let usual = Settings::default();
    Ok(Settings {
        motion_kmh: params.count("motion_kmh", usual.motion_kmh, MOST_MOTION_KMH)?,
        min_distance_m: params.count("min_distance_m", usual.min_distance_m, MOST_DISTANCE_M)?,
        min_duration_s: params.count("min_duration_s", usual.min_duration_s, DAY_S)?,
        stop_s: params.count("stop_s", usual.stop_s, DAY_S)?,
        gap_s: params.count("gap_s", usual.gap_s, 7 * DAY_S)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(query: &str) -> Result<Span, Problem> {
        let mut params = Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
        let span = Span::take(&mut params)?;
        params.finish()?;
        Ok(span)
    }

    #[test]
    fn the_question_is_repeated() {
        let span = take("device_id=0a3f73&from=0&to=86399&tz=%2B02:00&stop_s=60").unwrap();
        let expected = json!({
            "device_id": "0A3F73", "from": "1970-01-01T02:00:00+02:00",
            "to": "1970-01-02T01:59:59+02:00", "tz": "+02:00",
            "settings": {"motion_kmh": 5, "min_distance_m": 200, "min_duration_s": 180, "stop_s": 60, "gap_s": 3600},
        });
        assert_eq!(serde_json::to_value(span.echo()).unwrap(), expected);
    }

    #[test]
    fn hostile_parameters_are_named() {
        for (query, name) in [
            ("", "device_id"),
            ("device_id=0A3F73&from=2&to=1", "from"),
            ("device_id=0A3F73&to=tomorrow", "to"),
            ("device_id=0A3F73&tz=Mars/Olympus", "tz"),
            ("device_id=0A3F73&tz=%2B25:00", "tz"),
            ("device_id=0A3F73&motion_kmh=0", "motion_kmh"),
            ("device_id=0A3F73&min_distance_m=-1", "min_distance_m"),
            ("device_id=0A3F73&min_duration_s=86401", "min_duration_s"),
            ("device_id=0A3F73&stop_s=x", "stop_s"),
            ("device_id=0A3F73&gap_s=1e9", "gap_s"),
            ("device_id=0A3F73&limit=5", "limit"),
        ] {
            assert_eq!(take(query).unwrap_err().at_fault(), Some(name), "{query}");
        }
    }
}
