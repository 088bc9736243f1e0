//! A decoded location frame, in the integer units of the wire.

use crate::{OptionalFields, PackedFields};

/// The composition field: status bits of a location frame. Reserved bits are
/// kept as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Composition(pub u16);

impl Composition {
    /// Bit 15: the receiver had a GPS fix.
    pub const GPS_FIX: u16 = 1 << 15;
    /// Bit 14: sent from the device's memory rather than live.
    pub const HISTORICAL: u16 = 1 << 14;
    /// Bit 13: ignition on.
    pub const IGNITION: u16 = 1 << 13;
    /// Bit 12: latitude is south of the equator.
    pub const LATITUDE_NEGATIVE: u16 = 1 << 12;
    /// Bit 11: longitude is west of Greenwich.
    pub const LONGITUDE_NEGATIVE: u16 = 1 << 11;

    /// Whether the receiver had a GPS fix.
    pub const fn gps_fix(self) -> bool {
        self.0 & Self::GPS_FIX != 0
    }
    /// Whether the frame comes from the device's memory.
    pub const fn historical(self) -> bool {
        self.0 & Self::HISTORICAL != 0
    }
    /// Whether the ignition was on.
    pub const fn ignition(self) -> bool {
        self.0 & Self::IGNITION != 0
    }
}

/// One location frame, decoded. All fields are exact integers of the wire;
/// `docs/protocol.md` gives their source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which device.
    pub device: crate::DeviceId,
    /// Unix seconds, UTC, by the device's clock.
    pub recorded_at: u32,
    /// 1/100 degree clockwise from north, 0 to 36 000.
    pub direction_cdeg: u16,
    /// Metres.
    pub odometer_m: u32,
    /// Minutes, wraps at 2^32.
    pub hour_meter_min: u32,
    /// Status bits as they came, signs of the coordinates included.
    pub composition: Composition,
    /// The long form's extra field, meaning unpublished; `None` in the short form.
    pub extension: Option<u16>,
    /// km/h.
    pub speed_kmh: u8,
    /// 1e-6 degree, -90 000 000 to 90 000 000. Zero may bear a sign in `composition`.
    pub latitude_udeg: i32,
    /// 1e-6 degree, -180 000 000 to 180 000 000. Zero may bear a sign in `composition`.
    pub longitude_udeg: i32,
}

/// The position of a record that is known by its device's identity: whose it is, and when
/// it was, is the record's to say, whatever stands in `position`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionPart {
    /// The fields that every position has.
    pub position: Position,
    /// Optional fields, and raw bytes where they are kept.
    pub packed: Option<PackedFields>,
}

impl PositionPart {
    /// A position with these optional fields, without raw bytes.
    pub fn new(position: Position, optional: &OptionalFields) -> Self {
        Self { position, packed: PackedFields::new(optional, None) }
    }

    /// The optional fields that are present.
    pub fn optional(&self) -> OptionalFields {
        self.packed.as_ref().map_or(OptionalFields::NONE, PackedFields::fields)
    }
}
