//! `GET /api/v1/locations`: where many devices are: some, those in a box, the
//! nearest, or all that one may see.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use nemeses_protocol::DeviceId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::{Principal, unknown_device};
use crate::fleet::{
    BoundingBox, Fleet, FleetState, Member, Place, Presence, fleet, nearest_first, places,
    presences,
};
use crate::input::{DeviceCursor, NearCursor, Params, Shard};
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::output::{self, Location, example_location};
use crate::problem::{Kind, Problem};

const DEFAULT_LIMIT: u32 = 1000;
/// A location is some 600 bytes: an answer has 6 MB at most.
const MAX_LIMIT: u32 = 10_000;
const FORMATS: [(&str, bool); 2] = [("json", false), ("geojson", true)];
const GEOJSON: &str = "application/geo+json";

/// Which devices.
#[derive(Debug, PartialEq)]
enum Wanted {
    All,
    Devices(Vec<DeviceId>),
    Within(BoundingBox),
    Near(Place),
}

#[derive(Debug, PartialEq)]
struct Query {
    wanted: Wanted,
    shard: Shard,
    limit: usize,
    cursor: Option<String>,
    geojson: bool,
}

impl Query {
    fn read(mut params: Params, accepts_geojson: bool) -> Result<Self, Problem> {
        let devices = params.devices("device_ids")?;
        let within = params.take("bbox")?.map(|text| BoundingBox::parse("bbox", &text));
        let near = params.take("near")?.map(|text| Place::parse("near", &text));
        let geojson = params.choice("format", &FORMATS, accepts_geojson)?;
        let shard = params.shard()?;
        let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
        let cursor = params.take("cursor")?;
        params.finish()?;
        let wanted = match (devices, within.transpose()?, near.transpose()?) {
            (None, None, None) => Wanted::All,
            (Some(devices), None, None) => Wanted::Devices(devices),
            (None, Some(within), None) => Wanted::Within(within),
            (None, None, Some(near)) => Wanted::Near(near),
            _ => {
                let detail = "Ask for one of device_ids, bbox and near.";
                return Err(Problem::parameter("query", detail));
            }
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self { wanted, shard, limit, cursor, geojson })
    }
}

/// A page: which of the devices, how far away, and where the next one begins.
#[derive(Debug, PartialEq)]
struct Page {
    shown: Vec<(usize, Option<u64>)>,
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NamedLocation")]
struct Found {
    #[serde(flatten)]
    location: Location,
    /// Of its profile; empty where there is none.
    name: String,
    /// Where the nearest were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_m: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LocationsAnswer")]
struct ManyLocations {
    locations: Vec<Found>,
    count: usize,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}

/// RFC 7946, with what a page needs beside the features.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LocationCollection")]
struct Collection {
    r#type: &'static str,
    features: Vec<Feature>,
    count: usize,
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LocationFeature")]
struct Feature {
    r#type: &'static str,
    /// Null while no position is known.
    geometry: Option<Point>,
    properties: Found,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LocationPoint")]
struct Point {
    r#type: &'static str,
    /// Longitude and latitude.
    coordinates: [f64; 2],
}

pub(crate) fn doc() -> Doc {
    let mut near = example_location();
    near["name"] = "Truck 7".into();
    near["distance_m"] = 332.into();
    let page = json!({"locations": [near.clone()], "count": 1, "next_cursor": null});
    let geojson = json!({
        "type": "FeatureCollection",
        "features": [{
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [-43.938_493, -19.932_833]},
            "properties": near,
        }],
        "count": 1,
        "next_cursor": null,
    });
    let about = "All that you may see, some of them, those in a box, or the nearest. Devices that were never heard are left out.";
    Doc::new("listLocations", Tag::Locations, "Where many devices are")
        .about(about)
        .takes(Param::devices("device_ids", "These, at most 1000."))
        .takes(
            Param::text("bbox", 100, "Those within `west,south,east,north`, in degrees. A box whose west lies east of its east reaches across the 180th meridian.")
                .example("-44,-20.5,-43,-19"),
        )
        .takes(
            Param::text("near", 100, "The nearest to `longitude,latitude` first, in degrees.")
                .example("-43.94,-19.93"),
        )
        .takes(Param::choice("format", &FORMATS, "The form; also by `Accept`."))
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Locations in this answer."))
        .takes(Param::text("cursor", 256, "`next_cursor` of the page before, as it came."))
        .takes(Param::shard())
        .answers(Answer::json::<ManyLocations>("A page.", page).or_json::<Collection>(GEOJSON, geojson))
        .problems(&[Kind::UnknownDevice, Kind::LiveUnavailable])
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<FleetState>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let query = Query::read(params, wants_geojson(&headers))?;
    let fleet = match &query.wanted {
        Wanted::Devices(devices) => these(&state, &principal, devices).await?,
        Wanted::All | Wanted::Within(_) | Wanted::Near(_) => {
            fleet(&state, &principal, None).await?
        }
    };
    let page = match query.wanted {
        Wanted::All | Wanted::Devices(_) => by_device(&fleet, |_| true, &query)?,
        Wanted::Within(within) => {
            let places = places(&state, &fleet).await?;
            by_device(&fleet, |at| places[at].is_some_and(|place| within.contains(place)), &query)?
        }
        Wanted::Near(from) => by_distance(from, &places(&state, &fleet).await?, &fleet, &query)?,
    };
    let members = page.shown.iter().map(|(at, _)| fleet[*at].clone()).collect();
    let present = presences(&state, members, None).await?;
    let pasts = Presence::pasts(&state, &present).await?;
    let distances = page.shown.iter().map(|(_, distance_mm)| *distance_mm);
    let found =
        present.iter().zip(&pasts).zip(distances).filter_map(|((one, past), distance_mm)| {
            let location = one.location(&state, past)?;
            let name = one.member.known.profile.as_ref().map(|profile| profile.name.clone());
            let distance_m = distance_mm.map(|mm| (mm + 500) / 1000);
            Some(Found { location, name: name.unwrap_or_default(), distance_m })
        });
    answer(found.collect(), page.next_cursor, query.geojson)
}

/// The devices named, each of which has to be there and to be seen.
async fn these(
    state: &FleetState,
    principal: &Principal,
    wanted: &[DeviceId],
) -> Result<Fleet, Problem> {
    let fleet = fleet(state, principal, Some(wanted.to_vec())).await?;
    for &device in wanted {
        // Whether it is hidden or unheard of makes no difference to the answer.
        if fleet.binary_search_by_key(&device, |member| member.known.device).is_err() {
            return Err(unknown_device(device).blaming("device_ids"));
        }
    }
    Ok(fleet)
}

fn by_device(
    fleet: &[Member],
    inside: impl Fn(usize) -> bool,
    query: &Query,
) -> Result<Page, Problem> {
    let after = query.cursor.as_deref().map(DeviceCursor::decode).transpose()?;
    let begin =
        after.map_or(0, |after| fleet.partition_point(|member| member.known.device <= after));
    let wanted = |at: &usize| query.shard.has(fleet[*at].known.device) && inside(*at);
    let mut rest = (begin..fleet.len()).filter(wanted);
    let shown: Vec<_> = rest.by_ref().take(query.limit).map(|at| (at, None)).collect();
    let more = rest.next().is_some();
    let last = shown.last().filter(|_| more);
    let next_cursor = last.map(|(at, _)| DeviceCursor::encode(fleet[*at].known.device));
    Ok(Page { shown, next_cursor })
}

fn by_distance(
    from: Place,
    places: &[Option<Place>],
    fleet: &[Member],
    query: &Query,
) -> Result<Page, Problem> {
    let after = query.cursor.as_deref().map(NearCursor::decode).transpose()?;
    let key = |mm: u64, at: usize| NearCursor { distance_mm: mm, device: fleet[at].known.device };
    let ordered = nearest_first(from, places);
    let mut rest = ordered
        .into_iter()
        .filter(|(_, at)| query.shard.has(fleet[*at].known.device))
        .filter(|(mm, at)| after.is_none_or(|after| key(*mm, *at) > after));
    let shown: Vec<_> = rest.by_ref().take(query.limit).map(|(mm, at)| (at, Some(mm))).collect();
    let more = rest.next().is_some();
    let last = shown.last().filter(|_| more);
    let next_cursor = last.and_then(|(at, mm)| Some(key((*mm)?, *at).encode()));
    Ok(Page { shown, next_cursor })
}

fn wants_geojson(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(','));
    ranges.any(|range| range.split(';').next().unwrap_or_default().trim() == GEOJSON)
}

fn answer(
    locations: Vec<Found>,
    next_cursor: Option<String>,
    geojson: bool,
) -> Result<Response, Problem> {
    let count = locations.len();
    if !geojson {
        return output::json(&ManyLocations { locations, count, next_cursor });
    }
    let point = |coordinates| Point { r#type: "Point", coordinates };
    let feature = |found: Found| Feature {
        r#type: "Feature",
        geometry: found.location.coordinates().map(point),
        properties: found,
    };
    let features = locations.into_iter().map(feature).collect();
    let collection = Collection { r#type: "FeatureCollection", features, count, next_cursor };
    let mut response = output::json(&collection)?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(GEOJSON));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::{KnownDevice, Rhythm};
    use proptest::prelude::*;

    use super::*;

    fn read(query: &str) -> Result<Query, Problem> {
        Query::read(Params::of(&format!("/?{query}").parse().unwrap()).unwrap(), false)
    }

    #[test]
    fn hostile_parameters_are_named() {
        for (query, name) in [
            ("bbox=1,2,3", "bbox"),
            ("near=200,0", "near"),
            ("device_ids=zz", "device_ids"),
            ("device_ids=0A3F73&near=1,1", "query"),
            ("bbox=0,0,1,1&near=1,1", "query"),
            ("format=kml", "format"),
            ("limit=0", "limit"),
            ("shard=0/4", "shard"),
            ("box=0,0,1,1", "box"),
        ] {
            assert_eq!(read(query).unwrap_err().at_fault(), Some(name), "{query}");
        }
        assert_eq!(read("").unwrap().wanted, Wanted::All);
        assert!(read("format=geojson").unwrap().geojson);
    }

    #[test]
    fn geojson_by_accept() {
        let accepts = |text: &'static str| {
            let value = (header::ACCEPT, HeaderValue::from_static(text));
            wants_geojson(&HeaderMap::from_iter([value]))
        };
        assert!(accepts("application/geo+json"));
        assert!(accepts("text/html, application/geo+json;q=0.9"));
        assert!(!accepts("application/json"));
        assert!(!accepts("*/*"));
    }

    proptest! {
        /// Page by page nothing is lost and nothing comes twice, whatever the length of a page.
        #[test]
        fn pages_of_the_nearest_are_the_whole(
            places in prop::collection::vec(prop::option::of((-3..3_i32, -3..3_i32)), 0..30),
            limit in 1..7_usize,
        ) {
            let place = |(latitude, longitude): (i32, i32)| Place {
                latitude_udeg: latitude * 1_000_000,
                longitude_udeg: longitude * 1_000_000,
            };
            let places: Vec<Option<Place>> =
                places.into_iter().map(|pair| pair.map(place)).collect();
            let member = |number| {
                let (device, rhythm) = (DeviceId::new(number), Rhythm::default());
                let known = KnownDevice { device, profile: None, has_rows: true, rhythm };
                Member { known, groups: Vec::new() }
            };
            let devices: Vec<Member> = (0..30).map(member).collect();
            let from = place((0, 0));
            let page = |limit, cursor| {
                let (wanted, shard) = (Wanted::Near(from), Shard::default());
                let query = Query { wanted, shard, limit, cursor, geojson: false };
                by_distance(from, &places, &devices, &query).unwrap()
            };
            let whole = page(1000, None);
            prop_assert_eq!(&whole.next_cursor, &None);
            let (mut paged, mut cursor) = (Vec::new(), None);
            loop {
                let next = page(limit, cursor);
                prop_assert!(next.shown.len() <= limit);
                paged.extend(next.shown);
                cursor = next.next_cursor;
                if cursor.is_none() { break; }
            }
            prop_assert_eq!(paged, whole.shown);
        }
    }
}
