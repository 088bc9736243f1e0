//! The interface between the listener and what decodes and commits frames.
//!
//! The listener reads PUBLISH packets; an [`Intake`] decodes them and
//! has them committed. The listener sends the PUBACKs of a connection in order,
//! each after its [`Receipt`] was marked committed. The listener bounds memory: a receipt
//! holds the room of its messages in the pool and returns it when it is resolved,
//! so an intake may queue every receipt that it gets.

use std::sync::Arc;

use nemeses_protocol::{Reply, Speaker, TraceContext};

use crate::mailbox::{Mailbox, Resolved};
use crate::pool::Room;

/// One PUBLISH on an intake topic, in the read buffer; what outlives the call has to be copied.
#[derive(Clone, Copy, Debug)]
pub struct IntakeMessage<'a> {
    /// Topic name, checked to be a topic of the intake.
    pub topic: &'a str,
    /// Payload.
    pub payload: &'a [u8],
}

/// Decodes the listener's messages and has them committed.
pub trait Intake: Send + Sync + 'static {
    /// Decodes the messages of one socket read, in order. Decodes at once (pure
    /// computation, no waiting) and returns the replies to be delivered at once;
    /// the rest is queued with the receipt, which must be marked
    /// [`Receipt::committed`] after the commit of everything in the messages.
    fn take(
        &self,
        speaker: &Speaker,
        messages: &[IntakeMessage<'_>],
        receipt: Receipt,
    ) -> Vec<Reply>;
}

/// The acknowledgement owed to a connection for the messages handed over with it.
/// If it is dropped without [`Receipt::committed`], the listener closes the connection without
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
    /// The parent of the intake's spans.
    pub context: TraceContext,
}

#[derive(Debug)]
enum Owed {
    /// To a connection.
    Connection { mailbox: Arc<Mailbox>, batch: u64, room: Room },
    /// To no connection any more (a will); the room is returned all the same.
    Nobody { room: Room },
    /// To the creator of the receipt.
    Waiter(tokio::sync::oneshot::Sender<()>),
}

impl Receipt {
    /// A receipt and what resolves with it, for tests and for other sources:
    /// `Ok` when it was committed, `Err` when it was dropped.
    pub fn new() -> (Self, tokio::sync::oneshot::Receiver<()>) {
        let (on_committed, resolved) = tokio::sync::oneshot::channel();
        (Self::owing(Owed::Waiter(on_committed)), resolved)
    }

    const fn owing(owed: Owed) -> Self {
        Self { owed: Some(owed), followed: Vec::new() }
    }

    /// The same with those of its messages that are traced.
    pub(crate) fn following(mut self, followed: Vec<Followed>) -> Self {
        self.followed = followed;
        self
    }

    /// Which of its messages are traced, usually none; each is returned once.
    pub fn take_followed(&mut self) -> Vec<Followed> {
        std::mem::take(&mut self.followed)
    }

    pub(crate) fn for_connection(mailbox: Arc<Mailbox>, batch: u64, room: Room) -> Self {
        Self::owing(Owed::Connection { mailbox, batch, room })
    }

    pub(crate) fn for_nobody(room: Room) -> Self {
        Self::owing(Owed::Nobody { room })
    }

    /// The decoded messages occupy `bytes` of memory until they are committed.
    /// The listener counted their own bytes; garbage decodes to many times that, and
    /// the listener's bound must hold for the memory that is really used.
    pub fn weighs(&mut self, bytes: usize) {
        if let Some(Owed::Connection { room, .. } | Owed::Nobody { room }) = &mut self.owed {
            room.grow_to(bytes);
        }
    }

    /// Everything handed over with this receipt is durable.
    pub fn committed(mut self) {
        self.resolve(true);
    }

    fn resolve(&mut self, committed: bool) {
        match self.owed.take() {
            Some(Owed::Connection { mailbox, batch, .. }) => {
                mailbox.resolve(Resolved { batch, committed });
            }
            Some(Owed::Waiter(on_committed)) if committed => {
                // The waiting task may have ended already.
                let _ = on_committed.send(());
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
        let (committed, dropped) = (receipt(1), receipt(2));
        assert_eq!(pool.taken(), 20);
        committed.committed();
        drop(dropped);
        let resolved = mailbox.empty(true).resolved;
        let expected =
            [Resolved { batch: 1, committed: true }, Resolved { batch: 2, committed: false }];
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
        receipt.committed();
        assert_eq!(pool.taken(), 0);
    }

    #[tokio::test]
    async fn a_waiter_hears_kept_and_dropped() {
        let (receipt, resolved) = Receipt::new();
        receipt.committed();
        assert!(resolved.await.is_ok());
        let (receipt, resolved) = Receipt::new();
        drop(receipt);
        assert!(resolved.await.is_err());
    }
}
