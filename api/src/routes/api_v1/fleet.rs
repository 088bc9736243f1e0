//! `GET /api/v1/fleet/summary`: sums of many devices over many days, from the
//! daily table. Says as of when it holds and what is not in it yet.

use std::collections::HashMap;
use std::future::Future;

use axum::extract::State;
use axum::response::Response;
use jiff::ToSpan as _;
use jiff::civil::Date;
use nemeses_protocol::{DeviceId, DeviceNames};
use nemeses_reports::{RULES, Tally, hour_meter_run_min};
use nemeses_store::history::{DaySums, DayTotal, FleetTotals};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::devices::must_see_group;
use crate::access::{Principal, unknown_device};
use crate::daily::{speed, tally_of};
use crate::fleet::{Fleet, FleetState, Member, fleet};
use crate::input::{DeviceCursor, Params};
use crate::openapi::{Answer, Device, Doc, Param, Tag, Time};
use crate::output::{self, Sums, example_sums, time_s};
use crate::problem::{Kind, Problem};

const DAY_S: u32 = 86_400;
/// Days shown unless `from` says otherwise.
const USUAL_DAYS: u32 = 30;
/// Days of one request: 10 000 devices have 3.7 million rows of 150 bytes a year,
/// of which some thousand devices' are held at a time.
const MAX_DAYS: u32 = 366;
/// A device's line is some 400 bytes: an answer has 4 MB at most.
const DEFAULT_LIMIT: u32 = 1000;
const MAX_LIMIT: u32 = 10_000;
/// Devices whose days are read at a time: 1000 x 366 x 200 bytes are 73 MB at worst.
const DEVICES_AT_ONCE: usize = 1000;
/// And at least, for not all devices have days.
const DEVICES_AT_LEAST: usize = 50;

struct Query {
    from_day: u32,
    to_day: u32,
    devices: Option<Vec<DeviceId>>,
    group: Option<u64>,
    limit: usize,
    after: Option<DeviceId>,
}

impl Query {
    fn read(mut params: Params, now_s: u32) -> Result<Self, Problem> {
        let day = |name, text: String| day_of(name, &text);
        let to_day = params.take("to")?.map_or(Ok(now_s / DAY_S), |text| day("to", text))?;
        let usual = to_day.saturating_sub(USUAL_DAYS - 1);
        let from_day = params.take("from")?.map_or(Ok(usual), |text| day("from", text))?;
        let (devices, group) = (params.devices("device_ids")?, params.number("group")?);
        let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let after = params.take("cursor")?.map(|text| DeviceCursor::decode(&text)).transpose()?;
        params.finish()?;
        if from_day > to_day {
            return Err(Problem::parameter("from", "The range ends before it begins."));
        }
        if to_day - from_day >= MAX_DAYS {
            return Err(Problem::parameter("from", format!("At most {MAX_DAYS} days.")));
        }
        Ok(Self { from_day, to_day, devices, group, limit, after })
    }
}

/// The day of `2020-07-01`.
fn day_of(name: &'static str, text: &str) -> Result<u32, Problem> {
    let expected = "Must be a day from 1970-01-01 to 2106-02-07, written as 2020-07-01.";
    let refuse = || Problem::parameter(name, expected);
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: Date = plain.then(|| text.parse().ok()).flatten().ok_or_else(refuse)?;
    let days = date.since(epoch()).map_err(|_| refuse())?.get_days();
    u32::try_from(days).ok().filter(|day| *day <= u32::MAX / DAY_S).ok_or_else(refuse)
}

const fn epoch() -> Date {
    jiff::civil::date(1970, 1, 1)
}

fn date_of(day: u32) -> String {
    let date = epoch().checked_add(i64::from(day).days());
    date.map_or_else(|_| day.to_string(), |date| date.to_string())
}

/// Sums of one device or of all, over days or of one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FleetSums")]
struct Total {
    /// How many devices have rows.
    devices: usize,
    rows: u64,
    distance_m: u64,
    moving_s: u64,
    idle_s: u64,
    engine_s: u64,
    silent_s: u64,
    max_speed_kmh: Option<u8>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FleetDay")]
struct DayLine {
    /// The day in UTC.
    date: String,
    #[serde(flatten)]
    total: Total,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FleetDevice")]
struct DeviceLine {
    #[schemars(with = "Device")]
    device_id: String,
    /// Of its profile; empty where there is none.
    name: String,
    /// How many days have rows.
    days: usize,
    #[schemars(with = "Time")]
    first: String,
    #[schemars(with = "Time")]
    last: String,
    rows: u64,
    #[serde(flatten)]
    sums: Sums,
    /// Minutes by the hour meter; `null` if it was set in between.
    hour_meter_run_min: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FleetSummary")]
struct Summary {
    from: String,
    to: String,
    /// In which days are counted: UTC.
    tz: &'static str,
    /// What arrived before is in the sums, but for the days that are pending.
    #[schemars(with = "Time")]
    as_of: String,
    /// Days of these devices that have rows which are not in the sums yet, or whose sums
    /// an older version made.
    pending: u64,
    /// Of all of them; null on the pages behind the first.
    total: Option<Total>,
    /// Days with rows, of all devices; none on the pages behind the first.
    days: Vec<DayLine>,
    /// Devices with rows, in order of id.
    devices: Vec<DeviceLine>,
    /// Lines of devices in this answer.
    count: usize,
    /// Where the next page of devices begins; null if nothing is left.
    next_cursor: Option<String>,
}

pub(crate) async fn summary(
    principal: Principal,
    State(state): State<FleetState>,
    params: Params,
) -> Result<Response, Problem> {
    let mut query = Query::read(params, state.clock.now_s())?;
    // Whole days: one of which a part may not be shown is left out.
    let to = query.to_day.saturating_mul(DAY_S).saturating_add(DAY_S - 1);
    let from = principal.history_from(query.from_day.saturating_mul(DAY_S), to)?;
    query.from_day = from.div_ceil(DAY_S);
    if let Some(group) = query.group {
        must_see_group(&state, &principal, group).await?;
    }
    let wanted = wanted(&state, &principal, &query).await?;
    let daily = &state.stores.daily;
    let ids: Vec<DeviceId> = wanted.iter().map(|member| member.known.device).collect();
    let days = (query.from_day, query.to_day);
    // Looked at first: what is added up meanwhile is then said to be pending, not lost.
    let among = matches!(wanted, Fleet::Some(_)).then_some(&*ids);
    let marked = state.history.ask(daily.pending(among, days.0, days.1, None)).await?;
    let backlog = state.history.ask(daily.backlog()).await?;
    let begin = query.after.map_or(0, |after| ids.partition_point(|device| *device <= after));
    let read = |devices| state.history.ask(daily.sums(devices, days.0, days.1));
    let (mut page, read) = page(&ids[begin..], query.limit, read).await?;
    // Behind the first page there is nothing to say of those before it, nor of all.
    let totals = match query.after {
        Some(_) => None,
        None => Some(state.totals.get(&state, &ids, among.is_none(), days).await?),
    };
    let outdated = totals.as_ref().map_or(page.outdated, |totals| outdated(totals));
    // Days that are both are counted once.
    let both = if outdated > 0 {
        let among = if totals.is_some() { &ids[..] } else { &ids[begin..begin + read] };
        let both = daily.pending(Some(among), days.0, days.1, Some(RULES));
        state.history.ask(both).await?
    } else {
        0
    };
    let next_cursor = page.cut(query.limit).map(DeviceCursor::encode);
    let now_s = state.clock.now_s();
    let as_of = now_s - backlog.lag_s(now_s);
    let devices = page.lines(&wanted, &state.names);
    output::json(&Summary {
        from: date_of(query.from_day),
        to: date_of(query.to_day),
        tz: "UTC",
        as_of: time_s(as_of),
        pending: (marked + outdated).saturating_sub(both),
        total: totals.as_ref().map(|totals| total_of(totals)),
        days: totals.iter().flat_map(|totals| &totals.days).map(day_line).collect(),
        count: devices.len(),
        devices,
        next_cursor,
    })
}

async fn wanted(
    state: &FleetState,
    principal: &Principal,
    query: &Query,
) -> Result<Fleet, Problem> {
    let mut only = query.devices.clone();
    if let Some(group) = query.group {
        let mut devices = state.history.ask(state.stores.groups.devices(group)).await?;
        devices.retain(|device| query.devices.as_ref().is_none_or(|named| named.contains(device)));
        only = Some(devices);
    }
    let named = query.devices.clone().unwrap_or_default();
    let known = fleet(state, principal, only).await?;
    for device in named {
        let found = known.binary_search_by_key(&device, |member| member.known.device);
        if query.group.is_none() && found.is_err() {
            return Err(unknown_device(device).blaming("device_ids"));
        }
    }
    Ok(known)
}

/// Reads the sums of so many of the devices that have some, and of one more, from the front;
/// and of how many they were looked for. What is read grows with the page, not with the fleet.
async fn page<'d, F: Future<Output = Result<Vec<DaySums>, Problem>>>(
    mut devices: &'d [DeviceId],
    limit: usize,
    read: impl Fn(&'d [DeviceId]) -> F,
) -> Result<(Page, usize), Problem> {
    let (mut page, before) = (Page::default(), devices.len());
    while page.devices.len() <= limit && !devices.is_empty() {
        let missing = (limit + 1).saturating_sub(page.devices.len());
        let at_once = missing.clamp(DEVICES_AT_LEAST, DEVICES_AT_ONCE).min(devices.len());
        let (next, rest) = devices.split_at(at_once);
        page.add(&read(next).await?);
        devices = rest;
    }
    Ok((page, before - devices.len()))
}

fn outdated(totals: &FleetTotals) -> u64 {
    totals.days.iter().map(|day| day.outdated).sum()
}

fn total_of(totals: &FleetTotals) -> Total {
    let mut sum = DayTotal::default();
    totals.days.iter().for_each(|day| sum.add(day));
    told(&sum, totals.devices)
}

fn day_line(day: &DayTotal) -> DayLine {
    DayLine { date: date_of(day.day), total: told(day, day.devices) }
}

fn told(sum: &DayTotal, devices: u64) -> Total {
    Total {
        devices: usize::try_from(devices).unwrap_or(usize::MAX),
        rows: sum.row_count,
        distance_m: sum.distance_m,
        moving_s: sum.moving_s,
        idle_s: sum.idle_s,
        engine_s: sum.engine_s,
        silent_s: sum.silent_s,
        max_speed_kmh: speed(sum.max_speed_kmh),
    }
}

/// Lines of devices on their way.
#[derive(Default)]
struct Page {
    devices: Vec<(u32, OneDevice)>,
    /// Days whose sums other rules made: they are made anew.
    outdated: u64,
}

struct OneDevice {
    tally: Tally,
    days: usize,
}

impl Page {
    /// Sums by device and day, in this order.
    fn add(&mut self, sums: &[DaySums]) {
        for day in sums {
            let tally = tally_of(day);
            self.outdated += u64::from(day.rules != RULES);
            match self.devices.last_mut().filter(|(device, _)| *device == day.device) {
                None => self.devices.push((day.device, OneDevice { tally, days: 1 })),
                Some((_, one)) => {
                    let rows = one.tally.rows + tally.rows;
                    one.tally.absorb(&tally);
                    one.tally.rows = rows;
                    one.days += 1;
                }
            }
        }
    }

    /// Leaves so many devices; the last of them if there are more.
    fn cut(&mut self, limit: usize) -> Option<DeviceId> {
        let more = self.devices.len() > limit;
        self.devices.truncate(limit);
        self.devices.last().filter(|_| more).map(|(device, _)| DeviceId::new(*device))
    }

    fn lines(&self, members: &[Member], ids: &DeviceNames) -> Vec<DeviceLine> {
        let names: HashMap<u32, &str> = members
            .iter()
            .filter_map(|member| Some((member.known.device, member.known.profile.as_ref()?)))
            .map(|(device, profile)| (device.number(), profile.name.as_str()))
            .collect();
        let line = |(device, one): &(u32, OneDevice)| DeviceLine {
            device_id: ids.identity(DeviceId::new(*device)).to_string(),
            name: names.get(device).copied().unwrap_or_default().to_owned(),
            days: one.days,
            first: time_s(one.tally.first.at),
            last: time_s(one.tally.last.at),
            rows: one.tally.rows,
            sums: Sums::from(&one.tally),
            hour_meter_run_min: hour_meter_run_min(&one.tally),
        };
        self.devices.iter().map(line).collect()
    }
}

fn example() -> Value {
    let total = json!({
        "devices": 1, "rows": 8640, "distance_m": 240_000, "moving_s": 12_000, "idle_s": 900,
        "engine_s": 12_900, "silent_s": 0, "max_speed_kmh": 91,
    });
    let mut day = total.clone();
    day["date"] = "2020-07-01".into();
    let mut device = example_sums();
    device["device_id"] = "0A3F73".into();
    device["name"] = "Truck 7".into();
    device["days"] = 1.into();
    device["first"] = "2020-07-01T00:00:00Z".into();
    device["last"] = "2020-07-01T23:59:50Z".into();
    device["rows"] = 8640.into();
    device["hour_meter_run_min"] = 215.into();
    json!({
        "from": "2020-07-01", "to": "2020-07-01", "tz": "UTC", "as_of": "2020-07-01T21:00:00Z",
        "pending": 1, "total": total, "days": [day], "devices": [device], "count": 1,
        "next_cursor": null,
    })
}

pub(crate) fn doc() -> Doc {
    let date = || json!({"type": "string", "format": "date"});
    let group = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    Doc::new("getFleetSummary", Tag::Reports, "Sums of many devices over many days")
        .about("By day in UTC, at most 366 days. `as_of` and `pending` say what is not in the sums yet.")
        .takes(Param::query("from", date(), "The first day; 29 days before `to` if absent.").example("2020-06-02"))
        .takes(Param::query("to", date(), "The last day; today if absent.").example("2020-07-01"))
        .takes(Param::devices("device_ids", "These, at most 1000."))
        .takes(Param::query("group", group, "The devices of this group."))
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Lines of devices in this answer."))
        .takes(Param::text("cursor", 256, "`next_cursor` of the page before, as it came."))
        .conditional()
        .answers(Answer::json::<Summary>("Sums of all, by day and by device.", example()))
        .problems(&[Kind::UnknownDevice, Kind::UnknownGroup])
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// 100 000 devices, each with sums of 30 days if it is even: a page reads what it shows.
    #[tokio::test]
    async fn a_page_costs_a_page() {
        let ids: Vec<DeviceId> = (0..100_000).map(DeviceId::new).collect();
        let days = |device: &DeviceId| {
            let device = device.number();
            (0..30).map(move |day| DaySums { device, day, ..DaySums::default() })
        };
        for (begin, limit, found) in
            [(0, 10, 11), (50_000, 1000, 1001), (99_990, 10, 5), (0, 10_000, 10_001)]
        {
            let (rows, statements) = (Cell::new(0), Cell::new(0));
            let read = |devices: &[DeviceId]| {
                let with_days = devices.iter().filter(|device| device.number() % 2 == 0);
                let sums: Vec<DaySums> = with_days.flat_map(days).collect();
                rows.set(rows.get() + sums.len());
                statements.set(statements.get() + 1);
                std::future::ready(Ok(sums))
            };
            let (page, read) = page(&ids[begin..], limit, read).await.unwrap();
            assert!((found..found + DEVICES_AT_LEAST).contains(&page.devices.len()));
            assert!(read <= 2 * (limit + 1) + DEVICES_AT_LEAST, "{read} of {limit}");
            assert!(rows.get() <= 30 * (limit + 1 + DEVICES_AT_LEAST), "{}", rows.get());
            assert!(statements.get() <= 4 + limit / 250, "{}", statements.get());
        }
    }

    fn read(query: &str) -> Result<Query, Problem> {
        Query::read(Params::of(&format!("/?{query}").parse().unwrap()).unwrap(), 1_593_637_260)
    }

    #[test]
    fn days_are_days() {
        let query = read("").unwrap();
        assert_eq!(
            (date_of(query.from_day), date_of(query.to_day)),
            ("2020-06-02".into(), "2020-07-01".into())
        );
        let query = read("from=1970-01-01&to=1970-12-31").unwrap();
        assert_eq!((query.from_day, query.to_day), (0, 364));
        assert_eq!(date_of(u32::MAX / DAY_S), "2106-02-07");
        for (query, name) in [
            ("from=x", "from"),
            ("from=1969-12-31", "from"),
            ("to=2106-02-08", "to"),
            ("to=2020-02-30", "to"),
            ("from=2020-07-02&to=2020-07-01", "from"),
            ("from=2020-01-01&to=2021-01-01", "from"),
            ("from=2020-07-01T00:00:00Z", "from"),
            ("group=a", "group"),
            ("device_ids=1", "device_ids"),
            ("limit=10001", "limit"),
            ("cursor=x", "cursor"),
            ("tz=UTC", "tz"),
        ] {
            assert_eq!(read(query).err().unwrap().at_fault(), Some(name), "{query}");
        }
    }
}
