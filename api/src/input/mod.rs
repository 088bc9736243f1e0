//! What a client may say, parsed once at the edge into types that need no
//! further checks. Every refusal names the parameter or field.

mod body;
mod cursor;
mod identity;
mod params;
mod time;

pub(crate) use body::Fields;
pub(crate) use cursor::{BooksCursor, ReportCursor};
pub(crate) use identity::{account_fields, check_password, email, person_name};
pub(crate) use params::Params;
pub(crate) use time::{first_second, last_second, one_second};
