//! Rules, the marks that commits leave for them, and alarms.

use nemeses_protocol::{DeviceId, Identity, Reading, ReadingsRecord, Record, Value, readings_hash};
use nemeses_store::history::{
    Acknowledgement, AlarmChange, AlarmEvent, AlarmFilter, AlarmKey, AlarmStep, AlarmWatch,
    CountedBy, MarkedRow, NewNotification, NewRule, RULES_LEASE, RuleScope, Silence, StoredState,
    Turn,
};

use super::assert_balanced;
use crate::frames::{BASE, BASE_MS, frame, part};
use crate::site::Site;

fn rule(scope: RuleScope) -> NewRule {
    NewRule {
        name: "Zu schnell 🚗".into(),
        severity: "warning".into(),
        spec: r#"{"test":{"kind":"idling"}}"#.into(),
        scope,
        enabled: true,
        receivers: vec![3, 5],
    }
}

fn devices(numbers: &[u32]) -> RuleScope {
    RuleScope::Devices(numbers.iter().copied().map(DeviceId::new).collect())
}

pub(crate) async fn rules_live_their_life(site: Site) {
    let site = site.migrated().await;
    let other = site.another().await.rules();
    let rules = site.database.rules();
    let before = rules.changes().await.unwrap();
    let id = rules.add_rule(Some(9), &rule(devices(&[2, 7])), BASE_MS).await.unwrap();
    let stored = other.rule(id).await.unwrap().unwrap();
    assert_eq!((stored.owner, stored.version, &stored.rule), (Some(9), 1, &rule(devices(&[2, 7]))));
    assert!(other.changes().await.unwrap() > before);

    let changed = NewRule { enabled: false, receivers: vec![], ..rule(RuleScope::Group(4)) };
    assert!(rules.change_rule(id, &changed, BASE_MS + 5).await.unwrap());
    let second = rules.add_rule(None, &rule(RuleScope::All), BASE_MS).await.unwrap();
    let stored = other.rules().await.unwrap();
    assert_eq!(stored.iter().map(|stored| stored.id).collect::<Vec<_>>(), [id, second]);
    assert_eq!((stored[0].version, &stored[0].rule), (2, &changed));
    assert_eq!((stored[0].created_at_ms, stored[0].updated_at_ms), (BASE_MS, BASE_MS + 5));
    assert_eq!(stored[1].rule.scope, RuleScope::All);
    assert!(rules.remove_rule(id).await.unwrap());
    assert!(!rules.remove_rule(id).await.unwrap());
    assert!(!rules.change_rule(id, &changed, BASE_MS).await.unwrap());
    assert_eq!(other.rule(id).await.unwrap(), None);

    let area = format!("{{\"x\":\"{}\"}}", "é".repeat(100_000));
    let fence = rules.add_geofence(None, "Hof", &area, BASE_MS).await.unwrap();
    assert_eq!(other.geofence(fence).await.unwrap().unwrap().geojson, area);
    assert!(rules.change_geofence(fence, "Halle", "{}", BASE_MS + 1).await.unwrap());
    let fences = other.geofences().await.unwrap();
    assert_eq!((fences[0].name.as_str(), fences[0].version, fences.len()), ("Halle", 2, 1));
    let theirs = rules.add_geofence(Some(9), "Lager", "{}", BASE_MS).await.unwrap();
    let others = rules.add_geofence(Some(8), "Markt", "{}", BASE_MS).await.unwrap();
    let after = async |after, of, limit| {
        let page = other.geofences_after(after, of, limit).await.unwrap();
        page.iter().map(|fence| fence.id).collect::<Vec<_>>()
    };
    assert_eq!(after(0, None, 9).await, [fence, theirs, others]);
    assert_eq!(after(0, None, 2).await, [fence, theirs]);
    assert_eq!(after(fence, Some(8), 9).await, [others]);
    assert_eq!(after(0, Some(9), 9).await, [fence, theirs]);
    assert_eq!(other.count_geofences_of(9).await.unwrap(), 1);
    assert!(rules.remove_geofence(fence).await.unwrap());
    assert!(!rules.change_geofence(fence, "x", "{}", BASE_MS).await.unwrap());
}

/// The devices and times of the rows in all marks, which are in the order of their numbers.
async fn marked(site: &Site) -> Vec<(u32, u64)> {
    let marks = site.database.evaluation().marks(1000).await.unwrap();
    let of_row = |row: &MarkedRow| match row {
        MarkedRow::Position(record) => u64::from(record.position.recorded_at),
        MarkedRow::Readings(readings) => readings.recorded_at_ms,
    };
    let rows = marks.iter().flat_map(|mark| mark.rows.as_ref().unwrap());
    rows.map(|row| (row.device().number(), of_row(row))).collect()
}

pub(crate) async fn commits_leave_marks_of_what_is_new_for_the_rules(site: Site) {
    let site = site.migrated().await;
    let history = site.history();
    history.commit(&[part("w", 1, vec![frame(1, BASE, 1)])], "x").await.unwrap();
    assert_eq!(marked(&site).await, [], "without rules there are none");

    let rules = site.database.rules();
    let id = rules.add_rule(None, &rule(devices(&[1])), BASE_MS).await.unwrap();
    let rows =
        vec![frame(1, BASE, 1), frame(1, BASE + 1, 2), frame(2, BASE, 3), frame(1, BASE + 1, 2)];
    history.commit(&[part("w", 2, rows.clone())], "x").await.unwrap();
    assert_eq!(marked(&site).await, [(1, u64::from(BASE) + 1)], "duplicates are not in them");
    history.commit(&[part("w", 2, rows)], "x").await.unwrap();
    assert_eq!(marked(&site).await.len(), 1, "nor batches that come again");

    // Enough rows for SQLite's journal, once their devices are known.
    for sequence in 3..6_u64 {
        let second = BASE + 10 * u32::try_from(sequence).unwrap();
        let rows = (0..100).map(|device| frame(device, second, sequence)).collect();
        history.commit(&[part("w", sequence, rows)], "x").await.unwrap();
    }
    let all = marked(&site).await;
    assert_eq!(
        all[1..],
        [(1, u64::from(BASE) + 30), (1, u64::from(BASE) + 40), (1, u64::from(BASE) + 50)]
    );

    let readings = vec![Reading { channel: "t".into(), unit: None, value: Value::Number(1.5) }];
    let identity: Identity = "000001".parse().unwrap();
    let record = Record::Readings(Box::new(ReadingsRecord {
        identity,
        recorded_at_ms: BASE_MS + 7,
        timeless: false,
        content_hash: readings_hash(&readings),
        received_at_ms: BASE_MS,
        position: None,
        readings,
    }));
    for sequence in 6..8 {
        history.commit(&[part("w", sequence, vec![record.clone()])], "x").await.unwrap();
    }
    assert_eq!(marked(&site).await[4..], [(1, BASE_MS + 7)]);

    rules.remove_rule(id).await.unwrap();
    history.commit(&[part("w", 9, vec![frame(1, BASE + 100, 9)])], "x").await.unwrap();
    assert_eq!(marked(&site).await.len(), 5);

    // Marks of many rows are cut.
    rules.add_rule(None, &rule(RuleScope::All), BASE_MS).await.unwrap();
    let many = (0..4000).map(|number| frame(7, BASE + number, 1)).collect();
    history.commit(&[part("w", 10, many)], "x").await.unwrap();
    assert_eq!(marked(&site).await.len(), 4005);
    assert!(site.database.evaluation().count_marks(1000).await.unwrap() > 6);
    assert_eq!(site.database.evaluation().count_marks(3).await.unwrap(), 3);
    assert_balanced(&site.database).await;
}

pub(super) fn change(episode: u32, step: AlarmStep) -> AlarmChange {
    AlarmChange {
        key: AlarmKey { rule: 1, version: 2, device: DeviceId::new(u32::MAX - 1), episode },
        step,
        at_ms: BASE_MS + u64::from(episode),
        raised_at_ms: BASE_MS + 50,
        late: episode == 2,
        notified: episode != 2,
        value: Some("91.5".into()),
        place: Some((-1, 179_999_999)),
        rule_name: "Zu schnell".into(),
        owner: None,
        severity: "critical".into(),
    }
}

pub(super) fn notification(
    transition: &'static str,
    suppressed: Option<&'static str>,
) -> NewNotification {
    NewNotification {
        alarm: change(1, AlarmStep::Opened).key,
        transition,
        receiver: 4,
        body: "{}".into(),
        suppressed,
        created_at_ms: BASE_MS,
    }
}

async fn marks_of(site: &Site, sequence: u64) -> Vec<u64> {
    let rows = vec![frame(1, BASE + u32::try_from(sequence).unwrap(), sequence)];
    site.history().commit(&[part("w", sequence, rows)], "x").await.unwrap();
    let marks = site.database.evaluation().marks(100).await.unwrap();
    marks.iter().map(|mark| mark.id).collect()
}

pub(crate) async fn a_turn_of_the_rules_is_written_whole_and_once(site: Site) {
    let site = site.migrated().await;
    let evaluation = site.database.evaluation();
    let daily = site.database.daily();
    site.database.rules().add_rule(None, &rule(RuleScope::All), BASE_MS).await.unwrap();
    let marks = marks_of(&site, 1).await;
    let states = |device: u32, due_at_ms| StoredState {
        device: DeviceId::new(device),
        due_at_ms,
        state: vec![1, 0, 255],
    };
    let turn = Turn {
        marks: marks.clone(),
        states: (0..260).map(|device| states(device, Some(u64::from(device)))).collect(),
        alarms: vec![
            change(1, AlarmStep::Opened),
            change(2, AlarmStep::Opened),
            change(2, AlarmStep::Cleared),
        ],
        notifications: vec![notification("opened", None)],
    };
    assert!(!evaluation.write_turn("a", 1, &turn).await.unwrap(), "without a lease");
    assert!(daily.lease(RULES_LEASE, "a", 1000, 2000).await.unwrap());
    assert!(evaluation.write_turn("a", 3000, &turn).await.unwrap());
    assert_eq!(evaluation.marks(10).await.unwrap(), []);
    assert_eq!(evaluation.states().await.unwrap(), turn.states);
    // The same again: the marks are gone, and nothing of it is written.
    let stale = Turn { states: vec![states(3, None)], ..turn.clone() };
    assert!(!evaluation.write_turn("a", 4000, &stale).await.unwrap());
    assert!(!daily.lease(RULES_LEASE, "b", 2500, 4000).await.unwrap(), "renewed until 3000");
    assert!(daily.lease(RULES_LEASE, "b", 3001, 4000).await.unwrap());
    let renewal = Turn { states: vec![states(3, None)], ..Turn::default() };
    assert!(!evaluation.write_turn("a", 9000, &renewal).await.unwrap(), "b has it");
    assert!(evaluation.write_turn("b", 9000, &renewal).await.unwrap());
    let stored = evaluation.states().await.unwrap();
    assert_eq!((stored.len(), &stored[3]), (260, &states(3, None)));

    let alarms = site.database.alarms();
    let filter = |open| AlarmFilter { open, limit: 10, ..AlarmFilter::default() };
    let all = alarms.list(&filter(None)).await.unwrap();
    assert_eq!(all.iter().map(|alarm| alarm.key.episode).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(
        (all[0].cleared_at_ms, all[0].late, all[0].notified),
        (Some(BASE_MS + 2), true, false)
    );
    let open = alarms.list(&filter(Some(true))).await.unwrap();
    let [open] = open.as_slice() else { panic!("{open:?}") };
    assert_eq!((open.place, open.value.as_deref()), (Some((-1, 179_999_999)), Some("91.5")));
    assert_eq!(alarms.find(open.id).await.unwrap().as_ref(), Some(open));
    let later = Turn {
        alarms: vec![
            AlarmChange { key: open.key, ..change(1, AlarmStep::Withdrawn) },
            change(2, AlarmStep::Confirmed),
        ],
        ..Turn::default()
    };
    assert!(evaluation.write_turn("b", 9000, &later).await.unwrap());
    let now = alarms.list(&filter(None)).await.unwrap();
    assert_eq!((now[0].late, now[0].notified, now[1].withdrawn), (false, true, true));
}

pub(crate) async fn alarms_are_acknowledged_and_silenced(site: Site) {
    let site = site.migrated().await;
    assert!(site.database.daily().lease(RULES_LEASE, "a", 0, 9).await.unwrap());
    let opened = Turn { alarms: vec![change(1, AlarmStep::Opened)], ..Turn::default() };
    assert!(site.database.evaluation().write_turn("a", 9, &opened).await.unwrap());
    let alarms = site.database.alarms();
    let filter =
        AlarmFilter { limit: 1, severity: Some("critical".into()), ..AlarmFilter::default() };
    let alarm = alarms.list(&filter).await.unwrap().remove(0);
    assert_eq!((&alarm.acknowledged, &alarm.silence), (&None, &None));

    let first = Acknowledgement { at_ms: BASE_MS, by: "a@example.org".into(), note: None };
    let second = Acknowledgement { note: Some("too".into()), ..first.clone() };
    assert!(alarms.acknowledge(alarm.id, &first).await.unwrap());
    assert!(alarms.acknowledge(alarm.id, &second).await.unwrap(), "it is");
    assert!(!alarms.acknowledge(alarm.id + 1, &first).await.unwrap());
    let silence = Silence { until_ms: 7, by: "b".into(), reason: "known".into() };
    assert!(alarms.silence(alarm.id, &silence).await.unwrap());
    assert!(!alarms.silence(alarm.id + 1, &silence).await.unwrap());
    let now = alarms.find(alarm.id).await.unwrap().unwrap();
    assert_eq!((now.acknowledged, now.silence), (Some(first), Some(silence)));
    let acknowledged = AlarmFilter { acknowledged: Some(true), limit: 9, ..AlarmFilter::default() };
    assert_eq!(alarms.list(&acknowledged).await.unwrap().len(), 1);
    for none in [
        AlarmFilter { acknowledged: Some(false), limit: 9, ..AlarmFilter::default() },
        AlarmFilter { opened_to_ms: Some(BASE_MS), limit: 9, ..AlarmFilter::default() },
        AlarmFilter { opened_from_ms: Some(BASE_MS + 2), limit: 9, ..AlarmFilter::default() },
        AlarmFilter { severity: Some("info".into()), limit: 9, ..AlarmFilter::default() },
        AlarmFilter { devices: Some(vec![]), limit: 9, ..AlarmFilter::default() },
        AlarmFilter { devices: Some(vec![DeviceId::new(1)]), limit: 9, ..AlarmFilter::default() },
        AlarmFilter { rule: Some(2), limit: 9, ..AlarmFilter::default() },
        AlarmFilter { late: Some(true), limit: 9, ..AlarmFilter::default() },
        AlarmFilter { before: Some(alarm.id), limit: 9, ..AlarmFilter::default() },
    ] {
        assert_eq!(alarms.list(&none).await.unwrap(), [], "{none:?}");
    }
}

pub(crate) async fn alarms_are_listed_by_devices_and_by_owner(site: Site) {
    let site = site.migrated().await;
    assert!(site.database.daily().lease(RULES_LEASE, "a", 0, 9).await.unwrap());
    let of = |episode: u32, device: u32, owner| {
        let opened = change(episode, AlarmStep::Opened);
        let key = AlarmKey { device: DeviceId::new(device), ..opened.key };
        AlarmChange { key, owner, ..opened }
    };
    let opened = vec![of(1, 5, None), of(2, 6, Some(9)), of(3, 7, Some(8)), of(4, 8, None)];
    let opened = Turn { alarms: opened, ..Turn::default() };
    assert!(site.database.evaluation().write_turn("a", 9, &opened).await.unwrap());
    let alarms = site.database.alarms();
    // More devices than there are alarms of, as many as an account may be granted.
    let mut granted: Vec<_> = (5..8).chain(100..10_097).map(DeviceId::new).collect();
    let listed = async |devices: Option<&[DeviceId]>, rules_of| {
        let devices = devices.map(<[DeviceId]>::to_vec);
        let filter = AlarmFilter { devices, rules_of, limit: 9, ..AlarmFilter::default() };
        let found = alarms.list(&filter).await.unwrap();
        found.iter().map(|alarm| alarm.key.episode).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, None).await, [4, 3, 2, 1]);
    assert_eq!(listed(Some(&granted), None).await, [3, 2, 1]);
    assert_eq!(listed(Some(&granted), Some(9)).await, [2, 1]);
    assert_eq!(listed(None, Some(7)).await, [4, 1]);
    granted.truncate(1);
    assert_eq!(listed(Some(&granted), Some(9)).await, [1]);
}

pub(crate) async fn alarms_are_counted(site: Site) {
    const DAY_MS: u64 = 86_400_000;
    let site = site.migrated().await;
    assert!(site.database.daily().lease(RULES_LEASE, "a", 0, 9).await.unwrap());
    let of = |episode: u32, rule: u64, device: u32, day: u64| {
        let opened = change(episode, AlarmStep::Opened);
        let key = AlarmKey { rule, device: DeviceId::new(device), ..opened.key };
        AlarmChange { key, at_ms: day * DAY_MS + 5, rule_name: format!("r{rule}"), ..opened }
    };
    let cleared = AlarmChange { step: AlarmStep::Cleared, ..of(3, 2, 5, 12) };
    let alarms = vec![
        of(1, 1, 5, 10),
        of(1, 2, 5, 12),
        of(2, 2, 5, 12),
        of(3, 2, 5, 12),
        of(1, 2, 6, 12),
        cleared,
    ];
    let turn = Turn { alarms, ..Turn::default() };
    assert!(site.database.evaluation().write_turn("a", 9, &turn).await.unwrap());
    let alarms = site.database.alarms();
    let counted = async |filter: AlarmFilter, by| {
        let counts = alarms.counts(&AlarmFilter { limit: 9, ..filter }, by).await.unwrap();
        counts.into_iter().map(|one| (one.of, one.rule_name, one.opened)).collect::<Vec<_>>()
    };
    let all = AlarmFilter::default;
    let row = |of: u64, name: &str, opened: u64| (of, name.to_owned(), opened);
    assert_eq!(counted(all(), CountedBy::Rule).await, [row(2, "r2", 4), row(1, "r1", 1)]);
    assert_eq!(counted(all(), CountedBy::Device).await, [row(5, "", 4), row(6, "", 1)]);
    let days = counted(all(), CountedBy::Day).await;
    assert_eq!(days, [row(10 * DAY_MS, "", 1), row(12 * DAY_MS, "", 4)]);
    let open = AlarmFilter { open: Some(true), ..all() };
    assert_eq!(counted(open, CountedBy::Rule).await, [row(2, "r2", 3), row(1, "r1", 1)]);
    let of_day = AlarmFilter { opened_from_ms: Some(11 * DAY_MS), ..all() };
    assert_eq!(counted(of_day, CountedBy::Rule).await, [row(2, "r2", 4)]);
    let none = AlarmFilter { devices: Some(vec![]), ..all() };
    assert_eq!(counted(none, CountedBy::Day).await, []);
}

pub(crate) async fn alarms_are_watched(site: Site) {
    let site = site.migrated().await;
    assert!(site.database.daily().lease(RULES_LEASE, "a", 0, 9).await.unwrap());
    let alarms = site.database.alarms();
    let write = async |alarms: Vec<AlarmChange>| {
        let turn = Turn { alarms, ..Turn::default() };
        assert!(site.database.evaluation().write_turn("a", 9, &turn).await.unwrap());
    };
    write(vec![change(1, AlarmStep::Opened), change(2, AlarmStep::Opened)]).await;
    let mut watch = AlarmWatch::new(site.another().await.alarms());
    assert_eq!(watch.look().await.unwrap(), [], "what is open already is no news");
    assert_eq!(watch.open().map(|alarm| alarm.key.episode).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(watch.devices().len(), 1);
    let mut look = async || {
        let news = watch.look().await.unwrap();
        news.iter().map(|one| (one.alarm.key.episode, one.event)).collect::<Vec<_>>()
    };
    write(vec![
        change(3, AlarmStep::Opened),
        change(4, AlarmStep::Opened),
        change(4, AlarmStep::Cleared),
    ])
    .await;
    let opened = [(3, AlarmEvent::Opened), (4, AlarmEvent::Opened), (4, AlarmEvent::Cleared)];
    assert_eq!(look().await, opened);
    assert_eq!(look().await, []);
    write(vec![change(2, AlarmStep::Confirmed), change(3, AlarmStep::Withdrawn)]).await;
    assert_eq!(look().await, [(2, AlarmEvent::Confirmed), (3, AlarmEvent::Withdrawn)]);
    let all = AlarmFilter { limit: 9, ..AlarmFilter::default() };
    let first = alarms.list(&all).await.unwrap().pop().unwrap();
    let by = Acknowledgement { at_ms: BASE_MS, by: "a@example.org".into(), note: None };
    assert!(alarms.acknowledge(first.id, &by).await.unwrap());
    assert_eq!(look().await, [(1, AlarmEvent::Acknowledged)]);
    let silence = Silence { until_ms: BASE_MS, by: "b".into(), reason: "known".into() };
    assert!(alarms.silence(first.id, &silence).await.unwrap());
    assert_eq!(look().await, [(1, AlarmEvent::Silenced)]);
    write(vec![change(1, AlarmStep::Cleared), change(2, AlarmStep::Cleared)]).await;
    assert_eq!(look().await, [(1, AlarmEvent::Cleared), (2, AlarmEvent::Cleared)]);
    assert_eq!(alarms.devices().await.unwrap(), [DeviceId::new(u32::MAX - 1)]);
}
