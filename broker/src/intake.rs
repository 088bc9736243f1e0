//! The seam between the door and what keeps the frames.
//!
//! The door takes PUBLISH packets off the wire; an [`Intake`] decodes them and
//! sees to their commit. The door sends the PUBACKs of a connection in order,
//! each after its [`Receipt`] was marked kept. Bounds are the door's: a receipt
//! carries the room its messages take, and gives it back when it is resolved,
//! so an intake may queue every receipt it is handed.

use std::sync::Arc;

use bytes::Bytes;
use nemeses_protocol::{DeviceId, Speaker};

/// One PUBLISH on an intake topic. Copied out of the read buffer, so that
/// holding it does not pin the buffer.
#[derive(Clone, Debug)]
pub struct IntakeMessage {
    /// Topic name, checked to be one of ours.
    pub topic: Arc<str>,
    /// Payload.
    pub payload: Bytes,
}

/// A ping's answer, to be delivered by the door at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Whose ping it answers.
    pub device: DeviceId,
    /// The reply's payload.
    pub payload: Vec<u8>,
}

/// What takes frames off the door.
pub trait Intake: Send + Sync + 'static {
    /// Takes the messages of one socket read, in order. Decodes at once (pure
    /// computation, no waiting) and returns the replies to the pings in them;
    /// the rest is queued with the receipt, which must be marked
    /// [`Receipt::kept`] after the commit of everything in the messages.
    fn take(&self, speaker: &Speaker, messages: &[IntakeMessage], receipt: Receipt) -> Vec<Reply>;
}

/// Proof owed to a connection: the messages handed over with it are kept.
/// Dropped without [`Receipt::kept`], the door closes the connection without
/// acknowledging them, and the device sends them again.
#[derive(Debug)]
pub struct Receipt {
    // STUB: shape is the door's; keep `kept(self)` and drop semantics.
    on_kept: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Receipt {
    /// A receipt and what resolves with it, for tests and for other sources.
    pub fn new() -> (Self, tokio::sync::oneshot::Receiver<()>) {
        let (on_kept, resolved) = tokio::sync::oneshot::channel();
        (Self { on_kept: Some(on_kept) }, resolved)
    }

    /// Everything handed over with this receipt is durable.
    pub fn kept(mut self) {
        if let Some(on_kept) = self.on_kept.take() {
            // The connection may be gone already: nobody is left to tell.
            let _ = on_kept.send(());
        }
    }
}
