//! Straight edges on the plane of degrees (RFC 7946): the nearest place of one, and whether two of
//! them meet.

use super::point::Point;

/// Beyond this latitude a degree of longitude shrinks within one edge so much that the edge is
/// divided into pieces.
const POLAR_DEG: f64 = 80.0;
/// Degrees of such a piece, and pieces of an edge at most.
const PIECE_DEG: f64 = 0.5;
const MAX_PIECES: u32 = 720;

/// From one place to another, without a jump of the longitude between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Segment(pub(crate) Point, pub(crate) Point);

impl Segment {
    /// Metres from a place to the nearest place of the segment.
    pub(crate) fn distance_m(self, from: Point) -> f64 {
        let from = from.beside(f64::midpoint(self.0.longitude, self.1.longitude));
        // The nearest place may be the other way round the globe.
        let turned = |turn: f64| Point { longitude: from.longitude + turn, ..from };
        [0.0, -360.0, 360.0]
            .into_iter()
            .map(turned)
            .map(|from| self.nearest(from).distance_m(from))
            .fold(f64::INFINITY, f64::min)
    }

    fn nearest(self, from: Point) -> Point {
        let highest = from.latitude.abs().max(self.0.latitude.abs()).max(self.1.latitude.abs());
        if highest <= POLAR_DEG {
            return self.nearest_flat(from);
        }
        let span = (self.1.longitude - self.0.longitude)
            .abs()
            .max((self.1.latitude - self.0.latitude).abs());
        let pieces = pieces_of(span);
        let place = |index: u32| self.0.towards(self.1, f64::from(index) / f64::from(pieces));
        let of_piece = |index: u32| Self(place(index), place(index + 1)).nearest_flat(from);
        let nearer = |one: Point, other: Point| {
            if other.distance_m(from) < one.distance_m(from) { other } else { one }
        };
        (0..pieces).map(of_piece).fold(self.0, nearer)
    }

    /// On a plane on which a degree of longitude is as long as at the given place.
    fn nearest_flat(self, from: Point) -> Point {
        let shrink = from.latitude.to_radians().cos();
        let along_x = (self.1.longitude - self.0.longitude) * shrink;
        let along_y = self.1.latitude - self.0.latitude;
        let to_x = (from.longitude - self.0.longitude) * shrink;
        let to_y = from.latitude - self.0.latitude;
        let squared = along_x.mul_add(along_x, along_y * along_y);
        if squared <= 0.0 {
            return self.0;
        }
        let share = to_x.mul_add(along_x, to_y * along_y) / squared;
        self.0.towards(self.1, share.clamp(0.0, 1.0))
    }

    /// Whether two segments have a place in common, ends included.
    pub(crate) fn meets(self, other: Self) -> bool {
        let sides = |of: Self, point: Point| side(of, point);
        let (a, b) = (sides(self, other.0), sides(self, other.1));
        let (c, d) = (sides(other, self.0), sides(other, self.1));
        if a * b < 0.0 && c * d < 0.0 {
            return true;
        }
        let touches = |of: Self, at: f64, point: Point| is_zero(at) && of.spans(point);
        touches(self, a, other.0)
            || touches(self, b, other.1)
            || touches(other, c, self.0)
            || touches(other, d, self.1)
    }

    /// Whether two segments cross or overlap anywhere but at their ends.
    pub(crate) fn crosses(self, other: Self) -> bool {
        let (a, b) = (side(self, other.0), side(self, other.1));
        let (c, d) = (side(other, self.0), side(other, self.1));
        if a * b < 0.0 && c * d < 0.0 {
            return true;
        }
        let within = |of: Self, at: f64, point: Point| {
            is_zero(at) && of.spans(point) && point != of.0 && point != of.1
        };
        within(self, a, other.0)
            || within(self, b, other.1)
            || within(other, c, self.0)
            || within(other, d, self.1)
            || (self == other || self == Self(other.1, other.0))
    }

    /// Whether a place on its line is between its ends.
    fn spans(self, point: Point) -> bool {
        let within = |a: f64, b: f64, x: f64| a.min(b) <= x && x <= a.max(b);
        within(self.0.latitude, self.1.latitude, point.latitude)
            && within(self.0.longitude, self.1.longitude, point.longitude)
    }

    /// Whether a place is on the segment.
    pub(crate) fn bears(self, point: Point) -> bool {
        is_zero(side(self, point)) && self.spans(point)
    }
}

/// Positive where the point is left of the segment, 0 on its line.
fn side(of: Segment, point: Point) -> f64 {
    let (x, y) = (of.1.longitude - of.0.longitude, of.1.latitude - of.0.latitude);
    let (px, py) = (point.longitude - of.0.longitude, point.latitude - of.0.latitude);
    // Not fused: a product that is rounded once would make a point on the line lie beside it.
    x * py - y * px
}

fn is_zero(number: f64) -> bool {
    number == 0.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within 1 to MAX_PIECES"
)]
fn pieces_of(span: f64) -> u32 {
    (span / PIECE_DEG).ceil().clamp(1.0, f64::from(MAX_PIECES)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(a: (f64, f64), b: (f64, f64)) -> Segment {
        Segment(Point::new(a.0, a.1), Point::new(b.0, b.1))
    }

    #[test]
    fn segments_that_meet_and_that_cross() {
        let level = segment((0.0, 0.0), (0.0, 10.0));
        assert!(level.meets(segment((-1.0, 5.0), (1.0, 5.0))));
        assert!(level.crosses(segment((-1.0, 5.0), (1.0, 5.0))));
        let touching = segment((0.0, 10.0), (5.0, 10.0));
        assert!(level.meets(touching) && !level.crosses(touching), "ends touch");
        assert!(level.crosses(segment((0.0, 5.0), (5.0, 5.0))), "an end in the middle");
        assert!(level.crosses(segment((0.0, 5.0), (0.0, 15.0))), "one over the other");
        assert!(!level.meets(segment((1.0, 0.0), (1.0, 10.0))));
        assert!(!level.meets(segment((0.0, 11.0), (0.0, 12.0))), "on one line, apart");
    }

    #[test]
    fn distances_to_a_segment() {
        let level = segment((0.0, 0.0), (0.0, 1.0));
        let degree = 111_195.0;
        assert!((level.distance_m(Point::new(0.5, 0.5)) - degree / 2.0).abs() < 5.0);
        assert!((level.distance_m(Point::new(0.0, 2.0)) - degree).abs() < 5.0);
        let dateline = segment((0.0, 179.5), (0.0, 180.5));
        assert!(dateline.distance_m(Point::new(0.0, -179.9)) < 1e-6);
        // Round the pole the nearest place is over it, not along the parallel.
        let parallel = segment((89.0, -90.0), (89.0, 90.0));
        assert!((parallel.distance_m(Point::new(89.0, 180.0)) - 157_240.0).abs() < 1000.0);
    }
}
