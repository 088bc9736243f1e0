//! Rows, as reports read them.

use nemeses_protocol::{DeviceId, OptionalField, Position, PositionRecord};

/// A row as reports read it.
pub trait Row {
    /// The fields that every row has.
    fn position(&self) -> &Position;

    /// km/h; `None` where the device does not report it, and the field is 0 for want of one.
    fn speed_kmh(&self) -> Option<u8>;
}

/// As a live entry has it, without the optional fields: whether 0 km/h of a device that is
/// no SFT9001 tracker was measured is not known.
impl Row for Position {
    fn position(&self) -> &Position {
        self
    }

    fn speed_kmh(&self) -> Option<u8> {
        let says_0 = self.device.number() <= DeviceId::MAX_SFT9001;
        (says_0 || self.speed_kmh > 0).then_some(self.speed_kmh)
    }
}

impl Row for PositionRecord {
    fn position(&self) -> &Position {
        &self.position
    }

    fn speed_kmh(&self) -> Option<u8> {
        // Rows of SFT9001 have no optional fields, and cost one look at an empty option.
        let is_unknown =
            self.has_optional() && self.optional().get(OptionalField::SpeedUnknown).is_some();
        (!is_unknown).then_some(self.position.speed_kmh)
    }
}
