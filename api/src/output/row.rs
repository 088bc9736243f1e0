//! One row of a report.

use nemeses_protocol::PositionRecord;
use serde::Serialize;

use super::number::{degrees, direction, time_ms, time_s};

/// A stored frame as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    device_id: String,
    recorded_at: String,
    received_at: String,
    latitude: f64,
    longitude: f64,
    speed_kmh: u8,
    direction_deg: f64,
    odometer_m: u32,
    hour_meter_min: u32,
    ignition: bool,
    gps_fix: bool,
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
#[derive(Debug, Serialize)]
pub(crate) struct Feature {
    r#type: &'static str,
    geometry: Option<Geometry>,
    properties: Row,
}

#[derive(Debug, Serialize)]
struct Geometry {
    r#type: &'static str,
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
