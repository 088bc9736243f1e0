//! Marks of days, the sums kept for them, and the lease of whoever keeps them.

use nemeses_protocol::{DeviceId, Record};
use nemeses_store::history::{Daily, DayMark, DaySums, DoneDay, LastRow};

use crate::frames::{BASE, frame, part};
use crate::site::Site;

const DAY: u32 = BASE / 86_400;
const NEVER: u32 = u32::MAX;

fn sums(device: u32, day: u32, last: (u32, u64)) -> DaySums {
    DaySums {
        device,
        day,
        row_count: 7,
        before: Some((5, u64::MAX)),
        first_at: last.0,
        last_at: last.0,
        last_hash: last.1,
        last_speed_kmh: Some(9),
        last_ignition: true,
        place_at: Some(3),
        place_latitude_udeg: -5,
        place_longitude_udeg: -180_000_000,
        gps_sum_mm: 1 << 40,
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
    DoneDay { marks, device, day: recorded_at / 86_400, sums, newest: last, fix: last }
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
    assert_eq!(daily.pending(None, DAY, DAY).await.unwrap(), 1);
    assert_eq!(daily.pending(None, 0, NEVER).await.unwrap(), 2);
    assert_eq!(daily.pending(Some(&[one, two]), DAY, DAY).await.unwrap(), 1);
    assert_eq!(daily.pending(Some(&[two]), DAY, DAY).await.unwrap(), 0);

    let last = (BASE + 3, u64::MAX - 1);
    let of_one: Vec<DayMark> =
        marks.iter().copied().filter(|mark| mark.device.number() == 1).collect();
    let first = sums(1, DAY, last);
    daily.keep(&[done(of_one.clone(), &first)]).await.unwrap();
    assert_eq!(daily.day(DeviceId::new(1), DAY).await.unwrap(), Some(first.clone()));
    assert_eq!(daily.pending(None, DAY, DAY).await.unwrap(), 0);
    // Whoever comes with the same marks later has nothing newer to say.
    let other = DaySums { row_count: 1, ..first.clone() };
    daily.keep(&[done(of_one, &other)]).await.unwrap();
    assert_eq!(daily.day(DeviceId::new(1), DAY).await.unwrap(), Some(first.clone()));

    let later = sums(1, DAY + 3, (BASE + 3 * 86_400, 1));
    daily.keep(&[done(vec![], &later)]).await.unwrap();
    assert_eq!(daily.next_day(DeviceId::new(1), DAY).await.unwrap(), Some(later.clone()));
    assert_eq!(daily.next_day(DeviceId::new(1), DAY + 3).await.unwrap(), None);
    let both = daily.sums(&[DeviceId::new(2), DeviceId::new(1)], DAY, DAY + 3).await.unwrap();
    assert_eq!(both, [first, later.clone()]);
    let gone = DoneDay { sums: None, ..done(vec![], &later) };
    daily.keep(&[gone]).await.unwrap();
    assert_eq!(daily.day(DeviceId::new(1), DAY + 3).await.unwrap(), None);
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
