//! What answers look like, for the API's own description: the founding document's
//! frame. A test holds them against the schemas.

use serde_json::{Value, json};

/// A device on the road.
pub(crate) fn example_location() -> Value {
    json!({
        "device_id": "0A3F73",
        "status": "online",
        "message": null,
        "recorded_at": "2020-07-01T21:00:00Z",
        "received_at": "2020-07-01T21:00:00.250Z",
        "seen_at": "2020-07-01T21:00:30.500Z",
        "age_s": 60,
        "latitude": -19.932_833,
        "longitude": -43.938_493,
        "position_recorded_at": "2020-07-01T21:00:00Z",
        "position_age_s": 60,
        "position_from": "live",
        "speed_kmh": 60,
        "direction_deg": 54.87,
        "ignition": true,
        "gps_fix": true,
        "odometer_m": 25_000_000,
        "hour_meter_min": 36_000,
    })
}

/// A stored frame.
pub(crate) fn example_row() -> Value {
    json!({
        "device_id": "0A3F73",
        "recorded_at": "2020-07-01T21:00:00Z",
        "received_at": "2020-07-01T21:00:00.250Z",
        "latitude": -19.932_833,
        "longitude": -43.938_493,
        "speed_kmh": 60,
        "direction_deg": 54.87,
        "odometer_m": 25_000_000,
        "hour_meter_min": 36_000,
        "ignition": true,
        "gps_fix": true,
        "historical": false,
    })
}

/// What adds up along half an hour of driving.
pub(crate) fn example_sums() -> Value {
    json!({
        "distance_m": 24_300,
        "distance_from": "odometer",
        "moving_s": 1680,
        "idle_s": 120,
        "engine_s": 1800,
        "silent_s": 0,
        "max_speed_kmh": 84,
        "mean_speed_kmh": 52.1,
        "odometer_start_m": 25_000_000,
        "odometer_end_m": 25_024_300,
        "hour_meter_start_min": 36_000,
        "hour_meter_end_min": 36_030,
    })
}
