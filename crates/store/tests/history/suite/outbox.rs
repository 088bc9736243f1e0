//! Receivers and notifications.

use nemeses_store::StoreError;
use nemeses_store::history::{
    AlarmFilter, AlarmKey, AlarmStep, Claimed, NewNotification, NewReceiver, NotificationBooks,
    NotificationFilter, NotificationState, Outcome, RULES_LEASE, ReceiverHealth, Standing, Turn,
};

use super::rules::{change, notification};
use crate::frames::BASE_MS;
use crate::site::Site;

fn webhook() -> NewReceiver {
    NewReceiver {
        name: "n".into(),
        kind: "webhook".into(),
        target: "secret".into(),
        delivery: "{}".into(),
        enabled: true,
    }
}

async fn raise(site: &Site, notifications: Vec<NewNotification>) -> Result<bool, StoreError> {
    site.database.daily().lease(RULES_LEASE, "a", 0, 9).await.unwrap();
    let turn = Turn { notifications, ..Turn::default() };
    site.database.evaluation().write_turn("a", 9, &turn).await
}

fn ids(claimed: Option<&Claimed>) -> Vec<u64> {
    claimed.map(|claimed| claimed.due.iter().map(|(due, _)| due.id).collect()).unwrap_or_default()
}

pub(crate) async fn receivers_are_saved_and_removed(site: Site) {
    let site = site.migrated().await;
    let (receivers, other) = (site.database.receivers(), site.another().await.receivers());
    assert!(!format!("{:?}", webhook()).contains("secret"));
    let id = receivers.add_receiver(Some(3), &webhook(), None, BASE_MS).await.unwrap();
    let stored = other.receiver(id).await.unwrap().unwrap();
    assert_eq!(
        (&stored.receiver, stored.owner, stored.confirmed_at_ms),
        (&webhook(), Some(3), None)
    );
    assert!(receivers.note_confirmation(id, Some("code"), None).await.unwrap());
    assert_eq!(other.receivers().await.unwrap()[0].confirmation.as_deref(), Some("code"));
    assert!(receivers.note_confirmation(id, None, Some(7)).await.unwrap());
    assert!(receivers.disable_receiver(id, "gone", BASE_MS).await.unwrap());
    let disabled = other.receiver(id).await.unwrap().unwrap();
    assert_eq!((disabled.receiver.enabled, disabled.last_error.as_deref()), (false, Some("gone")));
    assert_eq!((disabled.confirmation, disabled.confirmed_at_ms), (None, Some(7)));
    assert!(receivers.change_receiver(id, &webhook(), Some(7), BASE_MS).await.unwrap());
    let changed = other.receiver(id).await.unwrap().unwrap();
    assert_eq!((changed.receiver.enabled, changed.last_error), (true, None));
    for absent in [
        receivers.change_receiver(id + 1, &webhook(), None, 1).await,
        receivers.disable_receiver(id + 1, "x", 1).await,
        receivers.note_confirmation(id + 1, None, None).await,
        receivers.remove_receiver(id + 1, 1).await,
    ] {
        assert!(!absent.unwrap());
    }
    assert!(receivers.remove_receiver(id, BASE_MS).await.unwrap());
    assert_eq!(other.receivers().await.unwrap(), []);
}

pub(crate) async fn a_receiver_has_one_sender_at_a_time(site: Site) {
    let site = site.migrated().await;
    let (outbox, other) = (site.database.outbox(), site.another().await.outbox());
    let id =
        site.database.receivers().add_receiver(None, &webhook(), Some(1), BASE_MS).await.unwrap();
    let of = |new: NewNotification| NewNotification { receiver: id, ..new };
    assert_eq!(outbox.due_receivers(BASE_MS).await.unwrap(), []);
    let raised = vec![of(notification("opened", None)), of(notification("cleared", None))];
    assert!(raise(&site, raised.clone()).await.unwrap());
    assert!(raise(&site, raised).await.is_err(), "a key is there once");
    assert_eq!(outbox.due_receivers(BASE_MS - 1).await.unwrap(), []);
    assert_eq!(outbox.due_receivers(BASE_MS).await.unwrap(), [(id, "webhook".to_owned())]);

    let claims = (0..6).map(|number| {
        let outbox = if number % 2 == 0 { outbox.clone() } else { other.clone() };
        let holder = format!("h{number}");
        async move { outbox.claim(id, &holder, BASE_MS, BASE_MS + 100, 9).await.unwrap().is_some() }
    });
    let claimed = futures_util::future::join_all(claims).await;
    assert_eq!(claimed.iter().filter(|claimed| **claimed).count(), 1);
    assert_eq!(outbox.due_receivers(BASE_MS).await.unwrap(), []);
    // A claim that is over is somebody else's.
    let z = other.claim(id, "z", BASE_MS + 101, BASE_MS + 200, 9).await.unwrap().unwrap();
    let [(first, none), (second, one)] = z.due.as_slice() else { panic!("{z:?}") };
    assert_eq!((first.transition.as_str(), second.transition.as_str()), ("opened", "cleared"));
    assert_eq!(
        (*none, *one),
        (Standing::default(), Standing { waits_until_ms: Some(BASE_MS), ..Standing::default() })
    );
    let delivered = [(first.id, Outcome::Delivered)];
    let well = Some(&ReceiverHealth { failures: 0, paused_until_ms: 0, last_error: None });
    assert!(!outbox.settle(id, "h0", BASE_MS + 101, &delivered, well).await.unwrap());
    assert!(outbox.settle(id, "z", BASE_MS + 102, &delivered, well).await.unwrap());
    let again = [(second.id, Outcome::Again { at_ms: BASE_MS + 500, error: "503".into() })];
    let ill = ReceiverHealth {
        failures: 1,
        paused_until_ms: BASE_MS + 600,
        last_error: Some("503".into()),
    };
    assert!(outbox.settle(id, "z", BASE_MS + 103, &again, Some(&ill)).await.unwrap());
    outbox.release(id, "h0").await.unwrap();
    assert_eq!(outbox.claim(id, "y", BASE_MS + 150, BASE_MS + 900, 9).await.unwrap(), None);
    outbox.release(id, "z").await.unwrap();
    assert_eq!(outbox.due_receivers(BASE_MS + 599).await.unwrap(), [], "it is left alone");
    assert_eq!(outbox.due_receivers(BASE_MS + 600).await.unwrap(), [(id, "webhook".to_owned())]);
    let y = outbox.claim(id, "y", BASE_MS + 600, BASE_MS + 700, 9).await.unwrap().unwrap();
    assert_eq!((ids(Some(&y)), y.sent_last_hour, y.receiver.failures), (vec![second.id], 1, 1));
    assert_eq!(y.due[0].1, Standing { delivered: 1, ..Standing::default() });
    assert_eq!(y.receiver.last_delivered_at_ms, Some(BASE_MS + 102));
    outbox.release_all_receivers().await.unwrap();
    assert!(outbox.claim(id, "x", BASE_MS + 601, BASE_MS + 602, 9).await.unwrap().is_some());
}

pub(crate) async fn the_books_of_notifications_hold(site: Site) {
    let site = site.migrated().await;
    let (outbox, receivers) = (site.database.outbox(), site.database.receivers());
    let id = receivers.add_receiver(None, &webhook(), Some(1), BASE_MS).await.unwrap();
    let of = |episode, transition, suppressed| {
        let key = AlarmKey { episode, ..change(1, AlarmStep::Opened).key };
        NewNotification { receiver: id, alarm: key, ..notification(transition, suppressed) }
    };
    site.database.daily().lease(RULES_LEASE, "a", 0, 9).await.unwrap();
    let turn = Turn {
        alarms: vec![change(1, AlarmStep::Opened)],
        notifications: vec![
            of(1, "opened", None),
            of(2, "opened", None),
            of(3, "opened", Some("silenced")),
            of(4, "opened", None),
            of(15, "opened", None),
        ],
        ..Turn::default()
    };
    assert!(site.database.evaluation().write_turn("a", 9, &turn).await.unwrap());
    let found = AlarmFilter { limit: 1, ..AlarmFilter::default() };
    let alarm = site.database.alarms().list(&found).await.unwrap()[0].id;
    let claimed = outbox.claim(id, "h", BASE_MS, BASE_MS + 9, 9).await.unwrap();
    let waiting = ids(claimed.as_ref());
    assert_eq!((waiting.len(), outbox.waiting().await.unwrap()), (4, [(id, 4)].into()));
    assert_eq!(claimed.unwrap().due[0].0.alarm, Some(alarm));
    // Parts of one message are claimed together, before what is older.
    assert!(!outbox.group(id, "other", &waiting[2..], "g").await.unwrap());
    assert!(outbox.group(id, "h", &waiting[2..], "g").await.unwrap());
    let claimed = outbox.claim(id, "h", BASE_MS, BASE_MS + 9, 2).await.unwrap();
    assert_eq!(ids(claimed.as_ref()), waiting[2..]);
    let outcomes = [
        (waiting[0], Outcome::Failed { error: "400".into() }),
        (waiting[1], Outcome::Suppressed { reason: "acknowledged" }),
        (waiting[2], Outcome::Delivered),
        (waiting[3], Outcome::Delivered),
    ];
    assert!(outbox.settle(id, "h", BASE_MS + 5, &outcomes, None).await.unwrap());
    assert!(outbox.settle(id, "h", BASE_MS + 6, &outcomes[..1], None).await.unwrap());
    let books = outbox.notification_books().await.unwrap();
    let expected =
        NotificationBooks { raised: 5, delivered: 2, suppressed: 2, failed: 1, waiting: 0 };
    assert!(books == expected && books.balanced(), "{books:?}");
    let claimed = outbox.claim(id, "h", BASE_MS + 7, BASE_MS + 9, 9).await.unwrap().unwrap();
    assert_eq!((claimed.due.len(), claimed.sent_last_hour), (0, 1), "one message");

    let listed = async |filter: NotificationFilter| {
        let filter = NotificationFilter { limit: 9, ..filter };
        let found = outbox.notifications(&filter).await.unwrap();
        found.iter().map(|one| one.notification.id).collect::<Vec<_>>()
    };
    let failed = Some(NotificationState::Failed);
    assert_eq!(
        listed(NotificationFilter { state: failed, ..Default::default() }).await,
        [waiting[0]]
    );
    let alarms = NotificationFilter { alarm: Some(alarm), ..Default::default() };
    assert_eq!(listed(alarms).await, [waiting[0]]);
    let nobody = NotificationFilter { receivers: Some(vec![]), ..Default::default() };
    assert!(listed(nobody).await.is_empty());
    let theirs = NotificationFilter { receivers: Some(vec![id, 99]), ..Default::default() };
    assert_eq!(listed(theirs).await.len(), 5);
    let before = NotificationFilter { before: Some(waiting[1]), ..Default::default() };
    assert_eq!(listed(before).await, [waiting[0]]);
    let one = outbox.notification(waiting[0]).await.unwrap().unwrap();
    assert_eq!((one.last_error.as_deref(), one.notification.attempts), (Some("400"), 1));
    let prefix = change(1, AlarmStep::Opened).key.text_without_episode();
    let opened = outbox.opened(id, &prefix, BASE_MS, 9).await.unwrap();
    assert_eq!((opened.len(), opened[0]), (5, (BASE_MS, NotificationState::Delivered)));
    assert_eq!(outbox.opened(id, &prefix, BASE_MS + 1, 9).await.unwrap(), []);

    assert!(!outbox.send_again(waiting[1], BASE_MS).await.unwrap(), "it was not given up");
    assert!(outbox.send_again(waiting[0], BASE_MS + 600).await.unwrap());
    let claimed = outbox.claim(id, "h", BASE_MS + 600, BASE_MS + 700, 9).await.unwrap().unwrap();
    assert_eq!((claimed.due[0].0.id, claimed.due[0].0.attempts), (waiting[0], 0));
    let held = [(waiting[0], Outcome::Held { at_ms: BASE_MS + 900, reason: "quiet_hours" })];
    assert!(outbox.settle(id, "h", BASE_MS + 601, &held, None).await.unwrap());
    let one = outbox.notification(waiting[0]).await.unwrap().unwrap();
    assert_eq!((one.state, one.notification.attempts), (NotificationState::Waiting, 0));
    assert_eq!((one.reason.as_deref(), one.next_at_ms), (Some("quiet_hours"), BASE_MS + 900));
    assert_eq!(outbox.due_receivers(BASE_MS + 800).await.unwrap(), []);
    assert!(receivers.remove_receiver(id, BASE_MS + 700).await.unwrap());
    let one = outbox.notification(waiting[0]).await.unwrap().unwrap();
    assert_eq!(one.last_error.as_deref(), Some("the receiver was removed"));
    assert_eq!(outbox.forget_notifications(BASE_MS + 700, 3).await.unwrap(), 3);
    assert_eq!(outbox.forget_notifications(BASE_MS + 700, 9).await.unwrap(), 1);
    assert_eq!(outbox.notification_books().await.unwrap().raised, 1);
}
