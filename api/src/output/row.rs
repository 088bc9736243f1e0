//! One row of a report.

use nemeses_export::{Cell, CellKind, Column, column};
use nemeses_protocol::{OptionalField, PositionRecord};
use nemeses_reports::number::{degrees, direction, push_decimal, push_whole};
use nemeses_reports::{Doubt, Zone};
use schemars::JsonSchema;
use serde::Serialize;

use super::optional::{Optional, optional_cells, push_optional, with_optional};
use crate::openapi::{Device, Time};

/// A stored frame as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Row {
    #[schemars(with = "Device")]
    device_id: String,
    #[schemars(with = "Time")]
    recorded_at: String,
    #[schemars(with = "Time")]
    received_at: String,
    /// Degrees; stale without a GPS fix.
    latitude: f64,
    /// Degrees; stale without a GPS fix.
    longitude: f64,
    speed_kmh: u8,
    /// Clockwise from north.
    direction_deg: f64,
    odometer_m: u32,
    hour_meter_min: u32,
    ignition: bool,
    gps_fix: bool,
    /// The device sent it later, from its memory.
    historical: bool,
    /// Only where the row is not believed: why, judged by those before it. One whose
    /// place is in doubt is in no distance, trip or track.
    #[serde(skip_serializing_if = "Option::is_none")]
    doubtful: Option<Doubt>,
    #[serde(flatten)]
    optional: Optional,
}

impl Row {
    /// With its times in a zone.
    pub(crate) fn of(
        device_id: String,
        record: &PositionRecord,
        doubtful: Option<Doubt>,
        zone: &Zone,
    ) -> Self {
        let position = &record.position;
        Self {
            device_id,
            recorded_at: zone.time(position.recorded_at),
            received_at: zone.time_ms(ms(record)),
            latitude: degrees(position.latitude_udeg),
            longitude: degrees(position.longitude_udeg),
            speed_kmh: position.speed_kmh,
            direction_deg: direction(position.direction_cdeg),
            odometer_m: position.odometer_m,
            hour_meter_min: position.hour_meter_min,
            ignition: position.composition.ignition(),
            gps_fix: position.composition.gps_fix(),
            historical: position.composition.historical(),
            doubtful,
            optional: Optional(record.optional()),
        }
    }
}

const COLUMNS: usize = 14 + OptionalField::ALL.len();

/// The columns of tables, in the order of the JSON fields, and the device's name.
pub(crate) const ROW_COLUMNS: [Column; COLUMNS] = with_optional([
    column("device_id", CellKind::Text),
    column("device_name", CellKind::Text),
    column("recorded_at", CellKind::Time),
    column("received_at", CellKind::Time),
    column("latitude", CellKind::Number),
    column("longitude", CellKind::Number),
    column("speed_kmh", CellKind::Whole),
    column("direction_deg", CellKind::Number),
    column("odometer_m", CellKind::Whole),
    column("hour_meter_min", CellKind::Whole),
    column("ignition", CellKind::Truth),
    column("gps_fix", CellKind::Truth),
    column("historical", CellKind::Truth),
    column("doubtful", CellKind::Text),
]);

/// A row of a table; there are many, so they do not go by JSON.
pub(crate) fn row_cells(
    record: &PositionRecord,
    (device_id, name): (&str, &str),
    doubtful: Option<Doubt>,
) -> Vec<Cell> {
    let position = &record.position;
    let bits = position.composition;
    let first = [
        Cell::Text(device_id.to_owned()),
        if name.is_empty() { Cell::Nothing } else { Cell::Text(name.to_owned()) },
        Cell::Time(i64::from(position.recorded_at) * 1000),
        Cell::Time(ms(record)),
        Cell::Number(degrees(position.latitude_udeg)),
        Cell::Number(degrees(position.longitude_udeg)),
        Cell::Whole(position.speed_kmh.into()),
        Cell::Number(direction(position.direction_cdeg)),
        Cell::Whole(position.odometer_m.into()),
        Cell::Whole(position.hour_meter_min.into()),
        Cell::Truth(bits.ignition()),
        Cell::Truth(bits.gps_fix()),
        Cell::Truth(bits.historical()),
        doubtful.map_or(Cell::Nothing, |doubt| Cell::Text(doubt.word().to_owned())),
    ];
    let mut cells = Vec::with_capacity(COLUMNS);
    cells.extend(first);
    cells.extend(optional_cells(&record.optional()));
    cells
}

/// Appends a row of CSV, as [`row_cells`] would be written. Nothing in it needs quotes but
/// the device's id and name, which are fields already.
pub(crate) fn push_csv_row(
    out: &mut Vec<u8>,
    record: &PositionRecord,
    id_and_name: &str,
    doubtful: Option<Doubt>,
    zone: &Zone,
) {
    let position = &record.position;
    let bits = position.composition;
    out.extend_from_slice(id_and_name.as_bytes());
    out.push(b',');
    zone.push_time_ms(out, i64::from(position.recorded_at) * 1000);
    out.push(b',');
    zone.push_time_ms(out, ms(record));
    out.push(b',');
    push_decimal::<6>(out, position.latitude_udeg);
    out.push(b',');
    push_decimal::<6>(out, position.longitude_udeg);
    out.push(b',');
    push_whole(out, position.speed_kmh.into());
    out.push(b',');
    push_decimal::<2>(out, position.direction_cdeg.into());
    for number in [position.odometer_m, position.hour_meter_min] {
        out.push(b',');
        push_whole(out, number);
    }
    for truth in [bits.ignition(), bits.gps_fix(), bits.historical()] {
        out.extend_from_slice(if truth { b",true" } else { b",false" });
    }
    out.push(b',');
    out.extend_from_slice(doubtful.map_or("", Doubt::word).as_bytes());
    push_optional(out, &record.optional());
    out.extend_from_slice(b"\r\n");
}

fn ms(record: &PositionRecord) -> i64 {
    i64::try_from(record.received_at_ms).unwrap_or(i64::MAX)
}

/// A row as a feature of GeoJSON (RFC 7946). Without a fix the place is stale, and
/// it may be in doubt: the feature has none then.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Feature {
    /// Always `Feature`.
    r#type: &'static str,
    geometry: Option<Geometry>,
    properties: Row,
}

/// A place of GeoJSON.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Point")]
struct Geometry {
    /// Always `Point`.
    r#type: &'static str,
    /// Longitude, latitude.
    coordinates: [f64; 2],
}

impl Feature {
    /// With its times in a zone.
    pub(crate) fn of(
        device_id: String,
        record: &PositionRecord,
        doubtful: Option<Doubt>,
        zone: &Zone,
    ) -> Self {
        let properties = Row::of(device_id, record, doubtful, zone);
        let coordinates = [properties.longitude, properties.latitude];
        let geometry = Geometry { r#type: "Point", coordinates };
        let placed = properties.gps_fix && !doubtful.is_some_and(Doubt::is_of_place);
        Self { r#type: "Feature", geometry: placed.then_some(geometry), properties }
    }
}

/// How features are put together to a report; written piece by piece, never as a whole.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct FeatureCollection {
    /// Always `FeatureCollection`.
    r#type: &'static str,
    /// Where one was asked for.
    #[schemars(with = "Device")]
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    /// Where several were asked for, or a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_ids: Option<Vec<String>>,
    #[schemars(with = "Time")]
    from: String,
    #[schemars(with = "Time")]
    to: String,
    /// `asc` or `desc`.
    order: &'static str,
    features: Vec<Feature>,
    count: u64,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use nemeses_export::{Csv, Form, csv_field, sheet};
    use nemeses_protocol::{Composition, DeviceId, OptionalFields, PackedFields, Position};
    use proptest::prelude::*;

    use super::*;

    /// Any subset of the fields.
    fn any_optional() -> impl Strategy<Value = OptionalFields> {
        let value = |field: OptionalField| field.spec().min..=field.spec().max;
        let values: Vec<_> = OptionalField::ALL.into_iter().map(value).collect();
        let present = prop::collection::vec(any::<bool>(), OptionalField::ALL.len());
        (any::<bool>(), present, values).prop_map(|(some, present, values)| {
            let mut fields = OptionalFields::NONE;
            for (field, (is_present, value)) in
                OptionalField::ALL.into_iter().zip(present.into_iter().zip(values))
            {
                if some && is_present {
                    fields.set(field, value).unwrap();
                }
            }
            fields
        })
    }

    proptest! {
        /// In JSON a field is present where it was sent, and nowhere else.
        #[test]
        fn optional_fields_are_in_json_where_they_are_present(optional in any_optional()) {
            let position = Position {
                device: DeviceId::new(1),
                recorded_at: 0,
                direction_cdeg: 0,
                odometer_m: 0,
                hour_meter_min: 0,
                composition: Composition(0),
                extension: None,
                speed_kmh: 0,
                latitude_udeg: 0,
                longitude_udeg: 0,
            };
            let packed = PackedFields::new(&optional, None);
            let record = PositionRecord { position, frame_hash: 0, received_at_ms: 0, packed };
            let row = serde_json::to_value(Row::of("0A3F73".to_owned(), &record, None, &Zone::utc())).unwrap();
            let cells = row_cells(&record, ("0A3F73", ""), None);
            for (field, (column, cell)) in
                OptionalField::ALL.into_iter().zip(ROW_COLUMNS.iter().zip(&cells).skip(14))
            {
                prop_assert_eq!(column.path, field.spec().shown);
                let value = row.get(column.path);
                prop_assert_eq!(value.is_some(), optional.get(field).is_some());
                match cell {
                    Cell::Nothing => prop_assert_eq!(value, None),
                    Cell::Whole(number) => prop_assert_eq!(value.unwrap().as_i64(), Some(*number)),
                    Cell::Number(number) => prop_assert_eq!(value.unwrap().as_f64(), Some(*number)),
                    Cell::Truth(truth) => prop_assert_eq!(value.unwrap().as_bool(), Some(*truth)),
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                }
            }
        }

        /// Rows of positions are written by a shorter way.
        #[test]
        fn a_position_is_written_as_its_cells_are(
            (device, recorded_at, received_at_ms) in (any::<u32>(), any::<u32>(), any::<u64>()),
            (latitude_udeg, longitude_udeg) in (any::<i32>(), any::<i32>()),
            (direction_cdeg, composition, speed_kmh) in (any::<u16>(), any::<u16>(), any::<u8>()),
            (odometer_m, hour_meter_min) in (any::<u32>(), any::<u32>()),
            id in prop::sample::select(vec!["0A3F73", "id:a,b\"c"]),
            name in ".{0,9}",
            offset in prop::sample::select(vec!["UTC", "Europe/Berlin", "-03:30"]),
            doubtful in prop::sample::select(vec![None, Some(Doubt::Jump), Some(Doubt::ZeroPlace)]),
            optional in any_optional(),
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
            let record = PositionRecord { position, frame_hash: 0, received_at_ms, packed: PackedFields::new(&optional, None) };
            let zone = Zone::parse(offset).unwrap();
            let mut out = Vec::new();
            let fields = format!("{},{}", csv_field(id), csv_field(&name));
            push_csv_row(&mut out, &record, &fields, doubtful, &zone);
            let mut file = sheet(Form::Csv(Csv::Plain), &ROW_COLUMNS, "", &zone).unwrap();
            file.take();
            file.row(&row_cells(&record, (id, &name), doubtful)).unwrap();
            prop_assert_eq!(String::from_utf8(out), String::from_utf8(file.take()));
        }
    }
}
