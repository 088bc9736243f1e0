//! Followed frames in a node: what the intake tells of them between the door and the
//! exporter.

use nemeses_broker::{Followed, IntakeMessage, Speaker};
use nemeses_parser::{Decoding, Message, Output, Step};
use nemeses_protocol::TraceContext;
use nemeses_runtime::traces::{Tracer, Waiting, now_ns};

/// Decodes the messages of a read, and tells of those that are followed.
pub(crate) fn decode(
    step: &Step,
    tracer: &Tracer,
    speaker: Speaker,
    received_at_ms: u64,
    messages: &[IntakeMessage<'_>],
    followed: &[Followed],
) -> Output {
    let mut out = Output::for_messages(messages.len());
    let mut followed = followed.iter().peekable();
    for (index, message) in messages.iter().enumerate() {
        let IntakeMessage { topic, payload } = *message;
        let message = Message { topic, payload, received_at_ms, speaker };
        match followed.next_if(|next| next.message == index) {
            None => step.take(&message, &mut out),
            Some(Followed { context, .. }) => {
                let decoding = Decoding::begin(&out);
                step.take(&message, &mut out);
                decoding.end(tracer, context, &out);
            }
        }
    }
    out
}

/// The contexts of what is followed.
pub(crate) fn contexts(followed: &[Followed]) -> Vec<TraceContext> {
    followed.iter().map(|followed| followed.context).collect()
}

/// From now on they wait for their commit.
pub(crate) fn waiting(followed: &[Followed]) -> Vec<Waiting> {
    let since_ns = if followed.is_empty() { 0 } else { now_ns() };
    followed.iter().map(|followed| Waiting { context: followed.context, since_ns }).collect()
}
