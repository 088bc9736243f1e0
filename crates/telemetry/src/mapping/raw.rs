//! A file of mappings as TOML has it, before it is checked. `docs/mappings.md` describes every key.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) mapping: Vec<Spanned<Raw>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) name: String,
    pub(super) topic: Option<String>,
    pub(super) post: Option<String>,
    #[serde(default)]
    pub(super) format: RawFormat,
    pub(super) records: Option<String>,
    pub(super) device: Option<String>,
    #[serde(default)]
    pub(super) text_numbers: bool,
    pub(super) time: Option<RawTime>,
    pub(super) position: Option<RawPosition>,
    #[serde(default)]
    pub(super) channels: Vec<Spanned<RawChannel>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawFormat {
    #[default]
    Json,
    Text,
    Telemetry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTime {
    pub(super) at: String,
    pub(super) unit: RawUnit,
    pub(super) zone: Option<String>,
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawUnit {
    S,
    Ms,
    Us,
    Ns,
    Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPosition {
    pub(super) latitude: String,
    pub(super) longitude: String,
    pub(super) coordinate_scale: Option<f64>,
    pub(super) altitude: Option<String>,
    pub(super) altitude_unit: Option<String>,
    pub(super) speed: Option<String>,
    pub(super) speed_unit: Option<String>,
    pub(super) heading: Option<String>,
    pub(super) satellites: Option<String>,
    pub(super) hdop: Option<String>,
    pub(super) accuracy: Option<String>,
    pub(super) odometer: Option<String>,
    pub(super) odometer_unit: Option<String>,
    pub(super) ignition: Option<String>,
    pub(super) fix: Option<String>,
    #[serde(default)]
    pub(super) required: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChannel {
    pub(super) at: Option<String>,
    pub(super) below: Option<String>,
    pub(super) name: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) scale: Option<f64>,
    pub(super) offset: Option<f64>,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) prefix: Option<String>,
    #[serde(default)]
    pub(super) units: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) skip: Vec<String>,
    #[serde(default)]
    pub(super) texts: bool,
    pub(super) decode: Option<RawDecode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawDecode {
    Cayenne,
}
