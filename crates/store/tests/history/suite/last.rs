//! Where devices were last, however much of it is noted.

use nemeses_protocol::{Composition, DeviceId, PositionRecord, Record};
use nemeses_store::history::{History, LastKnown};
use nemeses_store::live::Version;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::frames::{BASE, part, record};
use crate::site::Site;

/// Nothing recorded later counts, as the API asks.
const NOT_AFTER: u32 = BASE + 86_400;
const DEVICES: u32 = 40;

/// What `last_known` should answer, out of all rows there are.
fn expected(rows: &[PositionRecord], device: DeviceId) -> LastKnown {
    let of_device = || {
        rows.iter().filter(move |row| {
            row.position.device == device
                && row.position.recorded_at <= NOT_AFTER
                && Version::may_be_newest(row)
        })
    };
    let has_fix = |row: &&PositionRecord| row.position.composition.gps_fix();
    let newest = of_device().max_by_key(|row| Version::of(row)).cloned();
    let fix = of_device().filter(has_fix).max_by_key(|row| Version::of(row)).cloned();
    LastKnown { newest, fix }
}

async fn all_are_right(history: &dyn History, rows: &[PositionRecord], when: &str) {
    let devices: Vec<DeviceId> = (0..DEVICES).rev().map(DeviceId::new).collect();
    let found = history.last_known(&devices, NOT_AFTER).await.unwrap();
    assert_eq!(found.len(), devices.len());
    for (device, found) in devices.into_iter().zip(found) {
        assert_eq!(found, expected(rows, device), "{device} {when}");
    }
}

/// Rows of the last days, live and from memory, some without a fix, some from clocks that
/// are ahead, and one of a clock that is wrong by years. Devices from 30 on send nothing.
fn some_rows(rng: &mut StdRng, count: u32) -> Vec<PositionRecord> {
    let mut rows = Vec::new();
    for _ in 0..count {
        let arrived = BASE - rng.random_range(0..3 * 86_400);
        let recorded_at = match rng.random_range(0..10) {
            0 => arrived + rng.random_range(1..43_200),
            1 => arrived + rng.random_range(1..60),
            2 => arrived - rng.random_range(0..86_400),
            3 => BASE + 40_000_000,
            _ => arrived,
        };
        let mut row = record(rng.random_range(0..30), recorded_at, rng.random());
        row.received_at_ms = u64::from(arrived) * 1000 + rng.random_range(0..1000);
        if rng.random_bool(0.3) {
            row.position.composition = Composition(Composition::HISTORICAL);
        }
        rows.push(row);
    }
    rows
}

pub(crate) async fn where_devices_were_last(site: Site) {
    let site = site.migrated().await;
    let history = site.history();
    let mut rng = StdRng::seed_from_u64(32);
    let (mut rows, mut sequence) = (Vec::new(), 0);
    for count in [60, 20, 20, 300] {
        let some = some_rows(&mut rng, count);
        rows.extend(some.iter().cloned());
        sequence += 1;
        let records = some.into_iter().map(Record::Position).collect();
        history.commit(&[part("w", sequence, records)], "x").await.unwrap();
        // Nothing of it is noted: this process's commits are known to be missing only by
        // their marks, which a slot has once.
        site.run("UPDATE device_last SET noted_slot = 0").await;
        all_are_right(&*history, &rows, "not noted").await;
        assert!(history.note_last(u64::MAX).await.unwrap() > 0);
        all_are_right(&*history, &rows, "noted").await;
        assert_eq!(history.note_last(u64::MAX).await.unwrap(), 0);
    }
    // Without their marks and rows, nothing is looked up the long way.
    site.run("DELETE FROM device_days").await;
    let noted = history.last_known(&[DeviceId::new(7)], NOT_AFTER).await.unwrap();
    assert_eq!(noted, [expected(&rows, DeviceId::new(7))]);
}

pub(crate) async fn what_a_process_that_ended_could_not_note_is_recalled(site: Site) {
    let site = site.migrated().await;
    let history = site.history();
    let first = record(1, BASE, 1);
    let records = vec![Record::Position(first)];
    history.commit(&[part("w", 1, records)], "x").await.unwrap();
    history.note_last(u64::MAX).await.unwrap();

    let killed = site.another().await.history();
    let second = record(1, BASE + 10, 2);
    let records = vec![Record::Position(second.clone())];
    killed.commit(&[part("w", 2, records)], "x").await.unwrap();
    drop(killed);
    let next = site.another().await.history();
    assert_eq!(next.recall_last().await.unwrap(), 2);
    next.note_last(u64::MAX).await.unwrap();
    let found = next.last_known(&[DeviceId::new(1)], NOT_AFTER).await.unwrap();
    assert_eq!(found[0].newest, Some(second.clone()));
    // Whoever notes less later takes nothing back.
    let records = vec![Record::Position(record(1, BASE + 5, 3))];
    history.commit(&[part("w", 3, records)], "x").await.unwrap();
    history.note_last(u64::MAX).await.unwrap();
    let found = history.last_known(&[DeviceId::new(1)], NOT_AFTER).await.unwrap();
    assert_eq!(found[0].newest, Some(second));
}
