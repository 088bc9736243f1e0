//! The whole OpenAPI document, of the routes and the types they name.

use axum::http::Method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::doc::{Doc, Tag};
use super::parameter::Param;
use crate::access::Right;
use crate::problem;

const ABOUT: &str = "Live positions, history and reports of trackers.\n\n\
    Every path works with and without a slash at its end. Times in answers are RFC 3339; times in \
    parameters are RFC 3339 with any offset, or whole Unix seconds. A device id is six hex digits, or eight from 01000000 on. \
    A parameter that does not exist, or comes twice, is an error. Every error is a problem document \
    (RFC 9457); tell cases apart by `type`. docs/api.md explains it all with examples.";

/// One operation, as the document wants it.
pub(crate) struct Operation {
    pub(crate) path: &'static str,
    pub(crate) method: Method,
    pub(crate) right: Right,
    pub(crate) doc: Doc,
}

/// What every operation takes that wants a token.
fn user_id() -> Param {
    let about = "The user of the token; another one is refused (403).";
    Param::header("X-User-Id", json!({"type": "integer", "minimum": 1}), about)
}

/// The document of these operations.
pub(crate) fn document(operations: &[Operation]) -> Value {
    let mut schemas = SchemaSettings::draft2020_12().for_serialize();
    schemas.definitions_path = "/components/schemas".into();
    let mut schemas = SchemaGenerator::new(schemas);
    schemas.subschema_for::<problem::Body<'_>>();
    let mut paths = Map::new();
    for Operation { path, method, right, doc } in operations {
        let written = doc.written(method, *right, &mut schemas);
        let of_path = paths.entry(*path).or_insert_with(|| json!({}));
        of_path[method.as_str().to_ascii_lowercase()] = written;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nemeses",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": Tag::ALL.map(|tag| json!({"name": tag.name()})),
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "parameters": {"UserId": user_id().written()},
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The token of POST /login.",
            }},
        },
    })
}
