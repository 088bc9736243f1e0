//! CSV (RFC 4180), and what spreadsheets of people make of it: Excel takes a file for
//! UTF-8 by its byte order mark, expects semicolons where its user writes a decimal comma,
//! and recognises a time without `T` and offset.

use super::form::Csv;
use super::table::{Cell, Column, Sheet, TableError};
use crate::output::csv_field;
use crate::reports::{Zone, date};

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
    use nemeses_protocol::{Composition, DeviceId, Position, PositionRecord};
    use proptest::prelude::*;

    use super::super::table::{Kind, column};
    use super::*;
    use crate::output::{push_csv_row, row_cells};
    use crate::reports::Doubt;

    proptest! {
        /// Rows of positions are written by a shorter way.
        #[test]
        fn a_position_is_written_as_its_cells_are(
            (device, recorded_at, received_at_ms) in (any::<u32>(), any::<u32>(), any::<u64>()),
            (latitude_udeg, longitude_udeg) in (any::<i32>(), any::<i32>()),
            (direction_cdeg, composition, speed_kmh) in (any::<u16>(), any::<u16>(), any::<u8>()),
            (odometer_m, hour_meter_min) in (any::<u32>(), any::<u32>()),
            name in ".{0,9}",
            offset in prop::sample::select(vec!["UTC", "Europe/Berlin", "-03:30"]),
            doubtful in prop::sample::select(vec![None, Some(Doubt::Jump), Some(Doubt::ZeroPlace)]),
        ) {
            let position = Position {
                device: DeviceId::new(device),
                recorded_at,
                direction_cdeg,
                odometer_m,
                hour_meter_min,
                composition: Composition(composition),
                extension: None,
                speed_kmh,
                latitude_udeg,
                longitude_udeg,
            };
            let record = PositionRecord { position, frame_hash: 0, received_at_ms, raw: None };
            let zone = Zone::parse(offset).unwrap();
            let mut out = Vec::new();
            push_csv_row(&mut out, &record, &csv_field(&name), doubtful, &zone);
            let line = csv_line(&row_cells(&record, &name, doubtful), Csv::Plain, &zone);
            prop_assert_eq!(String::from_utf8(out).unwrap(), line);
        }
    }

    #[test]
    fn spreadsheets_of_both_languages_understand_it() {
        const COLUMNS: [Column; 4] = [
            column("name", Kind::Text),
            column("at", Kind::Time),
            column("day", Kind::Day),
            column("latitude", Kind::Number),
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
