//! What a listener in the same process decoded, for the worker to hand on like messages of the
//! broker.

use tokio::sync::mpsc;

use crate::step::Output;

/// Reads of connections that may wait for the worker. What they hold is bounded by the
/// listener's pool; a place takes some 200 bytes.
const PLACES: usize = 16 * 1024;

/// What was decoded of one read of a connection.
pub struct Given {
    /// What it came to.
    pub out: Output,
    /// When it arrived, Unix milliseconds.
    pub received_at_ms: u64,
    /// Called when it was handed over; dropped when it will not be.
    pub handed_over: Box<dyn FnOnce() + Send>,
}

/// Gives to a worker. Clones share.
#[derive(Clone, Debug)]
pub struct Giver(mpsc::Sender<Given>);

impl Giver {
    /// One, and where the worker finds what is given.
    pub(super) fn new() -> (Self, mpsc::Receiver<Given>) {
        let (sender, receiver) = mpsc::channel(PLACES);
        (Self(sender), receiver)
    }

    /// Never waits: what finds no place is dropped, and so not acknowledged.
    pub fn give(&self, given: Given) {
        if self.0.try_send(given).is_err() {
            tracing::debug!("the worker takes no more; what was read is not acknowledged");
        }
    }
}
