//! How the table of routes is written: a path, and for each method of it the right, the handler and the
//! documentation.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{self, MethodFilter, MethodRouter};

use crate::access::Right;
use crate::openapi::Doc;
use crate::state::ApiState;

/// Bodies carry an address, a name and a password of at most 1 KiB.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// A path with its operations, one a method.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) operations: Vec<Operation>,
}

/// One method of a path: the right it asks for, its handler, its documentation.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) right: Right,
    pub(super) handler: MethodRouter<ApiState>,
    pub(super) doc: fn() -> Doc,
    /// Whether it may read millions of rows, and so is counted by credential.
    pub(super) heavy: bool,
    /// Bytes that a body may have.
    pub(super) max_body: usize,
}

impl Operation {
    pub(super) fn heavy(self) -> Self {
        Self { heavy: true, ..self }
    }

    pub(super) fn max_body(self, max_body: usize) -> Self {
        Self { max_body, ..self }
    }
}

pub(super) fn route<const N: usize>(path: &'static str, operations: [Operation; N]) -> Route {
    Route { path, operations: operations.into() }
}

fn operation<H: Handler<T, ApiState>, T: 'static>(
    method: Method,
    filter: MethodFilter,
    (right, handler, doc): (Right, H, fn() -> Doc),
) -> Operation {
    Operation {
        method,
        right,
        handler: routing::on(filter, handler),
        doc,
        heavy: false,
        max_body: MAX_BODY_BYTES,
    }
}

/// A GET, which answers HEAD as well.
pub(super) fn get<H: Handler<T, ApiState>, T: 'static>(
    right: Right,
    handler: H,
    doc: fn() -> Doc,
) -> Operation {
    operation(Method::GET, MethodFilter::GET, (right, handler, doc))
}

pub(super) fn post<H: Handler<T, ApiState>, T: 'static>(
    right: Right,
    handler: H,
    doc: fn() -> Doc,
) -> Operation {
    operation(Method::POST, MethodFilter::POST, (right, handler, doc))
}

pub(super) fn put<H: Handler<T, ApiState>, T: 'static>(
    right: Right,
    handler: H,
    doc: fn() -> Doc,
) -> Operation {
    operation(Method::PUT, MethodFilter::PUT, (right, handler, doc))
}

pub(super) fn patch<H: Handler<T, ApiState>, T: 'static>(
    right: Right,
    handler: H,
    doc: fn() -> Doc,
) -> Operation {
    operation(Method::PATCH, MethodFilter::PATCH, (right, handler, doc))
}

pub(super) fn delete<H: Handler<T, ApiState>, T: 'static>(
    right: Right,
    handler: H,
    doc: fn() -> Doc,
) -> Operation {
    operation(Method::DELETE, MethodFilter::DELETE, (right, handler, doc))
}
