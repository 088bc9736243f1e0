//! The second chance: today's decoder over a letter's bytes. Whether that is
//! worth a commit is decided purely; the store removes the letter and books
//! what became of it in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use nemeses_api::{Retried, SecondChance};
use nemeses_parser::{Message, Output, Policy, Step};
use nemeses_protocol::{BatchKey, Reason, Record, Speaker, Tally, Topics};
use nemeses_store::StoreError;
use nemeses_store::history::{Database, DeadLetters, Part, StoredLetter};
use serde_json::{Value, json};

/// Who the books say has made the rows.
const WORKER: &str = "retry";

/// What became of the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    resolved: u64,
    stored: u64,
    duplicates: u64,
    pings: u64,
    /// Letters that came of the resolved ones: their rest that is still no frame.
    remains: u64,
    still_dead: u64,
    not_theirs: u64,
    wrong_topic: u64,
    gone: u64,
}

impl Summary {
    fn add(&mut self, retried: Retried) {
        match retried {
            Retried::Resolved { stored, duplicates, pings, remains } => {
                self.resolved += 1;
                self.stored += stored;
                self.duplicates += duplicates;
                self.pings += pings;
                self.remains += remains;
            }
            Retried::StillDead => self.still_dead += 1,
            Retried::WrongIdentity => self.not_theirs += 1,
            Retried::WrongTopic => self.wrong_topic += 1,
            Retried::Gone => self.gone += 1,
        }
    }

    pub(crate) fn as_text(&self) -> String {
        let Self { resolved, stored, duplicates, pings, remains, .. } = self;
        let Self { still_dead, not_theirs, wrong_topic, gone, .. } = self;
        format!(
            "resolved             {resolved}\n  rows stored        {stored}\n  rows there already {duplicates}\n  pings              {pings}\n  new dead letters   {remains}\nstill no good frame  {still_dead}\nleft: wrong identity {not_theirs}\nleft: wrong topic    {wrong_topic}\nnot there            {gone}\n"
        )
    }

    pub(crate) fn as_json(&self) -> Value {
        json!({
            "resolved": self.resolved,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "pings": self.pings,
            "new_dead_letters": self.remains,
            "still_dead": self.still_dead,
            "wrong_identity": self.not_theirs,
            "wrong_topic": self.wrong_topic,
            "not_there": self.gone,
        })
    }
}

/// What to do with a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// These came of it.
    Resolve { records: Vec<Record>, tallies: Vec<Tally> },
    /// It would be the same letter again.
    StillDead,
    /// It was refused for who sent it, not for what it is: a decoder cannot mend that.
    NotTheirs,
    /// A good frame on the topic of another device: a decoder cannot mend that either.
    WrongTopic,
}

pub(crate) fn judge(letter: &StoredLetter, step: &Step) -> Judgement {
    if letter.reason == Reason::IdentityMismatch.code() {
        return Judgement::NotTheirs;
    }
    let mut output = Output::default();
    let message = Message {
        topic: &letter.topic,
        payload: &letter.bytes,
        received_at_ms: letter.received_at_ms,
        speaker: Speaker::Any,
    };
    step.take(&message, &mut output);
    let good = output.records.iter().any(|record| !matches!(record, Record::DeadLetter(_)));
    if !good && output.pings == 0 {
        let wrong_topic = output.records.iter().any(|record| {
            matches!(record, Record::DeadLetter(letter) if letter.reason == Reason::TopicMismatch)
        });
        return if wrong_topic { Judgement::WrongTopic } else { Judgement::StillDead };
    }
    // Its topic may have another name than those that this step knows.
    if letter.reason == Reason::TopicMismatch.code() {
        return Judgement::WrongTopic;
    }
    let minute = u32::try_from(letter.received_at_ms / 60_000).unwrap_or(u32::MAX);
    let tally = (output.pings > 0).then_some(Tally { minute, pings: output.pings });
    Judgement::Resolve { records: output.records, tallies: tally.into_iter().collect() }
}

/// What tells the batches of this start from those of others.
pub(crate) fn random_run() -> anyhow::Result<u64> {
    let mut run = [0_u8; 8];
    getrandom::fill(&mut run)
        .map_err(|error| anyhow::anyhow!("no random bytes from the system: {error}"))?;
    // The databases know signed numbers only.
    Ok(u64::from_le_bytes(run) >> 1)
}

/// Retries letters one by one.
pub(crate) struct Retrier {
    letters: Arc<dyn DeadLetters>,
    step: Step,
    run: u64,
    sequence: AtomicU64,
    summary: Summary,
}

impl Retrier {
    pub(crate) fn new(database: &Database, future_limit: Duration) -> anyhow::Result<Self> {
        let policy = Policy {
            future_limit_s: u32::try_from(future_limit.as_secs()).unwrap_or(u32::MAX),
            ..Policy::default()
        };
        Ok(Self {
            letters: database.dead_letters(),
            step: Step::new(policy),
            run: random_run()?,
            sequence: AtomicU64::new(0),
            summary: Summary::default(),
        })
    }

    /// Reads messages of mappings as they are read when they come.
    pub(crate) fn reading_as(self, policy: &Policy) -> Self {
        let topics = Topics { mapped: policy.topics.mapped.clone(), ..Topics::default() };
        let mappings = policy.mappings.clone();
        let step = Step::new(Policy { topics, mappings, ..self.step.policy().clone() });
        Self { step, ..self }
    }

    pub(crate) fn summary(&self) -> Summary {
        self.summary
    }

    /// Retries one letter and remembers what became of it.
    ///
    /// # Errors
    /// What the database reports.
    pub(crate) async fn retry(&mut self, id: u64) -> anyhow::Result<()> {
        let retried = SecondChance::retry(self, id).await;
        let retried = retried.with_context(|| format!("dead letter {id} cannot be resolved"))?;
        self.summary.add(retried);
        Ok(())
    }

    fn part(&self, records: Vec<Record>, tallies: Vec<Tally>) -> Part {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let key = BatchKey { worker: WORKER.to_owned(), run: self.run, sequence };
        Part { key, tallies, records }
    }
}

#[async_trait]
impl SecondChance for Retrier {
    async fn retry(&self, id: u64) -> Result<Retried, StoreError> {
        let Some(letter) = self.letters.get(id).await? else { return Ok(Retried::Gone) };
        let (records, tallies) = match judge(&letter, &self.step) {
            Judgement::StillDead => return Ok(Retried::StillDead),
            Judgement::NotTheirs => return Ok(Retried::WrongIdentity),
            Judgement::WrongTopic => return Ok(Retried::WrongTopic),
            Judgement::Resolve { records, tallies } => (records, tallies),
        };
        let part = self.part(records, tallies);
        let resolved = self.letters.resolve(id, &part, WORKER).await?;
        Ok(resolved.map_or(Retried::Gone, |committed| Retried::Resolved {
            stored: committed.stored,
            duplicates: committed.duplicates,
            pings: committed.pings,
            remains: committed.dead_letters,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
    const PING: &str = "50F70A3F730150494E4773C4";

    fn letter(reason: &str, topic: &str, bytes: &str) -> StoredLetter {
        StoredLetter {
            id: 1,
            received_at_ms: 1_593_637_200_000,
            topic: topic.to_owned(),
            offset: 0,
            reason: reason.to_owned(),
            device: None,
            recorded_at: None,
            length: (bytes.len() / 2) as u64,
            bytes: hex::decode(bytes).unwrap(),
            worker: "node".to_owned(),
        }
    }

    #[test]
    fn what_is_a_frame_today_is_resolved() {
        let step = Step::default();
        let Judgement::Resolve { records, tallies } =
            judge(&letter("bad_footer", "/messenger", FRAME), &step)
        else {
            panic!("not resolved");
        };
        assert_eq!((records.len(), tallies.len()), (1, 0));
        let ping = letter("unknown_type", "/messenger", PING);
        let tallies = vec![Tally { minute: 26_560_620, pings: 1 }];
        assert_eq!(judge(&ping, &step), Judgement::Resolve { records: vec![], tallies });
    }

    #[test]
    fn rubbish_and_frames_of_others_stay() {
        let step = Step::default();
        for (reason, topic, bytes, expected) in [
            ("bad_header", "/messenger", "FFFFFF", Judgement::StillDead),
            ("topic_mismatch", "/messenger/0A3F74", FRAME, Judgement::WrongTopic),
            ("topic_mismatch", "/messenger/0A3F74", PING, Judgement::WrongTopic),
            ("topic_mismatch", "/fleet/0A3F74", FRAME, Judgement::WrongTopic),
            ("topic_mismatch", "/messenger/0A3F74", "FFFFFF", Judgement::StillDead),
            ("identity_mismatch", "/messenger", FRAME, Judgement::NotTheirs),
        ] {
            assert_eq!(judge(&letter(reason, topic, bytes), &step), expected, "{reason}");
        }
    }
    #[test]
    fn the_summary_tells_a_wrong_topic_from_rubbish() {
        let summary = Summary { wrong_topic: 3, ..Summary::default() };
        let text = summary.as_text();
        assert!(text.contains("still no good frame  0\n"), "{text}");
        assert!(text.contains("left: wrong topic    3\n"), "{text}");
        assert_eq!(summary.as_json()["wrong_topic"], 3);
    }
}
