//! GPX 1.0 and 1.1: points of tracks and waypoints that have a time.

use std::collections::VecDeque;

use jiff::tz::TimeZone;

use crate::place::{Place, number};
use crate::time::TimeReader;
use crate::xml::{Attributes, Elements, ends_with};
use crate::{Item, Point, Refused};

/// The point that is being read.
#[derive(Debug)]
struct Open {
    line: u64,
    latitude: Option<String>,
    longitude: Option<String>,
    time: Option<String>,
    place: Place,
    /// What one of its elements says wrongly.
    wrong: Option<String>,
}

/// Reads the elements of GPX.
pub(crate) struct Gpx {
    times: TimeReader,
    open: Option<Open>,
}

impl Gpx {
    pub(crate) const fn new(zone: TimeZone) -> Self {
        Self { times: TimeReader { format: None, zone }, open: None }
    }

    fn point(&self, open: Open) -> Result<Point, String> {
        if let Some(wrong) = open.wrong {
            return Err(wrong);
        }
        let degrees = |text: Option<String>, name: &str| {
            let text = text.ok_or_else(|| format!("the point has no attribute {name}"))?;
            number(&text).map_err(|why| format!("{name}: {why}"))
        };
        let latitude = degrees(open.latitude, "lat")?;
        let longitude = degrees(open.longitude, "lon")?;
        let time = open.time.ok_or("the point has no time")?;
        let place = Place { latitude, longitude, ..open.place };
        Ok(Point {
            line: open.line,
            device: None,
            at_ms: self.times.read(&time)?,
            whereabouts: Some(place.whereabouts()?),
            readings: Vec::new(),
        })
    }
}

fn is_point(path: &[String]) -> bool {
    ends_with(path, &["trkseg", "trkpt"]) || ends_with(path, &["gpx", "wpt"])
}

impl Elements for Gpx {
    fn begin(&mut self, path: &[String], attributes: &Attributes, line: u64) {
        if is_point(path) {
            let attribute = |name: &str| attributes.get(name).map(str::to_owned);
            self.open = Some(Open {
                line,
                latitude: attribute("lat"),
                longitude: attribute("lon"),
                time: None,
                place: Place::default(),
                wrong: None,
            });
        }
    }

    fn end(&mut self, path: &[String], text: &str, out: &mut VecDeque<Item>) {
        if is_point(path) {
            let Some(open) = self.open.take() else { return };
            let line = open.line;
            out.push_back(self.point(open).map_err(|why| Refused { line, why }));
            return;
        }
        let (Some(open), Some(name)) = (&mut self.open, path.last()) else { return };
        if name == "time" {
            open.time = Some(text.to_owned());
            return;
        }
        let place = &mut open.place;
        // GPX 1.0 has speed and course in metres a second and degrees; in 1.1 they are in
        // extensions, in which all programs used the same units.
        let (field, factor) = match name.as_str() {
            "ele" => (&mut place.altitude_m, 1.0),
            "speed" => (&mut place.speed_kmh, 3.6),
            "course" => (&mut place.course_deg, 1.0),
            "hdop" => (&mut place.hdop, 1.0),
            "sat" => (&mut place.satellites, 1.0),
            "fix" => {
                place.gps_fix = Some(text != "none");
                return;
            }
            _ => return,
        };
        match number(text) {
            Ok(number) => *field = Some(number * factor),
            Err(why) => open.wrong = Some(format!("{name}: {why}")),
        }
    }
}
