//! What a client of the stream asks for, from its parameters. Pure.

use serde_json::json;

use super::filter::Filter;
use super::id::EventId;
use super::values::{Channels, VALUES};
use crate::fleet::BoundingBox;
use crate::input::Params;
use crate::openapi::Param;
use crate::problem::Problem;

/// A day; how much of it is kept depends on how much comes.
const LONGEST_PAST_MS: u32 = 86_400_000;
/// As many as are kept at all ([`super::window::KEPT`]).
const MOST_LAST: u32 = 100_000;
/// Positions a second of a device; more than any sends.
const HIGHEST_FREQUENCY: f64 = 1_000.0;
/// One position of a device an hour.
const LOWEST_FREQUENCY: f64 = 1.0 / 3600.0;

const SNAPSHOT: [(&str, bool); 2] = [("false", false), ("true", true)];

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// With what comes next.
    Now,
    /// Behind an event that the client has.
    Behind(EventId),
    /// With what came in so many milliseconds before now.
    PastMs(u32),
    /// With so many positions of those that came before.
    Last(u32),
}

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) filter: Filter,
    /// The devices of this group alone; the caller puts them into the filter.
    pub(crate) group: Option<u64>,
    pub(crate) from: From,
    /// Milliseconds between two positions of a device.
    pub(crate) period_ms: Option<u64>,
    /// First where everyone stands.
    pub(crate) snapshot: bool,
}

impl Wanted {
    pub(crate) fn of(mut params: Params) -> Result<Self, Problem> {
        let devices = params.devices("device_ids")?;
        let group = params.number("group")?;
        let bbox = params.take("bbox")?;
        let bbox = bbox.map(|text| BoundingBox::parse("bbox", &text)).transpose()?;
        let from = from(&mut params)?;
        let frequency = params.take("max_frequency")?;
        let period_ms = frequency.as_deref().map(period_ms).transpose()?;
        let snapshot = params.choice("snapshot", &SNAPSHOT, false)?;
        let channels = Channels::of(&mut params)?;
        params.finish()?;
        let filter = Filter { devices, bbox, channels };
        Ok(Self { filter, group, from, period_ms, snapshot })
    }
}

/// The same for the document.
pub(crate) fn parameters() -> [Param; 11] {
    let bbox = json!({"type": "string", "pattern": "^[-+.0-9]+(,[-+.0-9]+){3}$"});
    let frequency =
        json!({"type": "number", "minimum": LOWEST_FREQUENCY, "maximum": HIGHEST_FREQUENCY});
    let count = |name, most: u32, about| {
        let schema = json!({"type": "integer", "minimum": 1, "maximum": most});
        Param::query(name, schema, about)
    };
    [
        Param::devices("device_ids", "These devices alone, at most 1000; else all that you may see."),
        Param::query("group", json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}), "The devices of this group alone, as they are when the stream begins."),
        Param::query("bbox", bbox, "Devices whose last known position is within west,south,east,north, in degrees. West of a larger number than east spans the 180th meridian.")
            .example("-44.1,-20.1,-43.8,-19.7"),
        Param::text("latest_id", 42, "Begin behind this event, the `id` of the last one you have."),
        count("past_ms", LONGEST_PAST_MS, "Begin with what came in the milliseconds before now."),
        count("last_n", MOST_LAST, "Begin with so many positions of those that came before."),
        Param::query("max_frequency", frequency, "At most so many positions a second of each device; the newest always comes.")
            .example(0.5),
        Param::choice("snapshot", &SNAPSHOT, "First the last position and the newest values of every device that is there."),
        Param::choice("values", &VALUES, "Whether values of channels come, too, or nothing else."),
        Param::text("channels", 8192, "Values of these channels alone: names with commas between them, percent-encoded where there are commas or percent signs in them."),
        Param::text("ticket", 1024, "Of `POST /api/v1/stream/ticket`, instead of the header `Authorization`."),
    ]
}

fn from(params: &mut Params) -> Result<From, Problem> {
    let latest = params.take("latest_id")?;
    let past = params.count("past_ms", 0, LONGEST_PAST_MS)?;
    let last = params.count("last_n", 0, MOST_LAST)?;
    let from = match &latest {
        Some(id) => From::Behind(id.parse().map_err(|()| {
            Problem::parameter("latest_id", "Must be the id of an event of this stream.")
        })?),
        None => From::Now,
    };
    match (from, past, last) {
        (from, 0, 0) => Ok(from),
        (From::Now, past, 0) => Ok(From::PastMs(past)),
        (From::Now, 0, last) => Ok(From::Last(last)),
        (From::Now, _, _) => Err(Problem::parameter("last_n", "Give this or past_ms, not both.")),
        (_, 0, _) => Err(Problem::parameter("last_n", "Give this or latest_id, not both.")),
        _ => Err(Problem::parameter("past_ms", "Give this or latest_id, not both.")),
    }
}

fn period_ms(text: &str) -> Result<u64, Problem> {
    let wrong = || {
        Problem::parameter(
            "max_frequency",
            "Must be positions a second of a device, from 0.0003 (one an hour) to 1000, for example 0.5.",
        )
    };
    let frequency: f64 = text.parse().map_err(|_| wrong())?;
    if !(LOWEST_FREQUENCY..=HIGHEST_FREQUENCY).contains(&frequency) {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 to 3 600 000, by the check above"
    )]
    Ok((1000.0 / frequency).round() as u64)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::DeviceId;
    use proptest::prelude::*;

    use super::*;

    fn asked(query: &str) -> Result<Wanted, String> {
        let params = Params::of(&format!("/path?{query}").parse().unwrap()).unwrap();
        Wanted::of(params).map_err(|problem| problem.at_fault().unwrap_or_default().to_owned())
    }

    #[test]
    fn everything_from_now_on_unless_asked_otherwise() {
        let all = Wanted {
            filter: Filter::default(),
            group: None,
            from: From::Now,
            period_ms: None,
            snapshot: false,
        };
        assert_eq!(asked(""), Ok(all.clone()));
        assert_eq!(asked("device_ids=&snapshot=false"), Ok(all));
        let asked = asked(
            "device_ids=0A3F74,0a3f73,0A3F74&bbox=-44.1,-20.1,-43.8,-19.7&latest_id=17\
             &max_frequency=0.5&snapshot=true",
        )
        .unwrap();
        let devices = vec![DeviceId::new(0x0A_3F73), DeviceId::new(0x0A_3F74)];
        assert_eq!(asked.filter.devices, Some(devices));
        let bbox = BoundingBox::parse("bbox", "-44.1,-20.1,-43.8,-19.7").unwrap();
        assert_eq!(asked.filter.bbox, Some(bbox));
        assert_eq!((asked.from, asked.period_ms), (From::Behind(EventId::at(17)), Some(2_000)));
        assert!(asked.snapshot);
    }

    #[test]
    fn where_to_begin_is_said_once() {
        assert_eq!(asked("past_ms=5000").unwrap().from, From::PastMs(5000));
        assert_eq!(asked("last_n=5").unwrap().from, From::Last(5));
        assert_eq!(asked("last_n=5&past_ms=5"), Err("last_n".into()));
        assert_eq!(asked("last_n=5&latest_id=5"), Err("last_n".into()));
        assert_eq!(asked("past_ms=5&latest_id=5"), Err("past_ms".into()));
    }

    #[test]
    fn the_wrong_parameter_is_named() {
        for (query, name) in [
            ("device_ids=0A3F7", "device_ids"),
            ("device_ids=0A3F73,", "device_ids"),
            ("device_ids=0A3F73;0A3F74", "device_ids"),
            ("bbox=1,2,3", "bbox"),
            ("bbox=1,2,3,4,5", "bbox"),
            ("bbox=-181,0,0,0", "bbox"),
            ("bbox=0,10,0,9", "bbox"),
            ("bbox=0,NaN,0,9", "bbox"),
            ("bbox=a,b,c,d", "bbox"),
            ("group=north", "group"),
            ("past_ms=-1", "past_ms"),
            ("past_ms=0", "past_ms"),
            ("past_ms=86400001", "past_ms"),
            ("last_n=many", "last_n"),
            ("latest_id=a", "latest_id"),
            ("latest_id=1-2", "latest_id"),
            ("max_frequency=0", "max_frequency"),
            ("max_frequency=-1", "max_frequency"),
            ("max_frequency=NaN", "max_frequency"),
            ("max_frequency=inf", "max_frequency"),
            ("max_frequency=1e9", "max_frequency"),
            ("snapshot=1", "snapshot"),
            ("device=0A3F73", "device"),
        ] {
            assert_eq!(asked(query), Err(name.to_owned()), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9a-fA-F,.eE+-]{0,40}|[ -~&&[^#&%=?]]{0,20}") {
            for name in ["device_ids", "bbox", "latest_id", "past_ms", "last_n", "max_frequency", "channels"] {
                if let Ok(uri) = format!("/p?{name}={text}").parse() {
                    let _ = Params::of(&uri).map(Wanted::of);
                }
            }
        }
    }
}
