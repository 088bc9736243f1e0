//! An intake that keeps what the test says, when the test says it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use nemeses_broker::{Intake, IntakeMessage, Receipt, Reply};
use nemeses_protocol::Speaker;

use super::{DEVICE, PING, PING_REPLY};

/// What was taken, and the receipts owed for it.
#[derive(Default)]
pub struct FakeIntake {
    taken: Mutex<Vec<(Speaker, String, Vec<u8>)>>,
    receipts: Mutex<Vec<Receipt>>,
    at_once: AtomicBool,
}

impl FakeIntake {
    /// From now on, keep everything at once; or hold it.
    pub fn commit_at_once(&self, at_once: bool) {
        self.at_once.store(at_once, Ordering::SeqCst);
        if at_once {
            self.commit_all();
        }
    }

    /// Keeps everything that is held.
    pub fn commit_all(&self) {
        for receipt in self.receipts.lock().unwrap().drain(..) {
            receipt.committed();
        }
    }

    /// Keeps the newest first.
    pub fn commit_backwards(&self) {
        for receipt in self.receipts.lock().unwrap().drain(..).rev() {
            receipt.committed();
        }
    }

    /// Loses everything that is held.
    pub fn lose_all(&self) {
        self.receipts.lock().unwrap().clear();
    }

    /// Batches that are held.
    pub fn held(&self) -> usize {
        self.receipts.lock().unwrap().len()
    }

    /// Payloads taken so far.
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        self.taken.lock().unwrap().iter().map(|(_, _, payload)| payload.clone()).collect()
    }

    /// Topics taken so far.
    pub fn topics(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|(_, topic, _)| topic.clone()).collect()
    }

    /// Speakers so far.
    pub fn speakers(&self) -> Vec<Speaker> {
        self.taken.lock().unwrap().iter().map(|(speaker, _, _)| *speaker).collect()
    }

    /// Forgets what was taken.
    pub fn forget(&self) {
        *self.taken.lock().unwrap() = Vec::new();
    }

    pub fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
}

impl Intake for FakeIntake {
    fn take(
        &self,
        speaker: &Speaker,
        messages: &[IntakeMessage<'_>],
        receipt: Receipt,
    ) -> Vec<Reply> {
        let mut taken = self.taken.lock().unwrap();
        let mut replies = Vec::new();
        for message in messages {
            assert_ne!(message.payload, b"panic", "as the test asked for");
            taken.push((*speaker, message.topic.to_string(), message.payload.to_vec()));
            if message.payload == PING {
                replies.push(Reply { device: DEVICE, payload: PING_REPLY.to_vec() });
            }
        }
        if self.at_once.load(Ordering::SeqCst) {
            receipt.committed();
        } else {
            self.receipts.lock().unwrap().push(receipt);
        }
        replies
    }
}
