//! What the API says of itself: each route declares its documentation beside its
//! right, and the OpenAPI 3.1 document is put together from those declarations
//! and the types of the answers. docs/decisions/0010-openapi.md says why so.

mod answer;
mod doc;
mod document;
mod parameter;
mod schemas;

pub(crate) use answer::Answer;
pub(crate) use doc::{Doc, Tag, inlined, object};
pub(crate) use document::{Operation, document};
pub(crate) use parameter::Param;
pub(crate) use schemas::{DEVICE_PATTERN, Device, Time};
