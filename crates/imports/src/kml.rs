//! KML: `gx:Track`, and placemarks that have a point and a time. A line without times says
//! where somebody was, but not when; it is refused.

use std::collections::VecDeque;

use jiff::tz::TimeZone;

use crate::place::{Place, number};
use crate::time::TimeReader;
use crate::xml::{Attributes, Elements, ends_with};
use crate::{Item, Point, Refused};

/// What is being read: a placemark, and in it a track perhaps.
#[derive(Debug, Default)]
struct Open {
    /// Of the track's times and places, which come one list after the other or in turns.
    times: VecDeque<(u64, String)>,
    places: VecDeque<(u64, String)>,
    /// Of a placemark.
    when: Option<String>,
    point: Option<(u64, String)>,
    /// Where a line without times begins.
    line: Option<u64>,
    begins: u64,
}

/// Reads the elements of KML.
pub(crate) struct Kml {
    times: TimeReader,
    open: Open,
    /// Where the last element began.
    line: u64,
    /// Whether a point was read. Lines of a file that has points, too, are these once more.
    has_points: bool,
}

impl Kml {
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self {
            times: TimeReader { format: None, zone },
            open: Open::default(),
            line: 1,
            has_points: false,
        }
    }

    /// Places whose time is there, too.
    fn pairs(&mut self, out: &mut VecDeque<Item>) {
        while !self.open.times.is_empty() && !self.open.places.is_empty() {
            let pair = self.open.times.pop_front().zip(self.open.places.pop_front());
            let Some(((_, when), (line, place))) = pair else { return };
            self.has_points = true;
            out.push_back(self.point(line, &when, place.split_whitespace()));
        }
    }

    /// `longitude latitude altitude`.
    fn point<'a>(&self, line: u64, when: &str, mut numbers: impl Iterator<Item = &'a str>) -> Item {
        let mut read = || {
            let longitude = numbers.next().ok_or("the place is empty")?;
            let latitude = numbers.next().ok_or("the place has no latitude")?;
            let altitude = numbers.next().map(number).transpose()?;
            let (longitude, latitude) = (number(longitude)?, number(latitude)?);
            // A track that has no altitude writes 0, as often as not.
            let altitude_m = altitude.filter(|altitude| *altitude != 0.0);
            let place = Place { latitude, longitude, altitude_m, ..Place::default() };
            let whereabouts = Some(place.whereabouts()?);
            let at_ms = self.times.read(when)?;
            Ok(Point { line, device: None, at_ms, whereabouts, readings: Vec::new() })
        };
        read().map_err(|why: String| Refused { line, why })
    }

    /// What a track leaves without a partner.
    fn end_track(&mut self, out: &mut VecDeque<Item>) {
        let refused = |line: u64, what: &str, count: usize| {
            let why = format!("the track has {count} {what}");
            Err(Refused { line, why })
        };
        if let Some((line, _)) = self.open.times.front() {
            out.push_back(refused(*line, "more times than places", self.open.times.len()));
        }
        if let Some((line, _)) = self.open.places.front() {
            out.push_back(refused(*line, "more places than times", self.open.places.len()));
        }
        self.open.times.clear();
        self.open.places.clear();
    }

    fn end_placemark(&mut self, out: &mut VecDeque<Item>) {
        let open = std::mem::take(&mut self.open);
        let refused = |line: u64, why: &str| Err(Refused { line, why: why.to_owned() });
        match (open.point, open.when) {
            (Some((line, place)), Some(when)) => {
                self.has_points = true;
                out.push_back(self.point(line, &when, place.split(',')));
            }
            (Some((line, _)), None) => out.push_back(refused(line, "the point has no time")),
            (None, Some(_)) if open.line.is_none() => {
                out.push_back(refused(open.begins, "the time has no point"));
            }
            _ => {}
        }
        if let Some(line) = open.line.filter(|_| !self.has_points) {
            out.push_back(refused(line, "the line has no times"));
        }
    }
}

impl Elements for Kml {
    fn begin(&mut self, path: &[String], _: &Attributes, line: u64) {
        self.line = line;
        match path.last().map(String::as_str) {
            Some("Placemark") => self.open = Open { begins: line, ..Open::default() },
            Some("Track") => {
                self.open.times.clear();
                self.open.places.clear();
            }
            _ => {}
        }
    }

    fn end(&mut self, path: &[String], text: &str, out: &mut VecDeque<Item>) {
        let line = self.line;
        if ends_with(path, &["Track", "when"]) {
            self.open.times.push_back((line, text.to_owned()));
            self.pairs(out);
        } else if ends_with(path, &["Track", "coord"]) {
            self.open.places.push_back((line, text.to_owned()));
            self.pairs(out);
        } else if ends_with(path, &["Track"]) {
            self.end_track(out);
        } else if ends_with(path, &["TimeStamp", "when"]) {
            self.open.when = Some(text.to_owned());
        } else if ends_with(path, &["Point", "coordinates"]) {
            self.open.point = Some((line, text.to_owned()));
        } else if ends_with(path, &["LineString", "coordinates"]) && self.open.line.is_none() {
            self.open.line = Some(line);
        } else if ends_with(path, &["Placemark"]) {
            self.end_placemark(out);
        }
    }
}
