//! Publishes which alarms of a device are open, on `/alert/{device}` and retained: a node on its own
//! listener, one of an installation's exporters at the broker (decision 0067).

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use nemeses_broker::DoorHandle;
use nemeses_mqtt::{Broker, Client, ClientEvent, ConnectError, Endpoint, PublishError};
use nemeses_protocol::{DeviceId, DeviceNames, Topics, WorkerName};
use nemeses_runtime::{Backoff, Clock, Outage, Tasks};
use nemeses_store::StoreError;
use nemeses_store::history::{Alarm, AlarmWatch, Alarms, Database};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::tools::moment;

/// How often the alarms are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The name of the lease of the exporter that publishes.
const LEASE: &str = "alerts";
/// Without being renewed, for so long.
const LEASE_MS: u64 = 15_000;
/// How often one that has no lease asks for it, and how often it is renewed.
const LEASE_EVERY: Duration = Duration::from_secs(5);
/// After a broker that cannot be reached, or refuses.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// What is to be published.
struct Alerts {
    watch: AlarmWatch,
    alarms: Arc<dyn Alarms>,
    names: DeviceNames,
    clock: Clock,
    /// Whether also those without open alarms are told of at first: what a broker retains outlives us.
    all_at_first: bool,
    begun: bool,
    /// The devices of which something is to be published.
    due: BTreeSet<DeviceId>,
}

/// A message.
#[derive(Debug, PartialEq, Eq)]
struct Alert {
    device: DeviceId,
    topic: String,
    payload: String,
}

impl Alerts {
    fn new(database: &Database, clock: Clock, all_at_first: bool) -> Self {
        let (alarms, due) = (database.alarms(), BTreeSet::new());
        let watch = AlarmWatch::new(Arc::clone(&alarms));
        let names = database.named().names();
        Self { watch, alarms, names, clock, all_at_first, begun: false, due }
    }

    /// Looks what has changed, and gives what is to be published.
    async fn look(&mut self) -> Result<Vec<Alert>, StoreError> {
        let news = self.watch.look().await?;
        self.due.extend(news.iter().map(|one| one.alarm.key.device));
        if !self.begun {
            if self.all_at_first {
                self.due.extend(self.alarms.devices().await?);
            }
            self.due.extend(self.watch.devices());
            self.begun = true;
        }
        if self.due.is_empty() {
            return Ok(Vec::new());
        }
        let mut open: BTreeMap<DeviceId, Vec<&Alarm>> = BTreeMap::new();
        for alarm in self.watch.open().filter(|alarm| !alarm.late) {
            open.entry(alarm.key.device).or_default().push(alarm);
        }
        let now_ms = self.clock.now_ms();
        let alert = |device: &DeviceId| {
            let open = open.get(device).map_or(&[][..], Vec::as_slice);
            alert(*device, open, &self.names, now_ms)
        };
        Ok(self.due.iter().map(alert).collect())
    }

    fn published(&mut self, device: DeviceId) {
        self.due.remove(&device);
    }
}

/// What is open of a device, late alarms left out: they are records of the past.
fn alert(device: DeviceId, open: &[&Alarm], names: &DeviceNames, now_ms: u64) -> Alert {
    let open = open.iter().map(|alarm| {
        json!({
            "id": alarm.id,
            "rule_id": alarm.key.rule,
            "rule_name": alarm.rule_name,
            "severity": alarm.severity,
            "opened_at": moment(alarm.opened_at_ms),
            "acknowledged": alarm.acknowledged.is_some(),
        })
    });
    let open: Vec<_> = open.collect();
    let identity = names.identity(device);
    let payload = json!({"device_id": identity.to_string(), "open": open, "at": moment(now_ms)});
    let topic = Topics::alert_of(&identity);
    Alert { device, topic, payload: payload.to_string() }
}

/// Publishes on this node's own listener.
pub(crate) fn publish_alerts(tasks: &Tasks, database: &Database, door: DoorHandle, clock: Clock) {
    let (mut alerts, stop) = (Alerts::new(database, clock, false), tasks.stop().all);
    let publishing = async move {
        let (mut ticks, full) = (tokio::time::interval(EVERY), Outage::new());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let due = match alerts.look().await {
                Ok(due) => due,
                // What failed is logged by those who commit.
                Err(error) => {
                    tracing::debug!(%error, "alarms could not be looked at");
                    continue;
                }
            };
            for alert in due {
                match door.retain(&alert.topic, alert.payload) {
                    Ok(_) => {
                        full.ends();
                        alerts.published(alert.device);
                    }
                    Err(error) => {
                        if full.begins() {
                            tracing::warn!(%error, "alarms are not published on /alert");
                        }
                        break;
                    }
                }
            }
        }
    };
    tasks.spawn_rest("alerts", async move {
        tokio::select! {
            () = publishing => {}
            () = stop.cancelled() => {}
        }
        Ok(())
    });
}

/// An exporter that publishes at the broker, while no other one does.
pub(crate) struct AlertPublisher {
    pub(crate) broker: Broker,
    pub(crate) name: WorkerName,
    pub(crate) database: Database,
    pub(crate) clock: Clock,
}

/// Why publishing was broken off.
#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error(transparent)]
    Broker(#[from] ConnectError),
    #[error("the broker does not take /alert: {0}")]
    Refused(#[from] PublishError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("another exporter publishes")]
    Lease,
}

impl AlertPublisher {
    /// Publishes until the first stage of a stop.
    pub(crate) fn run(self, tasks: &Tasks) {
        let stop = tasks.stop().intake;
        tasks.spawn_intake("alerts", async move {
            tokio::select! {
                () = self.keep_publishing() => {}
                () = stop.cancelled() => {}
            }
            Ok(())
        });
    }

    async fn keep_publishing(&self) {
        let (mut backoff, outage) = (Backoff::new(RETRY.0, RETRY.1), Outage::new());
        // Nobody had this name before: who lost the lease begins anew.
        let holder = format!("{}-{:016x}", self.name, rand::random::<u64>());
        loop {
            match self.lease(&holder).await {
                Ok(true) => {}
                Ok(false) => {
                    tokio::time::sleep(LEASE_EVERY).await;
                    continue;
                }
                Err(error) => {
                    tracing::debug!(%error, "the lease of alerts cannot be asked for");
                    tokio::time::sleep(backoff.wait()).await;
                    continue;
                }
            }
            let error = match self.publish(&holder, &mut backoff, &outage).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            match error {
                BrokenOff::Refused(error) => {
                    if outage.begins() {
                        tracing::warn!(%error, "alarms are not published on /alert");
                    }
                }
                // Who commits reports a broker or a database that is away.
                error => tracing::debug!(%error, "alarms are not published for now"),
            }
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    async fn lease(&self, holder: &str) -> Result<bool, StoreError> {
        let now_ms = self.clock.now_ms();
        self.database.daily().lease(LEASE, holder, now_ms, now_ms + LEASE_MS).await
    }

    /// Publishes all that is open, and what changes.
    async fn publish(
        &self,
        holder: &str,
        backoff: &mut Backoff,
        outage: &Outage,
    ) -> Result<Infallible, BrokenOff> {
        let endpoint = Endpoint::new(self.broker.clone(), format!("{}-alerts", self.name));
        let mut client = Client::connect(endpoint).await?;
        let mut alerts = Alerts::new(&self.database, self.clock.clone(), true);
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leased_ms = self.clock.now_ms();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                event = client.next() => {
                    event?;
                    continue;
                }
            }
            for alert in alerts.look().await? {
                deliver(&mut client, &alert).await?;
                alerts.published(alert.device);
                backoff.reset();
                if let Some(lasted) = outage.ends() {
                    tracing::info!(
                        after_s = lasted.as_secs(),
                        "alarms are published on /alert again"
                    );
                }
                self.renew(holder, &mut leased_ms).await?;
            }
            self.renew(holder, &mut leased_ms).await?;
        }
    }

    async fn renew(&self, holder: &str, leased_ms: &mut u64) -> Result<(), BrokenOff> {
        let now_ms = self.clock.now_ms();
        if u128::from(now_ms.saturating_sub(*leased_ms)) < LEASE_EVERY.as_millis() {
            return Ok(());
        }
        *leased_ms = now_ms;
        if self.lease(holder).await? { Ok(()) } else { Err(BrokenOff::Lease) }
    }
}

/// One after the other, so that the broker's bound on unacknowledged messages is kept.
async fn deliver(client: &mut Client, alert: &Alert) -> Result<(), BrokenOff> {
    let sent = client.retain(&alert.topic, alert.payload.clone());
    loop {
        match client.next().await? {
            ClientEvent::Published { packet_id, answer } if packet_id == sent => {
                return Ok(answer?);
            }
            ClientEvent::Published { .. } | ClientEvent::Message { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::{Acknowledgement, AlarmKey};
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_alert_says_what_is_open() {
        let device = DeviceId::new(0x0A_3F73);
        let by = Acknowledgement { at_ms: 1, by: "a".into(), note: None };
        let alarm = Alarm {
            id: 12,
            key: AlarmKey { rule: 3, version: 1, device, episode: 1 },
            rule_name: "Too fast".into(),
            owner: None,
            severity: "critical".into(),
            late: false,
            notified: true,
            opened_at_ms: 1_593_637_200_000,
            raised_at_ms: 1_593_637_200_250,
            cleared_at_ms: None,
            withdrawn: false,
            value: None,
            place: None,
            acknowledged: Some(by),
            silence: None,
        };
        let names = DeviceNames::default();
        let made = alert(device, &[&alarm], &names, 1_593_637_260_000);
        assert_eq!(made.topic, "/alert/0A3F73");
        let expected = json!({
            "device_id": "0A3F73", "at": "2020-07-01T21:01:00Z",
            "open": [{
                "id": 12, "rule_id": 3, "rule_name": "Too fast", "severity": "critical",
                "opened_at": "2020-07-01T21:00:00Z", "acknowledged": true,
            }],
        });
        assert_eq!(serde_json::from_str::<Value>(&made.payload).unwrap(), expected);
        let none = alert(device, &[], &names, 1_593_637_260_000);
        assert_eq!(serde_json::from_str::<Value>(&none.payload).unwrap()["open"], json!([]));
    }
}
