//! What others have to say to a connection: receipts that were resolved,
//! replies and commands, and that it must end. About 200 bytes while idle.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;

use crate::commands::{Fate, Handed};
use crate::packet::Qos;

/// Messages that may wait for a connection's task. Replies come one for each
/// ping and commands are rare: whoever has so many waiting does not read.
const MAX_DELIVERIES: usize = 256;
/// Their bytes.
const MAX_DELIVERY_BYTES: usize = 256 * 1024;

/// A message that the door itself delivers.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) topic: Arc<str>,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    /// A command of which it is reported what became.
    pub(crate) handed: Option<Handed>,
}

/// A batch of frames that was committed, or will not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) batch: u64,
    pub(crate) committed: bool,
}

/// Why a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dismissed {
    /// Another connection bears its id.
    TakenOver,
    /// Its login holds no longer.
    Revoked,
}

/// Everything that waited.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) resolved: Vec<Resolved>,
    pub(crate) deliveries: VecDeque<Delivery>,
    pub(crate) dismissed: Option<Dismissed>,
    delivery_bytes: usize,
    closed: bool,
}

/// One connection's mailbox.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mail: Mutex<Mail>,
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Mailbox {
    /// Whether the message was taken; not when the box is full or its
    /// connection has ended.
    pub(crate) fn deliver(&self, mut delivery: Delivery) -> bool {
        let mut mail = self.lock();
        let bytes = mail.delivery_bytes + delivery.payload.len();
        if mail.closed || mail.deliveries.len() >= MAX_DELIVERIES || bytes > MAX_DELIVERY_BYTES {
            drop(mail);
            if let Some(handed) = delivery.handed.take() {
                handed.ends(Fate::NoRoom);
            }
            return false;
        }
        mail.delivery_bytes = bytes;
        mail.deliveries.push_back(delivery);
        drop(mail);
        self.ring();
        true
    }

    pub(crate) fn resolve(&self, resolved: Resolved) {
        let mut mail = self.lock();
        if !mail.closed {
            mail.resolved.push(resolved);
        }
        drop(mail);
        self.ring();
    }

    /// Tells the connection to end.
    pub(crate) fn dismiss(&self, why: Dismissed) {
        self.lock().dismissed = Some(why);
        self.ring();
    }

    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }

    /// Whether the bell rang since this was asked last: one look at memory that
    /// nobody else touches while nothing comes.
    pub(crate) fn rang(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::AcqRel)
    }

    /// The same for a task that is about to wait, which the next ring wakes.
    pub(crate) fn poll_rang(&self, cx: &Context<'_>) -> Poll<()> {
        self.task.register(cx.waker());
        if self.rung.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Empties the box; leaves the deliveries in it for a connection that cannot
    /// send them now.
    pub(crate) fn empty(&self, with_deliveries: bool) -> Mail {
        let mut mail = self.lock();
        let mut taken = Mail {
            resolved: std::mem::take(&mut mail.resolved),
            dismissed: mail.dismissed,
            ..Mail::default()
        };
        if with_deliveries {
            mail.delivery_bytes = 0;
            taken.deliveries = std::mem::take(&mut mail.deliveries);
        }
        taken
    }

    /// What waits to be delivered.
    pub(crate) fn deliveries(&self) -> VecDeque<Delivery> {
        let mut mail = self.lock();
        mail.delivery_bytes = 0;
        std::mem::take(&mut mail.deliveries)
    }

    /// The connection has ended: nothing is taken any more.
    pub(crate) fn close(&self) {
        let left = std::mem::replace(&mut *self.lock(), Mail { closed: true, ..Mail::default() });
        // What is reported of its commands needs no lock of ours.
        drop(left);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Mail> {
        // Nothing in here can panic half-way.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(bytes: usize) -> Delivery {
        let (topic, payload) = ("/ping".into(), vec![0; bytes].into());
        Delivery { topic, payload, qos: Qos::AtMostOnce, handed: None }
    }

    #[test]
    fn a_full_box_takes_no_more_and_an_emptied_one_does() {
        let mailbox = Mailbox::default();
        let taken = (0..MAX_DELIVERIES + 10).filter(|_| mailbox.deliver(delivery(1))).count();
        assert_eq!(taken, MAX_DELIVERIES);
        assert_eq!(mailbox.empty(true).deliveries.len(), MAX_DELIVERIES);
        assert!(mailbox.deliver(delivery(MAX_DELIVERY_BYTES)));
        assert!(!mailbox.deliver(delivery(1)));
    }

    #[test]
    fn a_closed_box_keeps_nothing() {
        let mailbox = Mailbox::default();
        mailbox.close();
        mailbox.resolve(Resolved { batch: 1, committed: true });
        assert!(!mailbox.deliver(delivery(1)));
        assert!(mailbox.empty(true).resolved.is_empty());
    }
}
