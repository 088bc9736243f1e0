//! Senders on a real database and real sockets: receivers that are down for days, hang, are gone, and senders that
//! are killed between sending and noting it. The clock is the test's.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails where it stands")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nemeses_notify::{Config, Networks, Outlets, Sender, Settings};
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Clock, Registry, Stop};
use nemeses_store::history::{
    AlarmKey, Database, NewNotification, NewReceiver, NotificationBooks, NotificationFilter,
    NotificationState, Options, RULES_LEASE, StoredReceiver, Turn, open,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const NOW_MS: u64 = 1_700_000_000_000;
const DAY_MS: u64 = 86_400_000;

/// An HTTP server that answers as the test says, and remembers ids and bodies.
#[derive(Clone)]
struct Hook {
    url: String,
    status: Arc<AtomicU16>,
    hangs: Arc<AtomicBool>,
    got: Arc<Mutex<Vec<(String, String)>>>,
}

impl Hook {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            status: Arc::new(AtomicU16::new(status)),
            hangs: Arc::default(),
            got: Arc::default(),
        };
        let serving = hook.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        hook
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut read = Vec::new();
        loop {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.unwrap_or(0);
            read.extend_from_slice(&part[..length]);
            let text = String::from_utf8_lossy(&read).into_owned();
            let whole = text.split_once("\r\n\r\n").filter(|(head, body)| {
                let length = value(head, "content-length").parse::<usize>().unwrap();
                body.len() >= length
            });
            if let Some((head, body)) = whole {
                self.got.lock().unwrap().push((value(head, "webhook-id"), body.to_owned()));
                break;
            }
            assert!(length > 0, "the request is cut off: {text}");
        }
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let status = self.status.load(Ordering::Relaxed);
        let answer =
            format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let _gone = stream.write_all(answer.as_bytes()).await;
    }

    fn ids(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }
}

fn value(head: &str, name: &str) -> String {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().to_owned()).next().unwrap_or_default()
}

struct Site {
    _folder: TempDir,
    database: Database,
    clock: Clock,
}

impl Site {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("history.db").display());
        let database = open(&url, Options::default()).await.unwrap();
        database.history().migrate().await.unwrap();
        Self { _folder: folder, database, clock: Clock::held(NOW_MS) }
    }

    async fn receiver(&self, kind: &str, target: serde_json::Value) -> u64 {
        let new = NewReceiver {
            name: kind.into(),
            kind: kind.into(),
            target: target.to_string(),
            delivery: "{}".into(),
            enabled: true,
        };
        self.database.receivers().add_receiver(None, &new, Some(1), 1).await.unwrap()
    }

    async fn webhook(&self, hook: &Hook) -> u64 {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        self.receiver("webhook", json!({"kind": "webhook", "url": hook.url, "secret": secret}))
            .await
    }

    /// An alarm of each of these devices opens.
    async fn raise(&self, receiver: u64, devices: std::ops::Range<u32>) {
        let notifications = devices.map(|device| {
            let key = AlarmKey { rule: 1, version: 1, device: DeviceId::new(device), episode: 1 };
            let body = json!({
                "specversion": "1.0", "id": format!("{}.opened.{receiver}", key.text()),
                "source": "nemeses/rules", "type": "nemeses.alarm.opened",
                "time": "2023-11-14T22:13:20Z",
                "data": {
                    "rule_id": 1, "rule_name": "Silent", "device_id": device.to_string(),
                    "severity": "critical", "at": "2023-11-14T22:13:20Z",
                },
            });
            NewNotification {
                alarm: key,
                transition: "opened",
                receiver,
                body: body.to_string(),
                suppressed: None,
                created_at_ms: self.clock.now_ms(),
            }
        });
        let turn = Turn { notifications: notifications.collect(), ..Turn::default() };
        self.database.daily().lease(RULES_LEASE, "a", 0, 9).await.unwrap();
        assert!(self.database.evaluation().write_turn("a", 9, &turn).await.unwrap());
    }

    fn sender(&self) -> Running {
        let config = Config { name: "test".into(), alone: true };
        let networks = Networks(vec!["127.0.0.1".parse().unwrap()]);
        let outlets = Arc::new(Outlets::new(Settings { networks, ..Settings::default() }));
        let mut registry = Registry::default();
        let clock = self.clock.clone();
        let sender = Sender::new(&config, &self.database, outlets, clock, &mut registry);
        Running(tokio::spawn(sender.run(Stop::default())))
    }

    async fn stored(&self, id: u64) -> StoredReceiver {
        self.database.receivers().receiver(id).await.unwrap().unwrap()
    }

    async fn books(&self) -> NotificationBooks {
        let books = self.database.outbox().notification_books().await.unwrap();
        assert!(books.balanced(), "{books:?}");
        books
    }
}

/// A sender that can be killed where it stands.
struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), met).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn a_receiver_that_is_down_for_three_days_is_switched_off_and_loses_nothing() {
    let (site, hook) = (Site::new().await, Hook::start(503).await);
    let id = site.webhook(&hook).await;
    site.raise(id, 1..4).await;
    let _sender = site.sender();
    for attempt in 1..10_u32 {
        until("an attempt", || async { site.stored(id).await.failures == attempt }).await;
        let stored = site.stored(id).await;
        assert!(stored.last_error.as_deref().is_some_and(|error| error.contains("503")));
        site.clock.set(stored.paused_until_ms);
    }
    until("the end", || async { !site.stored(id).await.receiver.enabled }).await;
    let days = (site.clock.now_ms() - NOW_MS) / DAY_MS;
    assert!((2..=3).contains(&days), "{days} days");
    // One tried, the others waited with it.
    let ids = hook.ids();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (10, 1), "{ids:?}");
    let books = NotificationBooks { raised: 3, failed: 3, ..NotificationBooks::default() };
    assert_eq!(site.books().await, books);

    // Its owner mends it, and has what was given up sent again.
    hook.status.store(204, Ordering::Relaxed);
    let stored = site.stored(id).await;
    let enabled = NewReceiver { enabled: true, ..stored.receiver };
    let now_ms = site.clock.now_ms();
    site.database.receivers().change_receiver(id, &enabled, Some(1), now_ms).await.unwrap();
    let failed = NotificationFilter {
        state: Some(NotificationState::Failed),
        limit: 9,
        ..NotificationFilter::default()
    };
    for one in site.database.outbox().notifications(&failed).await.unwrap() {
        assert!(site.database.outbox().send_again(one.notification.id, now_ms).await.unwrap());
    }
    until("all are delivered", || async { site.books().await.delivered == 3 }).await;
    assert_eq!(hook.ids().iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(site.stored(id).await.last_error, None);
}

#[tokio::test]
async fn a_receiver_that_hangs_or_is_gone_slows_nobody() {
    let site = Site::new().await;
    let (hanging, gone, well) =
        (Hook::start(200).await, Hook::start(410).await, Hook::start(200).await);
    hanging.hangs.store(true, Ordering::Relaxed);
    let (hangs, goes, fine) =
        (site.webhook(&hanging).await, site.webhook(&gone).await, site.webhook(&well).await);
    for id in [hangs, goes, fine] {
        site.raise(id, 1..3).await;
    }
    let _sender = site.sender();
    until("the others", || async {
        let books = site.books().await;
        (books.delivered, books.failed, books.waiting) == (2, 2, 2)
    })
    .await;
    assert_eq!((hanging.ids().len(), gone.ids().len(), well.ids().len()), (1, 1, 2));
    let gone = site.stored(goes).await;
    assert!(!gone.receiver.enabled && gone.last_error.unwrap().contains("410"));
    // What is raised for one that is switched off is not sent, and it says why.
    site.raise(goes, 5..6).await;
    until("a reason", || async { site.books().await.suppressed == 1 }).await;
}

#[tokio::test]
async fn who_is_killed_between_sending_and_noting_it_sends_the_same_again() {
    let (site, hook) = (Site::new().await, Hook::start(200).await);
    hook.hangs.store(true, Ordering::Relaxed);
    let id = site.webhook(&hook).await;
    site.raise(id, 0..50).await;
    let first = site.sender();
    until("a message", || async { hook.ids().len() == 1 }).await;
    drop(first);
    // What comes meanwhile is no part of the message that was begun.
    site.raise(id, 50..60).await;
    hook.hangs.store(false, Ordering::Relaxed);
    let _second = site.sender();
    until("all are delivered", || async { site.books().await.delivered == 60 }).await;
    let got = hook.got.lock().unwrap().clone();
    assert_eq!(got[0], got[1], "the same id, and the same body");
    let mut events: Vec<String> = Vec::new();
    for (_, body) in &got[1..] {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let alone = [body.clone()];
        let found = body["data"]["events"].as_array().map_or(&alone[..], Vec::as_slice);
        events.extend(found.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(events.len(), 60);
    assert_eq!(events.iter().collect::<BTreeSet<_>>().len(), 60, "each once");
}

#[tokio::test]
async fn nothing_is_sent_to_private_addresses_that_are_not_allowed() {
    let (site, hook) = (Site::new().await, Hook::start(200).await);
    let id = site.webhook(&hook).await;
    site.raise(id, 1..2).await;
    let config = Config { name: "test".into(), alone: true };
    let outlets = Arc::new(Outlets::new(Settings::default()));
    let mut registry = Registry::default();
    let sender = Sender::new(&config, &site.database, outlets, site.clock.clone(), &mut registry);
    let _running = Running(tokio::spawn(sender.run(Stop::default())));
    until("a refusal", || async { site.stored(id).await.failures == 1 }).await;
    let error = site.stored(id).await.last_error.unwrap();
    assert!(error.contains("--notify-allow-networks"), "{error}");
    assert!(hook.ids().is_empty());
}

#[tokio::test]
async fn a_crowd_is_one_message_for_people() {
    let (site, hook) = (Site::new().await, Hook::start(200).await);
    let id = site.receiver("ntfy", json!({"kind": "ntfy", "url": hook.url, "topic": "t"})).await;
    site.raise(id, 0..500).await;
    let _sender = site.sender();
    until("all are delivered", || async { site.books().await.delivered == 500 }).await;
    let got = hook.got.lock().unwrap().clone();
    let body: serde_json::Value = serde_json::from_str(&got[0].1).unwrap();
    assert_eq!((got.len(), &body["title"]), (1, &json!("500 devices: Silent (alarm)")));
}
