//! Writes a report of positions chunk by chunk, in one of its forms.

use std::collections::HashMap;

use nemeses_export::{Csv, Form, GPX, KML, Sheet, Tracks, WayPoint, csv_field, sheet, titled, xml};
use nemeses_protocol::{DeviceId, DeviceNames, PositionRecord};
use nemeses_reports::{Mark, Zone};
use serde_json::json;

use super::pages::Page;
use super::query::ReportQuery;
use crate::output::{Feature, ROW_COLUMNS, Row, push_csv_row, row_cells};
use crate::problem::{Problem, fault};

/// What has been written so far.
pub(super) struct Writer {
    form: Form,
    zone: Zone,
    /// What JSON repeats of the question, without the brace that closes it.
    question: String,
    file: String,
    /// How devices are written.
    ids: DeviceNames,
    /// Of devices that have one.
    names: HashMap<DeviceId, String>,
    sheet: Option<Box<dyn Sheet>>,
    rows: u64,
    begun: bool,
    tracks: Tracks,
    /// Whose id and name it is that are written.
    device: Option<DeviceId>,
    device_id: String,
    /// Id and name as fields of CSV, or a title.
    field: String,
}

/// Bytes of a row as text, roughly: what a chunk's buffer starts with.
const ROW_BYTES: usize = 320;

impl Writer {
    /// A report about these devices.
    pub(super) fn new(
        ids: DeviceNames,
        query: &ReportQuery,
        devices: &[DeviceId],
        names: HashMap<DeviceId, String>,
    ) -> Self {
        let zone = query.zone.clone();
        let whose = if let Some(device) = query.target.one() {
            format!(r#""device_id":{}"#, json!(ids.identity(device).to_string()))
        } else {
            let ids: Vec<String> =
                devices.iter().map(|device| ids.identity(*device).to_string()).collect();
            format!(r#""device_ids":{}"#, json!(ids))
        };
        // Times and words need no escaping in JSON.
        let (from, to) = (zone.time(query.from), zone.time(query.to));
        let order = if query.descending { "desc" } else { "asc" };
        let question = format!(r#"{{{whose},"from":"{from}","to":"{to}","order":"{order}""#);
        Self {
            form: query.format,
            sheet: sheet(query.format, &ROW_COLUMNS, "Positions", &zone),
            names,
            zone,
            question,
            file: query.target.file("positions", &ids),
            ids,
            rows: 0,
            begun: false,
            tracks: Tracks::new(query.format, query.descending),
            device: None,
            device_id: String::new(),
            field: String::new(),
        }
    }

    /// The bytes of the next chunk, with what comes before the first row and
    /// behind the last.
    pub(super) fn page(&mut self, page: &Page) -> Result<Vec<u8>, Problem> {
        let mut out = Vec::with_capacity((page.rows.len() + 1) * ROW_BYTES);
        if !std::mem::replace(&mut self.begun, true) {
            out.extend(self.head().bytes());
            // The head of a table.
            out.extend(self.sheet.as_mut().map(|sheet| sheet.take()).unwrap_or_default());
        }
        for (record, mark) in page.rows.iter().zip(&page.marks) {
            self.row(&mut out, record, *mark)?;
            self.rows += 1;
        }
        if page.last {
            out.extend(self.tail(page.next_cursor.as_deref()).bytes());
        }
        if let Some(sheet) = &mut self.sheet {
            if page.last {
                sheet.finish().map_err(|error| fault(&error))?;
            }
            out.append(&mut sheet.take());
        }
        Ok(out)
    }

    fn row(
        &mut self,
        out: &mut Vec<u8>,
        record: &PositionRecord,
        mark: Mark,
    ) -> Result<(), Problem> {
        let (device, doubtful) = (record.position.device, mark.doubt);
        if self.device.replace(device) != Some(device) {
            let name = self.names.get(&device).map_or("", String::as_str);
            self.device_id = self.ids.identity(device).to_string();
            self.field = match self.form {
                Form::Gpx | Form::Kml => titled(&self.device_id, name),
                _ => format!("{},{}", csv_field(&self.device_id), csv_field(name)),
            };
        }
        if self.form == Form::Csv(Csv::Plain) {
            push_csv_row(out, record, &self.field, doubtful, &self.zone);
            return Ok(());
        }
        if matches!(self.form, Form::Gpx | Form::Kml) {
            let mut text = String::new();
            let whose = (device, self.field.as_str());
            self.tracks.row(&mut text, whose, WayPoint::of(record, mark));
            out.extend(text.bytes());
            return Ok(());
        }
        if let Some(sheet) = &mut self.sheet {
            let name = self.names.get(&device).map_or("", String::as_str);
            return sheet
                .row(&row_cells(record, (&self.device_id, name), doubtful))
                .map_err(|error| fault(&error));
        }
        if self.rows > 0 && matches!(self.form, Form::Json | Form::GeoJson) {
            out.push(b',');
        }
        let (zone, device_id) = (&self.zone, self.device_id.clone());
        let written = match self.form {
            Form::GeoJson => {
                serde_json::to_writer(&mut *out, &Feature::of(device_id, record, doubtful, zone))
            }
            _ => serde_json::to_writer(&mut *out, &Row::of(device_id, record, doubtful, zone)),
        };
        written.map_err(|error| fault(&error))?;
        out.extend((self.form == Form::Ndjson).then_some(b'\n'));
        Ok(())
    }

    fn head(&self) -> String {
        let question = &self.question;
        let name = xml(&self.file);
        match self.form {
            Form::Json => format!(r#"{question},"rows":["#),
            Form::GeoJson => {
                let inner = question.strip_prefix('{').unwrap_or(question);
                format!(r#"{{"type":"FeatureCollection",{inner},"features":["#)
            }
            Form::Gpx => GPX.to_owned(),
            Form::Kml => format!("{KML}<Document><name>{name}</name>\n"),
            Form::Ndjson | Form::Csv(_) | Form::Xlsx | Form::Parquet => String::new(),
        }
    }

    /// Says whether rows are left, where something can be; see [`Form::is_whole`].
    fn tail(&mut self, next_cursor: Option<&str>) -> String {
        let (count, next) = (self.rows, json!(next_cursor));
        match self.form {
            Form::Json | Form::GeoJson => {
                format!(r#"],"count":{count},"next_cursor":{next}}}"#)
            }
            Form::Ndjson => next_cursor
                .map_or(String::new(), |next| format!("{{\"next_cursor\":\"{next}\"}}\n")),
            Form::Gpx | Form::Kml => {
                let mut text = String::new();
                self.tracks.end(&mut text);
                text + if self.form == Form::Gpx { "</gpx>\n" } else { "</Document>\n</kml>\n" }
            }
            Form::Csv(_) | Form::Xlsx | Form::Parquet => String::new(),
        }
    }
}
