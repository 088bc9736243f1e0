//! CSV (RFC 4180), and what spreadsheets of people make of it: Excel takes a file for
//! UTF-8 by its byte order mark, expects semicolons where its user writes a decimal comma,
//! and recognises a time without `T` and offset.

use nemeses_reports::{Zone, date};

use super::form::Csv;
use super::table::{Cell, Column, Sheet, TableError};
use super::text::csv_field;

const BYTE_ORDER_MARK: &str = "\u{FEFF}";

/// A CSV file on its way.
pub(super) struct CsvFile {
    csv: Csv,
    zone: Zone,
    ready: String,
}

impl CsvFile {
    pub(super) fn new(columns: &[Column], csv: Csv, zone: &Zone) -> Self {
        let names: Vec<String> = columns.iter().map(Column::name).collect();
        let mark = if csv == Csv::Plain { "" } else { BYTE_ORDER_MARK };
        let ready = format!("{mark}{}\r\n", names.join(separator(csv)));
        Self { csv, zone: zone.clone(), ready }
    }
}

impl Sheet for CsvFile {
    fn row(&mut self, cells: &[Cell]) -> Result<(), TableError> {
        self.ready += &csv_line(cells, self.csv, &self.zone);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ready).into_bytes()
    }
}

const fn separator(csv: Csv) -> &'static str {
    match csv {
        Csv::Plain | Csv::Excel => ",",
        Csv::Semicolon => ";",
    }
}

/// One record.
fn csv_line(cells: &[Cell], csv: Csv, zone: &Zone) -> String {
    let field = |cell: &Cell| match cell {
        Cell::Nothing => String::new(),
        Cell::Text(text) => csv_field(text).into_owned(),
        Cell::Time(ms) if csv == Csv::Plain => zone.time_ms(*ms),
        Cell::Time(ms) => zone.clock(*ms),
        Cell::Day(days) => date(*days),
        Cell::Whole(number) => number.to_string(),
        Cell::Number(number) if csv == Csv::Semicolon => number.to_string().replace('.', ","),
        Cell::Number(number) => number.to_string(),
        Cell::Truth(truth) => truth.to_string(),
    };
    let fields: Vec<String> = cells.iter().map(field).collect();
    fields.join(separator(csv)) + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::super::table::{CellKind, column};
    use super::*;

    #[test]
    fn spreadsheets_of_both_languages_understand_it() {
        const COLUMNS: [Column; 4] = [
            column("name", CellKind::Text),
            column("at", CellKind::Time),
            column("day", CellKind::Day),
            column("latitude", CellKind::Number),
        ];
        let cells = [
            Cell::Text("São João; \"7\"".into()),
            Cell::Time(1_593_637_200_250),
            Cell::Day(18_444),
            Cell::Number(-19.932_833),
        ];
        let zone = Zone::parse("America/Sao_Paulo").unwrap();
        let written = |csv| {
            let mut file = CsvFile::new(&COLUMNS, csv, &zone);
            file.row(&cells).unwrap();
            String::from_utf8(file.take()).unwrap()
        };
        assert_eq!(
            written(Csv::Plain),
            "name,at,day,latitude\r\n\"São João; \"\"7\"\"\",2020-07-01T18:00:00.250-03:00,2020-07-01,-19.932833\r\n"
        );
        assert_eq!(
            written(Csv::Excel),
            "\u{FEFF}name,at,day,latitude\r\n\"São João; \"\"7\"\"\",2020-07-01 18:00:00,2020-07-01,-19.932833\r\n"
        );
        assert_eq!(
            written(Csv::Semicolon),
            "\u{FEFF}name;at;day;latitude\r\n\"São João; \"\"7\"\"\";2020-07-01 18:00:00;2020-07-01;-19,932833\r\n"
        );
    }
}
