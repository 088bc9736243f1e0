//! Which column of a CSV is what.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use nemeses_protocol::{is_channel_name, is_unit};
use serde::Deserialize;

use crate::unit;

/// Which column of a CSV is what, as a small TOML file says it; `docs/imports.md` lists
/// its keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Between cells; a comma, if nothing is said.
    pub(crate) delimiter: Option<char>,
    /// `12,5` is twelve and a half.
    #[serde(default)]
    pub(crate) decimal_comma: bool,
    pub(crate) time: String,
    /// As `strptime` has it.
    pub(crate) time_format: Option<String>,
    /// Of times that bear none.
    pub(crate) time_zone: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) latitude: Option<String>,
    pub(crate) longitude: Option<String>,
    pub(crate) altitude: Option<Source>,
    pub(crate) speed: Option<Source>,
    pub(crate) course: Option<String>,
    pub(crate) odometer: Option<Source>,
    pub(crate) engine_hours: Option<Source>,
    pub(crate) satellites: Option<String>,
    pub(crate) hdop: Option<String>,
    pub(crate) accuracy: Option<Source>,
    pub(crate) ignition: Option<String>,
    pub(crate) gps_fix: Option<String>,
    /// By the channel's name.
    #[serde(default)]
    pub(crate) channels: BTreeMap<String, Source>,
    /// What all columns without a part become: channels of their names.
    #[serde(default)]
    pub(crate) other_columns: Others,
    /// Traccar writes this column without quotes, so what a row has too much is its.
    #[serde(skip)]
    pub(crate) unquoted: Option<&'static str>,
    /// Columns that say nothing about the device.
    #[serde(skip)]
    pub(crate) passed_over: &'static [&'static str],
}

/// What becomes of columns that a mapping does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Others {
    /// Nothing.
    #[default]
    Ignore,
    /// Channels.
    Channels,
}

/// A column, and its unit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Source {
    Column(String),
    InUnit { column: String, unit: String },
}

impl Source {
    pub(crate) fn column(&self) -> &str {
        match self {
            Self::Column(column) | Self::InUnit { column, .. } => column,
        }
    }

    pub(crate) fn unit(&self) -> Option<&str> {
        match self {
            Self::Column(_) => None,
            Self::InUnit { unit, .. } => Some(unit),
        }
    }
}

/// Why a mapping cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MappingError(String);

impl Mapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// It is not TOML, has keys that there are not, or lacks a time and a place or
    /// a channel.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let mapping: Self = toml::from_str(text)
            .map_err(|error| MappingError(error.to_string().trim().to_owned()))?;
        mapping.check().map_err(MappingError)?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), String> {
        if self.latitude.is_some() != self.longitude.is_some() {
            return Err("latitude and longitude go together: name both columns, or none".to_owned());
        }
        let says_nothing = self.channels.is_empty() && self.other_columns == Others::Ignore;
        if self.latitude.is_none() && says_nothing {
            return Err(
                "nothing is to be read: name latitude and longitude, or a channel in [channels]"
                    .to_owned(),
            );
        }
        for (key, source, known, units) in [
            (
                "speed",
                &self.speed,
                unit::kilometres_an_hour as fn(&str) -> Option<f64>,
                "km/h, m/s, kn, mph",
            ),
            ("altitude", &self.altitude, unit::metres, "m, km, ft, mi"),
            ("odometer", &self.odometer, unit::metres, "m, km, ft, mi"),
            ("accuracy", &self.accuracy, unit::metres, "m, km, ft, mi"),
            ("engine_hours", &self.engine_hours, unit::minutes, "h, min, s, ms"),
        ] {
            let unit = source.as_ref().and_then(Source::unit);
            if let Some(unit) = unit.filter(|unit| known(unit).is_none()) {
                return Err(format!("{key} has no unit '{unit}'; write one of {units}"));
            }
        }
        for (name, source) in &self.channels {
            if !is_channel_name(name) {
                return Err(format!(
                    "'{name}' is no name of a channel: up to 128 visible characters"
                ));
            }
            if let Some(unit) = source.unit().filter(|unit| !is_unit(unit)) {
                return Err(format!(
                    "'{unit}' of channel '{name}' is no unit: UCUM, without spaces"
                ));
            }
        }
        self.zone().map(drop)
    }

    /// Its own zone, if it names one.
    pub(crate) fn zone(&self) -> Result<Option<TimeZone>, String> {
        let Some(name) = &self.time_zone else { return Ok(None) };
        let unknown =
            |_| format!("there is no time zone '{name}'; write one such as Europe/Berlin");
        TimeZone::get(name).map(Some).map_err(unknown)
    }

    /// The mapping of a file whose columns are known: Traccar's export, or ours.
    pub(crate) fn of_columns(names: &[&str]) -> Option<Self> {
        let has = |all: &[&str]| all.iter().all(|name| names.contains(name));
        if has(&["deviceId", "protocol", "fixTime", "valid", "latitude", "longitude"]) {
            return Some(Self::traccar(names));
        }
        has(&["device_id", "recorded_at", "latitude", "longitude"]).then(|| Self::ours(names))
    }

    /// Of Traccar 5 and 6: speed in knots, times in the user's zone, attributes of
    /// positions as columns behind the fields.
    fn traccar(names: &[&str]) -> Self {
        let column = |name: &str| names.contains(&name).then(|| name.to_owned());
        let in_unit = |name: &str, unit: &str| {
            column(name).map(|column| Source::InUnit { column, unit: unit.to_owned() })
        };
        Self {
            time: "fixTime".to_owned(),
            latitude: column("latitude"),
            longitude: column("longitude"),
            altitude: in_unit("altitude", "m"),
            speed: in_unit("speed", "kn"),
            course: column("course"),
            accuracy: in_unit("accuracy", "m"),
            odometer: in_unit("odometer", "m"),
            engine_hours: in_unit("hours", "ms"),
            satellites: column("sat"),
            hdop: column("hdop"),
            ignition: column("ignition"),
            gps_fix: column("valid"),
            other_columns: Others::Channels,
            unquoted: Some("address"),
            passed_over: &["id", "deviceId", "protocol", "serverTime", "deviceTime", "address"],
            ..Self::default()
        }
    }

    /// Of the report of positions.
    fn ours(names: &[&str]) -> Self {
        let column = |name: &str| names.contains(&name).then(|| name.to_owned());
        let plain = |name: &str| column(name).map(Source::Column);
        Self {
            time: "recorded_at".to_owned(),
            device: column("device_id"),
            latitude: column("latitude"),
            longitude: column("longitude"),
            altitude: plain("altitude_m"),
            speed: plain("exact_speed_kmh").or_else(|| plain("speed_kmh")),
            course: column("direction_deg"),
            odometer: plain("odometer_m"),
            engine_hours: column("hour_meter_min")
                .map(|column| Source::InUnit { column, unit: "min".to_owned() }),
            satellites: column("satellites"),
            hdop: column("hdop"),
            accuracy: plain("accuracy_m"),
            ignition: column("ignition"),
            gps_fix: column("gps_fix"),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_that_cannot_be_used_says_why() {
        for (text, why) in [
            ("", "missing field `time`"),
            ("time = 't'\nlatitude = 'a'", "go together"),
            ("time = 't'", "nothing is to be read"),
            ("time = 't'\nlat = 'a'", "unknown field `lat`"),
            (
                "time = 't'\nlatitude='a'\nlongitude='b'\nspeed = {column='v', unit='furlong'}",
                "km/h, m/s, kn, mph",
            ),
            ("time = 't'\n[channels]\n'' = 'a'", "no name of a channel"),
            ("time = 't'\ntime_zone = 'Mars'\n[channels]\na = 'a'", "no time zone 'Mars'"),
        ] {
            let error = Mapping::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        Mapping::parse("time = 't'\n[channels]\n'fuel' = {column='f', unit='L'}").unwrap();
    }
}
