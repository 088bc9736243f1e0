//! Marks of days, the sums kept for them, and the lease of whoever keeps them.

use nemeses_protocol::{DeviceId, Record};
use nemeses_store::history::{Daily, DayMark, DaySums, DayTotal, DoneDay, FleetTotals, LastRow};

use crate::frames::{BASE, frame, part};
use crate::site::Site;

const DAY: u32 = BASE / 86_400;
const NEVER: u32 = u32::MAX;

fn sums(device: u32, day: u32, last: (u32, u64)) -> DaySums {
    DaySums {
        device,
        day,
        row_count: 7,
        rules: 1,
        began: u64::MAX - 7,
        state: vec![0, 255, 7],
        first_at: last.0,
        last_at: last.0,
        last_hash: last.1,
        last_speed_kmh: Some(9),
        last_ignition: true,
        place_at: Some(3),
        place_latitude_udeg: -5,
        place_longitude_udeg: -180_000_000,
        gps_sum_m: 1 << 40,
        engine_s: 60,
        engine_legs: 6,
        ..DaySums::default()
    }
}

fn done(marks: Vec<DayMark>, sums: &DaySums) -> DoneDay {
    let device = DeviceId::new(sums.device);
    let (recorded_at, frame_hash) = (sums.last_at, sums.last_hash);
    let received_at_ms = u64::from(recorded_at) * 1000 + 250;
    let last = Some(LastRow { recorded_at, frame_hash, received_at_ms });
    let sums = Some(sums.clone());
    DoneDay { marks, device, day: recorded_at / 86_400, sums, newest: last, fix: last, next: None }
}

pub(crate) async fn days_are_marked_with_the_rows_and_taken_once(site: Site) {
    let site = site.migrated().await;
    let daily = site.database.daily();
    for sequence in 1..4 {
        let rows = vec![frame(1, BASE + sequence, 1), frame(2, BASE + 86_400, 2)];
        site.history().commit(&[part("w", sequence.into(), rows)], "x").await.unwrap();
    }
    let marks = daily.marks(NEVER, 100).await.unwrap();
    let mut days: Vec<_> = marks.iter().map(|mark| (mark.device.number(), mark.day)).collect();
    days.sort_unstable();
    days.dedup();
    assert_eq!(days, [(1, DAY), (2, DAY + 1)]);
    // Two of each at most, where a slot ended between the commits.
    assert!(marks.len() <= 4, "{marks:?}");
    let backlog = daily.backlog().await.unwrap();
    assert_eq!(backlog.oldest_slot, marks.iter().map(|mark| mark.slot).min());
    assert_eq!(backlog.marks, marks.len() as u64);
    assert_eq!(daily.marks(marks[0].slot.min(marks[marks.len() - 1].slot), 9).await.unwrap(), []);
    let (one, two) = (DeviceId::new(1), DeviceId::new(2));
    assert_eq!(daily.pending(None, DAY, DAY, None).await.unwrap(), 1);
    assert_eq!(daily.pending(None, 0, NEVER, None).await.unwrap(), 2);
    assert_eq!(daily.pending(Some(&[one, two]), DAY, DAY, None).await.unwrap(), 1);
    assert_eq!(daily.pending(Some(&[two]), DAY, DAY, None).await.unwrap(), 0);

    let last = (BASE + 3, u64::MAX - 1);
    let of_one: Vec<DayMark> =
        marks.iter().copied().filter(|mark| mark.device.number() == 1).collect();
    let first = sums(1, DAY, last);
    daily.keep(&[done(of_one.clone(), &first)]).await.unwrap();
    let of_day = async |day| daily.sums(&[one], day, day).await.unwrap().pop();
    assert_eq!(of_day(DAY).await, Some(first.clone()));
    assert_eq!(daily.pending(None, DAY, DAY, None).await.unwrap(), 0);
    // Whoever comes with the same marks later has nothing newer to say.
    let other = DaySums { row_count: 1, ..first.clone() };
    daily.keep(&[done(of_one, &other)]).await.unwrap();
    assert_eq!(of_day(DAY).await, Some(first.clone()));

    let later = sums(1, DAY + 3, (BASE + 3 * 86_400, 1));
    daily.keep(&[done(vec![], &later)]).await.unwrap();
    let both = daily.sums(&[DeviceId::new(2), DeviceId::new(1)], DAY, DAY + 3).await.unwrap();
    assert_eq!(both, [first, later.clone()]);
    assert_eq!(daily.day_before(DeviceId::new(1), DAY + 3).await.unwrap(), Some(both[0].clone()));
    assert_eq!(daily.day_before(DeviceId::new(1), DAY).await.unwrap(), None);
    of_many_are_those_of_each(&*daily, &both).await;
    let gone = DoneDay { sums: None, ..done(vec![], &later) };
    daily.keep(&[gone]).await.unwrap();
    assert_eq!(of_day(DAY + 3).await, None);
}

/// What the database adds up is what is added up here.
async fn of_many_are_those_of_each(daily: &dyn Daily, of_one: &[DaySums]) {
    let more = DaySums { max_speed_kmh: Some(90), rules: 7, ..sums(2, DAY, (BASE, 1)) };
    daily.keep(&[done(vec![], &more)]).await.unwrap();
    let each: Vec<&DaySums> = of_one.iter().chain([&more]).collect();
    let total = |day: u32| {
        let mut total = DayTotal { day, ..DayTotal::default() };
        for one in each.iter().filter(|one| one.day == day) {
            total.add(&DayTotal {
                day,
                devices: 1,
                row_count: one.row_count,
                distance_m: one.odometer_sum_m + one.gps_sum_m,
                moving_s: one.moving_s,
                idle_s: one.idle_s,
                engine_s: one.engine_s,
                silent_s: one.silent_s,
                max_speed_kmh: one.max_speed_kmh,
                outdated: u64::from(one.rules != 7),
            });
        }
        total
    };
    let expected = FleetTotals { devices: 2, days: vec![total(DAY), total(DAY + 3)] };
    let named: Vec<DeviceId> = (1..2_000).map(DeviceId::new).collect();
    assert_eq!(daily.totals(&named, 0, NEVER, 7).await.unwrap(), expected);
    assert_eq!(daily.totals(&named, DAY, DAY + 3, 7).await.unwrap(), expected);
    let one = daily.totals(&named[..1], DAY + 1, DAY + 3, 7).await.unwrap();
    assert_eq!((one.devices, one.days.len()), (1, 1));
    for none in [&named[2..], &[]] {
        assert_eq!(daily.totals(none, 0, NEVER, 7).await.unwrap(), FleetTotals::default());
    }
    daily.keep(&[DoneDay { sums: None, ..done(vec![], &more) }]).await.unwrap();
}

pub(crate) async fn sums_around_days_are_those_next_to_them_too(site: Site) {
    let site = site.migrated().await;
    let daily = site.database.daily();
    let made = [(1, 2), (1, 5), (1, 6), (1, 9), (1, 12), (2, 4), (2, 40), (3, 7)];
    let kept: Vec<DoneDay> = made
        .iter()
        .map(|(device, day)| done(vec![], &sums(*device, DAY + day, ((DAY + day) * 86_400, 1))))
        .collect();
    daily.keep(&kept).await.unwrap();
    let around = async |days: &[(u32, u32, u32)]| {
        let days: Vec<_> = days
            .iter()
            .map(|(device, first, last)| (DeviceId::new(*device), DAY + first, DAY + last))
            .collect();
        let sums = daily.around(&days).await.unwrap();
        let mut found: Vec<_> = sums.iter().map(|sums| (sums.device, sums.day - DAY)).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(around(&[(1, 6, 6)]).await, made[1..4]);
    assert_eq!(around(&[(1, 7, 8)]).await, made[2..4]);
    assert_eq!(
        around(&[(1, 2, 9), (2, 50, 50), (4, 1, 1)]).await,
        [&made[..5], &made[6..7]].concat()
    );
    assert_eq!(
        around(&[(1, 0, 0), (2, 4, 40), (3, 7, 7)]).await,
        [&made[..1], &made[5..]].concat()
    );
    // More devices than one statement takes.
    let many: Vec<_> = (1..90).map(|device| (device, 4, 4)).collect();
    assert_eq!(around(&many).await, [(1, 2), (1, 5), (2, 4), (2, 40), (3, 7)]);
}

pub(crate) async fn days_behind_one_that_changed_are_marked_with_it(site: Site) {
    let site = site.migrated().await;
    let (daily, one) = (site.database.daily(), DeviceId::new(1));
    assert_eq!(daily.first_marked(one).await.unwrap(), None);
    let (first, later) = (sums(1, DAY, (BASE, 1)), sums(1, DAY + 9, (BASE + 9 * 86_400, 1)));
    let again = DoneDay { next: Some(DAY + 9), ..done(vec![], &first) };
    for _ in 0..2 {
        daily.keep(&[again.clone(), done(vec![], &later)]).await.unwrap();
        let mark = DayMark { device: one, day: DAY + 9, slot: 0 };
        assert_eq!(daily.marks(NEVER, 9).await.unwrap(), [mark]);
        assert_eq!(daily.first_marked(one).await.unwrap(), Some(DAY + 9));
        assert_eq!(daily.pending(Some(&[one]), DAY, DAY + 9, None).await.unwrap(), 1);
    }
    for (rules, days) in [(1, 0), (2, 1)] {
        let pending = daily.pending(Some(&[one]), DAY, DAY + 9, Some(rules)).await;
        assert_eq!(pending.unwrap(), days, "{rules}");
    }
    // A day of whose marks one is gone is left out: it marks nothing, and keeps the others.
    let gone = DayMark { device: one, day: DAY, slot: 77 };
    let held = DayMark { device: one, day: DAY + 9, slot: 0 };
    for marks in [vec![gone], vec![gone, held]] {
        daily.keep(&[DoneDay { marks, next: Some(DAY + 1), ..again.clone() }]).await.unwrap();
        assert_eq!(daily.marks(NEVER, 9).await.unwrap(), [held]);
    }
}

/// The newest slots come first, and behind them whole days in order.
pub(crate) async fn marks_come_in_the_order_of_the_work(site: Site) {
    let site = site.migrated().await;
    let daily = site.database.daily();
    site.run(
        "INSERT INTO daily_marks (slot, device, day) \
         VALUES (0, 2, 5), (0, 1, 9), (0, 1, 8), (7, 1, 3), (9, 3, 3)",
    )
    .await;
    let order = async |slot, limit| {
        let marks = daily.marks(slot, limit).await.unwrap();
        marks.iter().map(|mark| (mark.slot, mark.device.number(), mark.day)).collect::<Vec<_>>()
    };
    let whole = [(0, 1, 8), (0, 1, 9), (0, 2, 5)];
    assert_eq!(order(10, 9).await, [vec![(9, 3, 3), (7, 1, 3)], whole.to_vec()].concat());
    assert_eq!(order(9, 3).await, [vec![(7, 1, 3)], whole[..2].to_vec()].concat());
    assert_eq!(order(10, 1).await, [(9, 3, 3)]);
}

pub(crate) async fn sums_of_other_rules_are_found_in_order(site: Site) {
    let site = site.migrated().await;
    let daily = site.database.daily();
    let row = vec![frame(2, DAY * 86_400 + 5, 1)];
    site.history().commit(&[part("w", 1, row)], "x").await.unwrap();
    let old = |device, day| DaySums { rules: 0, ..sums(device, day, (day * 86_400, 1)) };
    let days = [old(1, DAY), old(2, DAY), old(2, DAY + 1), DaySums { rules: 1, ..old(2, DAY + 2) }];
    let done: Vec<DoneDay> = days.iter().map(|sums| done(vec![], sums)).collect();
    daily.keep(&done).await.unwrap();
    let mut behind = (DeviceId::new(0), 0);
    let mut found = Vec::new();
    while let Some((sums, has_rows)) = daily.outdated(1, behind, 1).await.unwrap().pop() {
        behind = (DeviceId::new(sums.device), sums.day);
        found.push((sums, has_rows));
    }
    let [one, two, three, _] = days;
    assert_eq!(found, [(one, false), (two, true), (three, false)]);
    assert_eq!(daily.outdated(1, (DeviceId::new(0), 0), 9).await.unwrap(), found);
}

pub(crate) async fn the_last_rows_are_noted_with_the_sums(site: Site) {
    let site = site.migrated().await;
    let (daily, devices) = (site.database.daily(), site.database.devices());
    let Record::Position(row) = frame(1, BASE, 1) else { panic!("no position") };
    site.history().commit(&[part("w", 1, vec![Record::Position(row.clone())])], "x").await.unwrap();
    let one = DeviceId::new(1);
    let noted = async || {
        site.number("SELECT CAST(COALESCE(MAX(newest_at), 0) AS SIGNED) FROM device_last").await
    };
    assert_eq!(noted().await, 0);

    let key = (row.position.recorded_at, row.frame_hash);
    let marks = daily.marks(NEVER, 100).await.unwrap();
    daily.keep(&[done(marks, &sums(1, DAY, key))]).await.unwrap();
    assert_eq!(noted().await, i64::from(BASE));
    let known = site.history().last_known(&[one], NEVER).await.unwrap();
    assert_eq!((&known[0].newest, &known[0].fix), (&Some(row.clone()), &Some(row)));
    assert_eq!(devices.known().await.unwrap()[0].rhythm.on_s, Some(10));
    // An older day changes nothing of it.
    daily.keep(&[done(vec![], &sums(1, DAY - 1, (BASE - 86_400, 1)))]).await.unwrap();
    assert_eq!(noted().await, i64::from(BASE));
    for (up_to, rows) in [(key, 1), ((key.0, key.1 - 1), 0), ((key.0 + 9, 0), 1)] {
        assert_eq!(daily.rows_up_to(one, DAY, up_to).await.unwrap(), rows, "{up_to:?}");
    }
}

pub(crate) async fn a_lease_has_one_holder(site: Site) {
    let site = site.migrated().await;
    let daily = site.database.daily();
    let other = site.another().await.daily();
    let take = async |daily: &dyn Daily, holder: &str, now_ms: u64| {
        daily.lease("daily", holder, now_ms, now_ms + 100).await.unwrap()
    };
    assert!(take(daily.as_ref(), "a", 1000).await);
    assert!(!take(other.as_ref(), "b", 1001).await);
    assert!(take(daily.as_ref(), "a", 1050).await);
    assert!(!take(other.as_ref(), "b", 1150).await);
    assert!(take(other.as_ref(), "b", 1151).await);
    assert!(!take(daily.as_ref(), "a", 1152).await);
    // Given up by whoever has it, and by nobody else, it is free at once.
    daily.release("daily", "a").await.unwrap();
    assert!(!take(daily.as_ref(), "a", 1153).await);
    other.release("daily", "b").await.unwrap();
    assert!(take(daily.as_ref(), "a", 1154).await);
}
