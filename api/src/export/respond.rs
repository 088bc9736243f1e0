//! Streams the things of a report, chunk by chunk, in the form that was asked for.

use async_trait::async_trait;
use axum::body::Body;
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;

use super::form::Form;
use super::lines::{Lines, WayPoint};
use super::place::{Place, begin_way, end_way};
use super::table::{Column, Sheet, cells};
use crate::output::xml;
use crate::problem::{Problem, fault};
use crate::reports::Zone;

/// Why a body ends early; the cause is in the log.
#[derive(Debug, thiserror::Error)]
#[error("the report was broken off")]
pub(crate) struct BrokenOff;

/// Where a report's things come from.
#[async_trait]
pub(crate) trait Source: Send + 'static {
    /// The next ones, which may be none; `None` when nothing follows.
    async fn next(&mut self) -> Result<Option<Vec<Piece>>, Problem>;

    /// What [`Report::totals`] is about, as JSON, once nothing follows.
    fn totals(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// A thing as JSON, or a part of one that is shown with its way, on a map.
#[derive(Debug)]
pub(crate) enum Piece {
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
pub(crate) struct Totals {
    pub(crate) title: &'static str,
    pub(crate) columns: &'static [Column],
}

/// A report of some kind.
pub(crate) struct Report {
    pub(crate) form: Form,
    /// What the answer repeats of the question, a JSON object.
    pub(crate) question: String,
    /// The name of the list of things.
    pub(crate) list: &'static str,
    pub(crate) columns: &'static [Column],
    /// The name of its sheet, where there are sheets.
    pub(crate) title: &'static str,
    pub(crate) totals: Option<Totals>,
    pub(crate) place: Place,
    pub(crate) zone: Zone,
    /// Of the file, without its suffix.
    pub(crate) file: String,
}

struct Writer {
    report: Report,
    sheet: Option<Box<dyn Sheet>>,
    /// Of the way that is being written.
    lines: Lines,
    count: u64,
}

/// The answer. Its first chunk is read before the status is sent, so that a store
/// that is down is a 503 and not a broken answer.
pub(crate) async fn respond(report: Report, source: impl Source) -> Result<Response, Problem> {
    let form = report.form;
    if form.is_map() && report.place == Place::None {
        let detail = "These have no place on a map: choose json, ndjson, csv, xlsx or parquet.";
        return Err(Problem::parameter("format", detail));
    }
    let name = form.disposition(&report.file);
    let sheet = super::sheet(form, report.columns, report.title, &report.zone);
    let mut writer = Writer { report, sheet, lines: Lines::new(form), count: 0 };
    let mut source = source;
    let mut first = writer.head();
    let more = writer.write(&mut source, &mut first).await?;
    let rest = stream::try_unfold(Some((writer, source, Some(first), more)), async |turn| {
        let Some((mut writer, mut source, first, mut more)) = turn else { return Ok(None) };
        let bytes = if let Some(first) = first {
            first
        } else {
            let mut bytes = Vec::new();
            more = writer.write(&mut source, &mut bytes).await.map_err(|_| BrokenOff)?;
            bytes
        };
        let next = more.then_some((writer, source, None, more));
        Ok::<_, BrokenOff>(Some((Bytes::from(bytes), next)))
    });
    let head = [(header::CONTENT_TYPE, form.content_type())];
    let name = name.map(|name| AppendHeaders([(header::CONTENT_DISPOSITION, name)]));
    Ok((head, name, Body::from_stream(rest)).into_response())
}

impl Writer {
    /// Writes the next chunk, and says whether another follows.
    async fn write(
        &mut self,
        source: &mut impl Source,
        out: &mut Vec<u8>,
    ) -> Result<bool, Problem> {
        let pieces = source.next().await?;
        let more = pieces.is_some();
        for piece in pieces.into_iter().flatten() {
            self.piece(piece, out)?;
        }
        if !more {
            self.totals(source)?;
            self.tail(out)?;
        }
        if let Some(sheet) = &mut self.sheet {
            out.append(&mut sheet.take());
        }
        Ok(more)
    }

    fn piece(&mut self, piece: Piece, out: &mut Vec<u8>) -> Result<(), Problem> {
        let form = self.report.form;
        let mut text = String::new();
        match piece {
            Piece::Thing(thing) => return self.put(&thing, out),
            Piece::Begin(thing) => {
                let thing: Value = serde_json::from_str(&thing).map_err(|error| fault(&error))?;
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

    fn put(&mut self, thing: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
        let Report { form, place, columns, .. } = self.report;
        self.between(out);
        if matches!(form, Form::Json | Form::Ndjson) {
            out.extend(thing.bytes());
            out.extend((form == Form::Ndjson).then_some(b'\n'));
            return Ok(());
        }
        let thing: Value = serde_json::from_str(thing).map_err(|error| fault(&error))?;
        if let Some(sheet) = &mut self.sheet {
            return sheet.row(&cells(&thing, columns)).map_err(|error| fault(&error));
        }
        out.extend(place.whole(form, &thing).bytes());
        Ok(())
    }

    fn totals(&mut self, source: &mut impl Source) -> Result<(), Problem> {
        let (Some(sheet), Some(totals)) = (&mut self.sheet, self.report.totals) else {
            return Ok(());
        };
        if !sheet.table(totals.columns, totals.title).map_err(|error| fault(&error))? {
            return Ok(());
        }
        for line in source.totals() {
            let line: Value = serde_json::from_str(&line).map_err(|error| fault(&error))?;
            sheet.row(&cells(&line, totals.columns)).map_err(|error| fault(&error))?;
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

    fn tail(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        match self.report.form {
            Form::Json | Form::GeoJson => {
                out.extend(format!(r#"],"count":{}}}"#, self.count).bytes());
            }
            Form::Gpx => out.extend(b"</gpx>\n"),
            Form::Kml => out.extend(b"</Document>\n</kml>\n"),
            Form::Ndjson | Form::Csv(_) | Form::Xlsx | Form::Parquet => {}
        }
        self.sheet.as_mut().map_or(Ok(()), |sheet| sheet.finish()).map_err(|error| fault(&error))
    }
}

/// How each GPX file begins.
pub(crate) const GPX: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <gpx version=\"1.1\" creator=\"Nemeses\" xmlns=\"http://www.topografix.com/GPX/1/1\">\n";
/// How each KML file begins.
pub(crate) const KML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <kml xmlns=\"http://www.opengis.net/kml/2.2\">\n";
