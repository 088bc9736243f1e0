//! One record: when, where, and the values of its IO elements.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::names::name;
use crate::cursor::{Cursor, unsigned};
use crate::telling::{Telling, text_or_hex};
use crate::vocabulary::EVENT;
use crate::{Composition, OptionalField, Position, Value};

/// How a codec writes its IO elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Ids and counts of one byte.
    Codec8,
    /// Ids and counts of two bytes, and values of any length.
    Codec8Extended,
    /// Ids of two bytes, counts of one, and why the record was made.
    Codec16,
}

/// A record.
pub(super) struct Avl<'a> {
    at_ms: u64,
    priority: u8,
    longitude: i32,
    latitude: i32,
    altitude_m: i16,
    angle: u16,
    satellites: u8,
    speed_kmh: u16,
    event: u16,
    generation: Option<u8>,
    values: Vec<(u16, &'a [u8])>,
}

/// Values of so many bytes come in this order.
const GROUPS: [usize; 4] = [1, 2, 4, 8];

impl Layout {
    pub(super) const fn of(codec: u8) -> Option<Self> {
        match codec {
            0x08 => Some(Self::Codec8),
            0x8E => Some(Self::Codec8Extended),
            0x10 => Some(Self::Codec16),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Codec8 => "8",
            Self::Codec8Extended => "8 extended",
            Self::Codec16 => "16",
        }
    }

    const fn id_bytes(self) -> usize {
        if matches!(self, Self::Codec8) { 1 } else { 2 }
    }

    const fn count_bytes(self) -> usize {
        if matches!(self, Self::Codec8Extended) { 2 } else { 1 }
    }

    fn id(self, cursor: &mut Cursor<'_>) -> Option<u16> {
        u16::try_from(unsigned(cursor.take(self.id_bytes())?)).ok()
    }

    fn count(self, cursor: &mut Cursor<'_>) -> Option<usize> {
        usize::try_from(unsigned(cursor.take(self.count_bytes())?)).ok()
    }

    /// The bytes of one record field by field.
    pub(super) fn fields(
        self,
        cursor: &mut Cursor<'_>,
        push: &mut impl FnMut(usize, &'static str, String),
    ) -> Option<()> {
        let mut copy = *cursor;
        let avl = Avl::take(cursor, self)?;
        let degrees = |number: i32| format!("{:.7} degrees", f64::from(number) / 1e7);
        push(8, "recorded at", format!("{} ms since 1970", avl.at_ms));
        push(1, "priority", format!("{}", avl.priority));
        push(4, "longitude", degrees(avl.longitude));
        push(4, "latitude", degrees(avl.latitude));
        push(2, "altitude", format!("{} m", avl.altitude_m));
        push(2, "angle", format!("{} degrees", avl.angle));
        push(1, "satellites", format!("{}", avl.satellites));
        push(2, "speed", format!("{} km/h", avl.speed_kmh));
        push(self.id_bytes(), "event", format!("{}", avl.event));
        if let Some(generation) = avl.generation {
            push(1, "generation", format!("{generation}"));
        }
        push(self.count_bytes(), "elements", format!("{}", avl.values.len()));
        copy.take(24 + self.id_bytes() + self.count_bytes())?;
        copy.take(usize::from(avl.generation.is_some()))?;
        for width in GROUPS {
            let count = self.count(&mut copy)?;
            push(self.count_bytes(), "elements of a width", format!("{count} of {width} bytes"));
            for _ in 0..count {
                let id = self.id(&mut copy)?;
                let value = copy.take(width)?;
                push(self.id_bytes() + width, "element", element(id, value));
            }
        }
        if self == Self::Codec8Extended {
            let count = self.count(&mut copy)?;
            push(2, "elements of a width", format!("{count} of their own"));
            for _ in 0..count {
                let (id, length) = (copy.u16()?, copy.u16()?);
                let value = copy.take(length.into())?;
                push(4 + value.len(), "element", element(id, value));
            }
        }
        Some(())
    }
}

fn element(id: u16, value: &[u8]) -> String {
    match raw(value) {
        Value::Integer(number) => format!("{id} = {number}"),
        Value::Text(text) => format!("{id} = \"{text}\""),
        Value::Flag(_) | Value::Number(_) => format!("{id}"),
    }
}

/// A value as it came: a number of up to eight bytes, else text or hex.
fn raw(value: &[u8]) -> Value {
    let number = (value.len() <= 8 && !value.is_empty()).then(|| unsigned(value));
    match number.map(i64::try_from) {
        Some(Ok(number)) => Value::Integer(number),
        Some(Err(_)) => Value::Text(format!("{}", unsigned(value)).into()),
        None => Value::Text(text_or_hex(value).into()),
    }
}

impl<'a> Avl<'a> {
    /// Takes a record off the front; `None` when its counts do not fit.
    pub(super) fn take(cursor: &mut Cursor<'a>, layout: Layout) -> Option<Self> {
        let mut avl = Self {
            at_ms: cursor.u64()?,
            priority: cursor.u8()?,
            longitude: cursor.i32()?,
            latitude: cursor.i32()?,
            altitude_m: cursor.i16()?,
            angle: cursor.u16()?,
            satellites: cursor.u8()?,
            speed_kmh: cursor.u16()?,
            event: layout.id(cursor)?,
            generation: if layout == Layout::Codec16 { Some(cursor.u8()?) } else { None },
            values: Vec::new(),
        };
        let total = layout.count(cursor)?;
        for width in GROUPS {
            for _ in 0..layout.count(cursor)? {
                let id = layout.id(cursor)?;
                avl.values.push((id, cursor.take(width)?));
            }
        }
        if layout == Layout::Codec8Extended {
            for _ in 0..layout.count(cursor)? {
                let (id, length) = (cursor.u16()?, cursor.u16()?);
                avl.values.push((id, cursor.take(length.into())?));
            }
        }
        (avl.values.len() == total).then_some(avl)
    }

    pub(super) fn telling(&self) -> Telling {
        let mut telling = Telling::at(self.at_ms);
        // Without a fix a device repeats the last place, and before the first it has none.
        let ever = (self.latitude, self.longitude) != (0, 0) || self.satellites > 0;
        if ever {
            let degrees = |number: i32| f64::from(number) / 1e7;
            telling.place(degrees(self.latitude), degrees(self.longitude));
        }
        telling.said.gps_fix = Some(self.satellites > 0);
        telling.direction(self.angle.into());
        telling.speed(self.speed_kmh.into());
        telling.optional(OptionalField::Altitude, i64::from(self.altitude_m) * 10);
        telling.optional(OptionalField::Satellites, self.satellites.into());
        if self.event != 0 {
            telling.put(&EVENT, Value::Integer(self.event.into()));
        }
        if self.priority != 0 {
            telling.own("priority".into(), Value::Integer(self.priority.into()));
        }
        if let Some(generation) = self.generation {
            telling.own("generation".into(), Value::Integer(generation.into()));
        }
        for (id, value) in &self.values {
            telling.own(format!("io.{id}"), raw(value));
            name(*id, value, &mut telling);
        }
        telling
    }

    /// A record of codec 8 extended that says what a position does.
    pub(super) fn of_position(position: &Position) -> Vec<u8> {
        let Position { composition, latitude_udeg, longitude_udeg, .. } = *position;
        let mut out = Vec::with_capacity(64);
        out.extend((u64::from(position.recorded_at) * 1000).to_be_bytes());
        out.push(0);
        out.extend((longitude_udeg * 10).to_be_bytes());
        out.extend((latitude_udeg * 10).to_be_bytes());
        out.extend([0; 2]);
        out.extend((position.direction_cdeg / 100).to_be_bytes());
        out.push(if composition.gps_fix() { 9 } else { 0 });
        out.extend(u16::from(position.speed_kmh).to_be_bytes());
        out.extend([0, 0, 0, 2]);
        let ignition = u8::from(composition.0 & Composition::IGNITION != 0);
        out.extend([0, 1, 0, 239, ignition]);
        out.extend([0, 0, 0, 1, 0, 16]);
        out.extend(position.odometer_m.to_be_bytes());
        out.extend([0, 0, 0, 0]);
        out
    }
}
