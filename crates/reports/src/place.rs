//! Places of believed fixes.

use nemeses_protocol::Position;

use super::distance::haversine_m;

/// A place with the second of the fix it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Micro-degrees, -90 000 000 to 90 000 000 where the device is sound.
    pub latitude_udeg: i32,
    /// Micro-degrees, -180 000 000 to 180 000 000 where the device is sound.
    pub longitude_udeg: i32,
    /// Unix seconds.
    pub fixed_at: u32,
}

impl Place {
    /// Of a row that had a fix.
    pub fn of(position: &Position) -> Self {
        Self {
            latitude_udeg: position.latitude_udeg,
            longitude_udeg: position.longitude_udeg,
            fixed_at: position.recorded_at,
        }
    }

    /// Great-circle distance in metres, at most half around the globe (20 015 115).
    pub fn metres_to(self, other: Self) -> f64 {
        haversine_m(
            (self.latitude_udeg, self.longitude_udeg),
            (other.latitude_udeg, other.longitude_udeg),
        )
    }

    /// The same in whole millimetres, so that sums do not depend on their order.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "half around the globe is 2e10 mm"
    )]
    pub fn mm_to(self, other: Self) -> u64 {
        (self.metres_to(other) * 1e3).round() as u64
    }
}
