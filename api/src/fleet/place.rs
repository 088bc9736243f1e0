//! Places on the globe: in a box, and how far away.

use nemeses_protocol::Position;
use nemeses_reports::haversine_m;

use crate::problem::Problem;

const MICRO: f64 = 1e6;

/// A place in micro-degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) latitude_udeg: i32,
    pub(crate) longitude_udeg: i32,
}

impl Place {
    /// Of a frame.
    pub(crate) const fn of(position: &Position) -> Self {
        let &Position { latitude_udeg, longitude_udeg, .. } = position;
        Self { latitude_udeg, longitude_udeg }
    }

    /// `longitude,latitude` in degrees.
    pub(crate) fn parse(name: &'static str, text: &str) -> Result<Self, Problem> {
        let [longitude, latitude] = numbers(text).ok_or_else(|| {
            let detail = "Must be longitude,latitude in degrees, for example -43.94,-19.93.";
            Problem::parameter(name, detail)
        })?;
        check(name, longitude, latitude)?;
        Ok(Self { latitude_udeg: micro(latitude), longitude_udeg: micro(longitude) })
    }

    /// Great-circle distance.
    pub(crate) fn metres_to(self, other: Self) -> f64 {
        let pair = |place: Self| (place.latitude_udeg, place.longitude_udeg);
        haversine_m(pair(self), pair(other))
    }
}

/// A box between two meridians and two parallels, its edges included. One whose
/// west lies east of its east reaches across the 180th meridian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BoundingBox {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl BoundingBox {
    /// `west,south,east,north` in degrees (RFC 7946, section 5).
    pub(crate) fn parse(name: &'static str, text: &str) -> Result<Self, Problem> {
        let [west, south, east, north] = numbers(text).ok_or_else(|| {
            let detail = "Must be west,south,east,north in degrees, for example -44,-20,-43,-19.";
            Problem::parameter(name, detail)
        })?;
        check(name, west, south)?;
        check(name, east, north)?;
        if south > north {
            return Err(Problem::parameter(name, "The box ends south of where it begins."));
        }
        Ok(Self { west, south, east, north })
    }

    pub(crate) fn contains(&self, place: Place) -> bool {
        let latitude = f64::from(place.latitude_udeg) / MICRO;
        let longitude = f64::from(place.longitude_udeg) / MICRO;
        // 180 degrees east and west are one meridian.
        let between = |longitude: f64| {
            if self.west <= self.east {
                (self.west..=self.east).contains(&longitude)
            } else {
                longitude >= self.west || longitude <= self.east
            }
        };
        let meridian = longitude.abs() >= 180.0 && (between(180.0) || between(-180.0));
        (self.south..=self.north).contains(&latitude) && (between(longitude) || meridian)
    }
}

/// The distances of what has a place, in millimetres, nearest first; equals by
/// their order before.
pub(crate) fn nearest_first(from: Place, places: &[Option<Place>]) -> Vec<(u64, usize)> {
    let mut found: Vec<(u64, usize)> = places
        .iter()
        .enumerate()
        .filter_map(|(index, place)| Some((millimetres(from.metres_to((*place)?)), index)))
        .collect();
    found.sort_unstable();
    found
}

/// Half around the Earth is 2e10 mm.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "below 2^53, not below 0"
)]
fn millimetres(metres: f64) -> u64 {
    (metres * 1e3).round() as u64
}

fn check(name: &'static str, longitude: f64, latitude: f64) -> Result<(), Problem> {
    if longitude.abs() <= 180.0 && latitude.abs() <= 90.0 {
        return Ok(());
    }
    let detail = "Longitudes are from -180 to 180 and come first, latitudes from -90 to 90.";
    Err(Problem::parameter(name, detail))
}

#[expect(clippy::cast_possible_truncation, reason = "checked: within 180 degrees")]
fn micro(degrees: f64) -> i32 {
    (degrees * MICRO).round() as i32
}

/// Exactly so many plain decimals between commas.
fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let plain = |part: &str| {
        let part = part.trim();
        let decimal = part.bytes().all(|byte| byte.is_ascii_digit() || b".-+".contains(&byte));
        decimal.then(|| part.parse::<f64>().ok()).flatten().filter(|number| number.is_finite())
    };
    let numbers: Vec<f64> = text.split(',').map(plain).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(longitude: f64, latitude: f64) -> Place {
        Place { latitude_udeg: micro(latitude), longitude_udeg: micro(longitude) }
    }

    fn box_of(text: &str) -> BoundingBox {
        BoundingBox::parse("bbox", text).unwrap()
    }

    #[test]
    fn boxes_hold_their_edges() {
        let minas = box_of("-44,-20.5,-43,-19");
        for inside in [at(-43.5, -20.0), at(-44.0, -20.5), at(-43.0, -19.0)] {
            assert!(minas.contains(inside), "{inside:?}");
        }
        for outside in [at(-44.000_001, -20.0), at(-43.5, -18.999_999), at(43.5, -20.0)] {
            assert!(!minas.contains(outside), "{outside:?}");
        }
    }

    #[test]
    fn boxes_reach_across_the_180th_meridian() {
        let fiji = box_of("177,-20,-178,-15");
        for inside in [at(179.9, -17.0), at(-179.9, -17.0), at(180.0, -17.0), at(-180.0, -17.0)] {
            assert!(fiji.contains(inside), "{inside:?}");
        }
        for outside in [at(0.0, -17.0), at(176.9, -17.0), at(-177.9, -17.0), at(179.9, -14.0)] {
            assert!(!fiji.contains(outside), "{outside:?}");
        }
        assert!(box_of("170,-20,180,20").contains(at(-180.0, 0.0)));
        assert!(box_of("-180,-90,180,90").contains(at(12.0, 90.0)));
    }

    #[test]
    fn what_is_no_box_is_named() {
        for bad in [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "a,b,c,d",
            "-181,0,0,1",
            "0,-91,0,0",
            "0,5,1,4",
            "nan,0,1,1",
            "inf,0,1,1",
            "1e1,0,1,1",
            "0,0,,1",
            "0;0;1;1",
            "0x1,0,1,1",
        ] {
            let problem = BoundingBox::parse("bbox", bad).unwrap_err();
            assert_eq!(problem.at_fault(), Some("bbox"), "{bad}");
        }
        for bad in ["", "1", "91,-91", "1,2,3", "-43.9;-19.9"] {
            assert_eq!(Place::parse("near", bad).unwrap_err().at_fault(), Some("near"), "{bad}");
        }
        assert_eq!(
            Place::parse("near", " -43.938493, -19.932833 "),
            Ok(at(-43.938_493, -19.932_833))
        );
    }

    fn places() -> impl Strategy<Value = Place> {
        (-180_000_000..=180_000_000_i32, -90_000_000..=90_000_000_i32)
            .prop_map(|(longitude_udeg, latitude_udeg)| Place { latitude_udeg, longitude_udeg })
    }

    proptest! {
        /// A box and the one around the rest of the globe hold every place, and
        /// only what is on the edges is in both.
        #[test]
        fn a_box_and_its_complement(west in -179..180_i32, east in -179..180_i32, place in places()) {
            prop_assume!(west != east);
            let one = box_of(&format!("{west},-90,{east},90"));
            let other = box_of(&format!("{east},-90,{west},90"));
            prop_assert!(one.contains(place) || other.contains(place));
            let longitude = place.longitude_udeg;
            if longitude != west * 1_000_000 && longitude != east * 1_000_000 {
                prop_assert!(one.contains(place) != other.contains(place));
            }
        }

        #[test]
        fn the_nearest_come_first_and_none_is_lost(from in places(), others in prop::collection::vec(prop::option::of(places()), 0..20)) {
            let found = nearest_first(from, &others);
            prop_assert_eq!(found.len(), others.iter().flatten().count());
            prop_assert!(found.is_sorted());
            for (distance, index) in found {
                prop_assert_eq!(distance, millimetres(from.metres_to(others[index].unwrap())));
            }
        }

        #[test]
        fn no_text_panics(text in "[0-9,.eE+-]{0,30}|.{0,30}") {
            let _ = BoundingBox::parse("bbox", &text);
            let _ = Place::parse("near", &text);
        }
    }
}
