//! Places on the globe and the distances between them.

/// Mean radius of the Earth (IUGG), metres.
pub(crate) const EARTH_M: f64 = 6_371_008.8;

/// A place in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// -90 to 90, north is positive.
    pub latitude: f64,
    /// -180 to 180, east is positive. Inside a shape it may go beyond, so that no edge jumps.
    pub longitude: f64,
}

impl Point {
    /// A place of a latitude and a longitude, in degrees.
    pub const fn new(latitude: f64, longitude: f64) -> Self {
        Self { latitude, longitude }
    }

    /// A place in micro-degrees, as positions have it.
    pub fn from_udeg(latitude: i32, longitude: i32) -> Self {
        Self::new(f64::from(latitude) / 1e6, f64::from(longitude) / 1e6)
    }

    /// Great-circle distance, metres.
    pub fn distance_m(self, other: Self) -> f64 {
        let (lat_1, lat_2) = (self.latitude.to_radians(), other.latitude.to_radians());
        let d_lat = (lat_2 - lat_1) / 2.0;
        let d_lon = (other.longitude - self.longitude).to_radians() / 2.0;
        let h = d_lat.sin().powi(2) + lat_1.cos() * lat_2.cos() * d_lon.sin().powi(2);
        2.0 * EARTH_M * h.clamp(0.0, 1.0).sqrt().asin()
    }

    /// The same place with the longitude that is nearest to another.
    pub(crate) fn beside(self, longitude: f64) -> Self {
        let turns = ((longitude - self.longitude) / 360.0).round();
        Self { longitude: turns.mul_add(360.0, self.longitude), ..self }
    }

    /// Of the way to another place, a share from 0 to 1, straight on a plane of degrees.
    pub(crate) fn towards(self, other: Self, share: f64) -> Self {
        Self {
            latitude: (other.latitude - self.latitude).mul_add(share, self.latitude),
            longitude: (other.longitude - self.longitude).mul_add(share, self.longitude),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_known_places() {
        let (paris, london) = (Point::new(48.8566, 2.3522), Point::new(51.5074, -0.1278));
        assert!((paris.distance_m(london) - 343_556.0).abs() < 100.0);
        let (west, east) = (Point::new(0.0, 179.999), Point::new(0.0, -179.999));
        assert!((west.distance_m(east) - 222.4).abs() < 0.1);
        assert!(Point::new(90.0, 0.0).distance_m(Point::new(90.0, 120.0)) < 1e-6);
    }

    #[test]
    fn the_longitude_beside_another_is_at_most_half_a_turn_away() {
        assert_eq!(Point::new(1.0, -179.0).beside(179.0), Point::new(1.0, 181.0));
        assert_eq!(Point::new(1.0, 10.0).beside(20.0), Point::new(1.0, 10.0));
        assert_eq!(Point::new(1.0, 10.0).beside(730.0), Point::new(1.0, 730.0));
    }
}
