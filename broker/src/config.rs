//! How the door is set up: where it listens and every bound it keeps.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use nemeses_protocol::Topics;
use nemeses_runtime::traces::Tracer;
use nemeses_runtime::{Network, Reload};

use crate::devices::DeviceListen;
use crate::packet::{valid_filter, valid_name};

/// Where the door listens and what it allows. [`DoorConfig::validate`] names the
/// setting that is wrong.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    /// Plain MQTT 3.1, 3.1.1 and 5. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether there is no MQTT at all, but only devices of other protocols.
    pub only_devices: bool,
    /// MQTT over TLS.
    pub tls: Option<TlsListen>,
    /// MQTT over WebSocket (subprotocol `mqtt`), without TLS.
    pub websocket: Option<SocketAddr>,
    /// Whose pages may speak by WebSocket, as browsers write it (`https://map.example.org`).
    /// Clients that send no origin, or the address that they connect to, are no pages.
    pub websocket_origins: Vec<String>,
    /// Where devices are listened for that speak a protocol of their own, over TCP.
    pub device_tcp: Vec<DeviceListen>,
    /// The same over UDP.
    pub device_udp: Vec<DeviceListen>,
    /// Certificate chain and key of those that speak TLS, PEM.
    pub device_tls: Option<(PathBuf, PathBuf)>,
    /// A connection of such a device that says nothing for so long is closed.
    pub device_silence: Duration,
    /// Whose connections begin with a header of the PROXY protocol, and must: load
    /// balancers. Nobody else's word is taken for where a client is.
    pub proxies: Vec<Network>,
    /// Topic names.
    pub topics: Topics,
    /// Whether clients without a user name are let in, with all rights. Meant
    /// for loopback; the caller decides.
    pub anonymous: bool,
    /// Whether that holds for WebSocket too, which a page in a browser can open.
    pub websocket_anonymous: bool,
    /// Clients that are let in at most; one more is refused with 0x97 (3.1.1: 3).
    pub max_connections: usize,
    /// Connections that have not logged in yet, at most. For one more, the address
    /// with the most silent ones loses its oldest.
    pub max_handshakes: usize,
    /// The longest packet of devices and gateways, bytes.
    pub max_device_packet_bytes: usize,
    /// The longest packet of everybody else, bytes. Batches on `/DB` must fit.
    pub max_packet_bytes: usize,
    /// Frames of one connection that may wait for their commit; it is not read
    /// while it has so many. MQTT 5 clients are told (receive maximum).
    pub window_per_connection: u16,
    /// Bytes of frames that may wait for their commit, over all connections.
    pub held_bytes_total: usize,
    /// From accept to a CONNECT that is let in.
    pub connect_deadline: Duration,
    /// Between two looks at the logins of open connections: one that is disabled,
    /// removed or has another secret is closed within this and the look-up's time.
    pub recheck_every: Duration,
    /// For a TLS or WebSocket handshake.
    pub handshake_deadline: Duration,
    /// The keep-alive given to MQTT 5 clients that ask for none or a longer one,
    /// seconds; 0 leaves it to them. MQTT 3.1.1 cannot be told.
    pub longest_keep_alive_s: u16,
    /// A client that takes nothing off its socket for so long is closed.
    pub write_deadline: Duration,
    /// Stopping waits so long for the commit of what was taken.
    pub drain_deadline: Duration,
    /// Subscriptions of one connection at most.
    pub max_subscriptions: usize,
    /// Connections at most that listen to topics which the router carries.
    pub max_listeners: usize,
    /// Retained messages at most.
    pub max_retained: usize,
    /// Bytes of retained messages at most.
    pub max_retained_bytes: usize,
    /// Follows some of the messages that go to the intake.
    pub tracer: Tracer,
    /// Asks for the certificate's files to be read again at once.
    pub reload: Reload,
}

/// The TLS listener.
#[derive(Clone, Debug)]
pub struct TlsListen {
    /// Where. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// File with the certificate chain, PEM.
    pub cert_pem: PathBuf,
    /// File with the private key, PEM.
    pub key_pem: PathBuf,
}

impl Default for DoorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)),
            only_devices: false,
            tls: None,
            websocket: None,
            websocket_origins: Vec::new(),
            device_tcp: Vec::new(),
            device_udp: Vec::new(),
            device_tls: None,
            device_silence: Duration::from_secs(30 * 60),
            proxies: Vec::new(),
            topics: Topics::default(),
            anonymous: false,
            websocket_anonymous: false,
            max_connections: 20_000,
            max_handshakes: 20_000,
            max_device_packet_bytes: 64 * 1024,
            max_packet_bytes: 512 * 1024,
            window_per_connection: 1000,
            held_bytes_total: 64 * 1024 * 1024,
            connect_deadline: Duration::from_secs(10),
            recheck_every: Duration::from_secs(5),
            handshake_deadline: Duration::from_secs(10),
            longest_keep_alive_s: 0,
            write_deadline: Duration::from_secs(30),
            drain_deadline: Duration::from_secs(8),
            max_subscriptions: 100,
            max_listeners: 256,
            max_retained: 1000,
            max_retained_bytes: 4 * 1024 * 1024,
            tracer: Tracer::off(),
            reload: Reload::default(),
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}; allowed: {allowed}")]
pub struct ConfigError {
    /// Which.
    pub setting: &'static str,
    /// What it is.
    pub value: String,
    /// What it may be.
    pub allowed: &'static str,
}

/// The longest packet that MQTT can say: a remaining length of 2^28 - 1 behind
/// five bytes of header.
const LONGEST_MQTT_PACKET: usize = 268_435_460;

impl DoorConfig {
    /// Checks every bound.
    ///
    /// # Errors
    /// The first setting that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let packets = 1024..=LONGEST_MQTT_PACKET;
        let packet_sizes = "1024 to 268435460 bytes";
        within("max_connections", self.max_connections, &(1..=1_000_000), "1 to 1000000")?;
        within("max_handshakes", self.max_handshakes, &(1..=1_000_000), "1 to 1000000")?;
        within("max_packet_bytes", self.max_packet_bytes, &packets, packet_sizes)?;
        within("max_device_packet_bytes", self.max_device_packet_bytes, &packets, packet_sizes)?;
        let window = usize::from(self.window_per_connection);
        within("window_per_connection", window, &(1..=65_535), "1 to 65535")?;
        let held = 64 * 1024..=usize::MAX;
        within("held_bytes_total", self.held_bytes_total, &held, "65536 bytes and more")?;
        within("max_listeners", self.max_listeners, &(1..=65_535), "1 to 65535")?;
        within("max_subscriptions", self.max_subscriptions, &(1..=65_535), "1 to 65535")?;
        for (setting, deadline) in [
            ("connect_deadline", self.connect_deadline),
            ("recheck_every", self.recheck_every),
            ("handshake_deadline", self.handshake_deadline),
            ("write_deadline", self.write_deadline),
            ("device_silence", self.device_silence),
        ] {
            if deadline.is_zero() {
                let value = "0".to_owned();
                return Err(ConfigError { setting, value, allowed: "longer than 0" });
            }
        }
        self.validate_topics()
    }

    fn validate_topics(&self) -> Result<(), ConfigError> {
        let topics = &self.topics;
        let names = [
            ("topics.messenger", &topics.messenger),
            ("topics.ping", &topics.ping),
            ("topics.db", &topics.db),
            ("topics.command", &topics.command),
            ("topics.telemetry", &topics.telemetry),
        ];
        for (index, (setting, name)) in names.iter().enumerate() {
            let repeated = names[..index].iter().any(|(_, earlier)| earlier == name);
            let good = valid_name(name) && valid_filter(name) && !name.starts_with('$');
            if !good || repeated || name.len() > 1000 || name.contains('\0') {
                return Err(ConfigError {
                    setting,
                    value: format!("{name:?}"),
                    allowed: "a topic name of its own, without wildcards and not below $",
                });
            }
        }
        Ok(())
    }
}

fn within(
    setting: &'static str,
    value: usize,
    allowed_range: &std::ops::RangeInclusive<usize>,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if allowed_range.contains(&value) {
        return Ok(());
    }
    Err(ConfigError { setting, value: value.to_string(), allowed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_a_wrong_value_is_named() {
        DoorConfig::default().validate().unwrap();
        let none = DoorConfig { window_per_connection: 0, ..DoorConfig::default() };
        let error = none.validate().unwrap_err().to_string();
        assert_eq!(error, "window_per_connection is 0; allowed: 1 to 65535");
        let mut wild = DoorConfig::default();
        wild.topics.ping = "/ping/#".to_owned();
        assert_eq!(wild.validate().unwrap_err().setting, "topics.ping");
        let mut twice = DoorConfig::default();
        twice.topics.db = twice.topics.ping.clone();
        assert_eq!(twice.validate().unwrap_err().setting, "topics.db");
    }
}
