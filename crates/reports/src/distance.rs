//! Distances: on the globe and by the odometer.

/// Mean radius of the Earth (IUGG), metres.
const EARTH_M: f64 = 6_371_008.8;
/// No vehicle's odometer advances faster (360 km/h), beyond one step of a coarse one.
const FASTEST_M_S: u64 = 100;
/// Steps of a coarse odometer.
const COARSE_M: u64 = 1000;

/// Great-circle distance of two places in micro-degrees (latitude, longitude).
pub fn haversine_m(one: (i32, i32), two: (i32, i32)) -> f64 {
    let radians = |udeg: i32| (f64::from(udeg) / 1e6).to_radians();
    let (lat_1, lat_2) = (radians(one.0), radians(two.0));
    let d_lat = (lat_2 - lat_1) / 2.0;
    let d_lon = (radians(two.1) - radians(one.1)) / 2.0;
    let h = d_lat.sin().powi(2) + lat_1.cos() * lat_2.cos() * d_lon.sin().powi(2);
    2.0 * EARTH_M * h.clamp(0.0, 1.0).sqrt().asin()
}

/// What the odometer did on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odometer {
    /// Zero at an end: the device has none, or was just started.
    Unknown,
    /// Metres forward, possibly none.
    Advanced(u32),
    /// Backward, or further than any vehicle goes in the time: by so many metres.
    Jumped(i64),
}

impl Odometer {
    pub(crate) fn between(from_m: u32, to_m: u32, seconds: u32) -> Self {
        if from_m == 0 || to_m == 0 {
            return Self::Unknown;
        }
        let possible = u64::from(seconds) * FASTEST_M_S + COARSE_M;
        match to_m.checked_sub(from_m) {
            Some(metres) if u64::from(metres) <= possible => Self::Advanced(metres),
            _ => Self::Jumped(i64::from(to_m) - i64::from(from_m)),
        }
    }

    pub(crate) fn advanced_m(self) -> Option<u32> {
        if let Self::Advanced(metres) = self { Some(metres) } else { None }
    }
}

/// Where a distance comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[schemars(rename = "DistanceSource")]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The odometer alone.
    Odometer,
    /// The ways between fixes while moving.
    Gps,
    /// The odometer, and ways between fixes where it did not follow.
    Both,
}

/// A distance in whole metres, so that parts add up to the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distance {
    /// Metres by the odometer.
    pub odometer_m: u64,
    /// Where the odometer has no say.
    pub gps_m: u64,
}

impl Distance {
    /// Adds another distance.
    pub fn absorb(&mut self, other: &Self) {
        self.odometer_m += other.odometer_m;
        self.gps_m += other.gps_m;
    }

    /// All of it.
    pub fn metres(&self) -> u64 {
        self.odometer_m + self.gps_m
    }

    /// Which of the two it comes from; GPS where it is 0.
    pub fn source(&self) -> Source {
        match (self.odometer_m, self.gps_m) {
            (0, _) => Source::Gps,
            (_, 0) => Source::Odometer,
            _ => Source::Both,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn about(metres: f64, expected: f64) {
        assert!((metres - expected).abs() < expected.abs() * 1e-4 + 0.01, "{metres} {expected}");
    }

    #[test]
    fn on_the_globe() {
        // A degree of a great circle: 2 pi R / 360.
        about(haversine_m((0, 0), (1_000_000, 0)), 111_195.08);
        about(haversine_m((0, 0), (0, 1_000_000)), 111_195.08);
        // A degree of longitude at 60 degrees north is half of that.
        about(haversine_m((60_000_000, 0), (60_000_000, 1_000_000)), 55_595.4);
        // Across the date line, and half around.
        about(haversine_m((0, 179_999_000), (0, -179_999_000)), 222.39);
        about(haversine_m((90_000_000, 0), (-90_000_000, 0)), 20_015_114.0);
        // Belo Horizonte to Sao Paulo, by the spherical law of cosines.
        about(haversine_m((-19_919_100, -43_938_600), (-23_550_500, -46_633_300)), 490_387.0);
    }

    #[test]
    fn odometers() {
        assert_eq!(Odometer::between(0, 5, 10), Odometer::Unknown);
        assert_eq!(Odometer::between(5, 0, 10), Odometer::Unknown);
        assert_eq!(Odometer::between(5, 5, 10), Odometer::Advanced(0));
        assert_eq!(Odometer::between(5, 2005, 10), Odometer::Advanced(2000));
        assert_eq!(Odometer::between(5, 2006, 10), Odometer::Jumped(2001));
        assert_eq!(Odometer::between(6, 5, 10), Odometer::Jumped(-1));
        assert_eq!(Odometer::between(u32::MAX, 1, 10), Odometer::Jumped(1 - 0xFFFF_FFFF));
    }

    proptest! {
        #[test]
        fn a_distance(a in place(), b in place(), c in place()) {
            let (ab, bc, ac) = (haversine_m(a, b), haversine_m(b, c), haversine_m(a, c));
            prop_assert!((0.0..=20_015_200.0).contains(&ab));
            prop_assert!((ab - haversine_m(b, a)).abs() < 1e-3);
            prop_assert!(ac <= ab + bc + 1.0);
        }
    }

    fn place() -> impl Strategy<Value = (i32, i32)> {
        (-90_000_000..=90_000_000_i32, -180_000_000..=180_000_000_i32)
    }
}
