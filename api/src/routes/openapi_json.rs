//! `GET /openapi.json`: what the API says of itself. Written once, then bytes.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::openapi::{Answer, Doc, Tag};

/// The answer, whose bytes are those of the first document that it was given.
pub(crate) fn answer(document: &Value) -> Response {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| document.to_string().into_bytes().into());
    ([(header::CONTENT_TYPE, "application/json")], bytes.clone()).into_response()
}

pub(crate) fn doc() -> Doc {
    Doc::new("getOpenApi", Tag::Service, "This document").careless().conditional().answers(Answer::json::<
        serde_json::Map<String, Value>,
    >(
        "OpenAPI 3.1.",
        json!({"openapi": "3.1.0", "info": {"title": "Nemeses", "version": "0.1.0"}, "paths": {}}),
    ))
}
