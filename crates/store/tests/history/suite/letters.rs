//! Dead letters: kept, found, purged, resolved, always in the books.

use nemeses_protocol::{DeadLetter, DecodeError, DeviceId, Reason, Record};
use nemeses_store::history::{LISTED_BYTES, LetterFilter, Minutes, Purge, Resolution};

use super::assert_balanced;
use crate::frames::{BASE, BASE_MS, frame, key, letter, part, pings};
use crate::site::Site;

fn kept(letter: DeadLetter) -> Record {
    Record::DeadLetter(Box::new(letter))
}

pub(crate) async fn letters_are_listed_and_shown(site: Site) {
    let site = site.migrated().await;
    let long = vec![0xA5; 100_000];
    let mut oversized = letter(None, BASE_MS + 60_000, &long);
    oversized.reason = Reason::Decode(DecodeError::Oversized);
    oversized.topic = "/messenger/ÄÖÜ ✓".into();
    let records = vec![
        kept(letter(Some(1), BASE_MS, b"abc")),
        kept(oversized.clone()),
        kept(letter(Some(2), BASE_MS + 120_000, b"")),
    ];
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();

    let letters = site.database.dead_letters();
    let all = letters.list(&LetterFilter::default()).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted_by(|newer, older| newer.id > older.id));
    assert_eq!((all[0].length, all[1].length, all[2].length), (0, 100_000, 3));
    assert_eq!(all[1].bytes, long[..usize::try_from(LISTED_BYTES).unwrap()]);
    assert_eq!(all[2].letter(), Some(letter(Some(1), BASE_MS, b"abc")));
    assert_eq!(all[2].worker, "w");
    let shown = letters.get(all[1].id).await.unwrap().unwrap();
    assert_eq!(shown.letter(), Some(oversized));
    assert_eq!(letters.get(u64::from(u32::MAX)).await.unwrap(), None);

    let count = async |filter: LetterFilter| letters.list(&filter).await.unwrap().len();
    let any = LetterFilter::default;
    assert_eq!(count(LetterFilter { device: Some(DeviceId::new(2)), ..any() }).await, 1);
    assert_eq!(count(LetterFilter { reason: Some("bad_header".into()), ..any() }).await, 2);
    assert_eq!(count(LetterFilter { from_ms: Some(BASE_MS + 60_000), ..any() }).await, 2);
    assert_eq!(count(LetterFilter { to_ms: Some(BASE_MS + 60_000), ..any() }).await, 2);
    assert_eq!(count(LetterFilter { before_id: Some(all[1].id), ..any() }).await, 1);
    assert_eq!(count(LetterFilter { limit: Some(2), ..any() }).await, 2);
}

pub(crate) async fn purged_letters_stay_in_the_books(site: Site) {
    let site = site.migrated().await;
    let records: Vec<Record> =
        (0..2_300).map(|n| kept(letter(Some(1), BASE_MS + n * 100, b"x"))).collect();
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();

    let letters = site.database.dead_letters();
    let some = letters.list(&LetterFilter { limit: Some(60), ..LetterFilter::default() }).await;
    let mut ids: Vec<u64> = some.unwrap().iter().map(|letter| letter.id).collect();
    ids.extend([ids[0], 999_999_999]);
    assert_eq!(letters.purge(&Purge::Ids(ids)).await.unwrap(), 60);
    assert_eq!(assert_balanced(&site.database).await.dead_letters, 2_300);

    assert_eq!(letters.purge(&Purge::Before(BASE_MS + 150_000)).await.unwrap(), 1_500);
    assert_eq!(letters.purge(&Purge::Before(BASE_MS + 150_000)).await.unwrap(), 0);
    assert_balanced(&site.database).await;
    let minute = BASE / 60;
    let counts = site.database.books();
    let counts = counts.count_tables(Minutes { from: minute, to: minute }).await.unwrap();
    assert_eq!((counts.dead_letters, counts.letters_removed), (0, 600));
}

pub(crate) async fn a_resolved_letter_becomes_a_row_once(site: Site) {
    let site = site.migrated().await;
    let records = vec![kept(letter(Some(1), BASE_MS, b"x")), kept(letter(Some(1), BASE_MS, b"y"))];
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    let letters = site.database.dead_letters();
    let id = letters.list(&LetterFilter::default()).await.unwrap()[0].id;

    let becomes = part("retry", 1, vec![frame(1, BASE, 1)]);
    let (one, two) = tokio::join!(
        letters.resolve(id, &becomes, "retry"),
        letters.resolve(id, &becomes, "retry"),
    );
    let outcomes = [one.unwrap(), two.unwrap()];
    let stored: Vec<u64> = outcomes.iter().flatten().map(|committed| committed.stored).collect();
    assert_eq!(stored, [1], "{outcomes:?}");
    let later = part("retry", 2, vec![frame(1, BASE, 2)]);
    assert_eq!(letters.resolve(id, &later, "retry").await.unwrap(), None);

    let totals = assert_balanced(&site.database).await;
    assert_eq!((totals.stored, totals.dead_letters, totals.received), (1, 2, 3));
    assert_eq!(letters.list(&LetterFilter::default()).await.unwrap().len(), 1);
}

pub(crate) async fn letters_of_a_reason_are_found_and_resolved_together(site: Site) {
    let site = site.migrated().await;
    let quarantined = |device: u32, n: u64| {
        let mut letter = letter(Some(device), BASE_MS + n, b"q");
        letter.reason = Reason::Quarantined;
        kept(letter)
    };
    let mut records: Vec<Record> = (0..130).map(|n| quarantined(7, n)).collect();
    records.extend([quarantined(3, 0), quarantined(u32::MAX, 0), quarantined(0, 0)]);
    records.extend([kept(letter(Some(5), BASE_MS, b"x")), kept(letter(None, BASE_MS, b"x"))]);
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();

    let letters = site.database.dead_letters();
    let devices = async |after: Option<u32>, limit| {
        let after = after.map(DeviceId::new);
        let found = letters.devices_with(Reason::Quarantined, after, limit).await.unwrap();
        found.into_iter().map(DeviceId::number).collect::<Vec<u32>>()
    };
    assert_eq!(devices(None, 10).await, [0, 3, 7, u32::MAX]);
    assert_eq!(devices(None, 2).await, [0, 3]);
    assert_eq!(devices(Some(3), 10).await, [7, u32::MAX]);
    assert_eq!(devices(Some(u32::MAX), 10).await, [0_u32; 0]);
    assert_eq!(letters.devices_with(Reason::Future, None, 10).await.unwrap(), []);

    let filter = LetterFilter {
        device: Some(DeviceId::new(7)),
        reason: Some("quarantined".into()),
        ..LetterFilter::default()
    };
    let found = letters.list(&filter).await.unwrap();
    assert_eq!(found.len(), 130);
    // Two of them are the same frame; one letter is a ping as well; one is not there.
    let mut resolutions: Vec<Resolution> = (0..)
        .zip(&found)
        .map(|(n, letter)| Resolution {
            id: letter.id,
            records: vec![frame(7, BASE + n / 2 * 2, 1)],
            tallies: Vec::new(),
        })
        .collect();
    resolutions[0].tallies.push(pings(BASE / 60, 1));
    resolutions.push(Resolution { id: 999_999_999, ..resolutions[0].clone() });
    let (first, second) = (key("release", 1), key("release", 2));
    let (one, two) = tokio::join!(
        letters.resolve_all(&first, &resolutions, "release"),
        letters.resolve_all(&second, &resolutions, "release"),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.stored + two.stored, 65, "{one:?} {two:?}");
    assert_eq!(one.duplicates + two.duplicates, 65, "{one:?} {two:?}");
    assert_eq!(one.pings + two.pings, 1);
    let again = letters.resolve_all(&first, &resolutions, "release").await.unwrap();
    assert_eq!((again.stored, again.duplicates), (0, 0));
    assert_eq!(letters.list(&filter).await.unwrap(), []);
    assert_eq!(devices(None, 10).await, [0, 3, u32::MAX]);
    assert_balanced(&site.database).await;
}
