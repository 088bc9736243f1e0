//! Whether the broker delivers what it acknowledges: by a shared subscription of our
//! own, which no worker takes part in, and by canaries through the workers that run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nemeses_mqtt::{
    Broker, Client, ClientEvent, ConnectError, Endpoint, PublishError, Subscription,
};
use nemeses_protocol::{Canary, CanaryReply, CanaryStage, Topics};
use tokio::time::timeout;

use super::finding::Finding;

const ABOUT: &str = "delivery";
/// For the probe, and for all canaries.
const WITHIN: Duration = Duration::from_secs(5);
/// Several, since each goes to one of the workers.
const CANARIES: usize = 8;
const EXPIRY_S: u32 = 30;
const RIGHTS: &str = "this login lacks a right that workers have by now; bring the rights up to date with nemeses mosquitto-roles (docs/mosquitto.md)";

/// Whose pipeline is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pipeline<'a> {
    pub(super) broker: &'a Broker,
    pub(super) topics: &'a Topics,
    /// Of its shared subscription.
    pub(super) group: &'static str,
    /// Workers that announce themselves, `parser` and `dbexport`; none where it is
    /// not known.
    pub(super) workers: Option<Workers>,
}

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Workers {
    pub(super) parsers: usize,
    /// Some are of a version that takes a canary for rubbish.
    pub(super) some_older: bool,
}

/// Looks at both.
pub(super) async fn look(pipeline: Pipeline<'_>) -> Vec<Finding> {
    // A failure is said by the look at the broker.
    let connected = Client::connect(Endpoint::new(pipeline.broker.clone(), "")).await;
    let Ok(mut client) = connected else { return Vec::new() };
    let name = format!("doctor-{:016x}", rand::random::<u64>());
    let mut found = vec![probe(&mut client, &pipeline, &name).await];
    match pipeline.workers {
        Some(workers) if workers.some_older => found.push(Finding::weak(
            ABOUT,
            "workers of an older version run: no canaries are sent until all are exchanged",
        )),
        _ => found.push(canaries(&mut client, &pipeline, &name).await),
    }
    client.close().await;
    found
}

/// A message to a shared subscription that nobody else has, in the workers' group.
async fn probe(client: &mut Client, pipeline: &Pipeline<'_>, name: &str) -> Finding {
    let Pipeline { topics, group, .. } = pipeline;
    let topic = format!("{}/probe/{name}", topics.db);
    let filter = format!("$share/{group}/{topic}");
    match client.subscribe(std::slice::from_ref(&filter), Subscription::Acknowledged).await {
        Ok(()) => {}
        Err(ConnectError::Subscription { .. }) => return Finding::weak(ABOUT, RIGHTS),
        Err(error) => return Finding::wrong(ABOUT, error.to_string()),
    }
    let sent_at = Instant::now();
    client.publish(&topic, "probe", Some(EXPIRY_S));
    let heard = async {
        loop {
            match client.next().await {
                Ok(ClientEvent::Message { topic: heard, .. }) if heard == topic => return None,
                Ok(ClientEvent::Published { answer: Err(error), .. }) => return Some(error),
                Ok(_) => {}
                Err(_) => return Some(PublishError::ConnectionLost),
            }
        }
    };
    match timeout(WITHIN, heard).await {
        Ok(None) => Finding::good(
            ABOUT,
            format!("a shared subscription of this login receives ({:.0?})", sent_at.elapsed()),
        ),
        Ok(Some(PublishError::NotAuthorised)) => Finding::weak(ABOUT, RIGHTS),
        Ok(Some(error)) => {
            Finding::wrong(ABOUT, format!("{filter} was granted, and a message for it: {error}"))
        }
        Err(_) => Finding::wrong(
            ABOUT,
            format!(
                "{filter} was granted and receives nothing, though the broker acknowledged the message: frames would be lost; docs/mosquitto.md says which brokers deliver shared subscriptions"
            ),
        ),
    }
}

/// What became of the canaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Heard {
    /// By sequence: who took it, and how long the commit took.
    taken: BTreeMap<u64, String>,
    committed: BTreeMap<u64, (String, Duration)>,
    /// The broker's answers to the publishes that were refused.
    refused: Vec<PublishError>,
}

async fn canaries(client: &mut Client, pipeline: &Pipeline<'_>, name: &str) -> Finding {
    let topics = pipeline.topics;
    match client.subscribe(&[topics.canary_replies(name)], Subscription::Acknowledged).await {
        Ok(()) => {}
        Err(ConnectError::Subscription { .. }) => return Finding::weak(ABOUT, RIGHTS),
        Err(error) => return Finding::wrong(ABOUT, error.to_string()),
    }
    let (run, sent_at) = (rand::random(), Instant::now());
    let all = topics.canary();
    for (sequence, topic) in (0..).zip(all.iter().cycle().take(CANARIES)) {
        let canary = Canary { sender: name.to_owned(), run, sequence };
        client.publish(topic, canary.payload(), Some(EXPIRY_S));
    }
    let mut heard = Heard::default();
    let hearing = async {
        while heard.committed.len() + heard.refused.len() < CANARIES {
            match client.next().await {
                Ok(ClientEvent::Message { payload, .. }) => {
                    let Some(reply) = CanaryReply::parse(&payload) else { continue };
                    if reply.run != run {
                        continue;
                    }
                    match reply.stage {
                        CanaryStage::Parsed => {
                            heard.taken.insert(reply.sequence, reply.by);
                        }
                        CanaryStage::Committed => {
                            heard.committed.insert(reply.sequence, (reply.by, sent_at.elapsed()));
                        }
                    }
                }
                Ok(ClientEvent::Published { answer: Err(error), .. }) => heard.refused.push(error),
                Ok(ClientEvent::Published { .. }) => {}
                Err(_) => return,
            }
        }
    };
    let _ = timeout(WITHIN, hearing).await;
    judge(&heard, pipeline.workers)
}

fn judge(heard: &Heard, workers: Option<Workers>) -> Finding {
    let Heard { taken, committed, refused } = heard;
    if refused.contains(&PublishError::NotAuthorised) {
        return Finding::weak(ABOUT, RIGHTS);
    }
    if refused.contains(&PublishError::NoSubscriber) {
        return Finding::weak(
            ABOUT,
            "no parser has a session at this broker: frames would be acknowledged and dropped; start parsers before devices connect",
        );
    }
    let by: BTreeSet<&str> = taken.values().map(String::as_str).collect();
    let by = by.into_iter().collect::<Vec<_>>().join(", ");
    let slowest = committed.values().map(|(_, took)| *took).max().unwrap_or_default();
    if committed.len() == CANARIES {
        return Finding::good(
            ABOUT,
            format!(
                "{CANARIES} of {CANARIES} canaries were taken by {by} and committed, the slowest within {slowest:.0?}"
            ),
        );
    }
    let runs = workers.is_none_or(|workers| workers.parsers > 0);
    if taken.is_empty() && !runs {
        return Finding::weak(
            ABOUT,
            "no parser runs: what is published waits at the broker for one",
        );
    }
    let (came, most) = (committed.len(), WITHIN.as_secs());
    let says = if taken.is_empty() {
        format!(
            "none of {CANARIES} canaries reached a parser within {most} s, though the broker acknowledged them"
        )
    } else if committed.is_empty() {
        format!(
            "{} of {CANARIES} canaries reached {by}, and none was committed within {most} s: is an exporter running, and is its database up?",
            taken.len()
        )
    } else {
        format!(
            "{came} of {CANARIES} canaries came through within {most} s: the rest waits for a worker that is away or behind; each worker number must run, or leave with --leave"
        )
    };
    if workers.is_none() { Finding::weak(ABOUT, says) } else { Finding::wrong(ABOUT, says) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    const RUN: Option<Workers> = Some(Workers { parsers: 2, some_older: false });

    fn heard(taken: usize, committed: usize) -> Heard {
        let each = |count: usize| (0..).zip(0..count);
        Heard {
            taken: each(taken).map(|(at, _)| (at, format!("parser-{}", at % 2))).collect(),
            committed: each(committed)
                .map(|(at, _)| (at, ("dbexport-0".to_owned(), Duration::from_millis(at))))
                .collect(),
            refused: Vec::new(),
        }
    }

    #[test]
    fn what_came_back_is_judged() {
        for (heard, workers, verdict, says) in [
            (heard(8, 8), RUN, Verdict::Good, "taken by parser-0, parser-1"),
            (heard(8, 8), None, Verdict::Good, "within 7ms"),
            (heard(8, 5), RUN, Verdict::Wrong, "5 of 8"),
            (heard(8, 0), RUN, Verdict::Wrong, "none was committed"),
            (heard(0, 0), RUN, Verdict::Wrong, "reached a parser"),
            (heard(0, 0), None, Verdict::Weak, "reached a parser"),
            (
                heard(0, 0),
                Some(Workers { parsers: 0, some_older: false }),
                Verdict::Weak,
                "no parser runs",
            ),
        ] {
            let found = judge(&heard, workers);
            assert!(found.verdict == verdict && found.says.contains(says), "{found:?}");
        }
        let refused = |error| Heard { refused: vec![error], ..heard(0, 0) };
        let found = judge(&refused(PublishError::NoSubscriber), RUN);
        assert!(found.says.contains("start parsers before devices"), "{found:?}");
        let found = judge(&refused(PublishError::NotAuthorised), RUN);
        assert!(found.says.contains("mosquitto-roles"), "{found:?}");
    }
}
