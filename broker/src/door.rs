//! The door: bound, run and held.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Registry, Stop};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::auth::Authenticator;
use crate::commands::{CommandKeeper, Handed};
use crate::config::DoorConfig;
use crate::devices::{Datagrams, Devices};
use crate::handshakes::Handshakes;
use crate::hub::Hub;
use crate::intake::Intake;
use crate::message::Message;
use crate::metrics::Metrics;
use crate::net::{Listener, Listeners, OutOfResources, Transport};
use crate::packet::{Qos, Reason};
use crate::pool::Pool;
use crate::session;
use crate::shared::{Relay, Shared};

/// The MQTT listener, bound to its addresses.
pub struct Door {
    shared: Arc<Shared>,
    listeners: Listeners,
}

impl Door {
    /// Checks the configuration and binds all listeners. With an intake, frames go
    /// to it; without, to whoever subscribes.
    ///
    /// # Errors
    /// A wrong setting, an unreadable certificate, an address in use.
    #[expect(clippy::unused_async, reason = "needs a runtime, which an async function tells")]
    pub async fn bind(
        config: DoorConfig,
        intake: Option<Arc<dyn Intake>>,
        rights: Arc<dyn Authenticator>,
        registry: &mut Registry,
    ) -> Result<Self> {
        config.validate()?;
        let listeners = Listeners::bind(&config)?;
        let metrics = Metrics::register(registry);
        let hub = Hub::new(metrics, &config);
        let pool = Pool::new(config.held_bytes_total, hub.metrics.held_bytes.clone());
        let handshakes = Handshakes::new(config.max_handshakes, hub.metrics.handshakes.clone());
        let shared = Shared {
            config,
            hub,
            handshakes,
            pool,
            intake,
            rights,
            devices: None,
            relay: None,
            commands: None,
        };
        Ok(Self { shared: Arc::new(shared), listeners })
    }

    /// Passes replies and commands that nobody here listens for to `relay`. Comes
    /// before [`Door::handle`].
    #[must_use]
    pub fn with_relay(mut self, relay: Arc<dyn Relay>) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.relay = Some(relay);
        }
        self
    }

    /// Reports to `keeper` who listens for commands, and what becomes of those that it
    /// hands over. Comes before [`Door::handle`].
    #[must_use]
    pub fn with_commands(mut self, keeper: Arc<dyn CommandKeeper>) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.commands = Some(keeper);
        }
        self
    }

    /// Hands what devices say that speak a protocol of their own to `devices`. Comes before
    /// [`Door::handle`]; without it they are not listened to.
    #[must_use]
    pub fn with_devices(mut self, devices: Arc<dyn Devices>) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.devices = Some(devices);
        }
        self
    }

    /// Where devices are listened for that speak a protocol of their own, over TCP and UDP.
    pub fn device_addrs(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let Listeners { devices, datagrams, .. } = &self.listeners;
        let tcp = devices.iter().filter_map(Listener::local_addr).collect();
        (tcp, datagrams.iter().filter_map(Datagrams::local_addr).collect())
    }

    /// Where plain MQTT is served.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listeners.plain.as_ref().and_then(Listener::local_addr)
    }

    /// Where MQTT over TLS is served.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.listeners.tls.as_ref().and_then(Listener::local_addr)
    }

    /// Where MQTT over WebSocket is served.
    pub fn websocket_addr(&self) -> Option<SocketAddr> {
        self.listeners.websocket.as_ref().and_then(Listener::local_addr)
    }

    /// What the rest of the node uses the door by.
    pub fn handle(&self) -> DoorHandle {
        DoorHandle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until `stop.intake`; then accepts and reads nothing more, waits for
    /// the commit of what was taken (at most the drain deadline), acknowledges it
    /// and closes all connections. `stop.all` cuts that short.
    ///
    /// # Errors
    /// The router's thread has died: nothing on its topics would ever arrive
    /// again.
    pub async fn run(mut self, stop: Stop) -> Result<()> {
        let router_died = self.shared.hub.router_died().clone();
        let shared = Arc::clone(&self.shared);
        let certificates = self.listeners.certificates.clone();
        let following = async {
            let each = certificates.into_iter().map(|certificates| {
                certificates.follow(shared.config.reload.asked(), stop.intake.clone())
            });
            futures_util::future::join_all(each).await;
        };
        let porter =
            Porter { connections: TaskTracker::new(), shared: self.shared, stop: stop.clone() };
        for datagrams in std::mem::take(&mut self.listeners.datagrams) {
            porter.connections.spawn(datagrams.serve(Arc::clone(&shared), stop.clone()));
        }
        let accepting = self.listeners.into_all().map(|listener| porter.accept(listener));
        let accepting = async {
            let telling = shared.metrics().tell_until(&stop.intake);
            tokio::join!(futures_util::future::join_all(accepting), telling, following);
        };
        let served = tokio::select! {
            () = accepting => Ok(()),
            never = watch_logins(&shared) => match never {},
            () = router_died.cancelled() => Err(anyhow::anyhow!("the door's router has died")),
        };
        // Whatever the cause, connections drain. `stop.all` reaches each of them.
        stop.intake.cancel();
        porter.connections.close();
        porter.connections.wait().await;
        served
    }
}

/// Closes the connections of logins that were disabled, removed or changed since
/// their CONNECT, again and again. Who cannot be asked about, stays.
async fn watch_logins(shared: &Shared) -> Infallible {
    loop {
        tokio::time::sleep(shared.config.recheck_every).await;
        let open = shared.hub.open_logins();
        if open.is_empty() {
            continue;
        }
        if let Ok(revoked) = shared.rights.revoked(&open).await
            && !revoked.is_empty()
        {
            tracing::info!(
                logins = revoked.len(),
                "connections of logins that hold no longer are closed"
            );
            shared.hub.revoke(revoked);
        }
    }
}

/// Lets connections in, each to a task of its own.
struct Porter {
    shared: Arc<Shared>,
    stop: Stop,
    connections: TaskTracker,
}

impl Porter {
    async fn accept(&self, listener: Listener) {
        let take = |accepted| match accepted {
            Ok((tcp, peer)) => self.take(tcp, peer, listener.kind.clone()),
            Err(OutOfResources) => {
                self.shared.handshakes.crowd_out();
            }
        };
        listener.accept_until(&self.stop.intake, take).await;
    }

    fn take(&self, tcp: TcpStream, peer: SocketAddr, kind: Transport) {
        let Some(handshake) = self.shared.handshakes.begin(peer.ip()) else {
            self.shared.metrics().refused("crowded_out");
            return;
        };
        let arrival = session::Arrival { tcp, peer, kind, handshake };
        let served = session::serve(Arc::clone(&self.shared), arrival, self.stop.clone());
        self.connections.spawn(served);
    }
}

/// What the rest of the node uses the door by. Clones share.
#[derive(Clone)]
pub struct DoorHandle {
    shared: Arc<Shared>,
}

/// What a publish through the handle came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Somebody listens and will get it.
    Delivered,
    /// Nobody listens.
    NobodyListens,
}

/// How the door stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorStats {
    /// Clients that are let in.
    pub connections: i64,
    /// Bytes of frames that wait for their commit.
    pub held_bytes: usize,
    /// PUBLISH packets handed to the intake so far.
    pub frame_messages: u64,
    /// PUBACK and PUBREC packets sent so far.
    pub acknowledged: u64,
}

impl DoorHandle {
    /// Whether a client subscribes to this topic by way of the router. Cheap:
    /// ask before making a message that may interest nobody.
    pub fn has_subscriber(&self, topic: &str) -> bool {
        self.shared.hub.has_subscriber(topic)
    }

    /// Publishes to those who subscribe (QoS 1 at most).
    ///
    /// # Errors
    /// The router has died.
    pub fn publish(&self, topic: &str, payload: impl Into<Bytes>) -> Result<Published> {
        self.publish_as(topic, payload.into(), false)
    }

    /// The same, retained for whoever subscribes later.
    ///
    /// # Errors
    /// The router has died, or as much is retained as may be.
    pub fn retain(&self, topic: &str, payload: impl Into<Bytes>) -> Result<Published> {
        self.publish_as(topic, payload.into(), true)
    }

    fn publish_as(&self, topic: &str, payload: Bytes, retain: bool) -> Result<Published> {
        let message = Message {
            publisher: 0,
            topic: topic.into(),
            payload,
            qos: Qos::AtLeastOnce,
            retain,
            properties: Bytes::new(),
        };
        match self.shared.hub.route(message) {
            Reason::SUCCESS => Ok(Published::Delivered),
            Reason::NO_MATCHING_SUBSCRIBERS => Ok(Published::NobodyListens),
            Reason::QUOTA_EXCEEDED => Err(anyhow::anyhow!("as much is retained as may be")),
            _ => Err(anyhow::anyhow!("the door's router has died")),
        }
    }

    /// Sends a ping's reply to whoever listens for this device here; whether
    /// anybody does. Never relayed, so that nodes do not play ball.
    pub fn reply(&self, device: DeviceId, payload: impl Into<Bytes>) -> bool {
        self.shared.hub.reply(device, &payload.into(), Qos::AtMostOnce) > 0
    }

    /// Sends a command to whoever listens for this device here; whether anybody
    /// does. Never relayed. Delivered at the quality of the subscription, at most
    /// 1; a device that is not connected gets nothing.
    pub fn command(&self, device: DeviceId, payload: impl Into<Bytes>) -> bool {
        let call = crate::hub::Call::Command(device);
        self.shared.hub.call(call, &payload.into(), Qos::AtLeastOnce) > 0
    }

    /// Whether a client listens for the commands of this device that would get them on its
    /// behalf: its own login, a gateway or a client without a login, by a filter without
    /// wildcards.
    pub fn has_taker(&self, device: DeviceId) -> bool {
        self.shared.hub.has_taker(device)
    }

    /// Hands a kept command to the client that gets it on the device's behalf; whether
    /// there is one and it takes it. What becomes of it is reported to the
    /// [`CommandKeeper`] unless there is none. It goes out until `until` only, at QoS 1 at most.
    pub fn hand_over(
        &self,
        device: DeviceId,
        id: u64,
        payload: impl Into<Bytes>,
        until: Instant,
    ) -> bool {
        let Some(keeper) = self.shared.commands.clone() else { return false };
        let handed = || Handed::new(keeper, id, device, until);
        self.shared.hub.hand_over(device, payload.into(), handed)
    }

    /// Shows a command to those who watch: operators, and whoever's filter has wildcards;
    /// whether there are any.
    pub fn show_command(&self, device: DeviceId, payload: impl Into<Bytes>) -> bool {
        let payload = payload.into();
        let seen = self.shared.hub.show_command(device, &payload);
        let topic = self.shared.config.topics.command_of(device);
        seen | (self.shared.show(&topic, &payload, Qos::AtLeastOnce) == Reason::SUCCESS)
    }

    /// Serves a client of this process until it ends, without a socket and
    /// whether or not the door runs. A panic in it is not caught.
    pub async fn serve_in_process(&self, stream: DuplexStream, stop: &Stop) {
        session::serve_in_process(&self.shared, stream, stop).await;
    }

    /// How the door stands.
    pub fn stats(&self) -> DoorStats {
        let metrics = self.shared.metrics();
        DoorStats {
            connections: metrics.connections.get(),
            held_bytes: self.shared.pool.taken(),
            frame_messages: metrics.frames_in.get(),
            acknowledged: metrics.acknowledged.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::NoLogins;

    /// A door whose router is dead would acknowledge what reaches nobody.
    #[tokio::test]
    async fn the_death_of_the_router_ends_the_door_with_an_error() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = DoorConfig { listen, ..DoorConfig::default() };
        let mut registry = Registry::default();
        let door = Door::bind(config, None, Arc::new(NoLogins), &mut registry).await.unwrap();
        let handle = door.handle();
        let running = tokio::spawn(door.run(Stop::default()));
        handle.shared.hub.kill_router();
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the door's router has died");
    }
}
