//! Readings: kept once, whole and in order, by devices and channels whose numbers are given
//! once.

use std::collections::{BTreeSet, HashMap};

use futures_util::TryStreamExt as _;
use nemeses_protocol::{
    DeviceId, Identity, OptionalField, PackedFields, Position, PositionPart, PositionRecord,
    Reading, ReadingsRecord, Record, Value, Whereabouts, readings_hash,
};
use nemeses_store::history::{
    ChannelChange, ChannelKind, Derivation, Derived, FIRST_GIVEN_NUMBER, LetterFilter, NewDerived,
    RangeQuery, ReadingsQuery, StoredReadings,
};

use tokio::task::JoinSet;

use super::assert_balanced;
use crate::frames::{BASE, BASE_MS, frame, part};
use crate::site::Site;

const HOUR_MS: u64 = 3_600_000;

fn reading(channel: &str, value: Value) -> Reading {
    Reading { channel: channel.into(), unit: None, value }
}

fn record(identity: &str, recorded_at_ms: u64, readings: Vec<Reading>) -> Record {
    Record::Readings(Box::new(ReadingsRecord {
        identity: identity.parse().unwrap(),
        recorded_at_ms,
        timeless: false,
        content_hash: readings_hash(&readings),
        received_at_ms: BASE_MS,
        position: None,
        readings,
    }))
}

pub(crate) fn temperature(identity: &str, recorded_at_ms: u64, value: f64) -> Record {
    record(identity, recorded_at_ms, vec![reading("temperature", Value::Number(value))])
}

pub(super) async fn stored(site: &Site, device: DeviceId, descending: bool) -> Vec<StoredReadings> {
    let query = ReadingsQuery { device, from_ms: 0, to_ms: u64::MAX / 2, descending };
    site.database.channels().readings(query).try_collect().await.unwrap()
}

pub(crate) async fn number_of(site: &Site, identity: &str) -> DeviceId {
    let identity = identity.parse().unwrap();
    site.database.identities().number_of(&identity).await.unwrap().unwrap()
}

pub(crate) async fn readings_are_kept_once(site: Site) {
    let site = site.migrated().await;
    let several = vec![
        reading("door", Value::Flag(true)),
        reading("state", Value::Text("open wide".into())),
        reading("temperature", Value::Number(21.5)),
        reading("total", Value::Integer(i64::MAX)),
    ];
    let batch = vec![
        temperature("id:a", BASE_MS, 20.0),
        record("id:a", BASE_MS + 500, several.clone()),
        frame(1, BASE, 1),
        temperature("id:a", BASE_MS, 20.0),
        temperature("0A3F73", BASE_MS, 20.0),
    ];
    let committed = site.history().commit(&[part("w", 1, batch.clone())], "x").await.unwrap();
    let first = &committed[0];
    assert_eq!((first.stored, first.duplicates, first.dead_letters, first.values), (4, 1, 0, 7));

    // The next batch has one that is new, and comes twice itself.
    let mixed = [batch, vec![temperature("id:a", BASE_MS, 20.5)]].concat();
    let second = part("w", 2, mixed);
    let committed = site.history().commit(std::slice::from_ref(&second), "x").await.unwrap();
    assert_eq!((committed[0].stored, committed[0].duplicates), (1, 5));
    let again = site.another().await.history().commit(&[second], "y").await.unwrap();
    assert!(again[0].repeated);

    let totals = assert_balanced(&site.database).await;
    assert_eq!((totals.values_received, totals.values_stored), (15, 7));

    let device = number_of(&site, "id:a").await;
    assert_eq!(device, DeviceId::new(FIRST_GIVEN_NUMBER));
    let channels = site.database.channels().channels(device).await.unwrap();
    let names: Vec<_> = channels.iter().map(|it| (&*it.name, it.kind)).collect();
    let expected = [
        ("temperature", ChannelKind::Gauge),
        ("door", ChannelKind::State),
        ("state", ChannelKind::Text),
        ("total", ChannelKind::Gauge),
    ];
    assert_eq!(names.len(), 4, "{names:?}");
    for (name, kind) in expected {
        assert!(names.contains(&(name, kind)), "{names:?}");
    }
    let rows = stored(&site, device, false).await;
    assert_eq!(
        rows.iter().map(|row| row.recorded_at_ms - BASE_MS).collect::<Vec<_>>(),
        [0, 0, 500]
    );
    let mut values: Vec<(&str, Value)> = rows[2]
        .values
        .iter()
        .map(|(number, value)| (&*channels[usize::from(*number)].name, value.clone()))
        .collect();
    values.sort_by_key(|(name, _)| *name);
    let sent: Vec<(&str, Value)> =
        several.iter().map(|reading| (&*reading.channel, reading.value.clone())).collect();
    assert_eq!(values, sent);
    // A device whose identity is a number keeps it.
    assert_eq!(stored(&site, DeviceId::new(0x000A_3F73), false).await.len(), 1);
}

/// One transaction, two rows under one key, and both come back as duplicates.
pub(crate) async fn a_position_and_readings_are_one_record(site: Site) {
    let site = site.migrated().await;
    let identity = "imei:356307042441013";
    let said =
        Whereabouts { latitude_udeg: -19_932_833, gps_fix: Some(true), ..Whereabouts::default() };
    let (position, optional) = said.at(DeviceId::NONE, BASE_MS + 250).unwrap();
    let part_of = |readings: Vec<Reading>| {
        let Record::Readings(record) = record(identity, BASE_MS + 250, readings) else { panic!() };
        let packed = PackedFields::new(&optional, None);
        let position = Some(Box::new(PositionPart { position, packed }));
        Record::Readings(Box::new(ReadingsRecord { position, ..*record }))
    };
    let both = part_of(vec![reading("fuel", Value::Number(40.5))]);
    // Alone, and of a device without a number so far.
    let alone = part_of(Vec::new());
    let commit = async |sequence, records: Vec<Record>| {
        site.history().commit(&[part("w", sequence, records)], "x").await.unwrap()[0]
    };
    let first = commit(1, vec![both.clone(), alone.clone()]).await;
    assert_eq!((first.stored, first.duplicates, first.values), (3, 0, 1));
    let again = commit(2, vec![both, alone, frame(1, BASE, 1)]).await;
    assert_eq!((again.stored, again.duplicates, again.values), (1, 3, 1));
    assert_balanced(&site.database).await;

    let device = number_of(&site, identity).await;
    let rows = stored(&site, device, false).await;
    let query =
        RangeQuery { device, from: 0, to: u32::MAX, descending: false, after: None, limit: None };
    let positions: Vec<PositionRecord> =
        site.history().positions(query).try_collect().await.unwrap();
    assert_eq!(positions.len(), 2);
    let found = positions.iter().find(|row| row.frame_hash == rows[0].content_hash).unwrap();
    assert_eq!(found.position, Position { device, ..position });
    assert_eq!(found.optional(), optional);
    assert_eq!(optional.get(OptionalField::RecordedMs), Some(250));
}

/// More than a page, over days, in both directions.
pub(crate) async fn readings_are_read_in_time_order(site: Site) {
    let site = site.migrated().await;
    let times: Vec<u64> = (0..2_300).map(|number| BASE_MS + number * 150_000).collect();
    for (sequence, times) in (1..).zip(times.chunks(900)) {
        // Two of one moment tell themselves apart by what they say.
        let records = times
            .iter()
            .flat_map(|time| [1.0, 2.0].map(|value| temperature("host:web1", *time, value)));
        let part = part("w", sequence, records.rev().collect());
        site.history().commit(&[part], "x").await.unwrap();
    }
    let device = number_of(&site, "host:WEB1").await;
    let forwards = stored(&site, device, false).await;
    assert_eq!(forwards.len(), 4_600);
    assert!(forwards.is_sorted_by_key(|row| (row.recorded_at_ms, row.content_hash)));
    let mut backwards = stored(&site, device, true).await;
    backwards.reverse();
    assert_eq!(forwards, backwards);

    let query =
        ReadingsQuery { device, from_ms: times[10], to_ms: times[1200] + 1, descending: false };
    let range: Vec<StoredReadings> =
        site.database.channels().readings(query).try_collect().await.unwrap();
    assert_eq!(range, forwards[20..2402]);
    assert_balanced(&site.database).await;
}

pub(crate) async fn numbers_are_given_once_whoever_asks(site: Site) {
    let site = site.migrated().await;
    let identities: Vec<Identity> =
        (0..40).map(|number| format!("imei:35630704244{number:04}").parse().unwrap()).collect();
    let mut asking = JoinSet::new();
    for process in 0..6 {
        let registry = site.another().await.identities();
        let mut asked = identities.clone();
        asked.rotate_left(process * 7);
        asking.spawn(async move {
            let numbers = registry.give_numbers(&asked, 1).await.unwrap();
            asked.into_iter().zip(numbers).collect::<HashMap<Identity, DeviceId>>()
        });
    }
    let given = asking.join_all().await;
    let one = &given[0];
    assert!(given.iter().all(|other| other == one), "{given:?}");
    let numbers: BTreeSet<u32> = one.values().map(|device| device.number()).collect();
    assert_eq!(numbers, (FIRST_GIVEN_NUMBER..FIRST_GIVEN_NUMBER + 40).collect());

    let named = site.database.identities();
    assert_eq!(named.number_of(&"id:nobody".parse().unwrap()).await.unwrap(), None);
    assert_eq!(named.number_of(&identities[3]).await.unwrap(), Some(one[&identities[3]]));
    let listed = named.named_after(Some(DeviceId::new(FIRST_GIVEN_NUMBER + 36)), 10).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|(device, identity)| one[identity] == *device));
}

pub(crate) async fn a_device_has_so_many_channels(site: Site) {
    let site = site.migrated().await;
    let many = |first: usize| {
        (first..first + 300).map(|it| reading(&format!("c{it:04}"), Value::Integer(1))).collect()
    };
    let committed = site
        .history()
        .commit(&[part("w", 1, vec![record("id:many", BASE_MS, many(0))])], "x")
        .await
        .unwrap();
    let first = &committed[0];
    assert_eq!((first.stored, first.dead_letters, first.values), (1, 1, 300));
    let totals = assert_balanced(&site.database).await;
    assert_eq!((totals.values_stored, totals.values_refused), (256, 44));
    let letters = site.database.dead_letters().list(&LetterFilter::default()).await.unwrap();
    assert_eq!(
        (&*letters[0].reason, &*letters[0].topic),
        ("too_many_channels", "/telemetry/id:many")
    );
    assert!(letters[0].bytes.starts_with(b"{\"t\":"), "{letters:?}");

    // Channels that are there go on; a record with none of them is no row.
    let next =
        vec![record("id:many", BASE_MS + 1, many(200)), record("id:many", BASE_MS + 2, many(400))];
    let committed = site.history().commit(&[part("w", 2, next)], "x").await.unwrap();
    assert_eq!((committed[0].stored, committed[0].dead_letters), (1, 2));
    assert_balanced(&site.database).await;
}

pub(crate) async fn channels_are_described(site: Site) {
    let site = site.migrated().await;
    let unit = |value, unit: Option<&str>| {
        let reading = Reading {
            channel: "t".into(),
            unit: unit.map(Into::into),
            value: Value::Number(value),
        };
        record("id:a", BASE_MS, vec![reading])
    };
    let records = vec![unit(1.0, None), unit(2.0, Some("Cel")), unit(3.0, Some("degF"))];
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    let device = number_of(&site, "id:a").await;
    let channels = site.database.channels();
    let units = async || {
        let list = channels.channels(device).await.unwrap();
        list.into_iter().map(|channel| (channel.name, channel.unit)).collect::<Vec<_>>()
    };
    let with = |name: &str, unit: &str| (name.to_owned(), Some(unit.to_owned()));
    assert_eq!(units().await, [with("t", "Cel"), with("t [degF]", "degF")]);

    let change = ChannelChange {
        kind: Some(ChannelKind::Counter),
        label: Some(Some("Öl".to_owned())),
        decimals: Some(Some(1)),
        unit: None,
    };
    assert!(channels.describe(device, "t", &change).await.unwrap());
    assert!(!channels.describe(device, "u", &change).await.unwrap());
    let list = channels.channels(device).await.unwrap();
    assert_eq!(
        (list[0].kind, list[0].label.as_deref(), list[0].decimals),
        (ChannelKind::Counter, Some("Öl"), Some(1))
    );
    assert_eq!(list[1].label, None);
}

pub(crate) async fn channels_are_derived_from_others(site: Site) {
    let site = site.migrated().await;
    let records = vec![temperature("id:a", BASE_MS, 1.5)];
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    let device = number_of(&site, "id:a").await;
    let channels = site.database.channels();
    let own = channels.channels(device).await.unwrap().remove(0);
    let new = |name: &str, source: &str, calibration: &str| NewDerived {
        name: name.to_owned(),
        derivation: Derivation {
            source: source.to_owned(),
            calibration: calibration.parse().unwrap(),
        },
        unit: Some("degF".to_owned()),
        kind: ChannelKind::Gauge,
        label: Some("Öl".to_owned()),
        decimals: Some(0),
    };
    let derive = async |new: &NewDerived| channels.derive(device, new, BASE_MS).await.unwrap();
    let warm = new("warm", &own.name, "linear 1.8 32");
    assert_eq!(derive(&warm).await, Derived::Made);
    assert_eq!(derive(&new(&own.name, &own.name, "linear 1 0")).await, Derived::NameTaken);
    assert_eq!(derive(&new("b", "warm", "linear 1 0")).await, Derived::NoSource);
    let table = new("warm", &own.name, "table 0:32 100:212");
    assert_eq!(derive(&table).await, Derived::Replaced);

    let list = channels.channels(device).await.unwrap();
    let derived = list.last().unwrap();
    assert_eq!((derived.name.as_str(), derived.number), ("warm", own.number));
    assert_eq!(derived.derivation.as_ref(), Some(&table.derivation));
    assert_eq!((derived.unit.as_deref(), derived.label.as_deref()), (Some("degF"), Some("Öl")));
    assert_eq!(derived.read(&Value::Number(50.0)), Some(Value::Number(122.0)));
    let change = ChannelChange { label: Some(None), decimals: Some(Some(2)), ..Default::default() };
    assert!(channels.describe(device, "warm", &change).await.unwrap());
    let list = channels.channels(device).await.unwrap();
    assert_eq!((list[0].decimals, &list[0].label), (own.decimals, &own.label));
    let derived = list.last().unwrap();
    assert_eq!((derived.decimals, derived.label.as_deref()), (Some(2), None));

    assert!(channels.underive(device, "warm").await.unwrap());
    assert!(!channels.underive(device, "warm").await.unwrap());
    assert!(!channels.underive(device, &own.name).await.unwrap());
    assert_eq!(channels.channels(device).await.unwrap(), [own]);
}

pub(crate) async fn readings_leave_when_they_are_too_old(site: Site) {
    let site = site.migrated().await;
    site.database.retention().prepare(BASE, BASE + 30 * 86_400).await.unwrap();
    let days = (0..6_u64).map(|day| temperature("id:a", BASE_MS + day * 24 * HOUR_MS, 1.5));
    let frames = [0, 5].map(|day| frame(1, BASE + day * 86_400, 1));
    site.history().commit(&[part("w", 1, days.chain(frames).collect())], "x").await.unwrap();
    let retention = site.database.retention();
    let before = BASE + 3 * 86_400;
    while retention.expire_positions(before).await.unwrap().more {}
    let device = number_of(&site, "id:a").await;
    assert_eq!(stored(&site, device, false).await.len(), 3);
    let totals = assert_balanced(&site.database).await;
    assert_eq!(totals.values_stored, 6);
    let counts =
        site.database.books().count_tables(nemeses_store::history::Minutes::ALL).await.unwrap();
    assert_eq!((counts.readings, counts.readings_removed, counts.values_removed), (3, 3, 3));
}

/// A live store that has lost its memory gets the values back as parsers would offer them.
pub(crate) async fn the_newest_values_are_rebuilt_under_the_names_of_parsers(site: Site) {
    let site = site.migrated().await;
    let with_unit = |value: f64, unit: &str| Reading {
        unit: Some(unit.into()),
        ..reading("temperature", Value::Number(value))
    };
    let records = vec![
        record(
            "id:a",
            BASE_MS + 1_000,
            vec![with_unit(20.0, "Cel"), reading("b", Value::Flag(true))],
        ),
        record("id:a", BASE_MS + 3_000, vec![with_unit(21.0, "Cel")]),
        record("id:a", BASE_MS + 2_000, vec![with_unit(70.0, "degF")]),
        temperature("id:a", BASE_MS - 1_000, 5.0),
        frame(1, BASE, 1),
    ];
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    let device = number_of(&site, "id:a").await;
    let chunks = site.history().recent_entries(BASE_MS, BASE).try_concat().await.unwrap();
    let entry = |wanted: DeviceId| chunks.iter().find(|entry| entry.device == wanted).unwrap();
    assert!(entry(DeviceId::new(1)).values.is_none());
    let values = entry(device).values.as_ref().unwrap();
    assert_eq!((entry(device).seen_at_ms, values.seen_at_ms), (BASE_MS, BASE_MS));
    let found: Vec<_> = values
        .values()
        .iter()
        .map(|value| (&*value.channel, value.unit.as_deref(), value.value.clone()))
        .collect();
    let expected = [
        ("b", None, Value::Flag(true)),
        ("temperature", Some("Cel"), Value::Number(21.0)),
        ("temperature", Some("degF"), Value::Number(70.0)),
    ];
    assert_eq!(found, expected);
    // What arrived before is not asked for.
    let chunks = site.history().recent_entries(BASE_MS + 1, BASE).try_concat().await.unwrap();
    assert!(chunks.iter().all(|entry| entry.device != device));
}
