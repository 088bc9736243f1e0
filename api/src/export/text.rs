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

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Composition, DeviceId, Position, PositionRecord};
    use proptest::prelude::*;

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
            push_csv_row(&mut out, &record, doubtful, &zone);
            let line = csv_line(&row_cells(&record, doubtful), &zone);
            prop_assert_eq!(String::from_utf8(out).unwrap(), line);
        }
    }
}
