//! Geofences against other ways of computing the same: sums of angles, dense sampling, and the same
//! fence elsewhere on the globe.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

use nemeses_rules::{Fence, FenceError, FenceIndex, Point};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

fn fence(document: &Value) -> Fence {
    Fence::from_geojson(document).unwrap()
}

fn polygon(rings: &[&[(f64, f64)]]) -> Value {
    let rings: Vec<Vec<[f64; 2]>> =
        rings.iter().map(|ring| ring.iter().map(|(lon, lat)| [*lon, *lat]).collect()).collect();
    json!({ "type": "Polygon", "coordinates": rings })
}

fn square(west: f64, south: f64, east: f64, north: f64) -> Vec<(f64, f64)> {
    vec![(west, south), (east, south), (east, north), (west, north), (west, south)]
}

fn refused(document: &Value) -> String {
    Fence::from_geojson(document).unwrap_err().to_string()
}

#[test]
fn a_hole_is_outside_and_its_edge_inside() {
    let (outer, hole) = (square(0.0, 0.0, 10.0, 10.0), square(4.0, 4.0, 6.0, 6.0));
    let fence = fence(&polygon(&[&outer, &hole]));
    assert!(fence.contains(Point::new(2.0, 2.0)));
    assert!(!fence.contains(Point::new(5.0, 5.0)), "in the hole");
    assert!(fence.contains(Point::new(4.0, 5.0)), "on the hole's edge");
    assert!(fence.contains(Point::new(0.0, 5.0)) && !fence.contains(Point::new(-0.001, 5.0)));
    assert!((fence.edge_distance_m(Point::new(5.0, 5.0)) - 110_772.0).abs() < 500.0);
}

#[test]
fn fences_over_the_antimeridian_and_around_poles() {
    let fiji = fence(&polygon(&[&[
        (177.0, -20.0),
        (-178.0, -20.0),
        (-178.0, -15.0),
        (177.0, -15.0),
        (177.0, -20.0),
    ]]));
    for inside in [(-17.0, 178.0), (-17.0, 180.0), (-17.0, -180.0), (-17.0, -179.0)] {
        assert!(fiji.contains(Point::new(inside.0, inside.1)), "{inside:?}");
    }
    for outside in [(-17.0, 176.0), (-17.0, -177.0), (-17.0, 0.0)] {
        assert!(!fiji.contains(Point::new(outside.0, outside.1)), "{outside:?}");
    }
    let ring: Vec<(f64, f64)> =
        (0..=12).map(|step| (f64::from(step % 12).mul_add(30.0, -180.0), -70.0)).collect();
    let antarctica = fence(&polygon(&[&ring]));
    for longitude in [-180.0, -31.0, 0.0, 45.0, 179.9] {
        assert!(antarctica.contains(Point::new(-71.0, longitude)), "{longitude}");
        assert!(!antarctica.contains(Point::new(-69.0, longitude)), "{longitude}");
        assert!(antarctica.contains(Point::new(-90.0, longitude)));
        assert!(!antarctica.contains(Point::new(90.0, longitude)));
    }
    let pole = fence(&json!({ "type": "Point", "coordinates": [0, 90], "radius_m": 10_000 }));
    assert!(pole.contains(Point::new(89.95, 170.0)) && !pole.contains(Point::new(89.9, -100.0)));
}

#[test]
fn corridors_and_circles() {
    let road = fence(&json!({
        "type": "Feature",
        "properties": { "width_m": 1000 },
        "geometry": { "type": "LineString", "coordinates": [[179.0, 0.0], [-179.0, 0.0]] },
    }));
    assert!(road.contains(Point::new(0.004, 180.0)) && !road.contains(Point::new(0.006, 180.0)));
    assert!((road.edge_distance_m(Point::new(0.0, -179.9)) - 500.0).abs() < 1.0);
    assert!(road.meets(Point::new(1.0, 179.99), Point::new(-1.0, -179.99)), "across");
    assert!(!road.meets(Point::new(1.0, 179.9), Point::new(1.0, -179.9)), "beside");
    let circle = fence(&json!({ "type": "Point", "coordinates": [10.0, 50.0], "radius_m": 100 }));
    assert!(circle.meets(Point::new(50.0, 9.9), Point::new(50.0, 10.1)), "jumped over");
    assert!(!circle.meets(Point::new(50.01, 9.9), Point::new(50.01, 10.1)));
    assert!((circle.margin_m() - 20.0).abs() < 1e-9);
}

#[test]
fn what_is_no_fence_is_refused_with_its_reason() {
    let point =
        |coordinates: Value| json!({ "type": "Point", "coordinates": coordinates, "radius_m": 5 });
    assert!(refused(&json!({})).contains("`type`"));
    assert!(refused(&json!({ "type": "Point" })).contains("`coordinates`"));
    assert!(refused(&json!({ "type": "Point", "coordinates": [1, 2] })).contains("`radius_m`"));
    assert!(refused(&point(json!([1]))).contains("longitude first"));
    assert!(refused(&point(json!([1, "2"]))).contains("longitude first"));
    assert!(refused(&point(json!([50, 190]))).contains("[50, 190] is no place"));
    assert!(refused(&json!({ "type": "GeometryCollection" })).contains("GeometryCollection"));
    let width = json!({ "type": "LineString", "coordinates": [[0, 0], [1, 1]], "width_m": 0 });
    assert!(refused(&width).contains("`width_m`"));
    let line = json!({ "type": "LineString", "coordinates": [[0, 0]], "width_m": 10 });
    assert!(refused(&line).contains("two points"));
    assert!(
        refused(&polygon(&[&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]])).contains("closed")
    );
    assert!(refused(&polygon(&[&[(0.0, 0.0), (1.0, 0.0), (0.0, 0.0)]])).contains("four points"));
    let bow = [(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0), (0.0, 0.0)];
    assert!(refused(&polygon(&[&bow])).contains("edges 1 and 3"));
    let spike = [(0.0, 0.0), (4.0, 0.0), (2.0, 0.0), (2.0, 3.0), (0.0, 0.0)];
    assert!(matches!(Fence::from_geojson(&polygon(&[&spike])), Err(FenceError::Crossing { .. })));
    let many: Vec<(f64, f64)> = (0..=10_000).map(|step| (f64::from(step) / 1e3, 0.0)).collect();
    assert!(refused(&polygon(&[&many])).contains("10000"));
    assert!(refused(&json!({ "type": "MultiPolygon", "coordinates": [] })).contains("coordinates"));
}

#[test]
fn ten_thousand_points_are_checked() {
    let around = |step: u32| f64::from(step % 9_999).mul_add(std::f64::consts::TAU / 9_999.0, 0.0);
    let ring: Vec<(f64, f64)> =
        (0..=9_999).map(|step| (around(step).cos(), around(step).sin())).collect();
    let fence = fence(&polygon(&[&ring]));
    assert!(fence.contains(Point::new(0.0, 0.0)) && !fence.contains(Point::new(0.8, 0.8)));
}

/// A ring around a place, seen from which every direction occurs once: never crosses itself.
fn star() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec(0.1_f64..1.0, 3..24).prop_map(|radii| {
        let count = u32::try_from(radii.len()).unwrap();
        let turn = |index: u32| f64::from(index) / f64::from(count) * std::f64::consts::TAU;
        let mut ring: Vec<(f64, f64)> = (0..count)
            .zip(&radii)
            .map(|(index, radius)| (radius * turn(index).cos(), radius * turn(index).sin()))
            .collect();
        ring.push(ring[0]);
        ring
    })
}

/// How often the ring goes around a place.
fn winds(ring: &[(f64, f64)], x: f64, y: f64) -> bool {
    let angle = |(px, py): (f64, f64)| (py - y).atan2(px - x);
    let sum: f64 = ring
        .windows(2)
        .map(|pair| {
            let turn = angle(pair[1]) - angle(pair[0]);
            turn - (turn / std::f64::consts::TAU).round() * std::f64::consts::TAU
        })
        .sum();
    sum.abs() > std::f64::consts::PI
}

proptest! {
    #[test]
    fn inside_is_where_the_ring_winds_around(
        ring in star(),
        (x, y) in (-1.2_f64..1.2, -1.2_f64..1.2),
        (east, north) in (-180_i32..=180, -80_i32..=80),
    ) {
        let (east, north) = (f64::from(east), f64::from(north));
        let wrapped = |x: f64| (x + 180.0).rem_euclid(360.0) - 180.0;
        let mut moved: Vec<(f64, f64)> =
            ring.iter().map(|(x, y)| (wrapped(x + east), y + north)).collect();
        *moved.last_mut().unwrap() = moved[0];
        let fence = fence(&polygon(&[&moved]));
        let place = Point::new(y + north, wrapped(x + east));
        let near_edge = fence.edge_distance_m(place) < 1.0;
        prop_assert!(near_edge || fence.contains(place) == winds(&ring, x, y));
    }

    #[test]
    fn the_edge_is_as_far_as_the_nearest_of_many_places_on_it(
        ring in star(),
        (x, y) in (-1.2_f64..1.2, -1.2_f64..1.2),
        north in -88_i32..=88,
    ) {
        let north = f64::from(north);
        let moved: Vec<(f64, f64)> = ring.iter().map(|(x, y)| (x + 10.0, y + north)).collect();
        let fence = fence(&polygon(&[&moved]));
        let place = Point::new(y + north, x + 10.0);
        let mut nearest = f64::INFINITY;
        for pair in moved.windows(2) {
            for step in 0..=400 {
                let share = f64::from(step) / 400.0;
                let on_edge = Point::new(
                    pair[0].1 + (pair[1].1 - pair[0].1) * share,
                    pair[0].0 + (pair[1].0 - pair[0].0) * share,
                );
                nearest = nearest.min(on_edge.distance_m(place));
            }
        }
        let computed = fence.edge_distance_m(place);
        prop_assert!((computed - nearest).abs() <= 300.0 + nearest * 0.01, "{computed} {nearest}");
    }

    /// What the index leaves out is outside, beyond the margin, and not on the way.
    #[test]
    fn the_index_leaves_out_only_what_is_far(
        fences in prop::collection::vec((-85_i32..=85, -180_i32..=180, 1_u32..200_000), 1..20),
        (north, east) in (-89.9_f64..89.9, -180.0_f64..180.0),
        (up, right) in (-0.5_f64..0.5, -0.5_f64..0.5),
        at_fence: bool,
    ) {
        let fences: Vec<(u64, Arc<Fence>)> = (0..)
            .zip(&fences)
            .map(|(id, (lat, lon, radius_m))| {
                let circle = json!({ "type": "Point", "coordinates": [lon, lat], "radius_m": radius_m });
                (id, Arc::new(fence(&circle)))
            })
            .collect();
        let index = FenceIndex::new(fences.clone());
        let place = if at_fence {
            let circle = fences[0].1.as_ref();
            let south = (-90..=90).map(f64::from).find(|lat| circle.contains(Point::new(*lat, east)));
            Point::new(south.unwrap_or(north), east)
        } else {
            Point::new(north, east)
        };
        let from = Point::new((place.latitude + up).clamp(-90.0, 90.0), place.longitude + right);
        let near = index.near(Some(from), place);
        for (id, fence) in &fences {
            let concerns = fence.contains(place)
                || fence.edge_distance_m(place) <= fence.margin_m()
                || fence.meets(from, place);
            prop_assert!(!concerns || near.contains(id), "{id}");
        }
    }

    #[test]
    fn no_document_panics(text in "\\PC{0,60}") {
        let coordinates = serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text));
        for kind in ["Point", "Polygon", "MultiPolygon", "LineString", "Feature"] {
            let _ = Fence::from_geojson(&json!({ "type": kind, "coordinates": coordinates }));
        }
    }
}
