//! What every computed report is asked for: devices, a range, a time zone, and
//! what counts as moving.

use std::collections::BTreeMap;

use nemeses_export::FORMS;
use nemeses_protocol::DeviceId;
use nemeses_reports::{Settings, Zone};
use nemeses_store::history::Profile;
use schemars::JsonSchema;
use serde::Serialize;

use super::target::Target;
use crate::access::Principal;
use crate::fleet::FleetState;
use crate::input::{Params, first_second, last_second};
use crate::openapi::{Answer, Device, Doc, Param, Tag, Time};
use crate::problem::{Kind, Problem};

const DAY_S: u32 = 86_400;
const MOST_MOTION_KMH: u32 = 100;
const MOST_DISTANCE_M: u32 = 100_000;

/// What is asked for, before it is known of which devices.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) target: Target,
    from: u32,
    to: u32,
    pub(super) zone: Zone,
    wishes: Wishes,
}

/// Settings that the request names.
#[derive(Clone, Copy, Debug)]
struct Wishes {
    motion_kmh: Option<u32>,
    stop_s: Option<u32>,
    /// With the usual ones where it names none.
    all: Settings,
}

/// One device's part.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) device: DeviceId,
    /// As it is written in answers.
    pub(super) device_id: String,
    /// Of its profile; empty where there is none.
    pub(super) name: String,
    /// First recorded second.
    pub(super) from: u32,
    /// Last recorded second.
    pub(super) to: u32,
    pub(super) zone: Zone,
    pub(super) settings: Settings,
}

impl Asked {
    /// Takes its parameters and leaves the others.
    pub(super) fn take(params: &mut Params) -> Result<Self, Problem> {
        let target = Target::take(params)?;
        let from = params.take("from")?.map_or(Ok(0), |text| first_second("from", &text))?;
        let to = params.take("to")?.map_or(Ok(u32::MAX), |text| last_second("to", &text))?;
        if from > to {
            return Err(Problem::parameter("from", "The range ends before it begins."));
        }
        let zone = zone(params)?;
        Ok(Self { target, from, to, zone, wishes: wishes(params)? })
    }

    /// The silence that says nothing; no profile changes it.
    pub(super) const fn gap_s(&self) -> u32 {
        self.wishes.all.gap_s
    }

    /// One span for each device, with the settings of its profile where the request
    /// names none.
    pub(super) async fn spans(
        &self,
        state: &FleetState,
        principal: &Principal,
    ) -> Result<Vec<Span>, Problem> {
        let from = principal.history_from(self.from, self.to)?;
        let devices = self.target.devices(state, principal).await?;
        let span = |(device, profile): (DeviceId, Option<Profile>)| {
            let (to, zone) = (self.to, self.zone.clone());
            let settings = self.settings(profile.as_ref());
            let name = profile.map(|profile| profile.name).unwrap_or_default();
            let device_id = state.written(device);
            Span { device, device_id, name, from, to, zone, settings }
        };
        Ok(devices.into_iter().map(span).collect())
    }

    fn settings(&self, profile: Option<&Profile>) -> Settings {
        let Wishes { motion_kmh, stop_s, all } = self.wishes;
        let of_profile = |of: fn(&Profile) -> Option<u32>| profile.and_then(of);
        let motion_kmh = motion_kmh.or_else(|| of_profile(|profile| profile.motion_kmh));
        let stop_s = stop_s.or_else(|| of_profile(|profile| profile.stop_s));
        Settings {
            motion_kmh: motion_kmh.unwrap_or(all.motion_kmh),
            stop_s: stop_s.unwrap_or(all.stop_s),
            ..all
        }
    }

    /// What the answer repeats of the question.
    pub(super) fn echo(&self, spans: &[Span]) -> Question {
        let id = |span: &Span| span.device_id.clone();
        let one = self.target.one().and(spans.first());
        let settings = one.map_or_else(|| self.settings(None), |span| span.settings);
        let other = spans.iter().filter(|span| span.settings != settings);
        Question {
            device_id: one.map(id),
            device_ids: one.is_none().then(|| spans.iter().map(id).collect()),
            // A link may show less than was asked for.
            from: self.zone.time(spans.first().map_or(self.from, |span| span.from)),
            to: self.zone.time(self.to),
            tz: self.zone.name().to_owned(),
            settings,
            own_settings: other.map(|span| (id(span), span.settings)).collect(),
        }
    }

    /// Its parameters, for the API's own description.
    pub(super) fn described() -> Vec<Param> {
        let usual = Settings::default();
        let mut parameters = Target::described().to_vec();
        parameters.extend([
            Param::time("from", "First recorded second; all of time if absent."),
            Param::time("to", "Last recorded second, included.").example("2020-07-01T23:59:59Z"),
            tz_described(),
            Param::choice("format", &FORMS, "Goes before the header `Accept`."),
            Param::count(
                "motion_kmh",
                usual.motion_kmh,
                MOST_MOTION_KMH,
                "Slower is standing; else the profile says.",
            ),
            Param::count(
                "min_distance_m",
                usual.min_distance_m,
                MOST_DISTANCE_M,
                "A trip leads at least this far from its start.",
            ),
            Param::count("min_duration_s", usual.min_duration_s, DAY_S, "And lasts this long."),
            Param::count(
                "stop_s",
                usual.stop_s,
                DAY_S,
                "Standing for this long ends a trip; else the profile says.",
            ),
            Param::count("gap_s", usual.gap_s, 7 * DAY_S, "Longer silence says nothing."),
        ]);
        parameters
    }
}

/// `tz`, for the API's own description.
pub(in crate::routes::api_v1) fn tz_described() -> Param {
    let words = serde_json::json!({"type": "string", "default": "UTC"});
    let about = "The viewer's time zone: `UTC`, an offset such as `+02:00`, or a name such as \
        `Europe/Berlin`. Times are written in it, days begin in it.";
    Param::query("tz", words, about).example("America/Sao_Paulo")
}

/// What an answer repeats of its question.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Question {
    /// Where one was asked for.
    #[schemars(with = "Option<Device>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    /// Where several were asked for, or a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_ids: Option<Vec<String>>,
    #[schemars(with = "Time")]
    from: String,
    #[schemars(with = "Time")]
    to: String,
    tz: String,
    settings: Settings,
    /// Those of devices whose profiles say otherwise, by device.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    own_settings: BTreeMap<String, Settings>,
}

/// The documentation of an answer that is computed from a span.
pub(super) fn computed_doc<T: JsonSchema>(
    id: &'static str,
    summary: &'static str,
    example: serde_json::Value,
) -> Doc {
    Doc::new(id, Tag::Reports, summary)
        .takes_all(Asked::described())
        .answers(
            Answer::json::<T>("The question, and what was found; nothing is cut.", example)
                .or_json::<serde_json::Map<String, serde_json::Value>>(
                    nemeses_export::Form::GeoJson.content_type(),
                    serde_json::json!({"type": "FeatureCollection", "features": [], "count": 0}),
                )
                .or_files("device_id,start,end,duration_s\r\n")
                .header("Content-Disposition", "A file name, for forms that people keep as files."),
        )
        .problems(&[
            Kind::UnknownDevice,
            Kind::UnknownGroup,
            Kind::LiveUnavailable,
            Kind::TooManyAtOnce,
        ])
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

/// The viewer's time zone.
pub(in crate::routes::api_v1) fn zone(params: &mut Params) -> Result<Zone, Problem> {
    let Some(text) = params.take("tz")? else { return Ok(Zone::utc()) };
    Zone::parse(&text).ok_or_else(|| {
        let detail = "Must be UTC, an offset such as +02:00, or a name such as Europe/Berlin.";
        Problem::parameter("tz", detail)
    })
}

fn wishes(params: &mut Params) -> Result<Wishes, Problem> {
    let usual = Settings::default();
    // 0 is no answer, so it stands for none.
    let mut maybe = |name, most| params.count(name, 0, most).map(|n| (n > 0).then_some(n));
    let (motion_kmh, stop_s) = (maybe("motion_kmh", MOST_MOTION_KMH)?, maybe("stop_s", DAY_S)?);
    let all = Settings {
        min_distance_m: params.count("min_distance_m", usual.min_distance_m, MOST_DISTANCE_M)?,
        min_duration_s: params.count("min_duration_s", usual.min_duration_s, DAY_S)?,
        gap_s: params.count("gap_s", usual.gap_s, 7 * DAY_S)?,
        ..usual
    };
    Ok(Wishes { motion_kmh, stop_s, all })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(query: &str) -> Result<Asked, Problem> {
        let mut params = Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
        let asked = Asked::take(&mut params)?;
        params.finish()?;
        Ok(asked)
    }

    fn spanned(asked: &Asked, profile: Option<&Profile>) -> Span {
        let (from, to, zone) = (asked.from, asked.to, asked.zone.clone());
        Span {
            device: DeviceId::new(0x0A_3F73),
            device_id: "0A3F73".to_owned(),
            name: String::new(),
            from,
            to,
            zone,
            settings: asked.settings(profile),
        }
    }

    #[test]
    fn the_request_goes_before_the_profile() {
        let mut profile = Profile::new(DeviceId::new(0x0A_3F73), 0);
        (profile.motion_kmh, profile.stop_s) = (Some(9), Some(60));
        let settings = |query: &str| {
            let Settings { motion_kmh, stop_s, .. } = take(query).unwrap().settings(Some(&profile));
            (motion_kmh, stop_s)
        };
        assert_eq!(settings("device_id=0A3F73"), (9, 60));
        assert_eq!(settings("device_id=0A3F73&motion_kmh=3"), (3, 60));
        let many = take("device_ids=0A3F73&stop_s=90").unwrap();
        let echo = many.echo(&[spanned(&many, Some(&profile))]);
        assert_eq!(echo.own_settings["0A3F73"].motion_kmh, 9);
        assert_eq!((echo.settings.stop_s, echo.device_id), (90, None));
    }

    #[test]
    fn the_question_is_repeated() {
        let asked = take("device_id=0a3f73&from=0&to=86399&tz=%2B02:00&stop_s=60").unwrap();
        let expected = json!({
            "device_id": "0A3F73", "from": "1970-01-01T02:00:00+02:00",
            "to": "1970-01-02T01:59:59+02:00", "tz": "+02:00",
            "settings": {"motion_kmh": 5, "min_distance_m": 200, "min_duration_s": 180, "stop_s": 60, "gap_s": 3600},
        });
        assert_eq!(serde_json::to_value(asked.echo(&[spanned(&asked, None)])).unwrap(), expected);
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
