//! Writes a report chunk by chunk, as one JSON object or a row a line.

use nemeses_protocol::DeviceId;
use serde_json::json;

use super::pages::Page;
use super::query::ReportQuery;
use crate::output::{Row, time_s};

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One object with all rows.
    Json,
    /// One row a line; when rows are left, a last line with the cursor.
    Ndjson,
}

impl Format {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

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
            self.head(&mut out);
        }
        for record in &page.rows {
            if self.format == Format::Json && self.rows > 0 {
                out.push(b',');
            }
            self.rows += 1;
            serde_json::to_writer(&mut out, &Row::from(record))?;
            if self.format == Format::Ndjson {
                out.push(b'\n');
            }
        }
        if page.last {
            self.tail(&mut out, page.next_cursor.as_deref());
        }
        Ok(out)
    }

    /// Ids, times and cursors need no escaping.
    fn head(&self, out: &mut Vec<u8>) {
        if self.format == Format::Json {
            let (device, order) = (self.device, self.order);
            let (from, to) = (time_s(self.from), time_s(self.to));
            out.extend(format!(r#"{{"device_id":"{device}","from":"{from}","to":"{to}","order":"{order}","rows":["#).bytes());
        }
    }

    fn tail(&self, out: &mut Vec<u8>, next_cursor: Option<&str>) {
        match (self.format, next_cursor) {
            (Format::Json, next) => {
                let (count, next) = (self.rows, json!(next));
                out.extend(format!(r#"],"count":{count},"next_cursor":{next}}}"#).bytes());
            }
            (Format::Ndjson, Some(next)) => {
                out.extend(format!("{{\"next_cursor\":\"{next}\"}}\n").bytes());
            }
            (Format::Ndjson, None) => {}
        }
    }
}
