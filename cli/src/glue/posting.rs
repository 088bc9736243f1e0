//! Values that are sent to the API: decoded like those of a topic, committed by an exporter, and
//! answered after that. A request with a key is a batch whose key follows from it, and whose time
//! of arrival is that of its first arrival, so that it is the same batch in whichever process commits it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nemeses_api::{NotStored, PostOutcome, Posted, Refused, RequestKey, Sees, TelemetrySink};
use nemeses_dbexport::Acknowledge;
use nemeses_parser::{Addressed, Output, Policy, Refusal, Step, device_of};
use nemeses_protocol::{BatchKey, DeviceId, Identity, Reason, Record};
use nemeses_runtime::Clock;
use nemeses_store::StoreError;
use nemeses_store::history::{Committed, Database, Identities, Part, Requests};
use nemeses_store::live::LiveWriter;
use nemeses_telemetry::{Decoded, decode};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// Who commits requests, in the books.
const WORKER: &str = "api";
/// Where dead letters of requests came from.
const TOPIC: &str = "/api/v1/telemetry";
/// Requests that may wait for their commit: 256 KiB each, some ten times that decoded.
const AT_ONCE: usize = 32;
/// A commit that takes longer is not waited for; it may still come. Less than the API
/// gives a request.
const COMMITTED_WITHIN: Duration = Duration::from_secs(8);

/// Where a request's outcome is sent.
pub(crate) struct PostAck(oneshot::Sender<Committed>);

impl Acknowledge for PostAck {
    fn committed(self, outcome: &Committed) {
        // Who has asked may be gone.
        let _ = self.0.send(*outcome);
    }
}

/// Hands a batch to the exporter, which sends its outcome to the receipt.
pub(crate) type Submit = Box<dyn Fn(Part, PostAck) + Send + Sync>;

/// Decodes requests and has them committed.
pub(crate) struct Posting {
    step: Step,
    live: LiveWriter,
    identities: Arc<dyn Identities>,
    requests: Arc<dyn Requests>,
    submit: Submit,
    clock: Clock,
    run: u64,
    sequence: AtomicU64,
    room: Semaphore,
}

impl Posting {
    /// Decodes as frames are, but without `--unknown-devices`: an account that may send for any device
    /// may create devices, and others may send for known ones alone.
    pub(crate) fn new(
        policy: Policy,
        live: LiveWriter,
        database: &Database,
        clock: Clock,
        submit: Submit,
    ) -> Self {
        Self {
            step: Step::new(Policy { gate: None, ..policy }),
            live,
            identities: database.identities(),
            requests: database.requests(),
            submit,
            clock,
            run: rand::random(),
            sequence: AtomicU64::new(0),
            room: Semaphore::new(AT_ONCE),
        }
    }

    /// The numbers of the devices that a payload is of.
    async fn numbers(
        &self,
        posted: &Posted,
        decoded: &Decoded,
    ) -> Result<HashMap<Identity, DeviceId>, StoreError> {
        let named = decoded.records.iter().filter_map(|record| record.name.as_deref());
        let named = named.filter_map(device_of).chain(posted.identity.clone());
        let mut numbers = HashMap::new();
        for identity in named {
            if !numbers.contains_key(&identity)
                && let Some(device) = self.identities.number_of(&identity).await?
            {
                numbers.insert(identity, device);
            }
        }
        Ok(numbers)
    }

    /// What a payload becomes, and what of it is refused.
    fn decoded(
        &self,
        posted: &Posted,
        decoded: Decoded,
        numbers: &HashMap<Identity, DeviceId>,
        received_at_ms: u64,
    ) -> (Output, Vec<Refusal>) {
        let addressed = Addressed {
            topic: TOPIC,
            received_at_ms,
            identity: posted.identity.as_ref(),
            number: &|identity| identity.number().or_else(|| numbers.get(identity).copied()),
            may: &|device| match &posted.sees {
                Sees::All => true,
                these @ Sees::These(_) => device.is_some_and(|device| these.has(device)),
            },
        };
        let mut out = Output::default();
        let refusals = self.step.keep_decoded(&addressed, decoded, &mut out);
        (out, refusals)
    }

    fn batch_key(&self, key: Option<RequestKey>) -> BatchKey {
        let (run, sequence) = match key {
            Some(RequestKey { key, content }) => (key, content),
            None => (self.run, self.sequence.fetch_add(1, Ordering::Relaxed) + 1),
        };
        BatchKey { worker: WORKER.to_owned(), run, sequence }
    }

    /// What is in the books under a request's key.
    async fn booked(&self, key: RequestKey) -> Result<Option<Committed>, NotStored> {
        let booked =
            self.requests.booked(WORKER, key.key).await.map_err(|error| unavailable(&error))?;
        let Some(booked) = booked else { return Ok(None) };
        if booked.sequence != key.content {
            return Err(NotStored::KeyReused);
        }
        Ok(Some(Committed {
            stored: booked.totals.stored,
            duplicates: booked.totals.duplicates,
            dead_letters: booked.totals.dead_letters,
            ..Committed::default()
        }))
    }

    async fn commit(&self, part: Part) -> Result<Committed, NotStored> {
        let (outcome, committed) = oneshot::channel();
        (self.submit)(part, PostAck(outcome));
        match timeout(COMMITTED_WITHIN, committed).await {
            Ok(Ok(committed)) => Ok(committed),
            Ok(Err(_)) => Err(NotStored::Unavailable("this process is about to end".to_owned())),
            Err(_) => Err(NotStored::Unavailable(format!(
                "no commit within {} s",
                COMMITTED_WITHIN.as_secs()
            ))),
        }
    }
}

fn unavailable(error: &StoreError) -> NotStored {
    NotStored::Unavailable(error.to_string())
}

#[async_trait]
impl TelemetrySink for Posting {
    async fn store(&self, posted: Posted) -> Result<PostOutcome, NotStored> {
        let Ok(_room) = self.room.try_acquire() else { return Err(NotStored::Busy) };
        let now_ms = self.clock.now_ms();
        let (received_at_ms, booked) = match posted.key {
            None => (now_ms, None),
            Some(key) => {
                let first = self.requests.first_arrival(key.key, now_ms).await;
                let first = first.map_err(|error| unavailable(&error))?;
                (first, if first == now_ms { None } else { self.booked(key).await? })
            }
        };
        let decoded = decode(posted.format, &posted.body, received_at_ms);
        let numbers = self.numbers(&posted, &decoded).await.map_err(|error| unavailable(&error))?;
        let (out, refusals) = self.decoded(&posted, decoded, &numbers, received_at_ms);
        let refused: Vec<Refused> = refusals.into_iter().map(refused).collect();
        let letters = out.records.iter().filter(|it| matches!(it, Record::DeadLetter(_))).count();
        if letters == out.records.len() {
            // Its sender still has it.
            return if refused.is_empty() {
                Ok(PostOutcome::default())
            } else {
                Err(NotStored::Unacceptable(refused))
            };
        }
        let committed = if let Some(committed) = booked {
            committed
        } else {
            let (key, records) = (self.batch_key(posted.key), out.records);
            let committed = self.commit(Part { key, tallies: Vec::new(), records }).await?;
            self.live.offer(out.live);
            self.live.offer_unnumbered(out.unnumbered);
            match posted.key {
                Some(key) if committed.repeated => self.booked(key).await?.unwrap_or(committed),
                _ => committed,
            }
        };
        Ok(outcome(&committed, refused, letters))
    }
}

fn refused(Refusal { reason, detail }: Refusal) -> Refused {
    Refused { reason: reason.code(), detail }
}

/// What was committed, with the letters that the commit has added to those of the decoder.
fn outcome(committed: &Committed, mut refused: Vec<Refused>, letters: usize) -> PostOutcome {
    let added = committed.dead_letters.saturating_sub(u64::try_from(letters).unwrap_or(u64::MAX));
    if added > 0 {
        refused.push(Refused {
            reason: Reason::TooManyChannels.code(),
            detail: format!(
                "values of {added} records are of channels beyond those that their devices may have (256 \
                 on the first day, 64 a day later, 1024 in all); nemeses dead-letters list shows them"
            ),
        });
    }
    PostOutcome { stored: committed.stored, duplicates: committed.duplicates, refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_the_commit_are_told_beside_the_decoder_s() {
        let of = |dead_letters, letters| {
            let committed = Committed { stored: 3, dead_letters, ..Committed::default() };
            let before = vec![Refused { reason: "bad_value", detail: String::new() }; letters];
            outcome(&committed, before, letters).refused
        };
        assert_eq!(of(1, 1).len(), 1);
        assert_eq!(of(0, 0).len(), 0);
        assert_eq!(of(3, 1).last().unwrap().reason, "too_many_channels");
    }
}
