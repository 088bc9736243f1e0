//! What is asked of series: whose, which channels, when, and in which form. Pure.

use nemeses_export::Form;
use nemeses_protocol::DeviceId;
use nemeses_reports::Zone;
use nemeses_series::{Aggregate, MAX_DRAWN_POINTS, MIN_DRAWN_POINTS, SeriesError, Step};

use super::MAX_VALUES;
use crate::input::{Params, first_second, last_second};
use crate::problem::Problem;
use crate::routes::api_v1::report::zone;

const DAY_S: u32 = 86_400;

/// Whose series; exactly one of the three is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// In order, each once.
    Devices(Vec<DeviceId>),
    Group(u64),
    Tag(String),
}

impl Whose {
    pub(super) fn take(params: &mut Params) -> Result<Self, Problem> {
        let (devices, group) = (params.devices("device_id")?, params.number("group")?);
        match (devices, group, params.take("tag")?) {
            (Some(devices), None, None) => Ok(Self::Devices(devices)),
            (None, Some(group), None) => Ok(Self::Group(group)),
            (None, None, Some(tag)) => Ok(Self::Tag(tag)),
            (None, None, None) => Err(Problem::parameter("device_id", "Missing.")),
            (_, Some(_), _) => Err(twice("group")),
            (_, _, Some(_)) => Err(twice("tag")),
        }
    }
}

fn twice(name: &'static str) -> Problem {
    Problem::parameter(name, "Give one of device_id, group and tag.")
}

/// From when to when, as far as it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    from: Option<u32>,
    to: Option<u32>,
}

impl Range {
    pub(super) fn take(params: &mut Params) -> Result<Self, Problem> {
        Ok(Self {
            from: params.take("from")?.map(|text| first_second("from", &text)).transpose()?,
            to: params.take("to")?.map(|text| last_second("to", &text)).transpose()?,
        })
    }

    /// First and last second; so many seconds when no beginning is said.
    pub(super) fn seconds(self, now_s: u32, usual_s: u32) -> Result<(u32, u32), Problem> {
        let to = self.to.unwrap_or(now_s.max(self.from.unwrap_or(0)));
        let from = self.from.unwrap_or(to.saturating_sub(usual_s));
        if from > to {
            return Err(Problem::parameter("from", "The range ends before it begins."));
        }
        Ok((from, to))
    }
}

/// What becomes of the values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// As they came.
    Raw,
    /// So many of the newest, as they came.
    Last(usize),
    /// Those that draw the same line.
    Drawn { points: usize, longest_gap_ms: Option<i64> },
    /// By windows; without aggregates those that suit the channel.
    Windows { step: Step, aggregates: Vec<Aggregate>, gaps: bool },
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct SeriesQuery {
    pub(super) whose: Whose,
    /// A channel's name, or several with commas between them.
    pub(super) channels: String,
    pub(super) range: Range,
    pub(super) shape: Shape,
    pub(super) zone: Zone,
    pub(super) form: Form,
}

const GAPS: [(&str, bool); 2] = [("true", true), ("false", false)];

impl SeriesQuery {
    pub(crate) fn read(mut params: Params, accepted: Form) -> Result<Self, Problem> {
        let query = Self {
            whose: Whose::take(&mut params)?,
            channels: params.require("channel")?,
            range: Range::take(&mut params)?,
            shape: shape(&mut params)?,
            zone: zone(&mut params)?,
            form: params.choice("format", &nemeses_export::FORMS, accepted)?,
        };
        if matches!(query.shape, Shape::Last(_)) && query.range.from.is_some() {
            return Err(Problem::parameter("last_n", "Give this or from, not both."));
        }
        params.finish()?;
        Ok(query)
    }

    /// First and last second; the last day when nothing is said, and all of the past for the
    /// newest values.
    pub(super) fn seconds(&self, now_s: u32) -> Result<(u32, u32), Problem> {
        let usual_s = if matches!(self.shape, Shape::Last(_)) { u32::MAX } else { DAY_S };
        self.range.seconds(now_s, usual_s)
    }
}

fn shape(params: &mut Params) -> Result<Shape, Problem> {
    let step = params.take("step")?;
    let aggregates = params.take("agg")?.map(|text| aggregates(&text)).transpose()?;
    let last = params.take("last_n")?;
    let last = last.map(|text| count("last_n", &text, 1, MAX_VALUES)).transpose()?;
    let points = params.take("points")?;
    let gaps = params.choice("gaps", &GAPS, true)?;
    let longest =
        params.take("longest_gap")?.map(|text| fixed("longest_gap", &text)).transpose()?;
    if longest.is_some() && points.is_none() {
        return Err(Problem::parameter("longest_gap", "Goes with points only."));
    }
    let raw = match (last, points) {
        (None, None) if step.as_deref() != Some("raw") => None,
        (None, None) => Some(Shape::Raw),
        (Some(last), None) => Some(Shape::Last(last)),
        (None, Some(text)) => {
            let points = count("points", &text, MIN_DRAWN_POINTS, MAX_DRAWN_POINTS)?;
            Some(Shape::Drawn { points, longest_gap_ms: longest })
        }
        (Some(_), Some(_)) => {
            return Err(Problem::parameter("points", "Give this or last_n, not both."));
        }
    };
    let Some(raw) = raw else {
        let step = step.as_deref().map_or(Ok(Step::Auto), of_text)?;
        let aggregates = aggregates.unwrap_or_default();
        return Ok(Shape::Windows { step, aggregates, gaps });
    };
    if step.is_some_and(|step| step != "raw") {
        let detail = "Leave it out, or say raw: last_n and points are of the values as they came.";
        return Err(Problem::parameter("step", detail));
    }
    if aggregates.is_some() {
        let detail = "Values as they came have no aggregates: leave agg out, or choose a step.";
        return Err(Problem::parameter("agg", detail));
    }
    Ok(raw)
}

fn count(name: &'static str, text: &str, least: usize, most: usize) -> Result<usize, Problem> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(count) if digits && (least..=most).contains(&count) => Ok(count),
        _ => {
            Err(Problem::parameter(name, format!("Must be a whole number from {least} to {most}.")))
        }
    }
}

fn of_text(text: &str) -> Result<Step, Problem> {
    let wrong = |error: SeriesError| {
        Problem::parameter("step", format!("Must be raw, or a step: {error}."))
    };
    text.parse().map_err(wrong)
}

/// A step that is not the calendar's, in milliseconds.
fn fixed(name: &'static str, text: &str) -> Result<i64, Problem> {
    match text.parse() {
        Ok(Step::Fixed { ms }) => Ok(i64::from(ms)),
        _ => Err(Problem::parameter(name, "Must be a number of ms, s, m or h such as 15m.")),
    }
}

/// A step for windows, which has to be one.
pub(super) fn step(params: &mut Params, usual: Step) -> Result<Step, Problem> {
    params.take("step")?.as_deref().map_or(Ok(usual), of_text)
}

pub(super) fn aggregates(text: &str) -> Result<Vec<Aggregate>, Problem> {
    let mut aggregates = Vec::new();
    for word in text.split(',') {
        let aggregate: Aggregate = word.trim().parse().map_err(|_| {
            let words: Vec<&str> = Aggregate::ALL.into_iter().map(Aggregate::as_str).collect();
            Problem::parameter("agg", format!("Must be some of {}.", words.join(", ")))
        })?;
        if !aggregates.contains(&aggregate) {
            aggregates.push(aggregate);
        }
    }
    Ok(aggregates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<SeriesQuery, Problem> {
        let params = Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
        SeriesQuery::read(params, Form::Json)
    }

    #[test]
    fn what_is_asked_for() {
        let query =
            read("device_id=0A3F73&channel=t&step=1d&agg=min,max,min&tz=Europe/Berlin&gaps=false");
        let query = query.unwrap();
        let Shape::Windows { aggregates, gaps: false, .. } = &query.shape else {
            panic!("{query:?}")
        };
        assert_eq!(aggregates, &[Aggregate::Min, Aggregate::Max]);
        assert_eq!(query.seconds(100_000).unwrap(), (13_600, 100_000));
        for (query, shape) in [
            ("step=raw", Shape::Raw),
            ("last_n=5", Shape::Last(5)),
            ("last_n=5&step=raw", Shape::Last(5)),
            ("points=400", Shape::Drawn { points: 400, longest_gap_ms: None }),
            ("points=4&longest_gap=15m", Shape::Drawn { points: 4, longest_gap_ms: Some(900_000) }),
        ] {
            let read = read(&format!("group=7&channel=t&{query}")).unwrap();
            assert_eq!((read.whose, read.shape), (Whose::Group(7), shape), "{query}");
        }
        let last = read("tag=cold&channel=t&last_n=5").unwrap();
        assert_eq!((last.seconds(9).unwrap(), last.whose), ((0, 9), Whose::Tag("cold".to_owned())));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (query, name) in [
            ("", "device_id"),
            ("device_id=0A3F73", "channel"),
            ("device_id=0A3F73&group=1&channel=t", "group"),
            ("device_id=0A3F73&tag=x&channel=t", "tag"),
            ("device_id=0A3F73&channel=t&step=often", "step"),
            ("device_id=0A3F73&channel=t&agg=average", "agg"),
            ("device_id=0A3F73&channel=t&step=raw&agg=mean", "agg"),
            ("device_id=0A3F73&channel=t&last_n=5&agg=mean", "agg"),
            ("device_id=0A3F73&channel=t&last_n=5&step=1h", "step"),
            ("device_id=0A3F73&channel=t&last_n=0", "last_n"),
            ("device_id=0A3F73&channel=t&last_n=5&from=7", "last_n"),
            ("device_id=0A3F73&channel=t&last_n=5&points=7", "points"),
            ("device_id=0A3F73&channel=t&points=3", "points"),
            ("device_id=0A3F73&channel=t&points=30&longest_gap=1mo", "longest_gap"),
            ("device_id=0A3F73&channel=t&longest_gap=1m", "longest_gap"),
            ("device_id=0A3F73&channel=t&gaps=no", "gaps"),
            ("device_id=0A3F73&channel=t&format=word", "format"),
            ("device_id=0A3F73&channel=t&from=yesterday", "from"),
            ("device_id=0A3F73&channel=t&tz=Mars", "tz"),
            ("device_id=0A3F73&channel=t&window=3", "window"),
        ] {
            assert_eq!(read(query).err().unwrap().at_fault(), Some(name), "{query}");
        }
        let query = read("device_id=0A3F73&channel=t&from=9&to=8").unwrap();
        assert_eq!(query.seconds(10).unwrap_err().at_fault(), Some("from"));
    }
}
