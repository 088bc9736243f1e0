//! Rows of a device against its rules: late rows, backlogs, edges of fences, silences, restarts.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::sync::Arc;

use nemeses_rules::{
    Change, Datum, DeviceState, Fence, FenceIndex, Field, LATE_ENDS_MS, Name, Point, Row, Rule,
    RuleSet, RuleSpec, Sample, Transition, decode_state, encode_state,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const START: u64 = 1_700_000_000_000;
/// A fence of 100 m around 50 N 10 E; 0.001 degrees to the north are 111 m.
const FENCE: u64 = 7;

fn fences() -> FenceIndex {
    let circle = json!({ "type": "Point", "coordinates": [10.0, 50.0], "radius_m": 100 });
    FenceIndex::new([(FENCE, Arc::new(Fence::from_geojson(&circle).unwrap()))])
}

fn rule(id: u64, version: u32, spec: Value) -> Arc<Rule> {
    let spec: RuleSpec = serde_json::from_value(spec).unwrap();
    Arc::new(Rule::compile(id, version, &spec, |fence| fence == FENCE).unwrap())
}

fn set(spec: Value) -> RuleSet {
    RuleSet::new(vec![rule(1, 1, spec)])
}

fn overspeed() -> Value {
    json!({ "test": { "kind": "overspeed", "limit_kmh": 90 } })
}

/// A row at so many seconds that arrives a second later.
fn row(second: u64, values: &[(Field, f64)]) -> Sample {
    Sample {
        at_ms: START + second * 1000,
        received_at_ms: START + second * 1000 + 1000,
        hash: second,
        place: None,
        accuracy_m: None,
        values: values
            .iter()
            .map(|(field, value)| (Name::Field(*field), Datum::Number(*value)))
            .collect(),
    }
}

fn speed(second: u64, kmh: f64) -> Sample {
    row(second, &[(Field::SpeedKmh, kmh)])
}

fn at(second: u64, north_m: f64) -> Sample {
    let place = Point::new(50.0 + north_m / 111_195.0, 10.0);
    Sample { place: Some(place), ..row(second, &[]) }
}

/// A device with its rules, at a time that goes on with the rows' arrival.
struct Run {
    set: RuleSet,
    fences: FenceIndex,
    state: DeviceState,
    now_ms: u64,
}

impl Run {
    fn new(set: RuleSet) -> Self {
        Self { set, fences: fences(), state: DeviceState::default(), now_ms: START }
    }

    fn row(&mut self, sample: &Sample) -> Vec<Transition> {
        self.now_ms = self.now_ms.max(sample.received_at_ms);
        self.state.apply(&self.set, &self.fences, sample, self.now_ms).transitions
    }

    fn rows(&mut self, samples: &[Sample]) -> Vec<(Change, u64)> {
        samples.iter().flat_map(|sample| self.row(sample)).map(short).collect()
    }

    fn wait_until(&mut self, second: u64) -> Vec<(Change, u64)> {
        self.now_ms = START + second * 1000;
        self.state.tick(&self.set, self.now_ms, 0).into_iter().map(short).collect()
    }
}

fn short(transition: Transition) -> (Change, u64) {
    (transition.change, (transition.at_ms - START) / 1000)
}

#[test]
fn an_alarm_opens_at_the_limit_and_clears_below_the_margin() {
    let mut run = Run::new(set(overspeed()));
    assert_eq!(run.rows(&[speed(1, 90.0), speed(2, 91.0), speed(3, 88.0)]), [(Change::Opened, 2)]);
    assert_eq!(
        run.rows(&[speed(4, 85.0), speed(5, 95.0)]),
        [(Change::Cleared, 4), (Change::Opened, 5)]
    );
    let opened = Run::new(set(overspeed())).row(&speed(2, 91.0));
    let [opened] = opened.as_slice() else { panic!("{opened:?}") };
    assert_eq!(
        (opened.episode, opened.value, opened.late, opened.notify),
        (1, Some(91.0), false, true)
    );
}

#[test]
fn a_late_row_is_recorded_and_does_not_move_what_is_now() {
    let mut run = Run::new(set(overspeed()));
    run.rows(&[speed(100, 50.0)]);
    let mut late = speed(10, 120.0);
    late.received_at_ms = START + 101_000;
    let opened = run.row(&late);
    assert!(
        matches!(opened.as_slice(), [one] if one.late && !one.notify && one.change == Change::Opened)
    );
    assert_eq!(run.state.open().count(), 0, "nothing is open now");
    // Others end with the last late row, once no more come.
    let mut second = speed(20, 110.0);
    second.received_at_ms = late.received_at_ms;
    assert!(run.row(&second).is_empty());
    run.now_ms = late.received_at_ms + LATE_ENDS_MS;
    let ended = run.state.tick(&run.set, run.now_ms, 0);
    assert!(
        matches!(ended.as_slice(), [one] if one.late && !one.notify && short(*one) == (Change::Cleared, 20))
    );
}

#[test]
fn late_rows_that_go_back_in_time_begin_anew() {
    let mut run = Run::new(set(overspeed()));
    run.rows(&[speed(1000, 50.0)]);
    assert_eq!(run.rows(&[speed(500, 120.0)]), [(Change::Opened, 500)]);
    assert_eq!(run.rows(&[speed(400, 130.0)]), [(Change::Cleared, 500), (Change::Opened, 400)]);
    assert_eq!(run.rows(&[speed(450, 10.0)]), [(Change::Cleared, 450)]);
}

#[test]
fn a_row_that_comes_again_changes_nothing() {
    let mut run = Run::new(set(overspeed()));
    let fast = speed(1, 120.0);
    assert_eq!(run.rows(std::slice::from_ref(&fast)), [(Change::Opened, 1)]);
    let again = run.state.apply(&run.set, &run.fences, &fast, run.now_ms);
    assert_eq!((again.row, again.transitions.len()), (Row::Repeated, 0));
}

/// A device that was without a connection sends what it stored, oldest first.
#[test]
fn a_backlog_notifies_nobody_until_a_row_of_now_confirms_it() {
    let mut run = Run::new(set(overspeed()));
    run.rows(&[speed(0, 10.0)]);
    run.now_ms = START + 7_200_000;
    let old =
        |second: u64, kmh: f64| Sample { received_at_ms: START + 7_200_000, ..speed(second, kmh) };
    let first = run.row(&old(100, 120.0));
    assert!(
        matches!(first.as_slice(), [one] if one.change == Change::Opened && one.late && !one.notify)
    );
    let cleared = run.row(&old(200, 50.0));
    assert!(matches!(cleared.as_slice(), [one] if one.change == Change::Cleared && !one.notify));
    let second = run.row(&old(300, 120.0));
    assert!(matches!(second.as_slice(), [one] if one.episode == 2 && !one.notify));
    let confirmed = run.row(&old(7_150, 110.0));
    assert!(
        matches!(confirmed.as_slice(), [one] if one.change == Change::Confirmed && one.notify && one.episode == 2)
    );
    let over = run.row(&speed(7_201, 10.0));
    assert!(matches!(over.as_slice(), [one] if one.change == Change::Cleared && one.notify));
}

/// The next stored row may say otherwise: time passes for a backlog as it comes, not as the
/// clock on the wall has it.
#[test]
fn a_backlog_is_not_overtaken_by_timers() {
    let spec = json!({ "test": { "kind": "overspeed", "limit_kmh": 90 }, "for_s": 300 });
    let mut run = Run::new(set(spec));
    let old =
        |second: u64, kmh: f64| Sample { received_at_ms: START + 7_200_000, ..speed(second, kmh) };
    run.rows(&[old(0, 120.0)]);
    assert_eq!(run.wait_until(7_201), []);
    assert_eq!(run.rows(&[old(10, 20.0)]), [], "ten seconds were too few");
}

#[test]
fn a_duration_is_over_without_another_row() {
    let spec = json!({ "test": { "kind": "inside", "geofence": FENCE }, "for_s": 600 });
    let mut run = Run::new(set(spec));
    run.rows(&[at(0, 0.0)]);
    assert_eq!(run.state.due_ms(&run.set, 0), Some(START + 601_000), "a row is a second under way");
    assert_eq!(run.wait_until(600), []);
    assert_eq!(run.wait_until(601), [(Change::Opened, 600)]);
    assert_eq!(run.rows(&[at(700, 500.0)]), [(Change::Cleared, 700)]);
}

#[test]
fn standing_at_the_edge_of_a_fence_is_one_alarm() {
    let entered = set(json!({ "test": { "kind": "entered", "geofence": FENCE } }));
    let mut run = Run::new(entered.clone());
    let rows = [at(1, 500.0), at(2, 99.0), at(3, 105.0), at(4, 98.0), at(5, 115.0), at(6, 99.0)];
    assert_eq!(run.rows(&rows), [(Change::Opened, 2)]);
    assert_eq!(run.rows(&[at(7, 121.0)]), [(Change::Cleared, 7)]);
    let mut run = Run::new(entered);
    assert_eq!(run.rows(&[at(1, 0.0), at(2, 10.0)]), [], "it was there from the first row on");
    assert_eq!(run.rows(&[at(3, 300.0), at(4, 0.0)]), [(Change::Opened, 4)]);
}

#[test]
fn a_place_that_may_be_off_counts_when_a_second_one_agrees() {
    let mut run = Run::new(set(json!({ "test": { "kind": "inside", "geofence": FENCE } })));
    let vague = |second, north_m| Sample { accuracy_m: Some(80.0), ..at(second, north_m) };
    assert_eq!(run.rows(&[at(1, 500.0), vague(2, 50.0), at(3, 500.0)]), []);
    assert_eq!(run.rows(&[vague(4, 50.0), vague(5, 60.0)]), [(Change::Opened, 5)]);
    assert_eq!(run.rows(&[vague(6, 140.0)]), [], "it may still be inside");
    assert_eq!(run.rows(&[vague(7, 190.0)]), [(Change::Cleared, 7)]);
}

#[test]
fn a_fence_that_is_crossed_between_two_rows_is_entered_and_left() {
    let mut run = Run::new(set(json!({ "test": { "kind": "entered", "geofence": FENCE } })));
    assert_eq!(
        run.rows(&[at(1, -5_000.0), at(200, 5_000.0)]),
        [(Change::Opened, 200), (Change::Cleared, 200)]
    );
    assert_eq!(run.rows(&[at(900, -5_000.0)]), [], "too long ago to know the way");
}

#[test]
fn a_silence_is_over_with_whatever_comes_and_nobody_hears_of_one_while_nobody_listened() {
    let mut run = Run::new(set(json!({ "test": { "kind": "silent", "after_s": 60 } })));
    assert_eq!(run.rows(&[speed(0, 0.0)]), []);
    assert_eq!(run.state.due_ms(&run.set, 0), Some(START + 61_000));
    assert_eq!(run.wait_until(60), []);
    let unheard = START + 600_000;
    assert_eq!(run.state.tick(&run.set, START + 599_000, unheard), []);
    assert_eq!(run.wait_until(600), [(Change::Opened, 61)]);
    assert_eq!(run.state.due_ms(&run.set, 0), None, "nothing more is due");
    let mut late = speed(3, 0.0);
    late.received_at_ms = START + 700_000;
    assert_eq!(run.rows(&[late]), [(Change::Cleared, 700)]);
}

#[test]
fn a_row_from_the_future_moves_nothing() {
    let mut run = Run::new(set(overspeed()));
    run.rows(&[speed(0, 0.0)]);
    let mut ahead = speed(4_000, 120.0);
    ahead.received_at_ms = START + 2_000;
    let applied = run.state.apply(&run.set, &run.fences, &ahead, START + 2_000);
    assert_eq!((applied.row, applied.transitions.len()), (Row::Ahead, 0));
    assert_eq!(run.rows(&[speed(3, 120.0)]), [(Change::Opened, 3)], "and the next is not late");
}

#[test]
fn a_changed_rule_withdraws_its_alarm_and_numbers_go_on() {
    let mut run = Run::new(set(overspeed()));
    run.rows(&[speed(1, 120.0)]);
    run.set = RuleSet::new(vec![rule(1, 2, overspeed())]);
    let changed = run.state.reconcile(&run.set, |_| true, START + 2_000);
    assert_eq!(changed.iter().copied().map(short).collect::<Vec<_>>(), [(Change::Withdrawn, 2)]);
    assert_eq!(changed[0].version, 1);
    let opened = run.row(&speed(3, 120.0));
    assert!(matches!(opened.as_slice(), [one] if one.version == 2 && one.episode == 2));
    run.state.reconcile(&RuleSet::default(), |_| true, START + 4_000);
    run.state.reconcile(&run.set, |_| true, START + 4_000);
    let opened = run.row(&speed(5, 120.0));
    assert!(matches!(opened.as_slice(), [one] if one.episode == 3), "nothing has the same key");
}

#[test]
fn conditions_remember_what_other_rows_said() {
    let spec = json!({ "test": {
        "kind": "condition",
        "when": "avg(temperature, 1m) > 10 and speed > 5 and rate(fuel.level) < -0.5",
    } });
    let mut run = Run::new(set(spec));
    let reading = |second: u64, channel: &str, value: f64| Sample {
        values: vec![(Name::Channel(channel.into()), Datum::Number(value))],
        hash: second + 1_000_000,
        ..row(second, &[])
    };
    let rows = [
        speed(1, 50.0),
        reading(2, "temperature", 30.0),
        reading(3, "fuel.level", 50.0),
        reading(5, "fuel.level", 48.0),
    ];
    assert_eq!(run.rows(&rows), [(Change::Opened, 5)]);
    assert_eq!(run.rows(&[reading(6, "temperature", -20.0)]), [(Change::Cleared, 6)], "mean 5");
    assert_eq!(
        run.rows(&[reading(70, "temperature", 30.0)]),
        [(Change::Opened, 70)],
        "alone again"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |spec: Value| {
        let spec: RuleSpec = serde_json::from_value(spec).unwrap();
        Rule::compile(1, 1, &spec, |fence| fence == FENCE).unwrap_err().to_string()
    };
    let condition = |when: &str, until: &str| json!({ "test": { "kind": "condition", "when": when, "until": until } });
    assert!(
        refused(condition("speed >", "speed < 1"))
            .contains("`when`: a value is expected here, not the end (column 8)")
    );
    assert!(refused(condition("speed > 85", "speed < 90")).contains("other side"));
    assert!(refused(condition("speed < 5", "speed < 4")).contains("other side"));
    assert!(refused(condition("inside(8)", "speed < 90")).contains("no geofence 8"));
    assert!(
        refused(json!({ "test": { "kind": "left", "geofence": 9 } })).contains("no geofence 9")
    );
    assert!(
        refused(json!({ "test": { "kind": "silent", "after_s": 1 } }))
            .contains("`after_s` is 10 to 2592000")
    );
    assert!(
        refused(json!({ "test": { "kind": "idling" }, "for_s": 7200 }))
            .contains("`hold_s` is at least")
    );
    assert!(
        refused(json!({ "test": { "kind": "overspeed", "limit_kmh": 50, "until_kmh": 60 } }))
            .contains("`until_kmh`")
    );
    let unknown = json!({ "test": { "kind": "idling" }, "form_s": 3 });
    assert!(
        serde_json::from_value::<RuleSpec>(unknown).unwrap_err().to_string().contains("form_s")
    );
}

/// Every kind of rule at once.
fn all_rules() -> RuleSet {
    let specs = [
        json!({ "test": { "kind": "condition", "when": "speed > 60 and avg(speed, 1m) > 50", "until": "speed < 40" }, "for_s": 20 }),
        json!({ "test": { "kind": "entered", "geofence": FENCE } }),
        json!({ "test": { "kind": "outside", "geofence": FENCE }, "keep_for_s": 30 }),
        json!({ "test": { "kind": "overspeed", "limit_kmh": 90 }, "for_s": 60, "hold_s": 60 }),
        json!({ "test": { "kind": "silent", "after_s": 60 } }),
        json!({ "test": { "kind": "motion", "moving": false }, "for_s": 30 }),
    ];
    RuleSet::new((1..).zip(specs).map(|(id, spec)| rule(id, 1, spec)).collect())
}

prop_compose! {
    fn any_sample()(second in 0_u64..600, kmh in 0_u32..130, north in -300_i32..300, delay in 0_u64..200) -> Sample {
        let mut sample = at(second, north.into());
        sample.values = vec![(Name::Field(Field::SpeedKmh), Datum::Number(kmh.into()))];
        sample.received_at_ms += delay * 1000;
        sample
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A restart between any two rows changes nothing, and alarms open and close in turn.
    #[test]
    fn states_survive_restarts_and_alarms_open_and_close_in_turn(
        mut samples in prop::collection::vec(any_sample(), 1..80),
        in_order: bool,
    ) {
        if in_order {
            samples.sort_by_key(|sample| sample.at_ms);
        }
        let (set, fences) = (all_rules(), fences());
        let (mut kept, mut stored) = (DeviceState::default(), encode_state(&DeviceState::default()));
        let mut open = std::collections::BTreeMap::new();
        let mut now_ms = START;
        for sample in &samples {
            now_ms = now_ms.max(sample.received_at_ms);
            let mut read = decode_state(&stored).unwrap();
            let mut transitions = kept.tick(&set, now_ms, 0);
            prop_assert_eq!(&read.tick(&set, now_ms, 0), &transitions);
            let applied = kept.apply(&set, &fences, sample, now_ms);
            prop_assert_eq!(&read.apply(&set, &fences, sample, now_ms), &applied);
            prop_assert_eq!(&read, &kept);
            transitions.extend(applied.transitions);
            // A row that waited to be taken may have let something fall due.
            let ticked = kept.tick(&set, now_ms, 0);
            prop_assert_eq!(&read.tick(&set, now_ms, 0), &ticked);
            transitions.extend(ticked);
            prop_assert!(kept.due_ms(&set, 0).is_none_or(|due| due > now_ms), "what was due is done");
            stored = encode_state(&read);
            for transition in transitions {
                let key = (transition.rule, transition.episode);
                match transition.change {
                    Change::Opened => prop_assert!(open.insert(key, transition.notify).is_none()),
                    Change::Confirmed => prop_assert_eq!(open.insert(key, true), Some(false)),
                    Change::Cleared | Change::Withdrawn => {
                        prop_assert_eq!(open.remove(&key), Some(transition.notify));
                    }
                }
            }
        }
        for end in 0..stored.len() {
            prop_assert!(decode_state(&stored[..end]).is_err());
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = decode_state(&[&[1][..], &bytes].concat());
    }
}
