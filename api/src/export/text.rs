//! CSV (RFC 4180).

use super::table::{Cell, Column, Sheet, TableError};
use crate::output::csv_field;
use crate::reports::Zone;

/// A CSV file on its way.
pub(super) struct Csv {
    zone: Zone,
    ready: String,
}

impl Csv {
    pub(super) fn new(columns: &[Column], zone: &Zone) -> Self {
        let names: Vec<String> = columns.iter().map(Column::name).collect();
        Self { zone: zone.clone(), ready: names.join(",") + "\r\n" }
    }
}

impl Sheet for Csv {
    fn row(&mut self, cells: &[Cell]) -> Result<(), TableError> {
        self.ready += &csv_line(cells, &self.zone);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ready).into_bytes()
    }
}

/// One record.
fn csv_line(cells: &[Cell], zone: &Zone) -> String {
    let field = |cell: &Cell| match cell {
        Cell::Nothing => String::new(),
        Cell::Text(text) => csv_field(text).into_owned(),
        Cell::Time(ms) => zone.time_ms(*ms),
        Cell::Whole(number) => number.to_string(),
        Cell::Number(number) => number.to_string(),
        Cell::Truth(truth) => truth.to_string(),
    };
    let fields: Vec<String> = cells.iter().map(field).collect();
    fields.join(",") + "\r\n"
}
