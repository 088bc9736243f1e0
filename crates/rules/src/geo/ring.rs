//! Closed rings on the plane of degrees. A ring that goes over the antimeridian goes on beyond
//! 180 degrees instead of jumping; one around a pole has that pole as an edge.

use super::point::Point;
use super::segment::Segment;
use crate::error::FenceError;

/// A ring without its repeated last point; longitudes do not jump.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ring {
    points: Vec<Point>,
    pub(crate) low: Point,
    pub(crate) high: Point,
}

impl Ring {
    /// A ring of places of which the last repeats the first.
    pub(crate) fn closed(points: &[Point]) -> Result<Self, FenceError> {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Err(FenceError::ShortRing);
        };
        if first != last {
            return Err(FenceError::OpenRing);
        }
        if points.len() < 4 {
            return Err(FenceError::ShortRing);
        }
        let mut unrolled = unrolled(points);
        unrolled.dedup();
        if unrolled.len() < 4 {
            return Err(FenceError::ShortRing);
        }
        let turned = unrolled.last().map_or(0.0, |last| last.longitude - first.longitude);
        unrolled.pop();
        if turned.abs() > 180.0 {
            around_pole(&mut unrolled, turned);
        }
        let (low, high) = bounds(&unrolled);
        let ring = Self { points: unrolled, low, high };
        ring.crossing().map_or(Ok(ring), Err)
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = Segment> + Clone {
        let next = self.points.iter().cycle().skip(1);
        self.points.iter().zip(next).map(|(one, other)| Segment(*one, *other))
    }

    /// Whether a place is in the ring or on its edge. At a pole every longitude is the same place.
    pub(crate) fn contains(&self, point: Point) -> bool {
        if point.latitude.abs() >= 90.0 {
            let pole = point.latitude;
            return (self.low.latitude..=self.high.latitude).contains(&pole);
        }
        self.turns(point).any(|point| self.contains_flat(point))
    }

    /// Whether a place is on the edge.
    pub(crate) fn bears(&self, point: Point) -> bool {
        self.turns(point).any(|point| self.edges().any(|edge| edge.bears(point)))
    }

    /// The longitudes of a place that may be within the ring's.
    fn turns(&self, point: Point) -> impl Iterator<Item = Point> {
        let first = point.beside(f64::midpoint(self.low.longitude, self.high.longitude));
        let turned = move |turn: f64| Point { longitude: first.longitude + turn, ..first };
        [0.0, -360.0, 360.0].into_iter().map(turned)
    }

    /// Even-odd rule: a ray to the east meets the edge an odd number of times.
    fn contains_flat(&self, point: Point) -> bool {
        let mut inside = false;
        for edge in self.edges() {
            if edge.bears(point) {
                return true;
            }
            let Segment(a, b) = edge;
            if (a.latitude > point.latitude) != (b.latitude > point.latitude) {
                let share = (point.latitude - a.latitude) / (b.latitude - a.latitude);
                inside ^= point.longitude < a.towards(b, share).longitude;
            }
        }
        inside
    }

    /// Metres to the nearest edge, whichever side of it the place is on.
    pub(crate) fn edge_distance_m(&self, from: Point) -> f64 {
        self.edges()
            .filter(|edge| !is_pole(*edge))
            .map(|edge| edge.distance_m(from))
            .fold(f64::INFINITY, f64::min)
    }

    /// Whether a way meets the edge. It starts at a longitude within half a turn of the ring's.
    pub(crate) fn meets(&self, way: Segment) -> bool {
        let length = way.1.longitude - way.0.longitude;
        self.turns(way.0).any(|start| {
            let end = Point { longitude: start.longitude + length, ..way.1 };
            self.edges().any(|edge| edge.meets(Segment(start, end)))
        })
    }

    /// Whether edges of the ring cross one another, found along the latitude so that ten thousand points
    /// need no fifty million comparisons.
    fn crossing(&self) -> Option<FenceError> {
        let mut edges: Vec<(f64, f64, usize, Segment)> = self
            .edges()
            .enumerate()
            .map(|(index, edge)| {
                let (a, b) = (edge.0.latitude, edge.1.latitude);
                (a.min(b), a.max(b), index, edge)
            })
            .collect();
        edges.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut open: Vec<&(f64, f64, usize, Segment)> = Vec::new();
        for edge in &edges {
            open.retain(|other| other.1 >= edge.0);
            if let Some(other) = open.iter().find(|other| self.cross(edge, other)) {
                let (first, second) = (edge.2.min(other.2), edge.2.max(other.2));
                return Some(FenceError::Crossing { first: first + 1, second: second + 1 });
            }
            open.push(edge);
        }
        None
    }

    fn cross(&self, one: &(f64, f64, usize, Segment), other: &(f64, f64, usize, Segment)) -> bool {
        let apart = one.2.abs_diff(other.2);
        let neighbours = apart == 1 || apart + 1 == self.points.len();
        if one.3.crosses(other.3) {
            return true;
        }
        // Edges that are no neighbours must not touch either, or the ring is two.
        !neighbours && one.3.meets(other.3)
    }
}

/// An edge along a pole is one place.
fn is_pole(edge: Segment) -> bool {
    edge.0.latitude.abs() >= 90.0 && edge.1.latitude.abs() >= 90.0
}

/// The same places without jumps of the longitude: always the shorter way.
pub(crate) fn unrolled(points: &[Point]) -> Vec<Point> {
    let mut unrolled: Vec<Point> = Vec::with_capacity(points.len() + 3);
    for point in points {
        let point = match unrolled.last() {
            Some(before) => point.beside(before.longitude),
            None => *point,
        };
        unrolled.push(point);
    }
    unrolled
}

/// A ring that comes back a whole turn away encloses the nearer pole.
fn around_pole(points: &mut Vec<Point>, turned: f64) {
    let Some(first) = points.first().copied() else { return };
    let sum: f64 = points.iter().map(|point| point.latitude).sum();
    let pole = if sum < 0.0 { -90.0 } else { 90.0 };
    points.push(Point { longitude: first.longitude + turned, ..first });
    points.push(Point::new(pole, first.longitude + turned));
    points.push(Point::new(pole, first.longitude));
}

pub(crate) fn bounds(points: &[Point]) -> (Point, Point) {
    let mut low = Point::new(f64::INFINITY, f64::INFINITY);
    let mut high = Point::new(f64::NEG_INFINITY, f64::NEG_INFINITY);
    for point in points {
        low = Point::new(low.latitude.min(point.latitude), low.longitude.min(point.longitude));
        high = Point::new(high.latitude.max(point.latitude), high.longitude.max(point.longitude));
    }
    (low, high)
}
