//! `GET /openapi.json`: what the API says of itself. Written once, then bytes.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::openapi::{Answer, Doc, Tag};
use crate::router::openapi_document;

pub(crate) async fn get() -> Response {
    static BYTES: LazyLock<Bytes> =
        LazyLock::new(|| openapi_document().to_string().into_bytes().into());
    ([(header::CONTENT_TYPE, "application/json")], BYTES.clone()).into_response()
}

pub(crate) fn doc() -> Doc {
    Doc::new("getOpenApi", Tag::Service, "This document").careless().conditional().answers(Answer::json::<
        serde_json::Map<String, Value>,
    >(
        "OpenAPI 3.1.",
        json!({"openapi": "3.1.0", "info": {"title": "Nemeses", "version": "0.1.0"}, "paths": {}}),
    ))
}
