//! The fields of a position that only some devices send, each declared once. What writes,
//! stores or shows a position goes through this table, so a new field is a new entry here
//! (CONTRIBUTING.md, "A field of a position").
//!
//! The fields that every position has are those of [`Position`](crate::Position). There
//! will be no more of them: what is added is optional, and absent is not 0.

use core::fmt;

/// What is declared of an optional field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its name where it is an integer: in the `/DB` message and in code.
    pub name: &'static str,
    /// Its name where people read it: in JSON and in the columns of files.
    pub shown: &'static str,
    /// How it is shown.
    pub form: FieldForm,
    /// The smallest value.
    pub min: i32,
    /// The largest value.
    pub max: i32,
    /// The first version of the `/DB` message that has it.
    pub since: u32,
    /// What it means, in a sentence.
    pub about: &'static str,
}

/// How a field is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldForm {
    /// As a number; so many of its digits are behind the point.
    Number {
        /// How many.
        decimals: u8,
    },
    /// As `true`; there is no other value.
    Mark,
}

/// A value as people read it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShownValue {
    /// A whole number.
    Whole(i32),
    /// A number with a fraction: the double nearest to the decimal.
    Number(f64),
    /// The mark is set.
    True,
}

/// Declares the fields in the order of their numbers, which begin with 1. Numbers are those
/// of the `/DB` message and of the bits in the tables: a field is never removed, moved
/// or given other bounds below zero.
macro_rules! optional_fields {
    ($(
        #[doc = $about:literal]
        $field:ident = $number:literal, $name:literal as $shown:literal, $form:expr,
        $min:literal..=$max:literal, since $since:literal;
    )+) => {
        /// A field of a position that only some devices send.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum OptionalField {
            $(#[doc = $about] $field = $number,)+
        }

        impl OptionalField {
            /// Every field, in the order of their numbers.
            pub const ALL: [Self; [$($number),+].len()] = [$(Self::$field),+];
        }

        const SPECS: [FieldSpec; OptionalField::ALL.len()] = [$(FieldSpec {
            name: $name,
            shown: $shown,
            form: $form,
            min: $min,
            max: $max,
            since: $since,
            about: $about.trim_ascii(),
        }),+];
    };
}

const WHOLE: FieldForm = FieldForm::Number { decimals: 0 };
const TENTHS: FieldForm = FieldForm::Number { decimals: 1 };
const HUNDREDTHS: FieldForm = FieldForm::Number { decimals: 2 };

optional_fields! {
    /// Milliseconds of the recorded second.
    RecordedMs = 1, "recorded_ms" as "recorded_ms", WHOLE, 0..=999, since 3;
    /// Metres above the ellipsoid or the sea, whichever the device measures.
    Altitude = 2, "altitude_dm" as "altitude_m", TENTHS, -1_000_000..=10_000_000, since 3;
    /// Satellites that the position was computed from.
    Satellites = 3, "satellites" as "satellites", WHOLE, 0..=255, since 3;
    /// Metres that the position is off at most, as the device estimates it.
    Accuracy = 4, "accuracy_dm" as "accuracy_m", TENTHS, 0..=100_000_000, since 3;
    /// Horizontal dilution of precision.
    Hdop = 5, "hdop_hundredths" as "hdop", HUNDREDTHS, 0..=1_000_000, since 3;
    /// The speed where it is known more exactly than in whole km/h up to 255.
    Speed = 6, "speed_dkmh" as "exact_speed_kmh", TENTHS, 0..=1_000_000, since 3;
    /// The device does not say whether it had a GPS fix.
    FixUnknown = 7, "fix_unknown" as "gps_fix_unknown", FieldForm::Mark, 1..=1, since 3;
    /// The device does not say whether the ignition was on.
    IgnitionUnknown = 8, "ignition_unknown" as "ignition_unknown", FieldForm::Mark, 1..=1, since 3;
    /// The device does not say in which direction it was going.
    DirectionUnknown = 9, "direction_unknown" as "direction_unknown", FieldForm::Mark, 1..=1, since 3;
    /// The device does not say how fast it was.
    SpeedUnknown = 10, "speed_unknown" as "speed_unknown", FieldForm::Mark, 1..=1, since 3;
    /// The device has no odometer, or does not say what it shows.
    OdometerUnknown = 11, "odometer_unknown" as "odometer_unknown", FieldForm::Mark, 1..=1, since 3;
    /// The device has no hour meter, or does not say what it shows.
    HourMeterUnknown = 12, "hour_meter_unknown" as "hour_meter_unknown", FieldForm::Mark, 1..=1, since 3;
}

impl OptionalField {
    /// What is declared of it.
    pub const fn spec(self) -> &'static FieldSpec {
        &SPECS[self.index()]
    }

    /// A value of it as people read it.
    pub fn shown(self, value: i32) -> ShownValue {
        match self.spec().form {
            FieldForm::Mark => ShownValue::True,
            FieldForm::Number { decimals: 0 } => ShownValue::Whole(value),
            FieldForm::Number { decimals } => {
                ShownValue::Number(f64::from(value) / f64::from(10_u32.pow(decimals.into())))
            }
        }
    }

    /// Its number, from 1.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The field of a number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }

    const fn index(self) -> usize {
        self as usize - 1
    }
}

/// The optional fields of one position: those that are present, with their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OptionalFields {
    /// Bit n is the field with the number n + 1.
    present: u32,
    /// 0 where absent.
    values: [i32; OptionalField::ALL.len()],
}

const _: () = assert!(OptionalField::ALL.len() <= 32, "a bit of `present` for each");

impl OptionalFields {
    /// None of them.
    pub const NONE: Self = Self { present: 0, values: [0; OptionalField::ALL.len()] };

    /// Whether none is present.
    pub const fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// A field's value, if it is present.
    pub const fn get(&self, field: OptionalField) -> Option<i32> {
        if self.present & 1 << field.index() == 0 {
            return None;
        }
        Some(self.values[field.index()])
    }

    /// Sets a field.
    ///
    /// # Errors
    /// The value is out of the field's bounds; then nothing changes.
    pub fn set(&mut self, field: OptionalField, value: i32) -> Result<(), OutOfBounds> {
        let spec = field.spec();
        if !(spec.min..=spec.max).contains(&value) {
            return Err(OutOfBounds(field));
        }
        self.present |= 1 << field.index();
        self.values[field.index()] = value;
        Ok(())
    }

    /// The present fields in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (OptionalField, i32)> {
        OptionalField::ALL.into_iter().filter_map(|field| Some((field, self.get(field)?)))
    }
}

/// A value that a field cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds(pub OptionalField);

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FieldSpec { name, min, max, .. } = self.0.spec();
        write!(f, "{name} is not within {min} to {max}")
    }
}

impl core::error::Error for OutOfBounds {}
