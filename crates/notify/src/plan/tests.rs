use nemeses_store::history::NewReceiver;

use super::*;
use crate::message::test_parcel;

const NOW: u64 = 1_700_000_000_000;
static NONE: BTreeMap<u64, u64> = BTreeMap::new();

fn receiver(enabled: bool, confirmed: bool) -> StoredReceiver {
    StoredReceiver {
        id: 7,
        owner: None,
        receiver: NewReceiver {
            name: "n".into(),
            kind: "mail".into(),
            target: String::new(),
            delivery: String::new(),
            enabled,
        },
        confirmed_at_ms: confirmed.then_some(1),
        confirmation: None,
        failures: 0,
        paused_until_ms: 0,
        last_error: None,
        last_delivered_at_ms: None,
        created_at_ms: 0,
        updated_at_ms: 0,
    }
}

fn due(id: u64, alarm: &str, transition: &str, severity: &str) -> DueNotification {
    let body = test_parcel(7, NOW).notices.remove(0).body;
    let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
    body["id"] = format!("{alarm}.{transition}.7").into();
    body["type"] = format!("nemeses.alarm.{transition}").into();
    body["data"]["severity"] = severity.into();
    DueNotification {
        id,
        alarm_key: alarm.into(),
        alarm: Some(1),
        transition: transition.into(),
        receiver: 7,
        body: body.to_string(),
        group: None,
        attempts: 0,
        created_at_ms: NOW - 1000,
    }
}

fn opened(id: u64) -> (DueNotification, Standing) {
    (due(id, &format!("1.1.{id}.1"), "opened", "warning"), Standing::default())
}

fn planned(
    kind: Kind,
    delivery: &str,
    sent: (u32, usize),
    due: &[(DueNotification, Standing)],
) -> (Vec<Vec<u64>>, Vec<(u64, &'static str)>) {
    let (receiver, delivery) = (receiver(true, true), serde_json::from_str(delivery).unwrap());
    let situation = Situation {
        receiver: &receiver,
        kind,
        delivery: &delivery,
        now_ms: NOW,
        sent_last_hour: sent.0,
        sent_lately: sent.1,
        flapping: &NONE,
    };
    shown(&plan(&situation, due))
}

fn shown(plan: &Plan) -> (Vec<Vec<u64>>, Vec<(u64, &'static str)>) {
    let reason = |outcome: &Outcome| match outcome {
        Outcome::Held { reason, .. } | Outcome::Suppressed { reason } => *reason,
        _ => "other",
    };
    let at_once = plan.at_once.iter().map(|(id, outcome)| (*id, reason(outcome)));
    (plan.messages.iter().map(|one| one.ids.clone()).collect(), at_once.collect())
}

#[test]
fn few_come_alone_and_many_together() {
    let few: Vec<_> = (1..=3).map(opened).collect();
    assert_eq!(planned(Kind::Mail, "{}", (0, 0), &few).0, [[1], [2], [3]]);
    let many: Vec<_> = (1..=83).map(opened).collect();
    assert_eq!(planned(Kind::Ntfy, "{}", (0, 0), &many).0.len(), 1);
    assert_eq!(planned(Kind::Webhook, "{}", (0, 0), &many).0.len(), 3, "40, 40 and 3");
    assert_eq!(planned(Kind::Pagerduty, "{}", (0, 0), &many).0.len(), 83);
    // Those that trickle in are gathered, but for what is critical.
    let critical = (due(9, "9", "opened", "critical"), Standing::default());
    let trickle = [opened(1), critical];
    let (sent, held) = planned(Kind::Mail, "{}", (20, 20), &trickle);
    assert_eq!((sent, held), (vec![vec![9]], vec![(1, "gathering")]));
    assert_eq!(planned(Kind::Mail, "{}", (60, 0), &few).1.len(), 3, "rate");
    assert_eq!(planned(Kind::Mail, "{}", (58, 0), &few).0, [[1, 2, 3]]);
}

#[test]
fn the_key_of_a_group_is_of_its_members() {
    let many: Vec<_> = (1..=83).map(opened).collect();
    let (receiver, delivery) = (receiver(true, true), Delivery::default());
    let situation = Situation {
        receiver: &receiver,
        kind: Kind::Mail,
        delivery: &delivery,
        now_ms: NOW,
        sent_last_hour: 0,
        sent_lately: 0,
        flapping: &NONE,
    };
    let keys = |due: &[_]| plan(&situation, due).messages.remove(0).parcel.id;
    assert_eq!(keys(&many), keys(&many));
    assert_ne!(keys(&many), keys(&many[1..]));
    // One that was begun is sent as it was, whatever came meanwhile.
    let mut begun: Vec<_> = (1..=2).map(opened).collect();
    for (due, standing) in &mut begun {
        due.group = Some("g".into());
        standing.acknowledged = true;
    }
    begun.push(opened(3));
    let plan = plan(&situation, &begun);
    assert_eq!(shown(&plan).0, [vec![1, 2], vec![3]]);
    assert_eq!((plan.messages[0].parcel.id.as_str(), plan.messages[0].is_new_group), ("g", false));
}

#[test]
fn what_was_seen_or_silenced_is_not_sent_and_an_end_follows_its_beginning() {
    let seen = Standing { acknowledged: true, ..Standing::default() };
    let silenced = Standing { silenced_until_ms: NOW + 1, ..Standing::default() };
    let was_silenced = Standing { silenced_until_ms: NOW, ..Standing::default() };
    let known = Standing { delivered: 1, acknowledged: true, ..Standing::default() };
    let waits = Standing { waits_until_ms: Some(NOW), ..Standing::default() };
    let all = [
        (due(1, "a", "opened", "info"), seen),
        (due(2, "b", "opened", "info"), silenced),
        (due(3, "c", "opened", "info"), was_silenced),
        (due(4, "d", "cleared", "info"), known),
        (due(5, "e", "cleared", "info"), Standing::default()),
        (due(6, "f", "cleared", "info"), waits),
        (due(7, "c", "cleared", "info"), waits),
    ];
    let (sent, not) = planned(Kind::Webhook, "{}", (0, 0), &all);
    assert_eq!(sent, [[3], [4], [7]]);
    let expected = [(1, "acknowledged"), (2, "silenced"), (5, "nothing_sent_before"), (6, "order")];
    assert_eq!(not, expected);
}

#[test]
fn what_flaps_is_held_back_and_sent_if_it_lasts() {
    let (receiver, delivery) = (receiver(true, true), Delivery::default());
    let flapping = BTreeMap::from([(1, NOW + 9), (2, NOW + 9), (3, NOW)]);
    let situation = Situation {
        receiver: &receiver,
        kind: Kind::Webhook,
        delivery: &delivery,
        now_ms: NOW,
        sent_last_hour: 0,
        sent_lately: 0,
        flapping: &flapping,
    };
    let over = Standing { over: true, ..Standing::default() };
    let waits = Standing { waits_until_ms: Some(NOW), over: true, ..Standing::default() };
    let all =
        [opened(1), (opened(2).0, over), opened(3), (due(4, "1.1.2.1", "cleared", "info"), waits)];
    let (sent, not) = shown(&plan(&situation, &all));
    assert_eq!(sent, [[3]]);
    assert_eq!(not, [(1, "flapping"), (2, "flapping"), (4, "order")]);
}

#[test]
fn the_pause_of_what_flaps_grows_to_an_hour() {
    assert_eq!(flaps_until_ms(&[0]), None);
    assert_eq!(flaps_until_ms(&[0, 30_000]), Some(120_000));
    assert_eq!(flaps_until_ms(&[0, 30_000, 119_999]), Some(254_999));
    assert_eq!(flaps_until_ms(&[0, 30_000, 120_000]), None, "calm for its pause");
    let each_minute: Vec<u64> = (0..200).map(|minute| minute * 59_999).collect();
    let last = each_minute.last().unwrap();
    assert_eq!(flaps_until_ms(&each_minute), Some(last + MOST_FLAP_MS));
}

#[test]
fn quiet_hours_and_digests_are_for_people() {
    let quiet = r#"{"quiet":{"from":"22:00","to":"07:00","zone":"UTC","except_critical":true}}"#;
    let critical = (due(2, "b", "opened", "critical"), Standing::default());
    let both = [opened(1), critical];
    // NOW is 22:13.
    let (sent, held) = planned(Kind::Mail, quiet, (0, 0), &both);
    assert_eq!((sent, held), (vec![vec![2]], vec![(1, "quiet_hours")]));
    assert_eq!(planned(Kind::Webhook, quiet, (0, 0), &both).0.len(), 2);
    let hourly = r#"{"digest":"hourly"}"#;
    assert_eq!(planned(Kind::Mail, hourly, (0, 0), &both).1.len(), 2);
    let mut old = both.clone();
    for (due, _) in &mut old {
        due.created_at_ms = NOW - 3_600_000;
    }
    assert_eq!(planned(Kind::Mail, hourly, (0, 0), &old).0, [[1, 2]]);
}

#[test]
fn a_receiver_that_is_off_or_unconfirmed_gets_nothing() {
    let delivery = Delivery::default();
    for (receiver, reason) in
        [(receiver(false, true), "receiver_disabled"), (receiver(true, false), "unconfirmed")]
    {
        let situation = Situation {
            receiver: &receiver,
            kind: Kind::Mail,
            delivery: &delivery,
            now_ms: NOW,
            sent_last_hour: 0,
            sent_lately: 0,
            flapping: &NONE,
        };
        let mut broken = opened(2);
        broken.0.body = "{".into();
        let (sent, not) = shown(&plan(&situation, &[opened(1), broken]));
        assert!(sent.is_empty());
        assert_eq!(not, [(1, reason), (2, "other")]);
    }
}
