//! Files of positions from elsewhere, read as points: CSV by a mapping, Traccar's CSV
//! export, our own CSV, GPX and KML, as `docs/imports.md` describes them.
//!
//! Pure: a reader in, points and refused places out, one at a time, so a file of any
//! length takes the memory of a few points (of a track, in KML). A place that cannot be
//! read never takes the rest with it. Whose the points are, where no column says it, and
//! what becomes of them is for the caller to decide.

mod csv;
mod gpx;
mod kml;
mod mapping;
mod place;
mod time;
mod unit;
mod xml;

use std::io::BufRead;

use jiff::tz::TimeZone;
use nemeses_protocol::{Reading, Whereabouts};

pub use mapping::{Mapping, MappingError};

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, with a line of names at the top.
    Csv,
    /// GPS Exchange Format: tracks and waypoints that have a time.
    Gpx,
    /// Keyhole Markup Language: `gx:Track`, and placemarks that have a point and a time.
    Kml,
}

impl Format {
    /// Every one, by the ending of its files.
    pub const ALL: [(&str, Self); 3] = [("csv", Self::Csv), ("gpx", Self::Gpx), ("kml", Self::Kml)];

    /// That of a file of this name, by its ending.
    pub fn of_file(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        let is_it = |(known, _): &&(&str, Self)| known.eq_ignore_ascii_case(ending);
        Self::ALL.iter().find(is_it).map(|(_, format)| *format)
    }
}

/// What a device reported at one moment, as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The line of the file that it stands on, from 1.
    pub line: u64,
    /// Whose it is, where the file says it.
    pub device: Option<String>,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Where; `None` for a row of values alone.
    pub whereabouts: Option<Whereabouts>,
    /// Values of channels, in the order of their names.
    pub readings: Vec<Reading>,
}

/// A place in a file that is no point, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong, for a person.
    pub why: String,
}

/// The next thing in a file.
pub type Item = Result<Point, Refused>;

/// Why the rest of a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("line {line}: {why}")]
    Unreadable {
        /// Where, from 1.
        line: u64,
        /// What the reader says.
        why: String,
    },
    /// A CSV whose columns are unknown.
    #[error("{0}")]
    Columns(String),
}

/// Points of a file, one after the other. Ends behind the first [`ImportError`].
pub struct Points<'a>(Box<dyn Iterator<Item = Result<Item, ImportError>> + 'a>);

impl<'a> Points<'a> {
    /// Reads a file. A CSV without a mapping must be Traccar's or ours. Times without a
    /// zone are in `zone`, unless the mapping names another.
    ///
    /// # Errors
    /// The columns of a CSV are not known, or are not those of the mapping.
    pub fn read(
        format: Format,
        mapping: Option<Mapping>,
        zone: TimeZone,
        input: impl BufRead + 'a,
    ) -> Result<Self, ImportError> {
        Ok(Self(match format {
            Format::Csv => Box::new(csv::Rows::read(mapping, zone, input)?),
            Format::Gpx => Box::new(xml::Walk::new(gpx::Gpx::new(zone), input)),
            Format::Kml => Box::new(xml::Walk::new(kml::Kml::new(zone), input)),
        }))
    }
}

impl Iterator for Points<'_> {
    type Item = Result<Item, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
