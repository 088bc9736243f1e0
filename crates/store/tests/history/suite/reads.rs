//! Reads: ranges, the last position, live entries.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures_util::TryStreamExt as _;
use nemeses_protocol::{Composition, DeviceId, PackedFields, PositionRecord, Reason, Record};
use nemeses_store::history::{
    History, LetterFilter, LoginRole, NewCommand, NewToken, Profile, RangeQuery, Scopes, TokenKind,
};
use nemeses_store::live::LiveEntry;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::assert_balanced;
use crate::frames::{BASE, BASE_MS, frame, letter, part, record};
use crate::site::Site;

/// All rows of one device.
pub(crate) fn everything(device: u32) -> RangeQuery {
    RangeQuery {
        device: DeviceId::new(device),
        from: 0,
        to: u32::MAX,
        descending: false,
        after: None,
        limit: None,
    }
}

pub(crate) async fn read(history: &dyn History, query: RangeQuery) -> Vec<PositionRecord> {
    history.positions(query).try_collect().await.unwrap()
}

/// What [`read`] should answer, out of all rows there are.
pub(crate) fn expected(rows: &[PositionRecord], query: &RangeQuery) -> Vec<(u32, u64)> {
    let sorted: BTreeMap<(u32, u64), DeviceId> = rows
        .iter()
        .filter(|row| row.position.device == query.device)
        .map(|row| ((row.position.recorded_at, row.frame_hash), row.position.device))
        .collect();
    let mut keys: Vec<(u32, u64)> = sorted
        .into_keys()
        .filter(|key| (query.from..=query.to).contains(&key.0))
        .filter(|key| match query.after {
            Some(after) if query.descending => *key < after,
            Some(after) => *key > after,
            None => true,
        })
        .collect();
    if query.descending {
        keys.reverse();
    }
    keys.truncate(query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()));
    keys
}

pub(crate) fn keys(rows: &[PositionRecord]) -> Vec<(u32, u64)> {
    rows.iter().map(|row| (row.position.recorded_at, row.frame_hash)).collect()
}

pub(crate) async fn every_field_comes_back(site: Site) {
    let site = site.migrated().await;
    let mut full = record(0xFFFF_FFFF, u32::MAX, u64::MAX);
    full.position.direction_cdeg = u16::MAX;
    full.position.odometer_m = u32::MAX;
    full.position.hour_meter_min = u32::MAX;
    full.position.composition = Composition(u16::MAX);
    full.position.extension = Some(u16::MAX);
    full.position.speed_kmh = u8::MAX;
    full.position.latitude_udeg = i32::MIN;
    full.position.longitude_udeg = i32::MAX;
    full.packed = Some(PackedFields::from_stored((0..35).collect()));
    let mut bare = record(0, 0, 0);
    bare.position.composition = Composition(0);
    bare.received_at_ms = 0;
    let records = vec![Record::Position(full.clone()), Record::Position(bare.clone())];
    let parts = [part("w", u64::MAX, records)];
    site.history().commit(&parts, "x").await.unwrap();
    assert!(site.history().commit(&parts, "x").await.unwrap()[0].repeated);
    assert_eq!(read(&*site.history(), everything(0xFFFF_FFFF)).await, [full]);
    assert_eq!(read(&*site.history(), everything(0)).await, [bare]);
    // Times that no clock shows are kept, too, and counted.
    let mut late = record(1, BASE, 1);
    late.received_at_ms = u64::MAX;
    let parts = [part("w", 2, vec![Record::Position(late)])];
    assert_eq!(site.history().commit(&parts, "x").await.unwrap()[0].stored, 1);
    assert_eq!(assert_balanced(&site.database).await.stored, 3);
}

/// The edges of an id's width, in every table that has a device.
pub(crate) async fn ids_beyond_24_bits_are_whole_everywhere(site: Site) {
    let site = site.migrated().await;
    let numbers = [0x00FF_FFFF, 0x0100_0000, 0x8000_0000, u32::MAX];
    let devices = numbers.map(DeviceId::new);
    // Live rows often enough that they go by every way of writing.
    for sequence in 1..=3_u32 {
        let rows = numbers.map(|number| frame(number, BASE + sequence, 1));
        let letters = numbers.map(|number| letter(Some(number), BASE_MS, b"no frame"));
        let letters = letters.map(|letter| Record::DeadLetter(Box::new(letter)));
        let records = rows.into_iter().chain(letters).collect();
        site.history().commit(&[part("w", sequence.into(), records)], "x").await.unwrap();
    }
    let groups = site.database.groups();
    let group = groups.add("North", BASE_MS).await.unwrap();
    let new = NewToken {
        user_id: 7,
        kind: TokenKind::Token,
        name: "all",
        devices: &devices,
        scopes: Scopes::LOOK,
        history_from: 0,
        secret: None,
        expires_at_ms: u64::from(u32::MAX),
    };
    let token = site.database.tokens().add(new, 1).await.unwrap();
    for device in devices {
        site.database.devices().put(&Profile::new(device, BASE_MS)).await.unwrap();
        groups.put(group, device, BASE_MS).await.unwrap();
        let role = LoginRole::Device(device);
        site.database.logins().add(&device.to_string(), role, BASE_MS).await.unwrap();
        let (payload, expires_at_ms) = (&b"x"[..], 1000);
        let command = NewCommand { device, payload, user_id: 7, asked_by: "anna", expires_at_ms };
        let id = site.database.commands().add(command, 10).await.unwrap().unwrap();

        let history = site.history();
        let rows = read(&*history, everything(device.number())).await;
        assert_eq!(keys(&rows), [1, 2, 3].map(|after_s| (BASE + after_s, 1)), "{device}");
        assert!(rows.iter().all(|row| row.position.device == device));
        let last = history.last_position(device, u32::MAX, false).await.unwrap().unwrap();
        assert_eq!((last.position.device, last.position.recorded_at), (device, BASE + 3));
        let (profile, login) = (site.database.devices(), site.database.logins());
        assert_eq!(profile.find(device).await.unwrap().unwrap().device, device);
        assert_eq!(login.find(&device.to_string()).await.unwrap().unwrap().role, role);
        let command = site.database.commands().get(device, id).await.unwrap().unwrap();
        assert_eq!(command.device, device);
        let of_device = LetterFilter { device: Some(device), ..LetterFilter::default() };
        let letters = site.database.dead_letters().list(&of_device).await.unwrap();
        assert_eq!(
            letters.iter().map(|letter| letter.device).collect::<Vec<_>>(),
            [Some(device); 3]
        );
    }
    assert_eq!(groups.devices(group).await.unwrap(), devices);
    let token = site.database.tokens().get(token, 1).await.unwrap().unwrap();
    assert_eq!(token.devices, devices);
    let mut listed = Vec::new();
    while let Some(device) =
        site.history().devices_after(listed.last().copied(), 1).await.unwrap().pop()
    {
        listed.push(device);
    }
    assert_eq!(listed, devices);
    let known = site.database.devices().known().await.unwrap();
    let known: Vec<DeviceId> = known.into_iter().map(|known| known.device).collect();
    assert_eq!(known, devices);
    assert_balanced(&site.database).await;
}

/// Sparse and dense days, several devices, more rows than a page.
pub(crate) async fn ranges_agree_with_a_model(site: Site) {
    let site = site.migrated().await;
    let mut rng = StdRng::seed_from_u64(3);
    let mut rows: Vec<PositionRecord> = (0..2_400).map(|n| record(1, BASE + n * 5, 1)).collect();
    rows.extend((0..300).map(|_| {
        let second = BASE - rng.random_range(0..100 * 86_400);
        record(rng.random_range(1..4), second, rng.random_range(0..3))
    }));
    rows.extend((0..80).map(|day| record(2, day * 86_400, u64::MAX - u64::from(day))));
    let records: Vec<Record> = rows.iter().cloned().map(Record::Position).collect();
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();

    let history = site.history();
    for number in 0..120 {
        let (a, b) = (any_second(&mut rng), any_second(&mut rng));
        let after = (any_second(&mut rng), rng.random_range(0..3));
        let query = RangeQuery {
            device: DeviceId::new(rng.random_range(1..5)),
            from: if number % 3 == 0 { 0 } else { a.min(b) },
            to: if number % 4 == 0 { u32::MAX } else { a.max(b) },
            descending: rng.random(),
            after: rng.random_bool(0.4).then_some(after),
            limit: rng.random_bool(0.5).then(|| rng.random_range(0..1_500)),
        };
        let found = read(&*history, query.clone()).await;
        assert_eq!(keys(&found), expected(&rows, &query), "{query:?}");
    }
    for descending in [false, true] {
        page_through(&*history, &rows, RangeQuery { descending, ..everything(1) }).await;
    }
    let reversed = RangeQuery { from: 10, to: 9, ..everything(1) };
    assert_eq!(read(&*history, reversed).await, []);
}

fn any_second(rng: &mut StdRng) -> u32 {
    if rng.random() {
        BASE - rng.random_range(0..100 * 86_400)
    } else {
        BASE + rng.random_range(0..12_000)
    }
}

/// Cursor by cursor, as the API does it, nothing is left out or given twice.
async fn page_through(history: &dyn History, rows: &[PositionRecord], query: RangeQuery) {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = RangeQuery { after, limit: Some(333), ..query.clone() };
        let page = keys(&read(history, page).await);
        let Some(last) = page.last() else { break };
        after = Some(*last);
        found.extend(page);
    }
    assert_eq!(found, expected(rows, &query));
}

pub(crate) async fn hashes_order_frames_of_one_second(site: Site) {
    let site = site.migrated().await;
    let hashes = [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX];
    let records: Vec<Record> = hashes.iter().rev().map(|hash| frame(1, BASE, *hash)).collect();
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    let history = site.history();
    let ascending: Vec<u64> =
        read(&*history, everything(1)).await.iter().map(|row| row.frame_hash).collect();
    assert_eq!(ascending, hashes);
    for (index, hash) in hashes.into_iter().enumerate() {
        let behind = RangeQuery { after: Some((BASE, hash)), ..everything(1) };
        assert_eq!(read(&*history, behind.clone()).await.len(), hashes.len() - 1 - index);
        let before = RangeQuery { descending: true, ..behind };
        assert_eq!(read(&*history, before).await.len(), index);
    }
}

pub(crate) async fn the_last_position_is_found_across_days(site: Site) {
    let site = site.migrated().await;
    let mut without_fix = record(1, BASE, 9);
    without_fix.position.composition = Composition(0);
    let mut records: Vec<Record> =
        (1..200).map(|day| frame(1, BASE - 400 * 86_400 - day * 86_400, 1)).collect();
    records.push(Record::Position(without_fix.clone()));
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();

    let history = site.history();
    let last = async |not_after, with_fix| {
        let found = history.last_position(DeviceId::new(1), not_after, with_fix).await.unwrap();
        found.map(|row| row.position.recorded_at)
    };
    let newest_fix = BASE - 401 * 86_400;
    let oldest = BASE - 599 * 86_400;
    assert_eq!(last(u32::MAX, false).await, Some(BASE));
    assert_eq!(last(BASE, false).await, Some(BASE));
    assert_eq!(last(BASE - 1, false).await, Some(newest_fix));
    assert_eq!(last(u32::MAX, true).await, Some(newest_fix));
    assert_eq!(last(oldest, true).await, Some(oldest));
    assert_eq!(last(oldest - 1, true).await, None);
    assert_eq!(history.last_position(DeviceId::new(2), BASE, false).await.unwrap(), None);
}

pub(crate) async fn a_device_is_known_by_any_trace(site: Site) {
    let site = site.migrated().await;
    let history = site.history();
    for device in 1..=7 {
        assert!(!history.knows_device(DeviceId::new(device)).await.unwrap());
    }
    let letter = Record::DeadLetter(Box::new(letter(Some(2), BASE_MS, b"x")));
    let mut unknown = crate::frames::letter(Some(5), BASE_MS, b"x");
    unknown.reason = Reason::Quarantined;
    let unknown = Record::DeadLetter(Box::new(unknown));
    let records = vec![frame(1, BASE, 1), letter, unknown];
    history.commit(&[part("w", 1, records)], "x").await.unwrap();
    let role = LoginRole::Device(DeviceId::new(3));
    site.database.logins().add("000003", role, BASE_MS).await.unwrap();
    let profile = Profile::new(DeviceId::new(6), BASE_MS);
    site.database.devices().put(&profile).await.unwrap();
    let groups = site.database.groups();
    let group = groups.add("North", BASE_MS).await.unwrap();
    groups.put(group, DeviceId::new(7), BASE_MS).await.unwrap();
    let known = [1, 2, 3, 6, 7];
    for (device, known) in (1..=7).map(|device| (device, known.contains(&device))) {
        assert_eq!(history.knows_device(DeviceId::new(device)).await.unwrap(), known, "{device}");
    }
}

pub(crate) async fn devices_are_listed_in_pages(site: Site) {
    let site = site.migrated().await;
    let history = site.history();
    assert_eq!(history.devices_after(None, 10).await.unwrap(), []);
    // In any order, on one day or several; device 0 is a device too.
    let rows = [7, 0, 3, 0xFF_FFFF, 3, 12].into_iter().enumerate();
    let day = |index| BASE - 86_400 * u32::try_from(index).unwrap();
    let rows = rows.map(|(index, device)| frame(device, day(index), 1)).collect();
    history.commit(&[part("w", 1, rows)], "x").await.unwrap();
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = history.devices_after(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(*last);
        pages.push(page.into_iter().map(DeviceId::number).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![0, 3], vec![7, 12], vec![0xFF_FFFF]]);
}

pub(crate) async fn live_entries_are_rebuilt(site: Site) {
    let site = site.migrated().await;
    let mut rng = StdRng::seed_from_u64(5);
    let mut rows = Vec::new();
    // Enough devices for two chunks, several frames each, in any order.
    for number in 0..5_000_u32 {
        let mut row = record(number % 1_700, BASE + rng.random_range(0..900), rng.random());
        let status: u16 = rng.random();
        row.position.composition = Composition(status);
        row.received_at_ms = BASE_MS + rng.random_range(0..1_000_000);
        rows.push(row);
    }
    let records = rows.iter().cloned().map(Record::Position).collect();
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();

    let (since_ms, recorded_from) = (BASE_MS + 300_000, BASE + 200);
    let mut model: BTreeMap<u32, LiveEntry> = BTreeMap::new();
    for row in &rows {
        if row.received_at_ms >= since_ms && row.position.recorded_at >= recorded_from {
            let entry = LiveEntry::from_record(row);
            let device = entry.device.number();
            match model.get_mut(&device) {
                Some(held) => held.merge(entry),
                None => drop(model.insert(device, entry)),
            }
        }
    }
    let history = site.history();
    let chunks: Vec<Vec<LiveEntry>> =
        history.recent_entries(since_ms, recorded_from).try_collect().await.unwrap();
    assert!(chunks.len() >= 2 && chunks.iter().all(|chunk| chunk.len() <= 1000));
    let rebuilt: BTreeMap<u32, LiveEntry> =
        chunks.into_iter().flatten().map(|entry| (entry.device.number(), entry)).collect();
    assert_eq!(rebuilt, model);
}

/// As when requests end while their answers are being read.
pub(crate) async fn reads_that_are_broken_off_cost_no_connection(site: Site) {
    let site = site.migrated().await;
    let rows: Vec<Record> = (0..2500).map(|n| frame(1, BASE + n, n.into())).collect();
    site.history().commit(&[part("w", 1, rows)], "x").await.unwrap();
    for polls in 1..60 {
        for _ in 0..4 {
            let history = site.history();
            let mut reading = pin!(read(history.as_ref(), everything(1)));
            let mut polled = 0;
            poll_fn(|context| {
                polled += 1;
                let over = polled > polls || reading.as_mut().poll(context).is_ready();
                if over { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }
    // More at once than there are connections.
    let reads = (0..20).map(|_| async { read(site.history().as_ref(), everything(1)).await.len() });
    assert_eq!(futures_util::future::join_all(reads).await, [2500; 20]);
}
