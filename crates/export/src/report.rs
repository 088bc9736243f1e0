//! Writes the things of a report, chunk by chunk, in the form that was asked for.

use nemeses_reports::Zone;
use serde_json::Value;

use super::form::Form;
use super::lines::{Lines, WayPoint};
use super::place::{Place, begin_way, end_way};
use super::table::{Column, Sheet, TableError, cells};
use super::text::xml;

/// A thing as JSON, or a part of one that is shown with its way, on a map.
#[derive(Debug)]
pub enum Piece {
    /// All of it.
    Thing(String),
    /// A thing whose way follows,
    Begin(String),
    /// in as many pieces as it takes,
    Way(Vec<WayPoint>),
    /// and ends.
    End,
}

/// A second table, for forms that can hold one.
#[derive(Clone, Copy, Debug)]
pub struct Totals {
    /// The name of its sheet.
    pub title: &'static str,
    /// Those of a row of totals.
    pub columns: &'static [Column],
}

/// A report of some kind.
#[derive(Debug)]
pub struct Report {
    /// How it is written.
    pub form: Form,
    /// What the answer repeats of the question, a JSON object.
    pub question: String,
    /// The name of the list of things.
    pub list: &'static str,
    /// Those of tables.
    pub columns: &'static [Column],
    /// The name of its sheet, where there are sheets.
    pub title: &'static str,
    /// What follows in a second table.
    pub totals: Option<Totals>,
    /// Where its things are on a map.
    pub place: Place,
    /// In which times are written.
    pub zone: Zone,
    /// Of the file, without its suffix.
    pub file: String,
}

/// Why a report cannot be written to its end.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A thing is not JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The form cannot hold the report.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// What has been written of a report so far.
pub struct ReportWriter {
    report: Report,
    sheet: Option<Box<dyn Sheet>>,
    /// Of the way that is being written.
    lines: Lines,
    count: u64,
}

impl ReportWriter {
    /// Begins a report, and gives what comes before the first thing.
    pub fn begin(report: Report) -> (Self, Vec<u8>) {
        let form = report.form;
        let sheet = super::sheet(form, report.columns, report.title, &report.zone);
        let writer = Self { report, sheet, lines: Lines::new(form), count: 0 };
        let head = writer.head();
        (writer, head)
    }

    /// Appends the next pieces, as far as they are ready: a form that is compressed may
    /// hold them back.
    ///
    /// # Errors
    /// When a thing is not JSON, or the form cannot hold it.
    pub fn write(&mut self, pieces: Vec<Piece>, out: &mut Vec<u8>) -> Result<(), WriteError> {
        for piece in pieces {
            self.piece(piece, out)?;
        }
        self.take(out);
        Ok(())
    }

    /// Appends what follows the last piece. `totals` gives the rows of [`Report::totals`]
    /// as JSON, and is called for forms that can hold a second table only.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish(
        &mut self,
        totals: impl FnOnce() -> Vec<String>,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        self.totals(totals)?;
        self.tail(out)?;
        self.take(out);
        Ok(())
    }

    fn take(&mut self, out: &mut Vec<u8>) {
        if let Some(sheet) = &mut self.sheet {
            out.append(&mut sheet.take());
        }
    }

    fn piece(&mut self, piece: Piece, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let form = self.report.form;
        let mut text = String::new();
        match piece {
            Piece::Thing(thing) => return self.put(&thing, out),
            Piece::Begin(thing) => {
                let thing: Value = serde_json::from_str(&thing)?;
                self.between(out);
                self.lines = Lines::new(form);
                text = begin_way(form, &thing);
            }
            Piece::Way(points) => {
                for point in points {
                    self.lines.push(&mut text, point);
                }
            }
            Piece::End => {
                self.lines.end(&mut text);
                text += end_way(form);
            }
        }
        out.extend(text.bytes());
        Ok(())
    }

    /// What stands between two things.
    fn between(&mut self, out: &mut Vec<u8>) {
        if self.count > 0 && matches!(self.report.form, Form::Json | Form::GeoJson) {
            out.push(b',');
        }
        self.count += 1;
    }

    fn put(&mut self, thing: &str, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let Report { form, place, columns, .. } = self.report;
        self.between(out);
        if matches!(form, Form::Json | Form::Ndjson) {
            out.extend(thing.bytes());
            out.extend((form == Form::Ndjson).then_some(b'\n'));
            return Ok(());
        }
        let thing: Value = serde_json::from_str(thing)?;
        if let Some(sheet) = &mut self.sheet {
            return Ok(sheet.row(&cells(&thing, columns))?);
        }
        out.extend(place.whole(form, &thing).bytes());
        Ok(())
    }

    fn totals(&mut self, rows: impl FnOnce() -> Vec<String>) -> Result<(), WriteError> {
        let (Some(sheet), Some(totals)) = (&mut self.sheet, self.report.totals) else {
            return Ok(());
        };
        if !sheet.table(totals.columns, totals.title)? {
            return Ok(());
        }
        for line in rows() {
            let line: Value = serde_json::from_str(&line)?;
            sheet.row(&cells(&line, totals.columns))?;
        }
        Ok(())
    }

    /// The question as an object that is left open for the list.
    fn open(&self, list: &str) -> String {
        let question = &self.report.question;
        let inner = question.strip_suffix('}').unwrap_or(question);
        format!(r#"{inner},"{list}":["#)
    }

    fn head(&self) -> Vec<u8> {
        let name = xml(&self.report.file);
        match self.report.form {
            Form::Json => self.open(self.report.list).into_bytes(),
            Form::GeoJson => {
                let whole = self.open("features");
                whole.replacen('{', r#"{"type":"FeatureCollection","#, 1).into_bytes()
            }
            Form::Gpx => format!("{GPX}<metadata><name>{name}</name></metadata>\n").into_bytes(),
            Form::Kml => format!("{KML}<Document><name>{name}</name>\n").into_bytes(),
            Form::Ndjson | Form::Csv(_) | Form::Xlsx | Form::Parquet => Vec::new(),
        }
    }

    fn tail(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        match self.report.form {
            Form::Json | Form::GeoJson => {
                out.extend(format!(r#"],"count":{}}}"#, self.count).bytes());
            }
            Form::Gpx => out.extend(b"</gpx>\n"),
            Form::Kml => out.extend(b"</Document>\n</kml>\n"),
            Form::Ndjson | Form::Csv(_) | Form::Xlsx | Form::Parquet => {}
        }
        Ok(self.sheet.as_mut().map_or(Ok(()), |sheet| sheet.finish())?)
    }
}

/// How each GPX file begins.
pub const GPX: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <gpx version=\"1.1\" creator=\"Nemeses\" xmlns=\"http://www.topografix.com/GPX/1/1\">\n";
/// How each KML file begins.
pub const KML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <kml xmlns=\"http://www.opengis.net/kml/2.2\">\n";
