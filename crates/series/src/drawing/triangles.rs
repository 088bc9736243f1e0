//! The largest triangles: of each bucket the point that, with the one chosen before it and the
//! mean of the next bucket, spans the largest area (Steinarsson 2013, LTTB). The extremes are
//! chosen besides, since their triangle may be a small one.

use std::ops::Range;

use super::Dot;
use crate::number;

/// At most `points` of the dots, which are in order; at least four are chosen where there are
/// as many.
pub(super) fn choose(dots: &[Dot], points: usize) -> Vec<Dot> {
    if dots.len() <= points {
        return dots.to_vec();
    }
    // The ends and the extremes take four of the points.
    let mut picks = largest(dots, points - 4);
    picks.extend([0, dots.len() - 1]);
    let places = 0..dots.len();
    picks.extend(places.clone().min_by(|a, b| dots[*a].value.total_cmp(&dots[*b].value)));
    picks.extend(places.max_by(|a, b| dots[*a].value.total_cmp(&dots[*b].value)));
    picks.sort_unstable();
    picks.dedup();
    picks.into_iter().map(|pick| dots[pick]).collect()
}

/// One place of each of this many buckets between the first and the last dot.
fn largest(dots: &[Dot], buckets: usize) -> Vec<usize> {
    let inner = dots.len() - 2;
    let bucket = |number: usize| -> Range<usize> {
        1 + number * inner / buckets..1 + (number + 1) * inner / buckets
    };
    let mut picks = Vec::with_capacity(buckets + 4);
    let mut before = 0;
    for number in 0..buckets {
        let next = if number + 1 < buckets { bucket(number + 1) } else { inner + 1..inner + 2 };
        let target = mean(&dots[next], dots[0].at_ms);
        let from = corner(&dots[before], dots[0].at_ms);
        let area = |place: usize| twice_the_area(from, corner(&dots[place], dots[0].at_ms), target);
        let areas = bucket(number).map(|place| (place, area(place)));
        if let Some((pick, _)) = areas.max_by(|(_, a), (_, b)| a.total_cmp(b)) {
            picks.push(pick);
            before = pick;
        }
    }
    picks
}

/// A dot's time, counted from the first one, and value.
fn corner(dot: &Dot, first_ms: i64) -> (f64, f64) {
    (number::float(dot.at_ms.saturating_sub(first_ms)), dot.value)
}

fn mean(dots: &[Dot], first_ms: i64) -> (f64, f64) {
    let count = number::length(dots.len());
    let corners = dots.iter().map(|dot| corner(dot, first_ms));
    let (times, values) = corners.fold((0.0, 0.0), |sum, dot| (sum.0 + dot.0, sum.1 + dot.1));
    (times / count, values / count)
}

fn twice_the_area(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> f64 {
    ((a.0 - c.0) * (b.1 - a.1) - (a.0 - b.0) * (c.1 - a.1)).abs()
}
