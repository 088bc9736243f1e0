//! Lines on a map as text of GPX, KML and GeoJSON, point after point, so that a way of any
//! length takes a constant amount of memory. Pure.

use std::fmt::Write as _;

use nemeses_protocol::PositionRecord;
use nemeses_reports::number::{degrees, time_s};
use nemeses_reports::{Doubt, Mark};

use super::form::Form;

/// Where longitudes end.
const END_UDEG: i32 = 180_000_000;

/// A place on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayPoint {
    /// Micro-degrees.
    pub latitude_udeg: i32,
    /// Micro-degrees.
    pub longitude_udeg: i32,
    /// When it was recorded.
    pub at: u32,
    /// The way to it is unknown: a new line begins here.
    pub begins: bool,
}

impl WayPoint {
    /// Of a row; `None` without a fix, and where the place is in doubt.
    pub fn of(record: &PositionRecord, mark: Mark) -> Option<Self> {
        let position = &record.position;
        let placed = position.composition.gps_fix() && !mark.doubt.is_some_and(Doubt::is_of_place);
        placed.then_some(Self {
            latitude_udeg: position.latitude_udeg,
            longitude_udeg: position.longitude_udeg,
            at: position.recorded_at,
            begins: mark.begins,
        })
    }
}

/// The lines of one thing, on their way into a text.
#[derive(Debug)]
pub(crate) struct Lines {
    form: Form,
    /// The last point of the line that is open, and how many it has.
    open: Option<(WayPoint, usize)>,
    /// How many lines there are so far.
    begun: usize,
}

impl Lines {
    pub(crate) const fn new(form: Form) -> Self {
        Self { form, open: None, begun: 0 }
    }

    /// How many points the line has that is open.
    pub(crate) fn points(&self) -> usize {
        self.open.map_or(0, |(_, points)| points)
    }

    /// The next point. A line is cut at the 180th meridian (RFC 7946, 3.1.9), where readers
    /// of GeoJSON and KML would draw it around the world; GPX has no lines between points.
    pub(crate) fn push(&mut self, out: &mut String, point: WayPoint) {
        let continued = self.open.filter(|_| !point.begins).map(|(last, _)| last);
        match continued {
            None => self.end(out),
            Some(last) if self.form != Form::Gpx => {
                if let Some((here, there)) = cut(last, point) {
                    self.put(out, here);
                    self.end(out);
                    self.put(out, there);
                }
            }
            Some(_) => {}
        }
        self.put(out, point);
    }

    /// Ends the line that is open; what follows begins another.
    pub(crate) fn end(&mut self, out: &mut String) {
        let Some((last, points)) = self.open else { return };
        // A line has two places at least; a segment of GPX may have one.
        if points == 1 && self.form != Form::Gpx {
            self.put(out, last);
        }
        *out += match self.form {
            Form::Gpx => "</trkseg>\n",
            Form::Kml => "</coordinates></LineString>\n",
            _ => "]",
        };
        self.open = None;
    }

    fn put(&mut self, out: &mut String, point: WayPoint) {
        let points = self.points();
        *out += match (self.form, points) {
            (Form::Gpx, 0) => "<trkseg>\n",
            (Form::Kml, 0) => "<LineString><coordinates>",
            (Form::Gpx, _) => "",
            (Form::Kml, _) => " ",
            (_, 0) if self.begun == 0 => "[",
            (_, 0) => ",[",
            _ => ",",
        };
        self.begun += usize::from(points == 0);
        self.open = Some((point, points + 1));
        let (latitude, longitude) = (degrees(point.latitude_udeg), degrees(point.longitude_udeg));
        match self.form {
            Form::Gpx => {
                let time = format!("<time>{}</time>", time_s(point.at));
                *out += &gpx_point("trkpt", latitude, longitude, &time);
            }
            // Writing to a string cannot fail.
            Form::Kml => drop(write!(out, "{longitude},{latitude}")),
            _ => drop(write!(out, "[{longitude},{latitude}]")),
        }
    }
}

/// A point of GPX 1.1, whose longitudes end before 180 degrees.
pub(super) fn gpx_point(tag: &str, latitude: f64, longitude: f64, inner: &str) -> String {
    let longitude = if longitude >= 180.0 { longitude - 360.0 } else { longitude };
    format!("<{tag} lat=\"{latitude}\" lon=\"{longitude}\">{inner}</{tag}>\n")
}

/// Where the shorter way between two points crosses the 180th meridian, on this side and on
/// the other; `None` where it does not.
fn cut(from: WayPoint, to: WayPoint) -> Option<(WayPoint, WayPoint)> {
    let east = f64::from(to.longitude_udeg) - f64::from(from.longitude_udeg);
    if east.abs() <= f64::from(END_UDEG) {
        return None;
    }
    let end = if from.longitude_udeg < 0 { -END_UDEG } else { END_UDEG };
    let whole = 2.0 * f64::from(END_UDEG) - east.abs();
    let part = f64::from((end - from.longitude_udeg).abs());
    let share = if whole > 0.0 { part / whole } else { 0.0 };
    let north = f64::from(to.latitude_udeg - from.latitude_udeg);
    #[expect(clippy::cast_possible_truncation, reason = "between two latitudes")]
    let latitude_udeg = from.latitude_udeg + (north * share).round() as i32;
    let at = |longitude_udeg| WayPoint { latitude_udeg, longitude_udeg, ..to };
    Some((at(end), at(-end)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn point(latitude: i32, longitude: i32, begins: bool) -> WayPoint {
        let (latitude_udeg, longitude_udeg) = (latitude * 1_000_000, longitude * 1_000_000);
        WayPoint { latitude_udeg, longitude_udeg, at: 0, begins }
    }

    fn written(form: Form, points: &[WayPoint]) -> String {
        let (mut lines, mut out) = (Lines::new(form), String::new());
        for point in points {
            lines.push(&mut out, *point);
        }
        lines.end(&mut out);
        out
    }

    fn geojson(points: &[WayPoint]) -> Value {
        serde_json::from_str(&format!("[{}]", written(Form::GeoJson, points))).unwrap()
    }

    #[test]
    fn a_gap_ends_a_line() {
        let points = [point(1, 2, false), point(3, 4, false), point(5, 6, true)];
        let expected = json!([[[2, 1], [4, 3]], [[6, 5], [6, 5]]]);
        assert_eq!(geojson(&points), expected);
        assert_eq!(
            written(Form::Kml, &points),
            "<LineString><coordinates>2,1 4,3</coordinates></LineString>\n\
             <LineString><coordinates>6,5 6,5</coordinates></LineString>\n"
        );
        let at = "<time>1970-01-01T00:00:00Z</time></trkpt>\n";
        assert_eq!(
            written(Form::Gpx, &points),
            format!(
                "<trkseg>\n<trkpt lat=\"1\" lon=\"2\">{at}<trkpt lat=\"3\" lon=\"4\">{at}</trkseg>\n\
                 <trkseg>\n<trkpt lat=\"5\" lon=\"6\">{at}</trkseg>\n"
            )
        );
        assert_eq!(geojson(&[]), json!([]));
    }

    #[test]
    fn lines_are_cut_at_the_180th_meridian() {
        let east = [point(0, 179, false), point(4, -179, false)];
        assert_eq!(geojson(&east), json!([[[179, 0], [180, 2]], [[-180, 2], [-179, 4]]]));
        let west = [point(4, -178, false), point(0, 180, false)];
        assert_eq!(geojson(&west), json!([[[-178, 4], [-180, 0]], [[180, 0], [180, 0]]]));
        // The same place by its two names.
        let same = [point(1, 180, false), point(1, -180, false)];
        assert_eq!(geojson(&same)[1], json!([[-180, 1], [-180, 1]]));
        assert_eq!(written(Form::Gpx, &same).matches("lon=\"-180\"").count(), 2);
        assert_eq!(written(Form::Gpx, &east).matches("<trkseg>").count(), 1);
    }

    proptest! {
        #[test]
        fn no_line_is_short_or_crosses_the_map(
            places in prop::collection::vec((-90..=90_i32, -180..=180_i32, prop::bool::weighted(0.2)), 0..40)
        ) {
            let points: Vec<_> = places.iter().map(|&(latitude, longitude, begins)| point(latitude, longitude, begins)).collect();
            let lines = geojson(&points);
            for line in lines.as_array().unwrap() {
                let line = line.as_array().unwrap();
                prop_assert!(line.len() >= 2);
                for pair in line.windows(2) {
                    let degrees = (pair[0][0].as_f64().unwrap() - pair[1][0].as_f64().unwrap()).abs();
                    prop_assert!(degrees <= 180.0, "{pair:?}");
                }
            }
            let gaps = points.iter().skip(1).filter(|point| point.begins).count();
            prop_assert!(points.is_empty() || lines.as_array().unwrap().len() > gaps);
            prop_assert_eq!(written(Form::Gpx, &points).matches("<trkpt").count(), points.len());
        }
    }
}
