//! The body of an answer on its way out: it holds its request in progress, and tells
//! how long its last piece has waited for the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::handed::Handed;
use super::place::{Answering, Place};

pub(super) struct Sent {
    body: Body,
    /// Watched where connections carry several answers; with one at a time the
    /// connection itself stalls ([`super::write_guard`]).
    handed: Option<Arc<Handed>>,
    _answering: Answering,
}

impl Sent {
    pub(super) fn new(body: Body, answering: Answering, watched_by: Option<&Place>) -> Self {
        let handed = watched_by.map(|place| {
            let handed = Arc::<Handed>::default();
            place.watch(&handed);
            handed
        });
        Self { body, handed, _answering: answering }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Some(handed) = &this.handed {
            let waits = matches!(polled, Poll::Ready(Some(Ok(_))));
            handed.set(waits.then(Instant::now));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
