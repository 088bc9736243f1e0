//! Optional fields of positions: any of them, by every way in which rows are written.

use futures_util::TryStreamExt as _;
use nemeses_protocol::{OptionalField, OptionalFields, PackedFields, PositionRecord, Record};
use nemeses_store::history::Step;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::assert_balanced;
use super::reads::{everything, read};
use crate::frames::{BASE, BASE_MS, part, record};
use crate::site::{Product, Site};

const DEVICES: u32 = 200;
const WEEK: u32 = 7 * 86_400;

/// Any of the fields, with any values.
fn any_fields(rng: &mut StdRng) -> OptionalFields {
    let mut fields = OptionalFields::NONE;
    for field in OptionalField::ALL {
        if rng.random() {
            let spec = field.spec();
            fields.set(field, rng.random_range(spec.min..=spec.max)).unwrap();
        }
    }
    fields
}

/// A row of each device in a second: every other one has fields, some have raw bytes.
fn rows(second: u32, rng: &mut StdRng) -> Vec<PositionRecord> {
    let row = |device| {
        let fields = if device % 2 == 0 { any_fields(rng) } else { OptionalFields::NONE };
        let raw = (device % 8 < 2 && second % 2 == 1).then(|| rng.random::<[u8; 33]>());
        let packed = PackedFields::new(&fields, raw.as_ref().map(|raw| &raw[..]));
        PositionRecord { packed, ..record(device, BASE + second, device.into()) }
    };
    (0..DEVICES).map(row).collect()
}

fn records(rows: &[PositionRecord]) -> Vec<Record> {
    rows.iter().cloned().map(Record::Position).collect()
}

pub(crate) async fn optional_fields_come_back_however_they_are_written(site: Site) {
    let site = site.migrated().await;
    let mut rng = StdRng::seed_from_u64(7);
    let history = site.history();
    let mut sent = Vec::new();
    // By commits that know the devices (in a journal where there is one, in bulk where the
    // server has that), and a few rows at a time.
    for second in 0..6 {
        let rows = rows(second, &mut rng);
        history.commit(&[part("w", (second + 1).into(), records(&rows))], "x").await.unwrap();
        sent.extend(rows);
    }
    for (sequence, few) in (100..).zip(rows(6, &mut rng).chunks(3)) {
        history.commit(&[part("w", sequence, records(few))], "x").await.unwrap();
        sent.extend_from_slice(few);
    }
    // All of them again: by a commit that looks at what is there.
    for (sequence, rows) in (1000..).zip(sent.chunks(500)) {
        let done = history.commit(&[part("w", sequence, records(rows))], "x").await.unwrap();
        assert_eq!(done[0].duplicates, u64::try_from(rows.len()).unwrap());
    }
    for device in 0..DEVICES {
        let expected: Vec<_> = sent
            .iter()
            .filter(|row| row.position.device.number() == device)
            .map(|row| (row.clone(), row.optional(), row.raw().map(<[u8]>::to_vec)))
            .collect();
        let found = read(&*site.another().await.history(), everything(device)).await;
        let found: Vec<_> = found
            .into_iter()
            .map(|row| (row.clone(), row.optional(), row.raw().map(<[u8]>::to_vec)))
            .collect();
        assert_eq!(found, expected, "{device}");
    }
    let entries = history.recent_entries(BASE_MS, BASE).try_concat().await.unwrap();
    assert_eq!(entries.len(), usize::try_from(DEVICES).unwrap());
    assert_balanced(&site.database).await;
}

/// Of a server: InnoDB touches no row, and weeks can be exchanged afterwards, also while
/// retention is at work.
pub(crate) async fn the_column_of_optional_fields_is_widened_without_copying(site: Site) {
    if !site.product.is_server() {
        return;
    }
    let site = site.migrated().await;
    site.run("ALTER TABLE positions MODIFY COLUMN raw VARBINARY(64) NULL").await;
    let (history, retention) = (site.history(), site.database.retention());
    retention.prepare(BASE, BASE + 9 * WEEK).await.unwrap();
    let old = [record(1, BASE, 1), record(1, BASE + 4 * WEEK, 1)];
    history.commit(&[part("w", 1, records(&old))], "x").await.unwrap();
    site.run("CREATE TABLE positions_copy LIKE positions").await;
    site.run("ALTER TABLE positions_copy REMOVE PARTITIONING").await;

    site.run("DELETE FROM schema_version; INSERT INTO schema_version VALUES (4, 0)").await;
    site.another().await.history().migrate().await.unwrap();
    let widths = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() \
        AND column_name = 'raw' AND character_maximum_length = 255";
    assert_eq!(site.number(widths).await, 2);
    // What the upgrade leaves to the server does not need to copy.
    let algorithm = match site.product {
        Product::MySql => "INPLACE, LOCK = NONE",
        _ => "INSTANT",
    };
    site.run("DROP TABLE positions_copy").await;
    site.run("ALTER TABLE positions MODIFY COLUMN raw VARBINARY(64) NULL").await;
    let widen = "ALTER TABLE positions MODIFY COLUMN raw VARBINARY(255) NULL, ALGORITHM =";
    site.run(&format!("{widen} {algorithm}")).await;

    let mut fields = OptionalFields::NONE;
    fields.set(OptionalField::Altitude, -5).unwrap();
    let packed = PackedFields::new(&fields, Some(&[0x50; 200]));
    let new = PositionRecord { packed, ..record(1, BASE + 4 * WEEK + 1, 1) };
    history.commit(&[part("w", 2, records(std::slice::from_ref(&new)))], "x").await.unwrap();
    let mut removed = 0;
    loop {
        let Step { more, removed: some, .. } =
            retention.expire_positions(BASE + 3 * WEEK).await.unwrap();
        removed += some;
        if !more {
            break;
        }
    }
    assert_eq!(removed, 1);
    let [_, last] = old;
    assert_eq!(read(&*history, everything(1)).await, [last, new]);
    assert_balanced(&site.database).await;
}
