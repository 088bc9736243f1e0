//! What a report is asked for.

use std::collections::VecDeque;

use nemeses_export::{FORMS, Form};
use nemeses_protocol::DeviceId;
use nemeses_reports::Zone;
use nemeses_store::history::RangeQuery;

use super::span::zone;
use super::target::Target;
use crate::input::{Params, ReportCursor, first_second, last_second};
use crate::problem::Problem;

pub(super) const DEFAULT_LIMIT: u32 = 1000;
pub(super) const MAX_LIMIT: u32 = 100_000;
/// Words for whether rows descend.
pub(super) const ORDERS: [(&str, bool); 2] = [("asc", false), ("desc", true)];

/// A checked request for a report, before it is known of which devices.
#[derive(Clone, Debug)]
pub(super) struct ReportQuery {
    pub(super) target: Target,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) descending: bool,
    pub(super) zone: Zone,
    /// Rows at most in this answer.
    pub(super) limit: u64,
    pub(super) cursor: Option<String>,
    pub(super) format: Form,
}

impl ReportQuery {
    /// `accepted` is the form if the parameters name none.
    pub(super) fn read(mut params: Params, accepted: Form) -> Result<Self, Problem> {
        let target = Target::take(&mut params)?;
        let from = params.take("from")?.map_or(Ok(0), |text| first_second("from", &text))?;
        let to = params.take("to")?.map_or(Ok(u32::MAX), |text| last_second("to", &text))?;
        let descending = params.choice("order", &ORDERS, false)?;
        let zone = zone(&mut params)?;
        let format = params.choice("format", &FORMS, accepted)?;
        let limit = limit(&mut params, format)?;
        let cursor = params.take("cursor")?;
        params.finish()?;
        if from > to {
            return Err(Problem::parameter("from", "The range ends before it begins."));
        }
        Ok(Self { target, from, to, descending, zone, limit, cursor, format })
    }

    /// What is to be read of each of these devices, beginning where the cursor says.
    pub(super) fn ranges(&self, devices: &[DeviceId]) -> Result<VecDeque<RangeQuery>, Problem> {
        let &Self { from, to, descending, .. } = self;
        let cursor = self.cursor.as_deref();
        let cursor =
            cursor.map(|text| ReportCursor::decode(text, devices, descending)).transpose()?;
        let passed = |device: &DeviceId| cursor.is_some_and(|cursor| *device < cursor.device);
        let range = |device: DeviceId| {
            let here = cursor.filter(|cursor| cursor.device == device);
            let after = here.map(|cursor| (cursor.recorded_at, cursor.frame_hash));
            RangeQuery { device, from, to, descending, after, limit: None }
        };
        Ok(devices.iter().copied().filter(|device| !passed(device)).map(range).collect())
    }
}

/// Rows at most. A form that cannot say that it was cut is always whole.
fn limit(params: &mut Params, format: Form) -> Result<u64, Problem> {
    if !format.is_whole() {
        return params.count("limit", DEFAULT_LIMIT, MAX_LIMIT).map(u64::from);
    }
    for name in ["limit", "cursor"] {
        if params.take(name)?.is_some() {
            let detail = "Only json, ndjson and geojson have pages: choose from and to instead.";
            return Err(Problem::parameter(name, detail));
        }
    }
    Ok(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<ReportQuery, Problem> {
        let params = Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
        ReportQuery::read(params, Form::Json)
    }

    /// As the handler reads it, with the devices that the request names.
    fn ranges(query: &str) -> Result<VecDeque<RangeQuery>, Problem> {
        let query = read(query)?;
        let devices = match &query.target {
            Target::One(device) => vec![*device],
            Target::Many(devices) => devices.clone(),
            Target::Group(_) => Vec::new(),
        };
        query.ranges(&devices)
    }

    #[test]
    fn everything_by_default() {
        let device = DeviceId::new(0x0A_3F73);
        let range = RangeQuery {
            device,
            from: 0,
            to: u32::MAX,
            descending: false,
            after: None,
            limit: None,
        };
        assert_eq!(ranges("device_id=0A3F73").unwrap(), [range]);
        let query = read("device_id=0A3F73").unwrap();
        assert_eq!((query.limit, query.format), (1000, Form::Json));
    }

    #[test]
    fn a_cursor_goes_on_with_its_device_and_those_behind_it() {
        let device = DeviceId::new(0x0A_3F73);
        let cursor =
            ReportCursor { device, descending: true, recorded_at: 9, frame_hash: u64::MAX };
        let asked = |devices: &str| {
            let query = format!("{devices}&from=5&to=60&order=desc&cursor={}", cursor.encode());
            let found = ranges(&query)?;
            Ok::<_, Problem>(
                found.iter().map(|range| (range.device.number(), range.after)).collect::<Vec<_>>(),
            )
        };
        let here = (0x0A_3F73, Some((9, u64::MAX)));
        assert_eq!(asked("device_id=0a3f73").unwrap(), [here]);
        assert_eq!(asked("device_ids=000001,0A3F73,0A3F74").unwrap(), [here, (0x0A_3F74, None)]);
        assert_eq!(asked("device_ids=000001,0A3F74").unwrap_err().at_fault(), Some("cursor"));
    }

    #[test]
    fn hostile_parameters_are_named() {
        for (query, name) in [
            ("", "device_id"),
            ("device_id=", "device_id"),
            ("device_id=zzzzzz", "device_id"),
            ("device_id=0A3F73&device_id=0A3F73", "device_id"),
            ("device_id=0A3F73&from=yesterday", "from"),
            ("device_id=0A3F73&from=-5", "from"),
            ("device_id=0A3F73&from=2&to=1", "from"),
            ("device_id=0A3F73&to=99999999999999999999999", "to"),
            ("device_id=0A3F73&limit=0", "limit"),
            ("device_id=0A3F73&limit=100001", "limit"),
            ("device_id=0A3F73&limit=1;DROP", "limit"),
            ("device_id=0A3F73&order=up", "order"),
            ("device_id=0A3F73&format=xml", "format"),
            ("device_id=0A3F73&format=csv&limit=5", "limit"),
            ("device_id=0A3F73&format=kml&cursor=AQ", "cursor"),
            ("device_id=0A3F73&cursor=..%2F..", "cursor"),
            ("device_id=0A3F73&tz=Mars", "tz"),
            ("device_id=0A3F73&format=xlsx&limit=5", "limit"),
            ("device_id=0A3F73&cursor=AQAAAAAH", "cursor"),
            ("device_id=0A3F73&form=1", "form"),
            ("device_id=0A3F73&%00=1", "\u{0}"),
        ] {
            assert_eq!(ranges(query).unwrap_err().at_fault(), Some(name), "{query}");
        }
    }
}
