//! What is done with what is due for a receiver: sent, alone or together, held back, or suppressed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use nemeses_store::history::{DueNotification, Outcome, Standing, StoredReceiver};
use sha2::{Digest as _, Sha256};

use crate::delivery::Delivery;
use crate::message::{Event, Notice, Parcel};
use crate::target::Kind;

/// More than so many messages within [`GATHER_MS`] become one.
pub(crate) const MANY: usize = 20;
/// What comes while many were sent is gathered for so long.
pub(crate) const GATHER_MS: u64 = 30_000;
/// Mails to one address in an hour, each of which may be about many alarms.
pub(crate) const MAILS_AN_HOUR: u32 = 60;
/// How long an address that had so many waits.
const RATE_PAUSE_MS: u64 = 600_000;
/// An end is held back so long while what it ends waits.
const ORDER_PAUSE_MS: u64 = 5_000;

/// What the plan is about.
pub(crate) struct Situation<'a> {
    pub(crate) receiver: &'a StoredReceiver,
    pub(crate) kind: Kind,
    pub(crate) delivery: &'a Delivery,
    pub(crate) now_ms: u64,
    pub(crate) sent_last_hour: u32,
    /// Messages that this process sent to it within [`GATHER_MS`].
    pub(crate) sent_lately: usize,
    /// Notifications of alarms that flap, and until when they are held back ([`flaps_until_ms`]).
    pub(crate) flapping: &'a BTreeMap<u64, u64>,
}

/// An alarm of one rule and device that opens again this soon flaps; the pause grows with each time.
const FLAP_MS: u64 = 60_000;
const MOST_FLAP_MS: u64 = 3_600_000;

/// Until when the newest of these openings (of alarms of one rule and device, by time) is held back; `None` when it comes
/// after a calm. One that is still open then is sent; of those that are over, people were told enough.
pub(crate) fn flaps_until_ms(openings_ms: &[u64]) -> Option<u64> {
    let (mut pause_ms, mut until_ms, mut held) = (FLAP_MS, 0, None);
    for at_ms in openings_ms {
        if *at_ms < until_ms {
            pause_ms = (pause_ms * 3 / 2).min(MOST_FLAP_MS);
            held = Some(at_ms + pause_ms);
        } else {
            if *at_ms > until_ms + pause_ms {
                pause_ms = FLAP_MS;
            }
            held = None;
        }
        until_ms = at_ms + pause_ms;
    }
    held
}

/// A message, with the notifications that it settles.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) parcel: Parcel,
    pub(crate) ids: Vec<u64>,
    /// Whether it has to be noted first that they are one message.
    pub(crate) is_new_group: bool,
    /// The most attempts that one of them had.
    pub(crate) attempts: u32,
}

/// What is done.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) at_once: Vec<(u64, Outcome)>,
    pub(crate) messages: Vec<Planned>,
}

/// Decides it all.
pub(crate) fn plan(situation: &Situation<'_>, due: &[(DueNotification, Standing)]) -> Plan {
    let mut plan = Plan::default();
    let mut groups: BTreeMap<&str, Vec<(&DueNotification, Notice)>> = BTreeMap::new();
    let mut alone: Vec<(&DueNotification, Notice)> = Vec::new();
    let mut fates = Fates::default();
    let mut is_digest = false;
    for (one, standing) in due {
        let Some(notice) = notice(one) else {
            let error = "its body is no event".to_owned();
            plan.at_once.push((one.id, Outcome::Failed { error }));
            continue;
        };
        let flapping = situation.flapping.get(&one.id).copied();
        let verdict = verdict(situation, one, standing, &notice.event, &fates, flapping);
        fates.note(&one.alarm_key, &verdict);
        match (verdict, one.group.as_deref()) {
            (Verdict::Not(outcome), _) => plan.at_once.push((one.id, outcome)),
            (Verdict::Send { .. }, Some(group)) => {
                groups.entry(group).or_default().push((one, notice));
            }
            (Verdict::Send { digest }, None) => {
                is_digest |= digest;
                alone.push((one, notice));
            }
        }
    }
    for (key, members) in groups {
        plan.messages.push(planned(key.to_owned(), members, false));
    }
    send(&mut plan, situation, alone, is_digest);
    plan
}

/// What becomes of a notification.
enum Verdict {
    Send { digest: bool },
    Not(Outcome),
}

/// What was decided of the earlier notifications of an alarm.
#[derive(Default)]
struct Fates {
    sent: BTreeSet<String>,
    held: BTreeMap<String, u64>,
}

impl Fates {
    fn note(&mut self, alarm: &str, verdict: &Verdict) {
        match verdict {
            Verdict::Send { .. } => {
                self.sent.insert(alarm.to_owned());
            }
            Verdict::Not(Outcome::Held { at_ms, .. }) => {
                self.held.insert(alarm.to_owned(), *at_ms);
            }
            Verdict::Not(_) => {}
        }
    }
}

fn verdict(
    situation: &Situation<'_>,
    one: &DueNotification,
    standing: &Standing,
    event: &Event,
    fates: &Fates,
    flapping: Option<u64>,
) -> Verdict {
    let suppressed = |reason| Verdict::Not(Outcome::Suppressed { reason });
    let held = |at_ms, reason| Verdict::Not(Outcome::Held { at_ms, reason });
    let Situation { receiver, kind, delivery, now_ms, .. } = *situation;
    if !receiver.receiver.enabled {
        return suppressed("receiver_disabled");
    }
    if receiver.confirmed_at_ms.is_none() {
        return suppressed("unconfirmed");
    }
    // A message that was begun may be there already: it is sent as it was.
    if one.group.is_some() {
        return Verdict::Send { digest: false };
    }
    if event.is_over() {
        let is_known = standing.delivered > 0 || fates.sent.contains(&one.alarm_key);
        match (fates.held.get(&one.alarm_key), is_known) {
            (Some(at_ms), false) => return held(*at_ms, "order"),
            (None, false) => match standing.waits_until_ms {
                // What it ends waits, and is not due now; or it is not to be sent, which is noted soon.
                Some(at_ms) => return held(at_ms.max(now_ms + ORDER_PAUSE_MS), "order"),
                None => return suppressed("nothing_sent_before"),
            },
            (_, true) => {}
        }
    } else {
        if now_ms < standing.silenced_until_ms {
            return suppressed("silenced");
        }
        if standing.acknowledged {
            return suppressed("acknowledged");
        }
        match flapping {
            Some(_) if standing.over => return suppressed("flapping"),
            Some(at_ms) if now_ms < at_ms => return held(at_ms, "flapping"),
            _ => {}
        }
    }
    if !kind.is_read_by_people() {
        return Verdict::Send { digest: false };
    }
    if let Some(at_ms) = delivery.digest_at_ms(one.created_at_ms)
        && now_ms < at_ms
    {
        return held(at_ms, "digest");
    }
    match delivery.quiet_until_ms(now_ms, event.is_critical()) {
        Some(at_ms) => held(at_ms, "quiet_hours"),
        None => Verdict::Send { digest: delivery.digest.is_some() },
    }
}

fn notice(due: &DueNotification) -> Option<Notice> {
    Some(Notice {
        event: serde_json::from_str(&due.body).ok()?,
        body: due.body.clone(),
        alarm_key: due.alarm_key.clone(),
        alarm: due.alarm,
        receiver: due.receiver,
    })
}

/// Makes messages of what is to be sent.
fn send(
    plan: &mut Plan,
    situation: &Situation<'_>,
    alone: Vec<(&DueNotification, Notice)>,
    is_digest: bool,
) {
    let Situation { kind, now_ms, sent_last_hour, sent_lately, .. } = *situation;
    let room =
        if kind == Kind::Mail { MAILS_AN_HOUR.saturating_sub(sent_last_hour) } else { u32::MAX };
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let most = kind.most_in_a_message();
    let together = most > 1 && (is_digest || alone.len() > MANY.min(room));
    let hold = |at_ms, reason| {
        move |(one, _): (&DueNotification, Notice)| (one.id, Outcome::Held { at_ms, reason })
    };
    if room == 0 {
        plan.at_once.extend(alone.into_iter().map(hold(now_ms + RATE_PAUSE_MS, "rate_limit")));
    } else if together {
        let mut rest = alone.into_iter().peekable();
        while rest.peek().is_some() {
            let members: Vec<_> = rest.by_ref().take(most).collect();
            let key = group_key(&members);
            plan.messages.push(planned(key, members, true));
        }
    } else if most > 1 && alone.len() + sent_lately > MANY {
        let critical = |(_, notice): &(&DueNotification, Notice)| notice.event.is_critical();
        // What is critical comes at once, as long as it is not much.
        let (now, later): (Vec<_>, Vec<_>) = alone.into_iter().partition(critical);
        plan.at_once.extend(later.into_iter().map(hold(now_ms + GATHER_MS, "gathering")));
        plan.messages.extend(now.into_iter().map(single));
    } else {
        plan.messages.extend(alone.into_iter().map(single));
    }
}

fn single((due, notice): (&DueNotification, Notice)) -> Planned {
    Planned {
        ids: vec![due.id],
        attempts: due.attempts,
        is_new_group: false,
        parcel: Parcel { id: notice.event.id.clone(), notices: vec![notice], gathered: false },
    }
}

fn planned(key: String, members: Vec<(&DueNotification, Notice)>, is_new_group: bool) -> Planned {
    let ids = members.iter().map(|(due, _)| due.id).collect();
    let attempts = members.iter().map(|(due, _)| due.attempts).max().unwrap_or_default();
    let notices = members.into_iter().map(|(_, notice)| notice).collect();
    Planned { parcel: Parcel { id: key, notices, gathered: true }, ids, is_new_group, attempts }
}

/// The key of a message about several: of other members it is another.
fn group_key(members: &[(&DueNotification, Notice)]) -> String {
    let mut hash = Sha256::new();
    for (_, notice) in members {
        hash.update(notice.event.id.as_bytes());
        hash.update([0]);
    }
    format!("group.{}", hex::encode(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests;
