//! What has arrived and was not received yet.
//!
//! Bound: the receive maximum for QoS 1 (the broker sends no more before an
//! acknowledgement, and what a dead connection left is cleared before the next
//! one delivers), and as many of QoS 0, which are promised nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Message;

#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    changed: Notify,
    max_unpromised: usize,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    unpromised: usize,
    ended: bool,
    left: bool,
}

impl Inbox {
    pub(crate) fn new(receive_maximum: u16) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            max_unpromised: usize::from(receive_maximum),
        }
    }

    /// Takes a message; false when it was dropped (QoS 0 and too many of them wait).
    pub(crate) fn push(&self, message: Message) -> bool {
        {
            let mut state = self.lock();
            if !message.ack.is_promised() {
                if state.unpromised >= self.max_unpromised {
                    return false;
                }
                state.unpromised += 1;
            }
            state.messages.push_back(message);
        }
        self.changed.notify_one();
        true
    }

    /// Forgets what a dead connection delivered: it comes again.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.messages.retain(|message| !message.ack.is_promised());
    }

    /// Nothing will follow, since this subscriber has left and is drained.
    pub(crate) fn leave(&self) {
        self.lock().left = true;
        self.end();
    }

    pub(crate) fn has_left(&self) -> bool {
        self.lock().left
    }

    /// Nothing will follow.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_one();
    }

    pub(crate) fn try_receive(&self) -> Option<Message> {
        let mut state = self.lock();
        let message = state.messages.pop_front()?;
        state.unpromised -= usize::from(!message.ack.is_promised());
        Some(message)
    }

    /// One receiver at a time, which `&mut` on the subscriber ensures.
    pub(crate) async fn receive(&self) -> Option<Message> {
        loop {
            if let Some(message) = self.try_receive() {
                return Some(message);
            }
            if self.lock().ended {
                return None;
            }
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
