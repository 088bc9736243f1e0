//! What a report is asked for.

use nemeses_store::history::RangeQuery;

use super::format::{FORMATS, Format};
use crate::input::{Params, ReportCursor, first_second, last_second};
use crate::problem::Problem;

pub(super) const DEFAULT_LIMIT: u32 = 1000;
pub(super) const MAX_LIMIT: u32 = 100_000;
/// Words for whether rows descend.
pub(super) const ORDERS: [(&str, bool); 2] = [("asc", false), ("desc", true)];

/// A checked request for a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReportQuery {
    /// The rows wanted; its own limit is left to the pages.
    pub(super) range: RangeQuery,
    /// Rows at most in this answer.
    pub(super) limit: u64,
    pub(super) format: Format,
}

impl ReportQuery {
    /// `accepted` is the form if the parameters name none.
    pub(super) fn read(mut params: Params, accepted: Format) -> Result<Self, Problem> {
        let device = params.device("device_id")?;
        let from = params.take("from")?.map_or(Ok(0), |text| first_second("from", &text))?;
        let to = params.take("to")?.map_or(Ok(u32::MAX), |text| last_second("to", &text))?;
        let descending = params.choice("order", &ORDERS, false)?;
        let format = params.choice("format", &FORMATS, accepted)?;
        let limit = limit(&mut params, format)?;
        let cursor = params.take("cursor")?;
        params.finish()?;
        if from > to {
            return Err(Problem::parameter("from", "The range ends before it begins."));
        }
        let after = cursor
            .map(|text| ReportCursor::decode(&text, device, descending))
            .transpose()?
            .map(|cursor| (cursor.recorded_at, cursor.frame_hash));
        let range = RangeQuery { device, from, to, descending, after, limit: None };
        Ok(Self { range, limit, format })
    }
}

/// Rows at most. A form that cannot say that it was cut is always whole.
fn limit(params: &mut Params, format: Format) -> Result<u64, Problem> {
    if !format.is_whole() {
        return params.count("limit", DEFAULT_LIMIT, MAX_LIMIT).map(u64::from);
    }
    for name in ["limit", "cursor"] {
        if params.take(name)?.is_some() {
            let detail = "csv, gpx and kml hold the whole range: choose from and to instead.";
            return Err(Problem::parameter(name, detail));
        }
    }
    Ok(u64::MAX)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::DeviceId;

    use super::*;

    fn read(query: &str) -> Result<ReportQuery, Problem> {
        let params = Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
        ReportQuery::read(params, Format::Json)
    }

    #[test]
    fn everything_by_default() {
        let query = read("device_id=0A3F73").unwrap();
        let device = DeviceId::new(0x0A_3F73);
        let range = RangeQuery {
            device,
            from: 0,
            to: u32::MAX,
            descending: false,
            after: None,
            limit: None,
        };
        assert_eq!(query, ReportQuery { range, limit: 1000, format: Format::Json });
    }

    #[test]
    fn everything_said() {
        let device = DeviceId::new(0x0A_3F73);
        let cursor =
            ReportCursor { device, descending: true, recorded_at: 9, frame_hash: u64::MAX };
        let query = read(&format!(
            "device_id=0a3f73&from=5&to=1970-01-01T00:01:00Z&limit=100000&order=desc&format=ndjson&cursor={}",
            cursor.encode()
        ))
        .unwrap();
        let after = Some((9, u64::MAX));
        let range = RangeQuery { device, from: 5, to: 60, descending: true, after, limit: None };
        assert_eq!(query, ReportQuery { range, limit: 100_000, format: Format::Ndjson });
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
            ("device_id=0A3F73&cursor=AQAAAAAH", "cursor"),
            ("device_id=0A3F73&form=1", "form"),
            ("device_id=0A3F73&%00=1", "\u{0}"),
        ] {
            assert_eq!(read(query).unwrap_err().at_fault(), Some(name), "{query}");
        }
    }
}
