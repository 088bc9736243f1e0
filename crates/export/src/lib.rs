//! Reports in the forms that people and programs keep: one description of the
//! columns serves CSV, spreadsheets and Parquet, one of the places GeoJSON, GPX and
//! KML. Each is written as it comes, with a bounded amount of memory.

mod csv;
mod form;
mod lines;
mod parquet;
mod place;
mod report;
mod table;
mod text;
mod thrift;
mod tracks;
mod xlsx;
mod zip;

pub use form::{Csv, FORMS, Form};
pub use lines::WayPoint;
use nemeses_reports::Zone;
pub use place::Place;
pub use report::{GPX, KML, Piece, Report, ReportWriter, Totals, WriteError};
pub use table::{Cell, CellKind, Column, Sheet, TableError, column};
pub use text::{csv_field, titled, xml};
pub use tracks::Tracks;

use self::csv::CsvFile;
use self::parquet::Parquet;
use self::xlsx::Xlsx;

/// A writer of one of the forms that are tables.
pub fn sheet(
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
