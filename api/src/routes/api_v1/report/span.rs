//! What every computed report is asked for: a device, a range, a time zone, and
//! what counts as moving.

use nemeses_protocol::DeviceId;
use serde_json::{Value, json};

use crate::input::{Params, first_second, last_second};
use crate::problem::Problem;
use crate::reports::{Settings, Zone};

const DAY_S: u32 = 86_400;

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
    pub(super) fn echo(&self) -> Value {
        let Settings { motion_kmh, min_distance_m, min_duration_s, stop_s, gap_s } = self.settings;
        json!({
            "device_id": self.device.to_string(),
            "from": self.zone.time(self.from),
            "to": self.zone.time(self.to),
            "tz": self.zone.name(),
            "settings": {
                "motion_kmh": motion_kmh, "min_distance_m": min_distance_m,
                "min_duration_s": min_duration_s, "stop_s": stop_s, "gap_s": gap_s,
            },
        })
    }
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
        motion_kmh: params.count("motion_kmh", usual.motion_kmh, 100)?,
        min_distance_m: params.count("min_distance_m", usual.min_distance_m, 100_000)?,
        min_duration_s: params.count("min_duration_s", usual.min_duration_s, DAY_S)?,
        stop_s: params.count("stop_s", usual.stop_s, DAY_S)?,
        gap_s: params.count("gap_s", usual.gap_s, 7 * DAY_S)?,
    })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(span.echo(), expected);
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
