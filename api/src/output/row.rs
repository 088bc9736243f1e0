//! One row of a report.

use nemeses_protocol::PositionRecord;
use schemars::JsonSchema;
use serde::Serialize;

use super::number::{degrees, direction, time_ms, time_s};
use crate::openapi::{Device, Time};

/// A stored frame as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Row {
    #[schemars(with = "Device")]
    device_id: String,
    #[schemars(with = "Time")]
    recorded_at: String,
    #[schemars(with = "Time")]
    received_at: String,
    /// Degrees; stale without a GPS fix.
    latitude: f64,
    /// Degrees; stale without a GPS fix.
    longitude: f64,
    speed_kmh: u8,
    /// Clockwise from north.
    direction_deg: f64,
    odometer_m: u32,
    hour_meter_min: u32,
    ignition: bool,
    gps_fix: bool,
    /// The device sent it later, from its memory.
    historical: bool,
}

impl From<&PositionRecord> for Row {
    fn from(record: &PositionRecord) -> Self {
        let position = &record.position;
        Self {
            device_id: position.device.to_string(),
            recorded_at: time_s(position.recorded_at),
            received_at: time_ms(record.received_at_ms),
            latitude: degrees(position.latitude_udeg),
            longitude: degrees(position.longitude_udeg),
            speed_kmh: position.speed_kmh,
            direction_deg: direction(position.direction_cdeg),
            odometer_m: position.odometer_m,
            hour_meter_min: position.hour_meter_min,
            ignition: position.composition.ignition(),
            gps_fix: position.composition.gps_fix(),
            historical: position.composition.historical(),
        }
    }
}

/// A row as a feature of GeoJSON (RFC 7946). Without a fix the place is stale:
/// the feature has none then.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Feature {
    /// Always `Feature`.
    r#type: &'static str,
    geometry: Option<Geometry>,
    properties: Row,
}

/// A place of GeoJSON.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Point")]
struct Geometry {
    /// Always `Point`.
    r#type: &'static str,
    /// Longitude, latitude.
    coordinates: [f64; 2],
}

impl From<&PositionRecord> for Feature {
    fn from(record: &PositionRecord) -> Self {
        let properties = Row::from(record);
        let coordinates = [properties.longitude, properties.latitude];
        let geometry = Geometry { r#type: "Point", coordinates };
        Self { r#type: "Feature", geometry: properties.gps_fix.then_some(geometry), properties }
    }
}

/// How features are put together to a report; written piece by piece, never as a whole.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct FeatureCollection {
    /// Always `FeatureCollection`.
    r#type: &'static str,
    #[schemars(with = "Device")]
    device_id: String,
    #[schemars(with = "Time")]
    from: String,
    #[schemars(with = "Time")]
    to: String,
    /// `asc` or `desc`.
    order: &'static str,
    features: Vec<Feature>,
    count: u64,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}
