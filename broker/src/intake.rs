//! The seam between the door and what keeps the frames.
//!
//! The door takes PUBLISH packets off the wire; an [`Intake`] decodes them and
//! sees to their commit. The door sends the PUBACKs of a connection in order,
//! each after its [`Receipt`] was marked kept. Bounds are the door's: a receipt
//! carries the room its messages take, and gives it back when it is resolved,
//! so an intake may queue every receipt it is handed.

use std::sync::Arc;

use nemeses_protocol::{Reply, Speaker, TraceContext};

use crate::mailbox::{Mailbox, Resolved};
use crate::pool::Room;

/// One PUBLISH on an intake topic, in the read buffer: what is kept of it is copied.
#[derive(Clone, Copy, Debug)]
pub struct IntakeMessage<'a> {
    /// Topic name, checked to be one of ours.
    pub topic: &'a str,
    /// Payload.
    pub payload: &'a [u8],
}

/// What takes frames off the door.
pub trait Intake: Send + Sync + 'static {
    /// Takes the messages of one socket read, in order. Decodes at once (pure
    /// computation, no waiting) and returns the replies to be delivered at once;
    /// the rest is queued with the receipt, which must be marked
    /// [`Receipt::kept`] after the commit of everything in the messages.
    fn take(
        &self,
        speaker: &Speaker,
        messages: &[IntakeMessage<'_>],
        receipt: Receipt,
    ) -> Vec<Reply>;
}

/// Proof owed to a connection: the messages handed over with it are kept.
/// Dropped without [`Receipt::kept`], the door closes the connection without
/// acknowledging them, and the device sends them again. One receipt covers all
/// messages of a socket read and carries the room that they take.
#[derive(Debug)]
pub struct Receipt {
    owed: Option<Owed>,
    followed: Vec<Followed>,
}

/// A message of a socket read that is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its place among the messages.
    pub message: usize,
    /// What the intake's spans hang below.
    pub context: TraceContext,
}

#[derive(Debug)]
enum Owed {
    /// To a connection.
    Connection { mailbox: Arc<Mailbox>, batch: u64, room: Room },
    /// To nobody any more (a will); the room is given back all the same.
    Nobody { room: Room },
    /// To whoever made the receipt.
    Waiter(tokio::sync::oneshot::Sender<()>),
}

impl Receipt {
    /// A receipt and what resolves with it, for tests and for other sources:
    /// `Ok` when it was kept, `Err` when it was dropped.
    pub fn new() -> (Self, tokio::sync::oneshot::Receiver<()>) {
        let (on_kept, resolved) = tokio::sync::oneshot::channel();
        (Self::owing(Owed::Waiter(on_kept)), resolved)
    }

    const fn owing(owed: Owed) -> Self {
        Self { owed: Some(owed), followed: Vec::new() }
    }

    /// The same with those of its messages that are followed.
    pub(crate) fn following(mut self, followed: Vec<Followed>) -> Self {
        self.followed = followed;
        self
    }

    /// Which of its messages are followed: none as a rule. Theirs is told once.
    pub fn take_followed(&mut self) -> Vec<Followed> {
        std::mem::take(&mut self.followed)
    }

    pub(crate) fn for_connection(mailbox: Arc<Mailbox>, batch: u64, room: Room) -> Self {
        Self::owing(Owed::Connection { mailbox, batch, room })
    }

    pub(crate) fn for_nobody(room: Room) -> Self {
        Self::owing(Owed::Nobody { room })
    }

    /// What was made of the messages takes `bytes` of memory until it is kept.
    /// The door counted their own bytes; rubbish decodes to many times that, and
    /// the door's bound must hold for what is really held.
    pub fn weighs(&mut self, bytes: usize) {
        if let Some(Owed::Connection { room, .. } | Owed::Nobody { room }) = &mut self.owed {
            room.grow_to(bytes);
        }
    }

    /// Everything handed over with this receipt is durable.
    pub fn kept(mut self) {
        self.resolve(true);
    }

    fn resolve(&mut self, kept: bool) {
        match self.owed.take() {
            Some(Owed::Connection { mailbox, batch, .. }) => {
                mailbox.resolve(Resolved { batch, kept });
            }
            Some(Owed::Waiter(on_kept)) if kept => {
                // Whoever waited may be gone already: nobody is left to tell.
                let _ = on_kept.send(());
            }
            _ => {}
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.resolve(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    #[test]
    fn a_receipt_is_resolved_once_and_gives_its_room_back() {
        let (pool, mailbox) =
            (Pool::new(100, crate::pool::Shown::default()), Arc::new(Mailbox::default()));
        let receipt = |batch| Receipt::for_connection(Arc::clone(&mailbox), batch, pool.take(10));
        let (kept, dropped) = (receipt(1), receipt(2));
        assert_eq!(pool.taken(), 20);
        kept.kept();
        drop(dropped);
        let resolved = mailbox.empty(true).resolved;
        let expected = [Resolved { batch: 1, kept: true }, Resolved { batch: 2, kept: false }];
        assert_eq!(resolved, expected);
        assert_eq!(pool.taken(), 0);
    }

    #[test]
    fn a_receipt_takes_the_room_of_what_its_messages_became() {
        let pool = Pool::new(100, crate::pool::Shown::default());
        let mut receipt = Receipt::for_connection(Arc::new(Mailbox::default()), 1, pool.take(10));
        receipt.weighs(5);
        assert_eq!(pool.taken(), 10);
        receipt.weighs(150);
        assert!(!pool.has_room());
        receipt.kept();
        assert_eq!(pool.taken(), 0);
    }

    #[tokio::test]
    async fn a_waiter_hears_kept_and_dropped() {
        let (receipt, resolved) = Receipt::new();
        receipt.kept();
        assert!(resolved.await.is_ok());
        let (receipt, resolved) = Receipt::new();
        drop(receipt);
        assert!(resolved.await.is_err());
    }
}
