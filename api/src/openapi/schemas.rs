//! Forms of text that answers are full of, for `#[schemars(with = "...")]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A device id in a request: six hex digits, or eight from 01000000 on; or a kind and a name.
pub(crate) const DEVICE_PATTERN: &str = "^(((0[1-9A-Fa-f]|[1-9A-Fa-f][0-9A-Fa-f])?[0-9A-Fa-f]{6})|((imei|eui|owntracks|host|id):[!-~]{1,120}))$";

/// A device id in an answer.
pub(crate) struct Device;

impl JsonSchema for Device {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DeviceId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(((0[1-9A-F]|[1-9A-F][0-9A-F])?[0-9A-F]{6})|((imei|eui|owntracks|host|id):[!-~]{1,120}))$"})
    }
}

/// An RFC 3339 time in an answer.
pub(crate) struct Time;

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}
