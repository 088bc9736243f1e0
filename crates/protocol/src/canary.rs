//! Canaries: messages that a worker sends the way of frames, through broker, parser
//! and exporter, to see that the pipeline delivers and how long it takes. They leave
//! no row and are counted nowhere. `docs/protocol.md` describes them.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::{FromStr as _, SplitAsciiWhitespace};

use crate::{Topics, WorkerName, is_worker_name};

/// A batch carries at most this many; a parser answers for no more at once.
pub const MAX_BATCH_CANARIES: usize = 20;

/// What names one: who sent it, in which of its runs, and its number there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Canary {
    /// The worker that sent it and hears of it.
    pub sender: WorkerName,
    /// Which start of that worker, drawn at random.
    pub run: u64,
    /// Counts up within a run.
    pub sequence: u64,
}

/// How far a canary came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CanaryStage {
    /// A parser took it.
    Parsed,
    /// An exporter committed what came with it.
    Committed,
}

/// What is said to the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryReply {
    /// Which canary.
    pub run: u64,
    /// Which canary of that run.
    pub sequence: u64,
    /// How far it came.
    pub stage: CanaryStage,
    /// The worker that says so.
    pub by: WorkerName,
}

impl Canary {
    /// Its payload on a topic of frames: `canary parser-0 00c0ffee00c0ffee 17`.
    pub fn payload(&self) -> String {
        format!("canary {self}")
    }

    /// Reads a payload; `None` when it is no canary.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(payload.strip_prefix(b"canary ")?).ok()?;
        let mut words = text.split_ascii_whitespace();
        let canary = Self {
            sender: worker(&mut words)?,
            run: run(&mut words)?,
            sequence: sequence(&mut words)?,
        };
        words.next().is_none().then_some(canary)
    }

    /// What to say to its sender.
    pub fn reply(&self, stage: CanaryStage, by: &str) -> CanaryReply {
        CanaryReply { run: self.run, sequence: self.sequence, stage, by: by.to_owned() }
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:016x} {}", self.sender, self.run, self.sequence)
    }
}

impl CanaryReply {
    /// Its payload: `committed dbexport-0 00c0ffee00c0ffee 17`.
    pub fn payload(&self) -> String {
        let stage = match self.stage {
            CanaryStage::Parsed => "parsed",
            CanaryStage::Committed => "committed",
        };
        format!("{stage} {} {:016x} {}", self.by, self.run, self.sequence)
    }

    /// Reads a payload.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut words = core::str::from_utf8(payload).ok()?.split_ascii_whitespace();
        let stage = match words.next()? {
            "parsed" => CanaryStage::Parsed,
            "committed" => CanaryStage::Committed,
            _ => return None,
        };
        let by = worker(&mut words)?;
        let (run, sequence) = (run(&mut words)?, sequence(&mut words)?);
        words.next().is_none().then_some(Self { run, sequence, stage, by })
    }
}

fn worker(words: &mut SplitAsciiWhitespace<'_>) -> Option<WorkerName> {
    words.next().filter(|name| is_worker_name(name)).map(ToOwned::to_owned)
}

fn run(words: &mut SplitAsciiWhitespace<'_>) -> Option<u64> {
    u64::from_str_radix(words.next()?, 16).ok()
}

fn sequence(words: &mut SplitAsciiWhitespace<'_>) -> Option<u64> {
    u64::from_str(words.next()?).ok()
}

impl Topics {
    /// Where canaries are sent in turn: each is a topic of frames by one of the two
    /// filters that parsers share. No device may publish on either.
    pub fn canary(&self) -> [String; 2] {
        [self.messenger.clone(), format!("{}/canary", self.messenger)]
    }

    /// Where a worker hears of its canaries.
    pub fn canary_replies(&self, worker: &str) -> String {
        canary_replies(&self.db, worker)
    }
}

/// Where a worker hears of its canaries, below the topic of batches.
pub fn canary_replies(db: &str, worker: &str) -> String {
    format!("{db}/canary/{worker}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary() -> Canary {
        Canary { sender: "parser-0".into(), run: 0xC0_FFEE, sequence: 17 }
    }

    #[test]
    fn what_is_written_is_read() {
        let canary = canary();
        assert_eq!(canary.payload(), "canary parser-0 0000000000c0ffee 17");
        assert_eq!(Canary::parse(canary.payload().as_bytes()), Some(canary.clone()));
        for (stage, text) in [
            (CanaryStage::Parsed, "parsed parser-1 0000000000c0ffee 17"),
            (CanaryStage::Committed, "committed parser-1 0000000000c0ffee 17"),
        ] {
            let reply = canary.reply(stage, "parser-1");
            assert_eq!(reply.payload(), text);
            assert_eq!(CanaryReply::parse(text.as_bytes()), Some(reply));
        }
    }

    #[test]
    fn what_is_none_is_none() {
        for payload in [
            &b""[..],
            b"canary",
            b"canary ",
            b"canary parser-0 c0ffee",
            b"canary a/b c0ffee 1",
            b"canary parser-0 c0ffee -1",
            b"canary parser-0 xyz 1",
            b"canary parser-0 c0ffee 1 2",
            b"canary parser-0 \xFF 1",
            b"\x50\xF7\x0A\x3F\x73\x01\x73\xC4",
            b"50F70A3F730150494E4773C4",
        ] {
            assert_eq!(Canary::parse(payload), None, "{payload:?}");
        }
        for payload in [&b"done parser-0 1 1"[..], b"parsed parser-0 1", b"parsed", b"\xFF"] {
            assert_eq!(CanaryReply::parse(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn the_topics_of_frames_are_those_that_parsers_share() {
        let topics = Topics::default();
        let [shared, own] = topics.canary();
        assert!(crate::topic_matches(&topics.messenger, &shared));
        assert!(crate::topic_matches(&format!("{}/+", topics.messenger), &own));
        let replies = topics.canary_replies("parser-0");
        assert_eq!(replies, "/DB/canary/parser-0");
        assert!(!crate::topic_matches(&topics.db, &replies));
    }
}
