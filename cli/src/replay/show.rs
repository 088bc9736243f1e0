//! Differences as text that can be written as they are found: a table with
//! columns of fixed width, or one JSON document.

use std::fmt::Write as _;

use nemeses_protocol::{DeviceNames, PositionRecord};
use serde_json::json;

use super::judge::{Counts, Difference};
use crate::tools::moment;

/// What was shown so far.
pub(super) struct Show {
    names: DeviceNames,
    as_json: bool,
    begun: bool,
}

impl Show {
    /// Nothing yet.
    pub(super) fn new(as_json: bool, names: DeviceNames) -> Self {
        Self { names, as_json, begun: false }
    }

    /// The text for a row that differs.
    pub(super) fn row(&mut self, row: &PositionRecord, differences: &[Difference]) -> String {
        let mut text = self.begin();
        let device = self.names.identity(row.position.device).to_string();
        let recorded_at = moment(u64::from(row.position.recorded_at) * 1000);
        if self.as_json {
            let differences = differences.iter().map(|difference| {
                let Difference { field, stored, today } = difference;
                json!({ "field": field, "stored": stored, "today": today })
            });
            let row = json!({
                "device_id": device,
                "recorded_at": recorded_at,
                "frame_hash": format!("{:016x}", row.frame_hash),
                "raw": row.raw().map(hex::encode_upper),
                "differences": differences.collect::<Vec<_>>(),
            });
            text.push_str(&row.to_string());
            return text;
        }
        for Difference { field, stored, today } in differences {
            push_line(&mut text, [&device, &recorded_at, field, stored, today]);
        }
        text
    }

    /// What stands before a row.
    fn begin(&mut self) -> String {
        let first = !std::mem::replace(&mut self.begun, true);
        match (self.as_json, first) {
            (true, true) => "{\"rows\": [\n".to_owned(),
            (true, false) => ",\n".to_owned(),
            (false, true) => {
                let mut text = String::new();
                push_line(&mut text, ["device", "recorded at", "field", "stored", "today"]);
                text
            }
            (false, false) => String::new(),
        }
    }

    /// The text after the last row.
    pub(super) fn end(&self, counts: &Counts) -> String {
        let Counts { same, differ, no_raw } = counts;
        if self.as_json {
            let open = if self.begun { "\n" } else { "{\"rows\": [" };
            return format!(
                "{open}],\n\"same\": {same}, \"differ\": {differ}, \"without_raw_bytes\": {no_raw}}}\n"
            );
        }
        let mut text = if self.begun { "\n".to_owned() } else { String::new() };
        let _ = write!(
            text,
            "read as stored    {same}\nread differently  {differ}\nno raw bytes      {no_raw}\n"
        );
        if same + differ == 0 && *no_raw > 0 {
            text.push_str("Raw bytes are kept of frames that are stored with --keep-raw.\n");
        }
        text
    }
}

/// The widest: an id of eight digits, a moment, a column's name, a hash.
fn push_line(text: &mut String, [device, recorded_at, field, stored, today]: [&str; 5]) {
    let line = format!("{device:<7} {recorded_at:<22}{field:<16}{stored:<18}{today}");
    text.push_str(line.trim_end());
    text.push('\n');
}
