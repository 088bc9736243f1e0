//! Keys of requests: whoever asks first says when it came, and what was made of it is found.

use nemeses_protocol::BatchKey;
use nemeses_store::history::{Part, REQUEST_KEPT_MS};

use super::assert_balanced;
use crate::frames::{BASE, BASE_MS, frame};
use crate::site::Site;

pub(crate) async fn a_request_has_one_arrival_whoever_asks(site: Site) {
    let site = site.migrated().await;
    let other = site.another().await;
    let (one, two) = (site.database.requests(), other.requests());
    let asked = (0..8_u64).map(|number| {
        let requests = if number % 2 == 0 { one.clone() } else { two.clone() };
        async move { requests.first_arrival(77, BASE_MS + number).await.unwrap() }
    });
    let times = futures_util::future::join_all(asked).await;
    assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
    assert_eq!(one.first_arrival(78, BASE_MS + 50).await.unwrap(), BASE_MS + 50);

    // 256 takes the old ones away.
    let later = BASE_MS + REQUEST_KEPT_MS + 20;
    one.first_arrival(256, later).await.unwrap();
    assert_eq!(two.first_arrival(77, later).await.unwrap(), later, "forgotten");
    assert_eq!(two.first_arrival(78, later).await.unwrap(), BASE_MS + 50, "not yet");

    assert_eq!(one.booked("api", 77).await.unwrap(), None);
    let key = BatchKey { worker: "api".to_owned(), run: u64::MAX - 1, sequence: u64::MAX };
    let records = vec![frame(1, BASE, 1), frame(1, BASE, 1)];
    let part = Part { key, tallies: Vec::new(), records };
    site.history().commit(&[part], "x").await.unwrap();
    let booked = two.booked("api", u64::MAX - 1).await.unwrap().unwrap();
    assert_eq!(booked.sequence, u64::MAX);
    assert_eq!((booked.totals.stored, booked.totals.duplicates), (1, 1));
    assert_balanced(&site.database).await;
}
