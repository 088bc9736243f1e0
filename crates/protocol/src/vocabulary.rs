//! What the channels of trackers are called, whatever protocol brought them
//! (`docs/protocols/README.md` has the table). A name is part of stored records: it never
//! changes.

/// A channel that several protocols have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its name. A word that is numbered has `.1`, `.2` and so on behind it.
    pub channel: &'static str,
    /// Its unit (UCUM); empty where it has none.
    pub unit: &'static str,
    /// Whether a device has several of them.
    pub numbered: bool,
    /// What it says, in a sentence.
    pub about: &'static str,
}

macro_rules! words {
    ($($name:ident = $channel:literal, $unit:literal, $numbered:literal, $about:literal;)+) => {
        $(
            #[doc = $about]
            pub(crate) const $name: Word =
                Word { channel: $channel, unit: $unit, numbered: $numbered, about: $about };
        )+
        /// All of them.
        pub static VOCABULARY: [Word; [$($channel),+].len()] = [$($name),+];
    };
}

words! {
    IGNITION = "ignition", "", false, "The ignition is on.";
    MOTION = "motion", "", false, "The device's own sensor says that it moves.";
    ODOMETER = "odometer", "m", false, "What the vehicle or the device has gone in all.";
    TRIP_DISTANCE = "trip.distance", "m", false, "What it has gone since the ignition came on.";
    ENGINE_HOURS = "engine.hours", "h", false, "For how long the engine has run in all.";
    ENGINE_SPEED = "engine.speed", "/min", false, "The engine's revolutions.";
    ENGINE_LOAD = "engine.load", "%", false, "The engine's load.";
    COOLANT_TEMPERATURE = "engine.coolant_temperature", "Cel", false, "Of the engine's coolant.";
    FUEL_LEVEL = "fuel.level", "%", false, "How full the tank is.";
    FUEL_USED = "fuel.used", "L", false, "What was used in all.";
    FUEL_RATE = "fuel.rate", "L/h", false, "What is being used.";
    TEMPERATURE = "temperature", "Cel", true, "Of a sensor; with its number where there are several.";
    HUMIDITY = "humidity", "%", true, "Of a sensor; with its number where there are several.";
    INPUT = "input", "", true, "A digital input is on.";
    OUTPUT = "output", "", true, "A digital output is on.";
    ANALOG = "analog", "V", true, "The voltage at an analogue input.";
    BATTERY_LEVEL = "battery.level", "%", false, "How full the device's own battery is.";
    BATTERY_VOLTAGE = "battery.voltage", "V", false, "The device's own battery.";
    BATTERY_CURRENT = "battery.current", "A", false, "Into the device's own battery.";
    BATTERY_CHARGING = "battery.charging", "", false, "The device's own battery is charged.";
    POWER_VOLTAGE = "power.voltage", "V", false, "The external supply, as a rule the vehicle's battery.";
    POWER_CONNECTED = "power.connected", "", false, "The external supply is there.";
    NETWORK_SIGNAL = "network.signal", "%", false, "How good the mobile network is received.";
    NETWORK_CELL = "network.cell", "", false, "The cell: MCC-MNC-LAC-CELL, decimal.";
    DRIVER = "driver", "", false, "Who drives: a key's or a card's number.";
    VIN = "vehicle.vin", "", false, "The vehicle's identification number.";
    TROUBLE_CODES = "vehicle.trouble_codes", "", false, "The vehicle's diagnostic trouble codes.";
    EVENT = "event", "", false, "Why the device made the record, in its own word or number.";
    ALARM_SOS = "alarm.sos", "", false, "Somebody asks for help.";
    ALARM_POWER_CUT = "alarm.power_cut", "", false, "The external supply was taken away.";
    ALARM_LOW_BATTERY = "alarm.low_battery", "", false, "A battery is nearly empty.";
    ALARM_TOW = "alarm.tow", "", false, "It moves without its ignition.";
    ALARM_CRASH = "alarm.crash", "", false, "A blow as in an accident.";
    ALARM_TAMPER = "alarm.tamper", "", false, "Somebody opened or removed the device.";
    ALARM_JAMMING = "alarm.jamming", "", false, "Somebody disturbs the mobile network.";
    ALARM_VIBRATION = "alarm.vibration", "", false, "It is shaken.";
    ALARM_FALL = "alarm.fall", "", false, "It, or who carries it, fell.";
    ALARM_OVERSPEED = "alarm.overspeed", "", false, "Faster than the device was told to allow.";
    ALARM_IDLING = "alarm.idling", "", false, "The engine runs and nothing moves.";
    ALARM_ACCELERATION = "alarm.acceleration", "", false, "A harsh acceleration.";
    ALARM_BRAKING = "alarm.braking", "", false, "A harsh braking.";
    ALARM_CORNERING = "alarm.cornering", "", false, "A harsh corner.";
    ALARM_DOOR = "alarm.door", "", false, "A door was opened.";
    ALARM_GEOFENCE_ENTER = "alarm.geofence_enter", "", false, "It came into an area that the device knows.";
    ALARM_GEOFENCE_EXIT = "alarm.geofence_exit", "", false, "It left an area that the device knows.";
    REJECTED_POSITION = "position.rejected", "", false, "Coordinates that there are not, as they came.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{is_channel_name, is_unit};

    #[test]
    fn words_are_channels_with_units_and_each_is_there_once() {
        for (at, word) in VOCABULARY.iter().enumerate() {
            assert!(is_channel_name(word.channel), "{}", word.channel);
            assert!(word.unit.is_empty() || is_unit(word.unit), "{}", word.channel);
            assert!(VOCABULARY[..at].iter().all(|before| before.channel != word.channel));
        }
    }
}
