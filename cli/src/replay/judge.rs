//! Today's decoder against a stored row. Pure.

use nemeses_protocol::{
    OptionalField, OptionalFields, PROTOCOLS, Position, PositionRecord, protocol_of,
};

/// One field that today's decoder reads differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The column's name; `frame` when the bytes are no location today.
    pub(super) field: &'static str,
    /// As in the table.
    pub(super) stored: String,
    /// As decoded now.
    pub(super) today: String,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its raw bytes were not kept.
    NoRaw,
    /// As it is stored.
    Same,
    /// Not so.
    Differs(Vec<Difference>),
}

/// Rows by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) same: u64,
    pub(super) differ: u64,
    pub(super) no_raw: u64,
}

impl Counts {
    pub(super) fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::NoRaw => self.no_raw += 1,
            Verdict::Same => self.same += 1,
            Verdict::Differs(_) => self.differ += 1,
        }
    }
}

/// Decodes the row's raw bytes and compares.
pub(super) fn judge(row: &PositionRecord) -> Verdict {
    let Some(raw) = row.raw() else { return Verdict::NoRaw };
    // Where its number tells no protocol, the first one says what the bytes are instead.
    let protocol = protocol_of(row.position.device).unwrap_or(PROTOCOLS[0]);
    let differences = match protocol.record(raw) {
        Ok((today, hash)) => match today.position {
            Some(position) => differences(row, &position, &today.optional, hash),
            None => vec![Difference {
                field: "frame",
                stored: "location".to_owned(),
                today: "values".to_owned(),
            }],
        },
        Err(today) => {
            let (stored, today) = ("location".to_owned(), today.to_owned());
            vec![Difference { field: "frame", stored, today }]
        }
    };
    if differences.is_empty() { Verdict::Same } else { Verdict::Differs(differences) }
}

fn differences(
    row: &PositionRecord,
    today: &Position,
    optional: &OptionalFields,
    hash: u64,
) -> Vec<Difference> {
    let stored = &row.position;
    // All fields by name: a new one does not compile until it is compared.
    let Position {
        device,
        recorded_at,
        direction_cdeg,
        odometer_m,
        hour_meter_min,
        composition,
        extension,
        speed_kmh,
        latitude_udeg,
        longitude_udeg,
    } = today;
    let bits = |bits: u16| format!("{bits:04X}");
    let maybe = |bits: Option<u16>| bits.map_or("none".to_owned(), |bits| format!("{bits:04X}"));
    let fields = [
        ("device", stored.device.to_string(), device.to_string()),
        ("recorded_at", stored.recorded_at.to_string(), recorded_at.to_string()),
        ("frame_hash", format!("{:016X}", row.frame_hash), format!("{hash:016X}")),
        ("direction_cdeg", stored.direction_cdeg.to_string(), direction_cdeg.to_string()),
        ("odometer_m", stored.odometer_m.to_string(), odometer_m.to_string()),
        ("hour_meter_min", stored.hour_meter_min.to_string(), hour_meter_min.to_string()),
        ("composition", bits(stored.composition.0), bits(composition.0)),
        ("extension", maybe(stored.extension), maybe(*extension)),
        ("speed_kmh", stored.speed_kmh.to_string(), speed_kmh.to_string()),
        ("latitude_udeg", stored.latitude_udeg.to_string(), latitude_udeg.to_string()),
        ("longitude_udeg", stored.longitude_udeg.to_string(), longitude_udeg.to_string()),
    ];
    let (kept, read) = (row.optional(), optional);
    let number = |value: Option<i32>| value.map_or("none".to_owned(), |value| value.to_string());
    let optional = OptionalField::ALL
        .into_iter()
        .map(|field| (field.spec().name, number(kept.get(field)), number(read.get(field))));
    let differ = fields.into_iter().chain(optional).filter(|(_, stored, today)| stored != today);
    differ.map(|(field, stored, today)| Difference { field, stored, today }).collect()
}
