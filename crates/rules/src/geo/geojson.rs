//! Fences from GeoJSON (RFC 7946): a polygon, several of them, a point with `radius_m` or lines
//! with `width_m`, as a geometry or as a feature that has these properties.

use serde_json::Value;

use super::point::Point;
use super::ring::{Ring, unrolled};
use super::shape::{Fence, Polygon, Shape};
use crate::error::FenceError;

/// Points of a fence at most: at 16 bytes each 160 KB.
pub const MAX_FENCE_POINTS: usize = 10_000;
/// Metres of a radius or a width at least.
pub const MIN_METRES: f64 = 1.0;
/// Metres of a radius or a width at most.
pub const MAX_METRES: f64 = 1_000_000.0;

impl Fence {
    /// Reads a geometry or a feature.
    ///
    /// # Errors
    /// What is wrong with it, in words for its author.
    pub fn from_geojson(document: &Value) -> Result<Self, FenceError> {
        let (geometry, properties) = match kind_of(document)? {
            "Feature" => (
                document.get("geometry").ok_or(FenceError::Missing("geometry"))?,
                document.get("properties").unwrap_or(&Value::Null),
            ),
            _ => (document, document),
        };
        let coordinates = || geometry.get("coordinates").ok_or(FenceError::Missing("coordinates"));
        let metres = |name| metres_of(properties, name);
        let mut room = MAX_FENCE_POINTS;
        let shape = match kind_of(geometry)? {
            "Point" => {
                Shape::Circle { centre: point_of(coordinates()?)?, radius_m: metres("radius_m")? }
            }
            "Polygon" => Shape::Polygons(vec![polygon_of(coordinates()?, &mut room)?]),
            "MultiPolygon" => Shape::Polygons(
                each(coordinates()?)?
                    .iter()
                    .map(|polygon| polygon_of(polygon, &mut room))
                    .collect::<Result<_, _>>()?,
            ),
            "LineString" => corridor(&[coordinates()?], metres("width_m")?, &mut room)?,
            "MultiLineString" => {
                let lines: Vec<&Value> = each(coordinates()?)?.iter().collect();
                corridor(&lines, metres("width_m")?, &mut room)?
            }
            other => return Err(FenceError::Kind(shortened(other))),
        };
        if matches!(&shape, Shape::Polygons(polygons) if polygons.is_empty()) {
            return Err(FenceError::Missing("coordinates"));
        }
        Ok(Self(shape))
    }
}

/// The rejected value, short enough for a message.
fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}

fn kind_of(document: &Value) -> Result<&str, FenceError> {
    document.get("type").and_then(Value::as_str).ok_or(FenceError::Missing("type"))
}

fn each(value: &Value) -> Result<&[Value], FenceError> {
    value.as_array().map(Vec::as_slice).ok_or(FenceError::Coordinates)
}

fn metres_of(properties: &Value, name: &'static str) -> Result<f64, FenceError> {
    let metres = properties.get(name).ok_or(FenceError::Missing(name))?;
    let metres = metres.as_f64().ok_or(FenceError::Metres(name))?;
    if (MIN_METRES..=MAX_METRES).contains(&metres) {
        Ok(metres)
    } else {
        Err(FenceError::Metres(name))
    }
}

fn corridor(lines: &[&Value], width_m: f64, room: &mut usize) -> Result<Shape, FenceError> {
    let lines: Vec<Vec<Point>> = lines
        .iter()
        .map(|line| {
            let points = points_of(line, room)?;
            if points.len() < 2 { Err(FenceError::ShortLine) } else { Ok(unrolled(&points)) }
        })
        .collect::<Result<_, _>>()?;
    if lines.is_empty() {
        return Err(FenceError::Missing("coordinates"));
    }
    Ok(Shape::Corridor { lines, reach_m: width_m / 2.0 })
}

fn polygon_of(rings: &Value, room: &mut usize) -> Result<Polygon, FenceError> {
    let mut rings = each(rings)?.iter().map(|ring| Ring::closed(&points_of(ring, room)?));
    let outer = rings.next().ok_or(FenceError::ShortRing)??;
    Ok(Polygon { outer, holes: rings.collect::<Result<_, _>>()? })
}

fn points_of(line: &Value, room: &mut usize) -> Result<Vec<Point>, FenceError> {
    let points = each(line)?;
    *room = room.checked_sub(points.len()).ok_or(FenceError::TooManyPoints)?;
    points.iter().map(point_of).collect()
}

/// Longitude first (RFC 7946); an altitude behind them is not used.
fn point_of(value: &Value) -> Result<Point, FenceError> {
    let numbers = each(value)?;
    if !(2..=4).contains(&numbers.len()) {
        return Err(FenceError::Coordinates);
    }
    let number = |index: usize| numbers[index].as_f64().ok_or(FenceError::Coordinates);
    let (longitude, latitude) = (number(0)?, number(1)?);
    if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
        return Err(FenceError::Range { longitude, latitude });
    }
    Ok(Point::new(latitude, longitude))
}
