//! What a condition can ask for: fields of a position, and channels.

use std::fmt;

macro_rules! fields {
    ($($field:ident = $number:literal, $name:literal, $about:literal;)+) => {
        /// A field of a position.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field {
            $(#[doc = $about] $field = $number,)+
        }

        impl Field {
            /// All of them, in the order of their numbers from 1, which are those in stored states.
            pub const ALL: [Self; [$($number),+].len()] = [$(Self::$field),+];

            /// Its name in conditions.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$field => $name,)+ }
            }

            /// What it means, in a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$field => $about,)+ }
            }
        }
    };
}

fields! {
    SpeedKmh = 1, "speed_kmh", "Speed, km/h.";
    AltitudeM = 2, "altitude_m", "Altitude, metres.";
    Ignition = 3, "ignition", "Whether the ignition is on.";
    OdometerM = 4, "odometer_m", "The odometer, metres.";
    OdometerKm = 5, "odometer_km", "The odometer, kilometres.";
    EngineHours = 6, "engine_hours", "The hour meter, hours.";
    DirectionDeg = 7, "direction_deg", "Direction, degrees clockwise from north.";
    Latitude = 8, "latitude", "Latitude, degrees.";
    Longitude = 9, "longitude", "Longitude, degrees.";
    AccuracyM = 10, "accuracy_m", "Accuracy that the device estimates, metres.";
    Satellites = 11, "satellites", "Satellites in the position.";
    Hdop = 12, "hdop", "Horizontal dilution of precision.";
    GpsFix = 13, "gps_fix", "Whether the receiver had a fix.";
}

impl Field {
    /// The field of a name; `speed` and `altitude` are short for those with a unit.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "speed" => Some(Self::SpeedKmh),
            "altitude" => Some(Self::AltitudeM),
            _ => Self::ALL.into_iter().find(|field| field.name() == name),
        }
    }

    /// The field of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// A field of a position, or a channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A field of a position.
    Field(Field),
    /// A channel.
    Channel(Box<str>),
}

/// As a condition has it: a channel whose name is not one word, or that of a field, in full.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field.name()),
            Self::Channel(name) if is_word(name) => f.write_str(name),
            Self::Channel(name) => write!(f, "channel({})", quoted(name)),
        }
    }
}

fn is_word(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(starts_word)
        && characters.all(continues_word)
        && !name.ends_with('.')
        && !is_taken(name)
}

fn is_taken(name: &str) -> bool {
    Field::named(name).is_some()
        || ["and", "or", "not", "true", "false"].contains(&name)
        || ["rate", "avg", "distance_to", "inside", "age", "channel"].contains(&name)
}

/// Whether a name may begin with it.
pub(crate) const fn starts_word(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_'
}

/// Whether a name may go on with it.
pub(crate) const fn continues_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.')
}

/// A text as a condition has it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}
