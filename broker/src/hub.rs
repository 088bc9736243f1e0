//! What connections share: who is connected, who listens to whose replies and
//! commands, which filters anybody has, retained messages and the router.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use bytes::Bytes;
use nemeses_protocol::{DeviceId, topic_matches};
use tokio_util::sync::CancellationToken;

use crate::auth::OpenLogin;
use crate::commands::Handed;
use crate::config::DoorConfig;
use crate::mailbox::{Delivery, Dismissed, Mailbox};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::packet::{Qos, Reason};
use crate::retained::Retained;
use crate::rumqttd_router::{Carrier, Listener, RouterDied};

/// Who is called by a delivery of the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// Whoever listens to the replies to a device.
    Reply(DeviceId),
    /// Whoever listens to the commands for a device.
    Command(DeviceId),
    /// A device's login that listens to the shared reply topic.
    ReplyShared(DeviceId),
    /// Whoever listens to the shared reply topic.
    AnyReply,
}

/// A listener of a call.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) topic: Arc<str>,
    pub(crate) qos: Qos,
    pub(crate) standing: Standing,
}

/// How near to a device a listener for its commands is. Of several the nearest gets a
/// command, and of equals the last to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Somebody who watches: sees what goes out, and gets nothing on the device's behalf.
    Watcher,
    /// A gateway, or a client without a login.
    Gateway,
    /// The device's own login.
    Device,
}

/// Login and client id.
pub(crate) type ClientKey = (Arc<str>, Arc<str>);

/// There are as many clients as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// A client that is connected.
pub(crate) struct Client {
    /// Its connection's number.
    pub(crate) connection: u64,
    /// The state of its login at CONNECT.
    pub(crate) revision: u64,
    pub(crate) mailbox: Arc<Mailbox>,
}

/// The shared state.
pub(crate) struct Hub {
    clients: Mutex<HashMap<ClientKey, Client>>,
    /// By call and connection, so that each goes out of the map in O(log n).
    listening: Mutex<BTreeMap<(Call, u64), Listening>>,
    /// Filters served by the router, and how many subscriptions have each.
    filters: RwLock<HashMap<Box<str>, usize>>,
    filter_count: AtomicUsize,
    retained: Mutex<Retained>,
    carrier: OnceLock<Carrier>,
    starting: Mutex<()>,
    max_clients: usize,
    max_listeners: usize,
    next_connection: AtomicU64,
    router_died: CancellationToken,
    pub(crate) metrics: Metrics,
}

impl Hub {
    pub(crate) fn new(metrics: Metrics, config: &DoorConfig) -> Self {
        Self {
            clients: Mutex::default(),
            listening: Mutex::default(),
            filters: RwLock::default(),
            filter_count: AtomicUsize::new(0),
            retained: Mutex::new(Retained::new(config.max_retained, config.max_retained_bytes)),
            carrier: OnceLock::new(),
            starting: Mutex::new(()),
            max_clients: config.max_connections,
            max_listeners: config.max_listeners,
            // 0 is the node itself.
            next_connection: AtomicU64::new(1),
            router_died: CancellationToken::new(),
            metrics,
        }
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// Cancelled when the router's thread has ended.
    pub(crate) fn router_died(&self) -> &CancellationToken {
        &self.router_died
    }

    /// Enters a client; one with the same login and id is told to go, and its place is
    /// the client's: a device that comes back is never one too many.
    pub(crate) fn enter(&self, key: ClientKey, client: Client) -> Result<(), TooMany> {
        let mut clients = lock(&self.clients);
        if clients.len() >= self.max_clients && !clients.contains_key(&key) {
            return Err(TooMany);
        }
        let earlier = clients.insert(key, client);
        drop(clients);
        if let Some(earlier) = earlier {
            self.metrics.taken_over.inc();
            earlier.mailbox.dismiss(Dismissed::TakenOver);
        }
        Ok(())
    }

    /// The logins of all clients, each state once; anonymous ones have none.
    pub(crate) fn open_logins(&self) -> Vec<OpenLogin> {
        let clients = lock(&self.clients);
        let logins = clients.iter().filter(|((login, _), _)| !login.is_empty());
        let open = |((login, _), client): (&ClientKey, &Client)| OpenLogin {
            name: Arc::clone(login),
            revision: client.revision,
        };
        logins.map(open).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Tells all clients of these logins to go.
    #[expect(clippy::iter_over_hash_type, reason = "in which order they go does not matter")]
    pub(crate) fn revoke(&self, logins: Vec<OpenLogin>) {
        let logins: BTreeSet<OpenLogin> = logins.into_iter().collect();
        for ((login, _), client) in lock(&self.clients).iter() {
            let open = OpenLogin { name: Arc::clone(login), revision: client.revision };
            if logins.contains(&open) {
                client.mailbox.dismiss(Dismissed::Revoked);
            }
        }
    }

    /// A client goes, unless another has taken its place.
    pub(crate) fn leave(&self, key: &ClientKey, connection: u64) {
        let mut clients = lock(&self.clients);
        if clients.get(key).is_some_and(|present| present.connection == connection) {
            clients.remove(key);
        }
    }

    pub(crate) fn listen(&self, call: Call, connection: u64, listening: Listening) {
        lock(&self.listening).insert((call, connection), listening);
    }

    pub(crate) fn unlisten(&self, call: Call, connection: u64) {
        lock(&self.listening).remove(&(call, connection));
    }

    /// Delivers to all that listen to a call; says how many took it.
    pub(crate) fn call(&self, call: Call, payload: &Bytes, qos: Qos) -> usize {
        let listening = lock(&self.listening);
        let called = listening.range((call, 0)..=(call, u64::MAX));
        called
            .filter(|(_, to)| {
                to.mailbox.deliver(Delivery {
                    topic: Arc::clone(&to.topic),
                    payload: payload.clone(),
                    qos: qos.min(to.qos),
                    handed: None,
                })
            })
            .count()
    }

    /// Whether somebody listens for a device's commands who gets them on its behalf.
    pub(crate) fn has_taker(&self, device: DeviceId) -> bool {
        self.taker(device).is_some()
    }

    fn taker(&self, device: DeviceId) -> Option<Listening> {
        let (call, listening) = (Call::Command(device), lock(&self.listening));
        let takers = listening.range((call, 0)..=(call, u64::MAX));
        let takers = takers.filter(|(_, to)| to.standing > Standing::Watcher);
        takers
            .max_by_key(|((_, connection), to)| (to.standing, *connection))
            .map(|(_, to)| to.clone())
    }

    /// Hands a command to the one who gets it on the device's behalf; whether it took it.
    /// `handed` makes the receipt for it.
    pub(crate) fn hand_over(
        &self,
        device: DeviceId,
        payload: Bytes,
        handed: impl FnOnce() -> Handed,
    ) -> bool {
        // What is reported needs no lock of ours.
        self.taker(device).is_some_and(|taker| {
            let qos = taker.qos.min(Qos::AtLeastOnce);
            let handed = Some(handed());
            taker.mailbox.deliver(Delivery { topic: taker.topic, payload, qos, handed })
        })
    }

    /// Shows a command to those who watch its device alone; whether there are any.
    pub(crate) fn show_command(&self, device: DeviceId, payload: &Bytes) -> bool {
        let (call, listening) = (Call::Command(device), lock(&self.listening));
        let all = listening.range((call, 0)..=(call, u64::MAX));
        let watchers = all.filter(|(_, to)| to.standing == Standing::Watcher);
        let seen = watchers.filter(|(_, to)| {
            to.mailbox.deliver(Delivery {
                topic: Arc::clone(&to.topic),
                payload: payload.clone(),
                qos: to.qos.min(Qos::AtLeastOnce),
                handed: None,
            })
        });
        seen.count() > 0
    }

    /// Delivers a reply to those who listen to the device's own topic, else to
    /// its login on the shared one.
    pub(crate) fn reply(&self, device: DeviceId, payload: &Bytes, qos: Qos) -> usize {
        match self.call(Call::Reply(device), payload, qos) {
            0 => self.call(Call::ReplyShared(device), payload, qos),
            taken => taken,
        }
    }

    /// Adds a filter that the router serves.
    pub(crate) fn add_filter(&self, filter: &str) {
        let mut filters = self.filters.write().unwrap_or_else(PoisonError::into_inner);
        *filters.entry(filter.into()).or_default() += 1;
        self.filter_count.store(filters.len(), Ordering::Release);
    }

    pub(crate) fn remove_filter(&self, filter: &str) {
        let mut filters = self.filters.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = filters.get_mut(filter) {
            *count -= 1;
            if *count == 0 {
                filters.remove(filter);
            }
        }
        self.filter_count.store(filters.len(), Ordering::Release);
    }

    /// Whether anybody would hear a topic by way of the router.
    pub(crate) fn has_subscriber(&self, topic: &str) -> bool {
        if self.filter_count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let filters = self.filters.read().unwrap_or_else(PoisonError::into_inner);
        filters.keys().any(|filter| topic_matches(filter, topic))
    }

    /// Publishes by way of the router, if anybody would hear it, and retains it if
    /// it asks for that. The answer is the reason code of an acknowledgement.
    pub(crate) fn route(&self, message: Message) -> Reason {
        if message.retain {
            let retained = lock(&self.retained).set(message.clone(), Instant::now());
            if retained.is_err() {
                return Reason::QUOTA_EXCEEDED;
            }
        }
        if !self.has_subscriber(&message.topic) {
            return Reason::NO_MATCHING_SUBSCRIBERS;
        }
        self.metrics.routed.inc();
        match self.carrier().and_then(|carrier| carrier.publish(message)) {
            Ok(()) => Reason::SUCCESS,
            Err(RouterDied) => Reason::UNSPECIFIED,
        }
    }

    pub(crate) fn retained(&self, filter: &str) -> Vec<Message> {
        lock(&self.retained).matching(filter, Instant::now())
    }

    /// A link to the router; `None` when there are as many as there may be.
    pub(crate) fn open_link(&self) -> Result<Option<Listener>, RouterDied> {
        self.carrier()?.listen()
    }

    /// Milliseconds on the clock of [`crate::message::Envelope::published_ms`].
    pub(crate) fn router_now_ms(&self) -> u64 {
        self.carrier.get().map_or(0, Carrier::now_ms)
    }

    /// Ends the router's thread, having started it.
    #[cfg(test)]
    pub(crate) fn kill_router(&self) {
        self.carrier().unwrap().kill();
    }

    /// The router is started by the first who needs it.
    fn carrier(&self) -> Result<&Carrier, RouterDied> {
        if let Some(carrier) = self.carrier.get() {
            return Ok(carrier);
        }
        let _starting = lock(&self.starting);
        if self.carrier.get().is_none() {
            let carrier = Carrier::start(self.max_listeners, self.router_died.clone())?;
            let _ = self.carrier.set(carrier);
        }
        self.carrier.get().ok_or(RouterDied)
    }
}

/// Nothing in this file panics while it holds a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Hub {
        of(DoorConfig { max_retained: 10, ..DoorConfig::default() })
    }

    fn of(config: DoorConfig) -> Hub {
        let config = DoorConfig { max_listeners: 4, max_retained_bytes: 1000, ..config };
        Hub::new(Metrics::default(), &config)
    }

    fn client(connection: u64, revision: u64, mailbox: &Arc<Mailbox>) -> Client {
        Client { connection, revision, mailbox: Arc::clone(mailbox) }
    }

    fn message(topic: &str, retain: bool) -> Message {
        Message {
            publisher: 0,
            topic: topic.into(),
            payload: Bytes::from_static(b"x"),
            qos: Qos::AtLeastOnce,
            retain,
            properties: Bytes::new(),
        }
    }

    #[test]
    fn the_same_client_takes_over_and_only_the_last_leaves() {
        let (hub, old, new) = (hub(), Arc::new(Mailbox::default()), Arc::new(Mailbox::default()));
        let key: ClientKey = ("login".into(), "id".into());
        hub.enter(key.clone(), client(1, 0, &old)).unwrap();
        hub.enter(key.clone(), client(2, 0, &new)).unwrap();
        assert_eq!(old.empty(true).dismissed, Some(Dismissed::TakenOver));
        hub.leave(&key, 1);
        assert_eq!(lock(&hub.clients).len(), 1);
        hub.leave(&key, 2);
        assert!(lock(&hub.clients).is_empty());
        assert_eq!(new.empty(true).dismissed, None);
    }

    #[test]
    fn beyond_the_limit_nobody_comes_in_but_who_comes_back() {
        let hub = of(DoorConfig { max_connections: 1, ..DoorConfig::default() });
        let mailbox = Arc::new(Mailbox::default());
        let key = |id: &str| -> ClientKey { ("login".into(), id.into()) };
        hub.enter(key("a"), client(1, 0, &mailbox)).unwrap();
        assert_eq!(hub.enter(key("b"), client(2, 0, &mailbox)), Err(TooMany));
        hub.enter(key("a"), client(3, 0, &mailbox)).unwrap();
        hub.leave(&key("a"), 3);
        hub.enter(key("b"), client(4, 0, &mailbox)).unwrap();
    }

    #[test]
    fn only_clients_of_the_revoked_state_of_a_login_go() {
        let hub = hub();
        let mailboxes: [Arc<Mailbox>; 4] = std::array::from_fn(|_| Arc::default());
        for (index, (login, revision)) in [("a", 1), ("a", 2), ("b", 1), ("", 1)].iter().enumerate()
        {
            let key: ClientKey = ((*login).into(), index.to_string().into());
            hub.enter(key, client(1, *revision, &mailboxes[index])).unwrap();
        }
        let open = |name: &str, revision| OpenLogin { name: name.into(), revision };
        assert_eq!(hub.open_logins(), [open("a", 1), open("a", 2), open("b", 1)]);
        hub.revoke(vec![open("a", 1)]);
        let dismissed = mailboxes.map(|mailbox| mailbox.empty(true).dismissed.is_some());
        assert_eq!(dismissed, [true, false, false, false]);
    }

    #[test]
    fn a_call_reaches_those_who_listen_and_nobody_else() {
        let hub = hub();
        let (one, two) = (DeviceId::new(1), DeviceId::new(2));
        let mailbox = Arc::new(Mailbox::default());
        let qos = Qos::AtMostOnce;
        let (topic, standing) = ("/command/1".into(), Standing::Device);
        let listening = Listening { mailbox: Arc::clone(&mailbox), topic, qos, standing };
        hub.listen(Call::Command(one), 7, listening);
        let payload = Bytes::from_static(b"go");
        assert_eq!(hub.call(Call::Command(one), &payload, Qos::AtLeastOnce), 1);
        assert_eq!(hub.call(Call::Command(two), &payload, Qos::AtLeastOnce), 0);
        assert_eq!(hub.call(Call::Reply(one), &payload, Qos::AtLeastOnce), 0);
        let delivered = mailbox.empty(true).deliveries;
        assert_eq!(delivered.len(), 1);
        assert_eq!(delivered[0].qos, Qos::AtMostOnce);
        hub.unlisten(Call::Command(one), 7);
        assert_eq!(hub.call(Call::Command(one), &payload, Qos::AtLeastOnce), 0);
    }

    #[tokio::test]
    async fn a_message_without_a_listener_says_so_and_one_with_travels() {
        let hub = hub();
        assert_eq!(hub.route(message("a/b", false)), Reason::NO_MATCHING_SUBSCRIBERS);
        hub.add_filter("a/+");
        let mut link = hub.open_link().unwrap().unwrap();
        // A topic that would end the router's thread if it saw it.
        hub.add_filter("ä/#");
        assert_eq!(hub.route(message("ä", false)), Reason::SUCCESS);
        assert_eq!(hub.route(message("a/b", false)), Reason::SUCCESS);
        for topic in ["ä", "a/b"] {
            let heard = link.next().await.unwrap();
            assert_eq!(heard.envelope.message.topic.as_ref(), topic);
            assert_eq!(heard.missed, 0);
        }
        hub.remove_filter("a/+");
        assert_eq!(hub.route(message("a/b", false)), Reason::NO_MATCHING_SUBSCRIBERS);
        assert!(!hub.router_died().is_cancelled());
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed_and_links_are_used_again() {
        let hub = hub();
        hub.add_filter("#");
        let mut link = hub.open_link().unwrap().unwrap();
        let payload = Bytes::from(vec![7; 64 * 1024]);
        // 20 MiB into a log of 9.
        let sent = 320_u64;
        for _ in 0..sent {
            hub.route(Message { payload: payload.clone(), ..message("big", false) });
        }
        let (mut heard, mut missed) = (0, 0);
        while heard + missed < sent {
            let next = link.next().await.unwrap();
            heard += 1;
            missed += next.missed;
        }
        assert_eq!(heard + missed, sent);
        assert!(heard > 0);
        drop(link);
        for _ in 0..20 {
            let mut links = Vec::new();
            while let Some(link) = hub.open_link().unwrap() {
                links.push(link);
            }
            assert_eq!(links.len(), 4);
        }
    }

    #[test]
    fn retained_messages_have_their_bound() {
        let hub = of(DoorConfig { max_retained: 1, ..DoorConfig::default() });
        assert_eq!(hub.route(message("a", true)), Reason::NO_MATCHING_SUBSCRIBERS);
        assert_eq!(hub.route(message("b", true)), Reason::QUOTA_EXCEEDED);
        assert_eq!(hub.retained("#").len(), 1);
    }
}
