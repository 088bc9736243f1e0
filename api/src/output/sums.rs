//! Sums of a trip, a day or a range, and places.

use schemars::JsonSchema;
use serde::Serialize;

use nemeses_reports::number::degrees;
use nemeses_reports::{Place, Source, Tally};

/// A place, in degrees.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Place")]
pub(crate) struct Here {
    latitude: f64,
    longitude: f64,
}

impl Here {
    /// A place in millionths of a degree.
    pub(crate) fn at(latitude_udeg: i32, longitude_udeg: i32) -> Self {
        Self { latitude: degrees(latitude_udeg), longitude: degrees(longitude_udeg) }
    }
}

impl From<Place> for Here {
    fn from(place: Place) -> Self {
        Self::at(place.latitude_udeg, place.longitude_udeg)
    }
}

/// What adds up along a stretch of rows, as it is shown.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Sums {
    distance_m: u64,
    distance_from: Source,
    moving_s: u64,
    /// Standing with the ignition on.
    idle_s: u64,
    /// All time with the ignition on.
    engine_s: u64,
    /// In gaps between rows.
    silent_s: u64,
    max_speed_kmh: Option<u8>,
    /// While moving.
    mean_speed_kmh: Option<f64>,
    odometer_start_m: u32,
    odometer_end_m: u32,
    hour_meter_start_min: u32,
    hour_meter_end_min: u32,
}

impl From<&Tally> for Sums {
    fn from(tally: &Tally) -> Self {
        let distance_m = tally.distance.metres();
        Self {
            distance_m,
            distance_from: tally.distance.source(),
            moving_s: tally.moving_s,
            idle_s: tally.idle_s,
            engine_s: tally.engine_s,
            silent_s: tally.silent_s,
            max_speed_kmh: tally.max_speed_kmh,
            mean_speed_kmh: mean_kmh(distance_m, tally.moving_s),
            odometer_start_m: tally.first.odometer_m,
            odometer_end_m: tally.last.odometer_m,
            hour_meter_start_min: tally.first.hour_meter_min,
            hour_meter_end_min: tally.last.hour_meter_min,
        }
    }
}

/// km/h while moving, to a tenth.
#[expect(clippy::cast_precision_loss, reason = "metres and seconds of a century are below 2^53")]
fn mean_kmh(metres: u64, moving_s: u64) -> Option<f64> {
    (moving_s > 0).then(|| (metres as f64 * 36.0 / moving_s as f64).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded() {
        assert_eq!(mean_kmh(6000, 300), Some(72.0));
        assert_eq!(mean_kmh(1000, 333), Some(10.8));
        assert_eq!(mean_kmh(1000, 0), None);
    }
}
