//! What a node shows on `/DB` when someone is subscribed: the same batches that
//! a parser station hands over, each after its commit.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nemeses_broker::DoorHandle;
use nemeses_protocol::{BatchKey, BatchMessage, MAX_BATCH_ROWS, Record, Tally};

/// The name that mirrored batches bear. They are a view, not the books: the
/// node's own batches are named by its exporter.
const WORKER: &str = "node-mirror";

/// Publishes committed records for whoever listens.
pub(crate) struct Mirror {
    topic: String,
    run: u64,
    sequence: AtomicU64,
    /// Set once the door is bound; until then nobody can be subscribed.
    door: OnceLock<DoorHandle>,
}

/// Encoded batches that wait for their commit.
pub(crate) struct Pending {
    door: DoorHandle,
    topic: String,
    batches: Vec<Vec<u8>>,
}

impl Mirror {
    /// A mirror on this topic.
    pub(crate) fn new(topic: String) -> Self {
        Self { topic, run: rand::random(), sequence: AtomicU64::new(0), door: OnceLock::new() }
    }

    /// Tells the mirror where to publish.
    pub(crate) fn attach(&self, door: DoorHandle) {
        // A node has one door: the first attachment is the only one.
        let _ = self.door.set(door);
    }

    /// Publishes something for whoever is subscribed.
    pub(crate) fn tell(&self, topic: &str, payload: Vec<u8>) {
        let told = self.door.get().map(|door| door.publish(topic, payload));
        if let Some(Err(error)) = told {
            tracing::debug!(%error, topic, "a message could not be published");
        }
    }

    /// Encodes the records when someone is subscribed.
    pub(crate) fn prepare(&self, records: &[Record], tallies: &[Tally]) -> Option<Pending> {
        let door = self.door.get().filter(|door| door.has_subscriber(&self.topic))?;
        let mut tallies = tallies.to_vec();
        let mut chunks = records.chunks(MAX_BATCH_ROWS).collect::<Vec<_>>();
        if chunks.is_empty() && !tallies.is_empty() {
            chunks.push(&[]);
        }
        let batch = |records: &[_]| {
            BatchMessage {
                key: BatchKey {
                    worker: WORKER.to_owned(),
                    run: self.run,
                    sequence: self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
                },
                tallies: std::mem::take(&mut tallies),
                records: records.to_vec(),
                traces: Vec::new(),
                canaries: Vec::new(),
            }
            .encode()
        };
        let batches = chunks.into_iter().map(batch).collect();
        Some(Pending { door: door.clone(), topic: self.topic.clone(), batches })
    }
}

impl Pending {
    /// Publishes; the records are committed. A batch that the router does not
    /// take is lost to the listeners only.
    pub(crate) fn publish(self) {
        for batch in self.batches {
            if let Err(error) = self.door.publish(&self.topic, batch) {
                tracing::debug!(%error, "a committed batch could not be shown on its topic");
            }
        }
    }
}
