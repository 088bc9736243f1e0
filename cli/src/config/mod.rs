//! Settings, checked: plain values that the stations are built from. They are
//! read from flags, variables and file by clap (`args`, `file`) and checked here
//! (`check`) before anything binds; inside, nothing is checked again.

mod check;
pub(crate) mod file;
mod jwt;
mod link;
#[cfg(test)]
mod reference;
mod traces;
pub(crate) mod url;
pub(crate) mod value;
mod variable;
mod wrong;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nemeses_dbexport::retention::Keep;
use nemeses_protocol::Topics;
use nemeses_store::history::StorageEngine;

pub(crate) use check::{admin_address, database, redis, topics};
pub(crate) use jwt::JwtSecret;
pub(crate) use link::link;
pub(crate) use traces::{Traces, share, traces};
pub(crate) use url::{DatabaseUrl, RedisUrl, Secret};
pub(crate) use wrong::Wrong;

/// `nemeses up`: every station in one process.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Directory of the files this program makes; may not exist yet.
    pub(crate) data_dir: PathBuf,
    /// The MQTT listener.
    pub(crate) door: Door,
    /// REST API.
    pub(crate) http: Http,
    /// Redis; `None` keeps live entries in memory.
    pub(crate) redis: Option<RedisUrl>,
    /// How long after its last frame a device counts as online.
    pub(crate) live_ttl: Duration,
    /// The database.
    pub(crate) database: Database,
    /// How long a frame waits for others to be committed with.
    pub(crate) flush_after: Duration,
    /// How long things are kept.
    pub(crate) keep: Keep,
    /// What is done with frames.
    pub(crate) frames: Frames,
    /// Topic names.
    pub(crate) topics: Topics,
    /// Where metrics are served, if at all.
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Traces, if there are to be any.
    pub(crate) traces: Option<Traces>,
}

/// `nemeses broker`: the MQTT listener alone.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    /// Directory of the files this program makes; may not exist yet.
    pub(crate) data_dir: PathBuf,
    /// The MQTT listener.
    pub(crate) door: Door,
    /// The database that logins are read from when they are required.
    pub(crate) database: Database,
    /// Topic names.
    pub(crate) topics: Topics,
    /// Where metrics are served, if at all.
    pub(crate) admin_listen: Option<SocketAddr>,
}

/// `nemeses parser`.
#[derive(Clone, Debug)]
pub(crate) struct Parser {
    /// The broker.
    pub(crate) broker: nemeses_mqtt::Broker,
    /// When worker 0 holds a shadow subscription.
    pub(crate) shadow: nemeses_parser::Shadow,
    /// Which of several.
    pub(crate) worker: Worker,
    /// The live store.
    pub(crate) redis: RedisUrl,
    /// How long after its last frame a device counts as online.
    pub(crate) live_ttl: Duration,
    /// How long a record waits for others to be handed over with.
    pub(crate) flush_after: Duration,
    /// What is done with frames.
    pub(crate) frames: Frames,
    /// Topic names.
    pub(crate) topics: Topics,
    /// Where metrics are served, if at all.
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Traces, if there are to be any.
    pub(crate) traces: Option<Traces>,
}

/// `nemeses dbexport`.
#[derive(Clone, Debug)]
pub(crate) struct Exporter {
    /// Directory of the files this program makes; may not exist yet.
    pub(crate) data_dir: PathBuf,
    /// The broker.
    pub(crate) broker: nemeses_mqtt::Broker,
    /// Which of several.
    pub(crate) worker: Worker,
    /// The live store to rebuild after it lost its memory; `None` leaves it alone.
    pub(crate) redis: Option<RedisUrl>,
    /// How long after its last frame a device counts as online.
    pub(crate) live_ttl: Duration,
    /// The database.
    pub(crate) database: Database,
    /// How long a record waits for others to be committed with.
    pub(crate) flush_after: Duration,
    /// How long things are kept.
    pub(crate) keep: Keep,
    /// Topic names.
    pub(crate) topics: Topics,
    /// Where metrics are served, if at all.
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Traces, if there are to be any.
    pub(crate) traces: Option<Traces>,
}

/// `nemeses api`.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    /// The broker that takes commands to devices; `None` leaves them to nodes.
    pub(crate) commands: Option<nemeses_mqtt::Broker>,
    /// Topic names.
    pub(crate) topics: Topics,
    /// Directory of the files this program makes; may not exist yet.
    pub(crate) data_dir: PathBuf,
    /// REST API.
    pub(crate) http: Http,
    /// The live store.
    pub(crate) redis: RedisUrl,
    /// How long after its last frame a device counts as online.
    pub(crate) live_ttl: Duration,
    /// The database.
    pub(crate) database: Database,
    /// Where metrics are served, if at all.
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Traces, if there are to be any.
    pub(crate) traces: Option<Traces>,
}

/// The MQTT listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    /// MQTT over TCP.
    pub(crate) listen: SocketAddr,
    /// MQTT over TLS.
    pub(crate) tls: Option<Tls>,
    /// MQTT over WebSocket.
    pub(crate) websocket_listen: Option<SocketAddr>,
    /// Whose pages may speak there.
    pub(crate) websocket_origins: Vec<String>,
    /// Load balancers whose connections begin with a header of the PROXY protocol.
    pub(crate) proxies: Vec<nemeses_runtime::Network>,
    /// Whether clients without a login are let in; only with loopback listeners.
    pub(crate) anonymous: bool,
    /// Whether that holds for WebSocket too.
    pub(crate) websocket_anonymous: bool,
    /// Connections at most.
    pub(crate) max_connections: usize,
    /// Messages of one connection taken and not yet acknowledged, at most.
    pub(crate) window: u16,
    /// Largest packet taken.
    pub(crate) max_packet_bytes: usize,
}

/// A TLS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Where.
    pub(crate) listen: SocketAddr,
    /// Certificate chain, PEM; the file was readable when settings were checked.
    pub(crate) cert: PathBuf,
    /// Private key, PEM; the file was readable when settings were checked.
    pub(crate) key: PathBuf,
}

/// Files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpTls {
    /// Certificate chain, PEM; the file was readable when settings were checked.
    pub(crate) cert: PathBuf,
    /// Private key, PEM; the file was readable when settings were checked.
    pub(crate) key: PathBuf,
}

/// REST API.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// Where; loopback, by HTTPS, or in a private network.
    pub(crate) listen: SocketAddr,
    /// With it by HTTPS.
    pub(crate) tls: Option<HttpTls>,
    /// Where those who come by plain HTTP are sent away.
    pub(crate) redirect_listen: Option<SocketAddr>,
    /// The address under which people reach it.
    pub(crate) public_url: Option<nemeses_api::PublicUrl>,
    /// Whether any host name is answered for where no public URL says which are ours.
    pub(crate) any_host: bool,
    /// Whether whoever registers first at this machine becomes the admin.
    pub(crate) first_is_admin: bool,
    /// Who may make accounts without an admin.
    pub(crate) registration: nemeses_api::Registration,
    /// Tiles of another server for the page's map.
    pub(crate) map: Option<nemeses_api::MapSource>,
    /// Whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<nemeses_api::Network>,
    /// Whose pages may read answers.
    pub(crate) cors_origins: Vec<String>,
    /// What tokens are signed with; see [`JwtSecret::load`].
    pub(crate) jwt_secret: JwtSecret,
    /// What they were signed with before.
    pub(crate) jwt_previous_secret: Option<Secret>,
}

/// The database of a station.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// Which.
    pub(crate) url: DatabaseUrl,
    /// Connections at most.
    pub(crate) connections: u32,
    /// Create or upgrade the tables at start; else only check their version.
    pub(crate) migrate: bool,
    /// Where they are made.
    pub(crate) engine: Option<StorageEngine>,
}

/// What is done with frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frames {
    /// Recorded further ahead of arrival than this: dead letter.
    pub(crate) future_limit: Duration,
    /// Keep the raw bytes of good frames.
    pub(crate) keep_raw: bool,
    /// What is done with unknown devices.
    pub(crate) unknown_devices: nemeses_parser::UnknownDevices,
}

/// One of several equal stations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    /// From 0; at most 999.
    pub(crate) number: u16,
    /// Leave for good instead of working.
    pub(crate) leave: bool,
}
