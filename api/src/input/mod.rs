//! What a client may say, parsed once at the edge into types that need no
//! further checks. Every refusal names the parameter or field.

mod body;
mod cursor;
mod device;
mod identity;
mod label;
mod params;
mod path;
mod shard;
mod time;
mod visible;

pub(crate) use body::{Fields, LargeFields, MaybeFields, Patch, TelemetryBody};
pub(crate) use cursor::{BooksCursor, DeviceCursor, NearCursor, ReportCursor};
pub(crate) use device::{device, device_in_field, identity, identity_in_field};
pub(crate) use identity::{account_fields, check_password, new_email, person_name};
pub(crate) use label::{class, label, note, rule_name, tags};
pub(crate) use params::Params;
pub(crate) use path::{Segments, number, unknown_id};
pub(crate) use shard::Shard;
pub(crate) use time::{first_second, last_second, one_second};
