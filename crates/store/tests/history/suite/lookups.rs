//! The books, read, and what became of one frame.

use nemeses_protocol::{DeviceId, Reason, Record};
use nemeses_store::history::{LookUp, Minutes};

use crate::frames::{BASE, BASE_MS, frame, letter, part, pings};
use crate::site::Site;

const FOUNDING: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";

pub(crate) async fn a_frame_is_looked_up(site: Site) {
    let site = site.migrated().await;
    let device = DeviceId::new(0x0A_3F73);
    let bytes = hex::decode(FOUNDING).unwrap();
    let mut mismatch = letter(Some(device.number()), BASE_MS, &bytes);
    mismatch.reason = Reason::IdentityMismatch;
    let records = vec![
        frame(device.number(), BASE, 5),
        frame(device.number(), BASE, 5),
        frame(device.number(), BASE, u64::MAX),
        Record::DeadLetter(Box::new(mismatch)),
    ];
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();

    let books = site.database.books();
    let recorded = |frame_hash| LookUp::Recorded { device, recorded_at: BASE, frame_hash };
    let found = books.look_up(&recorded(None)).await.unwrap();
    let rows: Vec<(u64, u64)> =
        found.rows.iter().map(|row| (row.record.frame_hash, row.duplicates)).collect();
    assert_eq!(rows, [(5, 1), (u64::MAX, 0)]);
    assert_eq!(found.letters.len(), 1);
    assert_eq!(found.letters[0].reason, "identity_mismatch");
    assert_eq!(found.letters[0].recorded_at, Some(BASE));

    let found = books.look_up(&recorded(Some(u64::MAX))).await.unwrap();
    assert_eq!(found.rows.len(), 1);
    assert_eq!(books.look_up(&recorded(Some(6))).await.unwrap().rows, []);
    let found = books.look_up(&LookUp::Bytes(bytes)).await.unwrap();
    assert_eq!((found.rows.len(), found.letters.len()), (0, 1));
    let found = books.look_up(&LookUp::Bytes(vec![1])).await.unwrap();
    assert_eq!((found.rows.len(), found.letters.len()), (0, 0));
}

pub(crate) async fn books_are_read_by_worker_and_minute(site: Site) {
    let site = site.migrated().await;
    let minute = BASE / 60;
    let mut parts = Vec::new();
    for (worker, sequence) in [("a", 1), ("a", 2), ("b", 1)] {
        let device = u32::try_from(parts.len()).unwrap();
        let mut part =
            part(worker, sequence, vec![frame(device, BASE, 1), frame(device, BASE + 60, 1)]);
        part.tallies = vec![pings(minute, 2)];
        parts.push(part);
    }
    parts.push(part("c", 1, Vec::new()));
    site.history().commit(&parts, "x").await.unwrap();

    let books = site.database.books();
    let lines = books.lines(Minutes::ALL, None, None, 100).await.unwrap();
    let seen: Vec<(u32, &str, u64, u64)> = lines
        .iter()
        .map(|line| (line.minute, line.worker.as_str(), line.totals.received, line.totals.pings))
        .collect();
    let next = minute + 1;
    assert_eq!(
        seen,
        [(minute, "a", 6, 4), (minute, "b", 3, 2), (next, "a", 2, 0), (next, "b", 1, 0)]
    );
    let page = books.lines(Minutes::ALL, None, Some((minute, "a")), 2).await.unwrap();
    assert_eq!(page, lines[1..3]);
    let only_b = books.lines(Minutes::ALL, Some("b"), None, 100).await.unwrap();
    assert_eq!(only_b.len(), 2);
    let second = Minutes { from: next, to: next };
    assert_eq!(books.lines(second, None, None, 100).await.unwrap(), lines[2..]);
    assert_eq!(books.totals(second).await.unwrap().received, 3);
    let none = Minutes { from: 1, to: 2 };
    assert_eq!(books.totals(none).await.unwrap().received, 0);

    site.run("UPDATE books SET `stored` = `stored` + 1 WHERE worker = 'b'").await;
    let wrong = books.unbalanced(Minutes::ALL, 10).await.unwrap();
    assert_eq!(wrong.len(), 2);
    assert!(wrong.iter().all(|line| line.worker == "b" && !line.totals.balance()));
}
