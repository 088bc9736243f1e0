//! Settings, checked: plain values that the stations are built from. They are
//! read from flags, variables and file by clap (`args`, `file`) and checked here
//! (`check`) before anything binds; inside, nothing is checked again.

mod check;
mod devices;
pub(crate) mod file;
mod jwt;
mod link;
mod mappings;
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

use nemeses_api::ApiConfig;
use nemeses_broker::{DeviceListen, DoorConfig};
use nemeses_dbexport::retention::Keep;
use nemeses_parser::Edges;
use nemeses_protocol::Topics;
use nemeses_runtime::Secret;
use nemeses_store::history::StorageEngine;
use nemeses_telemetry::Mappings;

pub(crate) use check::{admin_address, database, redis, topics};
pub(crate) use jwt::JwtSecret;
pub(crate) use link::link;
pub(crate) use mappings::{mapped, read_mappings};
pub(crate) use traces::{Traces, share, traces};
pub(crate) use url::{DatabaseUrl, RedisUrl};
pub(crate) use wrong::Wrong;

use crate::args::{FrameArgs, WorkerArgs};

/// How long a history keeps what it has as it is.
#[derive(Clone, Debug)]
pub(crate) struct Periods {
    /// How long things are kept.
    pub(crate) keep: Keep,
    /// After how long readings are sealed; `None` is never.
    pub(crate) seal_after: Option<Duration>,
}

/// `nemeses up`: every station in one process.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Directory of the files this program makes; may not exist yet.
    pub(crate) data_dir: PathBuf,
    /// The MQTT listener.
    pub(crate) door: DoorConfig,
    /// Where devices of other protocols are listened for.
    pub(crate) devices: Devices,
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
    /// How long things are kept, and when they are sealed.
    pub(crate) periods: Periods,
    /// What is done with frames.
    pub(crate) frames: FrameArgs,
    /// Topic names.
    pub(crate) topics: Topics,
    /// How what is on other topics than ours is read.
    pub(crate) reads: Reads,
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
    pub(crate) door: DoorConfig,
    /// The database that logins are read from when they are required.
    pub(crate) database: Database,
    /// Topic names.
    pub(crate) topics: Topics,
    /// Where metrics are served, if at all.
    pub(crate) admin_listen: Option<SocketAddr>,
}

/// Where devices of other protocols are listened for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Devices {
    /// Over TCP.
    pub(crate) tcp: Vec<DeviceListen>,
    /// Over UDP.
    pub(crate) udp: Vec<DeviceListen>,
    /// Over HTTP, by TLS where there is a certificate.
    pub(crate) http: Option<SocketAddr>,
    /// Certificate chain and key of those that speak TLS, PEM.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
}

/// How messages on other topics than ours are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    /// Those of mappings, and what is posted for them.
    pub(crate) mappings: Mappings,
    /// What edges of Sparkplug said, where they are listened to.
    pub(crate) sparkplug: Option<Edges>,
}

/// `nemeses parser`.
#[derive(Clone, Debug)]
pub(crate) struct Parser {
    /// Where devices of other protocols are listened for.
    pub(crate) devices: Devices,
    /// The broker.
    pub(crate) broker: nemeses_mqtt::Broker,
    /// When worker 0 holds a shadow subscription.
    pub(crate) shadow: nemeses_parser::Shadow,
    /// Which of several.
    pub(crate) worker: WorkerArgs,
    /// The live store.
    pub(crate) redis: RedisUrl,
    /// How long after its last frame a device counts as online.
    pub(crate) live_ttl: Duration,
    /// How long a record waits for others to be handed over with.
    pub(crate) flush_after: Duration,
    /// What is done with frames.
    pub(crate) frames: FrameArgs,
    /// Topic names.
    pub(crate) topics: Topics,
    /// How what is on other topics than ours is read.
    pub(crate) reads: Reads,
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
    pub(crate) worker: WorkerArgs,
    /// The live store to rebuild after it lost its memory; `None` leaves it alone.
    pub(crate) redis: Option<RedisUrl>,
    /// How long after its last frame a device counts as online.
    pub(crate) live_ttl: Duration,
    /// The database.
    pub(crate) database: Database,
    /// How long a record waits for others to be committed with.
    pub(crate) flush_after: Duration,
    /// How long things are kept, and when they are sealed.
    pub(crate) periods: Periods,
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

/// REST API.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// Where; loopback, by HTTPS, or in a private network.
    pub(crate) listen: SocketAddr,
    /// Where gRPC is served, under the same terms.
    pub(crate) grpc_listen: Option<SocketAddr>,
    /// The certificate chain and its key, PEM; readable when settings were checked.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// Where those who come by plain HTTP are sent away.
    pub(crate) redirect_listen: Option<SocketAddr>,
    /// What else is set, without the certificate and the tracer.
    pub(crate) api: ApiConfig,
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
