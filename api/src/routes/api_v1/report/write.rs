//! Writes a report chunk by chunk, in one of its forms.

use nemeses_protocol::{DeviceId, PositionRecord};
use serde_json::json;

use super::format::Format;
use super::pages::Page;
use super::query::ReportQuery;
use crate::output::{CSV_HEAD, Feature, Row, csv_row, gpx_point, kml_point, time_s, xml};

/// What has been written so far.
pub(super) struct Writer {
    format: Format,
    device: DeviceId,
    from: u32,
    to: u32,
    order: &'static str,
    rows: u64,
    begun: bool,
}

/// Bytes of a row as text, roughly: what a chunk's buffer starts with.
const ROW_BYTES: usize = 320;

impl Writer {
    pub(super) fn new(query: &ReportQuery) -> Self {
        let range = &query.range;
        Self {
            format: query.format,
            device: range.device,
            from: range.from,
            to: range.to,
            order: if range.descending { "desc" } else { "asc" },
            rows: 0,
            begun: false,
        }
    }

    /// The text of the next chunk, with what comes before the first row and
    /// behind the last.
    pub(super) fn page(&mut self, page: &Page) -> serde_json::Result<Vec<u8>> {
        let mut out = Vec::with_capacity((page.rows.len() + 1) * ROW_BYTES);
        if !std::mem::replace(&mut self.begun, true) {
            out.extend(self.head().bytes());
        }
        for record in &page.rows {
            self.row(&mut out, record)?;
            self.rows += 1;
        }
        if page.last {
            out.extend(self.tail(page.next_cursor.as_deref()).bytes());
        }
        Ok(out)
    }

    fn row(&self, out: &mut Vec<u8>, record: &PositionRecord) -> serde_json::Result<()> {
        if self.rows > 0 && matches!(self.format, Format::Json | Format::GeoJson) {
            out.push(b',');
        }
        match self.format {
            Format::Json => serde_json::to_writer(&mut *out, &Row::from(record))?,
            Format::Ndjson => {
                serde_json::to_writer(&mut *out, &Row::from(record))?;
                out.push(b'\n');
            }
            Format::GeoJson => serde_json::to_writer(&mut *out, &Feature::from(record))?,
            Format::Csv => out.extend(csv_row(record).bytes()),
            Format::Gpx => out.extend(gpx_point(record).bytes()),
            Format::Kml => out.extend(kml_point(record).bytes()),
        }
        Ok(())
    }

    /// Ids, times and cursors need no escaping in JSON.
    fn head(&self) -> String {
        let (device, order) = (self.device, self.order);
        let (from, to) = (time_s(self.from), time_s(self.to));
        let name = xml(&device.to_string());
        match self.format {
            Format::Json => format!(
                r#"{{"device_id":"{device}","from":"{from}","to":"{to}","order":"{order}","rows":["#
            ),
            Format::Ndjson => String::new(),
            Format::Csv => CSV_HEAD.to_owned(),
            Format::GeoJson => format!(
                r#"{{"type":"FeatureCollection","device_id":"{device}","from":"{from}","to":"{to}","order":"{order}","features":["#
            ),
            Format::Gpx => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <gpx version=\"1.1\" creator=\"Nemeses\" xmlns=\"http://www.topografix.com/GPX/1/1\">\n\
                 <trk><name>{name}</name><trkseg>\n"
            ),
            Format::Kml => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <kml xmlns=\"http://www.opengis.net/kml/2.2\">\n\
                 <Document><name>{name}</name>\n"
            ),
        }
    }

    /// Says whether rows are left, where something can be; see [`Format::is_whole`].
    fn tail(&self, next_cursor: Option<&str>) -> String {
        let (count, next) = (self.rows, json!(next_cursor));
        match self.format {
            Format::Json | Format::GeoJson => {
                format!(r#"],"count":{count},"next_cursor":{next}}}"#)
            }
            Format::Ndjson => next_cursor
                .map_or(String::new(), |next| format!("{{\"next_cursor\":\"{next}\"}}\n")),
            Format::Csv => String::new(),
            Format::Gpx => "</trkseg></trk>\n</gpx>\n".to_owned(),
            Format::Kml => "</Document>\n</kml>\n".to_owned(),
        }
    }
}
