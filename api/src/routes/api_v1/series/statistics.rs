//! `GET /api/v1/series/statistics`: what series say over a range: means, changes, falls, how
//! alike they move, and which have the most of something.

use axum::response::Response;
use nemeses_reports::Zone;
use nemeses_reports::number::time_ms;
use nemeses_series::{
    Aggregate, CalendarUnit, Combine, Fall, MAX_CORRELATED, Measure, Returns, Statistics, Step,
    Windows, combined, correlations, returns, top,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::query::{Range, Whose, aggregates, step};
use super::read::{Reader, by_window};
use super::select::{OfDevice, Selected, select};
use super::{as_ms, selecting, suited, windows};
use crate::access::Principal;
use crate::fleet::ForReports;
use crate::input::Params;
use crate::openapi::{Answer, Device, Doc, Param, Tag, Time};
use crate::output::{self, time_s};
use crate::problem::{Kind, Problem, fault};
use crate::routes::api_v1::report::{tz_described, zone};

/// 30 days.
const USUAL_S: u32 = 30 * 86_400;
/// Windows of all series together: 16 MB.
const MAX_CELLS: usize = 1_000_000;
/// Ranked at most, of those that there are.
const MAX_TOP: u32 = 200;

const RETURNS: [(&str, Returns); 2] = [("log", Returns::Log), ("simple", Returns::Simple)];
const CORRELATED: [(&str, Correlated); 3] = [
    ("returns", Correlated::Returns),
    ("levels", Correlated::Levels),
    ("none", Correlated::Nothing),
];

const COMBINED: [(&str, Option<Combine>); 3] =
    [("none", None), ("sum", Some(Combine::Sum)), ("mean", Some(Combine::Mean))];

/// What the matrix is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Correlated {
    Returns,
    Levels,
    Nothing,
}

#[derive(Debug)]
struct Query {
    whose: Whose,
    channels: String,
    range: Range,
    step: Step,
    aggregates: Vec<Aggregate>,
    returns: Returns,
    correlated: Correlated,
    combine: Option<Combine>,
    by: Measure,
    top: u32,
    zone: Zone,
}

impl Query {
    fn read(mut params: Params) -> Result<Self, Problem> {
        let usual = Step::Calendar { count: 1, unit: CalendarUnit::Day };
        let query = Self {
            whose: Whose::take(&mut params)?,
            channels: params.require("channel")?,
            range: Range::take(&mut params)?,
            step: step(&mut params, usual)?,
            aggregates: aggregate(&mut params)?,
            returns: params.choice("returns", &RETURNS, Returns::Log)?,
            correlated: params.choice("correlations", &CORRELATED, Correlated::Returns)?,
            combine: params.choice("combine", &COMBINED, None)?,
            by: by(&mut params)?,
            top: params.count("top", 10, MAX_TOP)?,
            zone: zone(&mut params)?,
        };
        params.finish()?;
        Ok(query)
    }
}

/// At most one, since statistics are of one number a window.
fn aggregate(params: &mut Params) -> Result<Vec<Aggregate>, Problem> {
    let found = params.take("agg")?.map(|text| aggregates(&text)).transpose()?;
    match found {
        Some(found) if found.len() > 1 => Err(Problem::parameter("agg", "One at a time.")),
        found => Ok(found.unwrap_or_default()),
    }
}

fn by(params: &mut Params) -> Result<Measure, Problem> {
    params.choice("by", &Measure::ALL.map(|measure| (measure.as_str(), measure)), Measure::Change)
}

/// A fall from a peak to the lowest point after it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SeriesFall")]
struct ShownFall {
    /// Beginning of the peak's window.
    #[schemars(with = "Time")]
    peak_at: String,
    peak: f64,
    /// Beginning of the lowest point's window.
    #[schemars(with = "Time")]
    low_at: String,
    low: f64,
    amount: f64,
    /// Of the peak; null where that is not above 0.
    share: Option<f64>,
}

impl From<Fall> for ShownFall {
    fn from(fall: Fall) -> Self {
        let at = |ms: i64| time_ms(ms.max(0).cast_unsigned());
        Self {
            peak_at: at(fall.peak_ms),
            peak: fall.peak,
            low_at: at(fall.low_ms),
            low: fall.low,
            amount: fall.amount(),
            share: Some(fall.share()).filter(|share| fall.peak > 0.0 && share.is_finite()),
        }
    }
}

/// Statistics of one series; what too few numbers say nothing of is null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SeriesStatistics")]
struct OfSeries {
    #[schemars(with = "Device")]
    device_id: String,
    channel: String,
    unit: Option<String>,
    kind: &'static str,
    /// What a window's number is.
    aggregate: &'static str,
    #[serde(flatten)]
    statistics: Shown,
}

/// What the numbers of a series say.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StatisticsOfNumbers")]
struct Shown {
    /// Windows that have a number.
    count: usize,
    mean: Option<f64>,
    /// Standard deviation of the numbers (sample).
    stddev: Option<f64>,
    /// From the first number to the last; of a counter the sum of its increases.
    change: Option<f64>,
    /// The change as a share of the first number, if that is above 0.
    change_share: Option<f64>,
    /// By what share it would change in a year at the same rate, compounded.
    annualised_change: Option<f64>,
    /// Standard deviation (sample) of the returns, scaled to a year.
    volatility: Option<f64>,
    /// The greatest fall by amount.
    greatest_fall: Option<ShownFall>,
    /// The greatest fall as a share of its peak; only of series that are never below 0.
    greatest_drawdown: Option<ShownFall>,
}

/// A channel of several devices as one series.
#[derive(Debug, Serialize, JsonSchema)]
struct CombinedSeries {
    channel: String,
    /// Null where the devices have several.
    unit: Option<String>,
    /// What a window's number is, of each device.
    aggregate: &'static str,
    /// Devices that have the channel.
    devices: usize,
    #[serde(flatten)]
    statistics: Shown,
}

/// How alike the series move.
#[derive(Debug, Serialize, JsonSchema)]
struct CorrelationMatrix {
    /// Of what: `returns` or `levels`.
    of: &'static str,
    /// A row and a column for each of `series`: -1 to 1, null where fewer than three windows
    /// have both numbers or one does not change.
    matrix: Vec<Vec<Option<f64>>>,
}

/// Which have the most.
#[derive(Debug, Serialize, JsonSchema)]
struct Ranking {
    by: &'static str,
    /// Places in `series`, the greatest first; those without the measure are left out.
    places: Vec<usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SeriesStatisticsAnswer")]
struct Answered {
    #[schemars(with = "Time")]
    from: String,
    #[schemars(with = "Time")]
    to: String,
    step: String,
    series: Vec<OfSeries>,
    count: usize,
    /// The sum or the mean over the devices, a series for each channel, where that was asked
    /// for. A window's number is of the devices that have one; of levels those that have none
    /// count with their last one.
    combined: Vec<CombinedSeries>,
    /// Null where none was asked for, and of more than 64 series.
    correlations: Option<CorrelationMatrix>,
    top: Ranking,
}

/// A series' windows, and what they say.
struct Computed {
    numbers: Vec<Option<f64>>,
    aggregate: Aggregate,
    statistics: Statistics,
    shown: OfSeries,
}

pub(crate) async fn get(
    principal: Principal,
    ForReports(state): ForReports,
    params: Params,
) -> Result<Response, Problem> {
    let query = Query::read(params)?;
    let (from, to) = query.range.seconds(state.clock.now_s(), USUAL_S)?;
    let from = principal.history_from(from, to)?;
    let of = select(&state, &principal, &query.whose, &[&query.channels]).await?;
    let windows = windows(as_ms((from, to)), query.step, &query.zone)?;
    let count: usize = of.iter().map(|of| of.channels.len()).sum();
    if count.saturating_mul(windows.len()) > MAX_CELLS {
        let detail = format!(
            "{count} series have more than {MAX_CELLS} windows of {}: choose a longer step, a shorter range, or fewer series.",
            windows.step()
        );
        return Err(Problem::parameter("step", detail));
    }
    let turn = state.turns.take(state.reader).await;
    let (mut reader, mut computed) = (Reader::new(&state), Vec::with_capacity(count));
    for of in &of {
        let aggregates = suited(of, &query.aggregates);
        let done = by_window(&mut reader, of, &windows, &aggregates).await?;
        for ((channel, aggregates), done) in of.channels.iter().zip(&aggregates).zip(done) {
            let (numbers, aggregate) = (done.numbers(0), aggregates[0]);
            let kind = channel.kind();
            // A window's change has no beginning to count from again.
            let kind = if of_levels(aggregate) { kind } else { nemeses_series::Kind::Gauge };
            let statistics = Statistics::of(windows.starts_ms(), &numbers, kind, query.returns);
            let shown = OfSeries::new(of, channel, aggregate, &statistics);
            computed.push(Computed { numbers, aggregate, statistics, shown });
        }
    }
    drop(turn);
    let measures: Vec<Option<f64>> =
        computed.iter().map(|one| query.by.of(&one.statistics)).collect();
    let most = usize::try_from(query.top).unwrap_or(usize::MAX);
    output::json(&Answered {
        from: time_s(from),
        to: time_s(to),
        step: windows.step().to_string(),
        combined: query
            .combine
            .map(|by| over_devices(&computed, by, &windows, query.returns))
            .unwrap_or_default(),
        correlations: matrix(&query, &computed)?,
        top: Ranking { by: query.by.as_str(), places: top(&measures, most) },
        count: computed.len(),
        series: computed.into_iter().map(|one| one.shown).collect(),
    })
}

/// Whether an aggregate of a counter is a reading of it.
const fn of_levels(aggregate: Aggregate) -> bool {
    !matches!(
        aggregate,
        Aggregate::Rate | Aggregate::Delta | Aggregate::Count | Aggregate::Sum | Aggregate::Stddev
    )
}

/// Each channel's series of all devices as one, in the order of the channels.
fn over_devices(
    computed: &[Computed],
    by: Combine,
    windows: &Windows,
    returns: Returns,
) -> Vec<CombinedSeries> {
    let mut channels: Vec<&str> = Vec::new();
    for one in computed {
        if !channels.contains(&one.shown.channel.as_str()) {
            channels.push(&one.shown.channel);
        }
    }
    let combine = |channel: &str| {
        let of = |one: &&Computed| one.shown.channel == channel;
        let of: Vec<&Computed> = computed.iter().filter(of).collect();
        let first = of.first()?;
        let numbers: Vec<&[Option<f64>]> = of.iter().map(|one| &*one.numbers).collect();
        let numbers = combined(&numbers, by, of_levels(first.aggregate));
        // A sum of counters does not begin anew when one of them does.
        let kind = nemeses_series::Kind::Gauge;
        let statistics = Statistics::of(windows.starts_ms(), &numbers, kind, returns);
        let same = of.iter().all(|one| one.shown.unit == first.shown.unit);
        Some(CombinedSeries {
            channel: channel.to_owned(),
            unit: first.shown.unit.clone().filter(|_| same),
            aggregate: first.shown.aggregate,
            devices: of.len(),
            statistics: (&statistics).into(),
        })
    };
    channels.into_iter().filter_map(combine).collect()
}

fn matrix(query: &Query, computed: &[Computed]) -> Result<Option<CorrelationMatrix>, Problem> {
    let of = match query.correlated {
        Correlated::Returns => "returns",
        Correlated::Levels => "levels",
        Correlated::Nothing => return Ok(None),
    };
    if computed.len() > MAX_CORRELATED {
        return Ok(None);
    }
    let series: Vec<Vec<Option<f64>>> = computed
        .iter()
        .map(|one| match query.correlated {
            Correlated::Returns => returns(&one.numbers, query.returns),
            _ => one.numbers.clone(),
        })
        .collect();
    let matrix = correlations(&series).map_err(|error| fault(&error))?;
    Ok(Some(CorrelationMatrix { of, matrix }))
}

impl OfSeries {
    fn new(
        of: &OfDevice,
        channel: &Selected,
        aggregate: Aggregate,
        statistics: &Statistics,
    ) -> Self {
        Self {
            device_id: of.device_id.clone(),
            channel: channel.name.clone(),
            unit: channel.unit(),
            kind: channel.kind().as_str(),
            aggregate: aggregate.as_str(),
            statistics: statistics.into(),
        }
    }
}

impl From<&Statistics> for Shown {
    fn from(statistics: &Statistics) -> Self {
        Self {
            count: statistics.count,
            mean: statistics.mean,
            stddev: statistics.stddev,
            change: statistics.change,
            change_share: statistics.change_share,
            annualised_change: statistics.annualised_change,
            volatility: statistics.volatility,
            greatest_fall: statistics.greatest_fall.map(Into::into),
            greatest_drawdown: statistics.greatest_drawdown.map(Into::into),
        }
    }
}

pub(crate) fn doc() -> Doc {
    let fall = json!({
        "peak_at": "2020-06-10T00:00:00Z", "peak": 120.0, "low_at": "2020-06-20T00:00:00Z",
        "low": 90.0, "amount": 30.0, "share": 0.25,
    });
    let example = json!({
        "from": "2020-06-01T00:00:00Z", "to": "2020-07-01T00:00:00Z", "step": "1d",
        "series": [{
            "device_id": "id:acme", "channel": "price", "unit": null, "kind": "gauge",
            "aggregate": "mean", "count": 30, "mean": 105.5, "stddev": 8.1, "change": 10.0,
            "change_share": 0.1, "annualised_change": 2.3, "volatility": 0.4,
            "greatest_fall": fall, "greatest_drawdown": fall,
        }],
        "count": 1,
        "combined": [],
        "correlations": {"of": "returns", "matrix": [[1.0]]},
        "top": {"by": "change", "places": [0]},
    });
    let text = |longest: usize| json!({"type": "string", "minLength": 1, "maxLength": longest});
    let steps = "The length of a window, 1d if nothing is said: a number of ms, s, m, h, d, w, mo or y, or auto.";
    let about = "Each series is a number a window; gaps are bridged. At most 200 series of 10000 windows, and 1000000 windows in all.";
    let by = Measure::ALL.map(|measure| (measure.as_str(), measure));
    Doc::new("getSeriesStatistics", Tag::Reports, "Statistics of series")
        .about(about)
        .takes_all(selecting())
        .takes(Param::query("step", text(20), steps).example("1d"))
        .takes(
            Param::query(
                "agg",
                text(20),
                "What a window's number is; by default what suits the channel's kind.",
            )
            .example("mean"),
        )
        .takes(Param::choice(
            "returns",
            &RETURNS,
            "How a return from one number to the next is computed.",
        ))
        .takes(Param::choice("correlations", &CORRELATED, "Of what the matrix of correlations is."))
        .takes(Param::choice(
            "combine",
            &COMBINED,
            "Whether each channel is also one series over all devices, and how.",
        ))
        .takes(
            Param::query(
                "by",
                json!({"type": "string", "enum": by.map(|(word, _)| word), "default": "change"}),
                "The measure of the ranking.",
            )
            .example("change"),
        )
        .takes(Param::count("top", 10, MAX_TOP, "Series in the ranking at most."))
        .takes(tz_described())
        .answers(Answer::json::<Answered>("What the series say.", example))
        .problems(&[Kind::UnknownDevice, Kind::UnknownGroup])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Query, Problem> {
        Query::read(Params::of(&format!("/?{query}").parse().unwrap()).unwrap())
    }

    #[test]
    fn what_is_asked_for_and_what_cannot_be() {
        let query = read("group=7&channel=price&by=volatility&returns=simple&top=3").unwrap();
        assert_eq!((query.by, query.returns, query.top), (Measure::Volatility, Returns::Simple, 3));
        assert_eq!(query.step.to_string(), "1d");
        for (query, name) in [
            ("channel=t", "device_id"),
            ("group=7", "channel"),
            ("group=7&channel=t&agg=mean,max", "agg"),
            ("group=7&channel=t&step=raw", "step"),
            ("group=7&channel=t&by=size", "by"),
            ("group=7&channel=t&top=0", "top"),
            ("group=7&channel=t&returns=none", "returns"),
            ("group=7&channel=t&correlations=all", "correlations"),
            ("group=7&channel=t&combine=product", "combine"),
            ("group=7&channel=t&format=csv", "format"),
        ] {
            assert_eq!(read(query).unwrap_err().at_fault(), Some(name), "{query}");
        }
    }
}
