//! Reports in the forms that people and programs keep: one description of the
//! columns serves CSV, spreadsheets and Parquet, one of the places GeoJSON, GPX and
//! KML. Each is written as it comes, with a bounded amount of memory.

mod form;
mod lines;
mod parquet;
mod place;
mod respond;
mod table;
mod text;
mod thrift;
mod xlsx;
mod zip;

pub(crate) use form::{Csv, FORMS, Form};
pub(crate) use lines::{Lines, WayPoint};
pub(crate) use place::Place;
pub(crate) use respond::{BrokenOff, GPX, KML, Piece, Report, Source, Totals, respond};
pub(crate) use table::{Cell, Column, Kind, Sheet, column};

use self::parquet::Parquet;
use self::text::CsvFile;
use self::xlsx::Xlsx;
use crate::reports::Zone;

/// A writer of one of the forms that are tables.
pub(crate) fn sheet(
    form: Form,
    columns: &'static [Column],
    title: &'static str,
    zone: &Zone,
) -> Option<Box<dyn Sheet>> {
    Some(match form {
        Form::Csv(csv) => Box::new(CsvFile::new(columns, csv, zone)),
        Form::Xlsx => Box::new(Xlsx::new(columns, title, zone)),
        Form::Parquet => Box::new(Parquet::new(columns)),
        Form::Json | Form::Ndjson | Form::GeoJson | Form::Gpx | Form::Kml => return None,
    })
}
