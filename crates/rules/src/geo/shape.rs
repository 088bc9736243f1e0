//! A geofence: whether a place is inside, how far its edge is, whether a way leads through.

use super::point::{EARTH_M, Point};
use super::ring::{Ring, bounds};
use super::segment::Segment;

/// The margin beyond the edge outside of which a fence is left is a tenth of its size, within these bounds in metres.
const MARGIN_SHARE: f64 = 0.1;
const MIN_MARGIN_M: f64 = 20.0;
const MAX_MARGIN_M: f64 = 500.0;

/// An area on the globe.
#[derive(Clone, Debug, PartialEq)]
pub struct Fence(pub(crate) Shape);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Circle {
        centre: Point,
        radius_m: f64,
    },
    Polygons(Vec<Polygon>),
    /// All places within this many metres of one of the lines.
    Corridor {
        lines: Vec<Vec<Point>>,
        reach_m: f64,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Polygon {
    pub(crate) outer: Ring,
    pub(crate) holes: Vec<Ring>,
}

impl Polygon {
    fn rings(&self) -> impl Iterator<Item = &Ring> {
        std::iter::once(&self.outer).chain(&self.holes)
    }

    /// The edge of a hole belongs to the area.
    fn contains(&self, point: Point) -> bool {
        let in_hole = |hole: &Ring| hole.contains(point) && !hole.bears(point);
        self.outer.contains(point) && !self.holes.iter().any(in_hole)
    }
}

/// Corners of a box, longitudes without a jump.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) low: Point,
    pub(crate) high: Point,
}

impl Fence {
    /// Whether a place is in the area or on its edge.
    pub fn contains(&self, point: Point) -> bool {
        match &self.0 {
            Shape::Circle { centre, radius_m } => centre.distance_m(point) <= *radius_m,
            Shape::Polygons(polygons) => polygons.iter().any(|polygon| polygon.contains(point)),
            Shape::Corridor { lines, reach_m } => line_distance_m(lines, point) <= *reach_m,
        }
    }

    /// Metres to the nearest place of the edge, from inside or outside.
    pub fn edge_distance_m(&self, point: Point) -> f64 {
        match &self.0 {
            Shape::Circle { centre, radius_m } => (centre.distance_m(point) - radius_m).abs(),
            Shape::Polygons(polygons) => polygons
                .iter()
                .flat_map(Polygon::rings)
                .map(|ring| ring.edge_distance_m(point))
                .fold(f64::INFINITY, f64::min),
            Shape::Corridor { lines, reach_m } => (line_distance_m(lines, point) - reach_m).abs(),
        }
    }

    /// Metres beyond the edge from which on the area is left: a tenth of its size, 20 to 500 m.
    pub fn margin_m(&self) -> f64 {
        let size_m = match &self.0 {
            Shape::Circle { radius_m, .. } => *radius_m,
            Shape::Polygons(_) => self.bounds().half_width_m(),
            Shape::Corridor { reach_m, .. } => *reach_m,
        };
        (size_m * MARGIN_SHARE).clamp(MIN_MARGIN_M, MAX_MARGIN_M)
    }

    /// Whether the straight way between two places leads through the area or touches it.
    pub fn meets(&self, from: Point, to: Point) -> bool {
        let way = Segment(from, to.beside(from.longitude));
        if self.contains(from) || self.contains(to) {
            return true;
        }
        match &self.0 {
            Shape::Circle { centre, radius_m } => way.distance_m(*centre) <= *radius_m,
            Shape::Polygons(polygons) => {
                polygons.iter().flat_map(Polygon::rings).any(|ring| ring.meets(way))
            }
            Shape::Corridor { lines, reach_m } => {
                segments(lines).any(|line| near(line, way, *reach_m))
            }
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        match &self.0 {
            Shape::Circle { centre, radius_m } => around(*centre, *centre, *radius_m),
            Shape::Polygons(polygons) => {
                let corners: Vec<Point> = polygons
                    .iter()
                    .flat_map(|polygon| [polygon.outer.low, polygon.outer.high])
                    .collect();
                let (low, high) = bounds(&corners);
                Bounds { low, high }
            }
            Shape::Corridor { lines, reach_m } => {
                let points: Vec<Point> = lines.iter().flatten().copied().collect();
                let (low, high) = bounds(&points);
                around(low, high, *reach_m)
            }
        }
    }
}

impl Bounds {
    fn half_width_m(self) -> f64 {
        let middle = f64::midpoint(self.low.latitude, self.high.latitude).to_radians();
        let high = (self.high.latitude - self.low.latitude).to_radians() * EARTH_M;
        let wide = (self.high.longitude - self.low.longitude).to_radians() * EARTH_M * middle.cos();
        high.min(wide) / 2.0
    }

    /// The box, enlarged by this many metres on each side.
    pub(crate) fn widened(self, metres: f64) -> Self {
        around(self.low, self.high, metres)
    }
}

/// A box, enlarged by this many metres on each side; near a pole it covers all longitudes.
fn around(low: Point, high: Point, metres: f64) -> Bounds {
    let degrees = (metres / EARTH_M).to_degrees();
    let (south, north) = (low.latitude - degrees, high.latitude + degrees);
    let shrink = south.abs().max(north.abs()).min(90.0).to_radians().cos();
    let wide = if shrink * 180.0 <= degrees { 180.0 } else { degrees / shrink };
    Bounds {
        low: Point::new(south.max(-90.0), low.longitude - wide),
        high: Point::new(north.min(90.0), high.longitude + wide),
    }
}

fn segments(lines: &[Vec<Point>]) -> impl Iterator<Item = Segment> {
    lines.iter().flat_map(|line| line.windows(2)).map(|pair| Segment(pair[0], pair[1]))
}

fn line_distance_m(lines: &[Vec<Point>], point: Point) -> f64 {
    segments(lines).map(|segment| segment.distance_m(point)).fold(f64::INFINITY, f64::min)
}

/// Whether two segments come this near: they meet, or an end of one is near the other.
fn near(line: Segment, way: Segment, reach_m: f64) -> bool {
    let start = way.0.beside(line.0.longitude);
    let turn = start.longitude - way.0.longitude;
    let end = Point { longitude: way.1.longitude + turn, ..way.1 };
    line.meets(Segment(start, end))
        || way.distance_m(line.0) <= reach_m
        || way.distance_m(line.1) <= reach_m
        || line.distance_m(way.0) <= reach_m
        || line.distance_m(way.1) <= reach_m
}
