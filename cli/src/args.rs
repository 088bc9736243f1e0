//! The command line. Every setting is declared once, here: its flag, its
//! environment variable, its default and its help; the configuration file, the
//! reference document and the example file are derived from these declarations
//! (`config::file`, `config::reference`). Meaning is checked in `config`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::config::value;
use crate::dead_letters::DeadLettersCommand;
use crate::device::DeviceCommand;
use crate::simulate::SimulateArgs;
use crate::user::UserCommand;

const EXAMPLES: &str = "\
Examples:
  nemeses up                                everything in one process, data in ./data
  nemeses simulate --devices 100            trackers that drive around, in a second terminal
  nemeses decode 50F70A3F730150494E4773C4   what is in these bytes?
  nemeses up --config nemeses.toml          settings from a file

Settings come from flags, then NEMESES_... variables, then the file, then defaults.
docs/configuration.md lists them all; `nemeses COMMAND --help` those of a command.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "nemeses",
    version,
    about = "Takes the positions of GPS trackers over MQTT, keeps every frame exactly once, shows them live",
    after_help = EXAMPLES,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: MQTT in, database, live positions, REST API
    #[command(after_help = UP_EXAMPLES)]
    Up(Box<UpArgs>),
    /// Run the MQTT front door alone (development, small edges)
    Broker(BrokerArgs),
    /// Run a parser: frames from an MQTT broker to the live store and on to `/DB`
    Parser(ParserArgs),
    /// Run an exporter: batches from `/DB` to the database
    Dbexport(ExporterArgs),
    /// Run the REST API
    Api(ApiArgs),
    /// Send frames of trackers that drive around, to try things out or to measure
    #[command(after_help = crate::simulate::EXAMPLES)]
    Simulate(SimulateArgs),
    /// Show what is in the bytes of a tracker, field by field
    #[command(after_help = crate::decode::EXAMPLES)]
    Decode(crate::decode::DecodeArgs),
    /// Create or upgrade the tables of the database
    Migrate(MigrateArgs),
    /// Logins of trackers: add, list, disable, enable, rotate
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Accounts of the REST API: add, list, role, grant, revoke, reset
    #[command(subcommand)]
    User(UserCommand),
    /// Bytes that were no good frames: list, show, retry, purge
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Take away what was kept long enough, or show what there is and would go
    #[command(after_help = crate::retention::EXAMPLES)]
    Retention(crate::retention::RetentionArgs),
    /// Check that the books balance: every frame received is accounted for
    Audit(crate::audit::AuditArgs),
    /// Decode kept raw bytes again: does today's decoder read them as they are stored?
    #[command(after_help = crate::replay::EXAMPLES)]
    Replay(crate::replay::ReplayArgs),
    /// Give Mosquitto the same logins, through its dynamic-security plugin
    #[command(after_help = crate::mosquitto_roles::EXAMPLES)]
    MosquittoRoles(Box<crate::mosquitto_roles::MosquittoRolesArgs>),
    /// Serve Mosquitto's own figures ($SYS) to Prometheus
    MosquittoMetrics(crate::mosquitto_metrics::MosquittoMetricsArgs),
    /// The state of a running system: stores, books, queues, processes
    #[command(after_help = crate::status::EXAMPLES)]
    Status(crate::status::StatusArgs),
    /// Look for what is wrong with a station's settings, files, stores, rights and clocks
    #[command(after_help = crate::doctor::EXAMPLES)]
    Doctor(crate::doctor::DoctorArgs),
    /// Ask a running station whether it is well; for health checks of containers
    #[command(after_help = crate::health::EXAMPLES)]
    Health(crate::health::HealthArgs),
    /// Write the completions of a shell to standard output
    Completions(crate::manual::CompletionsArgs),
    /// Write the man page to standard output, or those of all commands to a folder
    Man(crate::manual::ManArgs),
}

const UP_EXAMPLES: &str = "\
Examples:
  nemeses up
      Listens on 127.0.0.1 only: MQTT on 1883, REST API on 5000, metrics on 9180.
      Rows go to data/nemeses.db.
  nemeses up --redis-url redis://127.0.0.1:6379 \\
             --database-url mysql://nemeses:PASSWORD@127.0.0.1:3306/nemeses \\
             --jwt-secret-file /etc/nemeses/jwt-secret
      The same with servers, which several nodes may share.";

/// Where settings come from, and logs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common")]
pub(crate) struct CommonArgs {
    /// Read settings from this TOML file
    #[arg(long, global = true, env = "NEMESES_CONFIG", value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// What to log: a level (error, warn, info, debug, trace), or levels by module
    /// such as info,nemeses_broker=debug
    #[arg(
        long,
        global = true,
        env = "NEMESES_LOG_FILTER",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub(crate) log_filter: String,
    /// How log lines look
    #[arg(long, global = true, env = "NEMESES_LOG_FORMAT", default_value = "human")]
    pub(crate) log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line an event
    Human,
    /// One JSON object an event
    Json,
}

/// `nemeses up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) door: DoorArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) pool: PoolArgs,
    #[command(flatten)]
    pub(crate) flush: FlushArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) frames: FrameArgs,
    #[command(flatten)]
    pub(crate) topics: TopicArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// `nemeses broker`.
#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    #[command(flatten)]
    pub(crate) door: DoorArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) pool: PoolArgs,
    #[command(flatten)]
    pub(crate) topics: TopicArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// `nemeses parser`.
#[derive(Debug, Args)]
pub(crate) struct ParserArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    #[command(flatten)]
    pub(crate) flush: FlushArgs,
    #[command(flatten)]
    pub(crate) frames: FrameArgs,
    #[command(flatten)]
    pub(crate) topics: TopicArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// `nemeses dbexport`.
#[derive(Debug, Args)]
pub(crate) struct ExporterArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) pool: PoolArgs,
    #[command(flatten)]
    pub(crate) flush: FlushArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) topics: TopicArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// `nemeses api`.
#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) pool: PoolArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// `nemeses migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// The MQTT front door.
#[derive(Debug, Args)]
#[command(next_help_heading = "MQTT front door")]
pub(crate) struct DoorArgs {
    /// Where trackers connect (MQTT 3.1.1 and 5); port 0 takes any free one
    #[arg(
        long,
        env = "NEMESES_MQTT_LISTEN",
        default_value = "127.0.0.1:1883",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) mqtt_listen: std::net::SocketAddr,
    /// Where trackers connect by TLS; wants --mqtt-tls-cert and --mqtt-tls-key
    #[arg(
        long,
        env = "NEMESES_MQTT_TLS_LISTEN",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) mqtt_tls_listen: Option<std::net::SocketAddr>,
    /// The TLS listener's certificate chain, PEM
    #[arg(long, env = "NEMESES_MQTT_TLS_CERT", value_name = "PATH")]
    pub(crate) mqtt_tls_cert: Option<PathBuf>,
    /// The TLS listener's private key, PEM
    #[arg(long, env = "NEMESES_MQTT_TLS_KEY", value_name = "PATH")]
    pub(crate) mqtt_tls_key: Option<PathBuf>,
    /// Where MQTT is spoken over WebSocket
    #[arg(
        long,
        env = "NEMESES_MQTT_WEBSOCKET_LISTEN",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) mqtt_websocket_listen: Option<std::net::SocketAddr>,
    /// Let clients in without a login, to speak for any device. Only with
    /// listeners on loopback; write --mqtt-anonymous=false to require logins
    /// (`nemeses device add`)
    #[arg(
        long,
        env = "NEMESES_MQTT_ANONYMOUS",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        value_name = "true|false"
    )]
    pub(crate) mqtt_anonymous: bool,
    /// Connections at most; further ones are closed at once
    #[arg(
        long,
        env = "NEMESES_MAX_CONNECTIONS",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "COUNT"
    )]
    pub(crate) max_connections: u32,
    /// Messages of one connection taken and not yet acknowledged, at most
    #[arg(
        long,
        env = "NEMESES_WINDOW",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u16).range(1..=65_535),
        value_name = "COUNT"
    )]
    pub(crate) window: u16,
    /// Largest MQTT packet taken, in bytes; a connection that sends a larger one
    /// is closed
    #[arg(
        long,
        env = "NEMESES_MAX_PACKET_BYTES",
        default_value_t = 262_144,
        value_parser = clap::value_parser!(u32).range(1024..=16_777_216),
        value_name = "BYTES"
    )]
    pub(crate) max_packet_bytes: u32,
}

/// REST API.
#[derive(Debug, Args)]
#[command(next_help_heading = "REST API")]
pub(crate) struct HttpArgs {
    /// Where the REST API is served; other than loopback only with --private-network
    #[arg(
        long,
        env = "NEMESES_HTTP_LISTEN",
        default_value = "127.0.0.1:5000",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) http_listen: std::net::SocketAddr,
    /// Map tiles of another server, drawn above the bundled base map: a URL with
    /// {z}, {x} and {y}. Browsers then ask that server too; without it, none but this
    #[arg(long, env = "NEMESES_MAP_TILES", value_name = "URL")]
    pub(crate) map_tiles: Option<String>,
    /// Whose map the tiles are; shown on the map, as most tile servers ask for
    #[arg(long, env = "NEMESES_MAP_CREDIT", default_value = "", value_name = "TEXT")]
    pub(crate) map_credit: String,
    /// Whether people may make accounts themselves; closed, only admins and `nemeses
    /// user add` make them. Without it: open on loopback, else closed
    #[arg(long, env = "NEMESES_REGISTRATION")]
    pub(crate) registration: Option<Registration>,
    /// Proxies in front of the REST API, addresses or networks with commas between:
    /// what they say in X-Forwarded-For tells apart who tries passwords
    #[arg(
        long,
        env = "NEMESES_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_parser = value::network,
        value_name = "ADDRESS"
    )]
    pub(crate) trusted_proxies: Vec<nemeses_api::Network>,
    /// Origins with commas between, such as https://map.example.org, whose pages may
    /// read answers of the REST API
    #[arg(
        long,
        env = "NEMESES_CORS_ORIGINS",
        value_delimiter = ',',
        value_parser = value::origin,
        value_name = "ORIGIN"
    )]
    pub(crate) cors_origins: Vec<String>,
    /// What users' tokens are signed with, 32 characters at least. Without it
    /// one is drawn once and kept in the data directory; with a database server
    /// it must be given, as all instances must share it. Prefer the variable or
    /// --jwt-secret-file: other users of the machine can read command lines
    #[arg(long, env = "NEMESES_JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) jwt_secret: Option<String>,
    /// A file that holds the secret
    #[arg(long, env = "NEMESES_JWT_SECRET_FILE", value_name = "PATH")]
    pub(crate) jwt_secret_file: Option<PathBuf>,
    /// A file that holds the secret before this one: tokens signed with it stay
    /// good, so that changing the secret signs nobody out
    #[arg(long, env = "NEMESES_JWT_PREVIOUS_SECRET_FILE", value_name = "PATH")]
    pub(crate) jwt_previous_secret_file: Option<PathBuf>,
}

/// Whether people may make accounts themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Registration {
    /// Whoever reaches the API may register
    Open,
    /// Nobody may
    Closed,
}

/// The live store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Live store")]
pub(crate) struct LiveArgs {
    /// Redis for live positions: redis://, redis+sentinel:// or redis+cluster://, with
    /// rediss for TLS. `up` keeps them in its own memory without it; `parser` and `api`
    /// need it
    #[arg(long, env = "NEMESES_REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) redis_url: Option<String>,
    /// How long after its last frame a device counts as online
    #[arg(
        long,
        env = "NEMESES_LIVE_TTL",
        default_value = "300s",
        value_parser = value::live_ttl,
        value_name = "DURATION"
    )]
    pub(crate) live_ttl: Duration,
}

/// Which database.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct DatabaseArgs {
    /// Where rows are kept: mysql://USER:PASSWORD@HOST:PORT/DATABASE (or
    /// mariadb://), or sqlite:PATH. Without it: nemeses.db in the data directory
    #[arg(long, env = "NEMESES_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Directory of the files this program makes
    #[arg(long, env = "NEMESES_DATA_DIR", default_value = "./data", value_name = "PATH")]
    pub(crate) data_dir: PathBuf,
}

/// How a station uses its database.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct PoolArgs {
    /// Connections to the database server at most
    #[arg(
        long,
        env = "NEMESES_DB_CONNECTIONS",
        default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(1..=200),
        value_name = "COUNT"
    )]
    pub(crate) db_connections: u32,
    /// Create or upgrade the tables at start
    #[arg(
        long,
        env = "NEMESES_MIGRATE",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        overrides_with = "no_migrate",
        value_name = "true|false"
    )]
    pub(crate) migrate: bool,
    /// Short for --migrate=false: refuse to start with tables of another version
    #[arg(long, action = ArgAction::SetTrue, overrides_with = "migrate")]
    pub(crate) no_migrate: bool,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Retention")]
#[expect(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct KeepArgs {
    /// How long positions are kept, by the device's clock: a duration such as 90days,
    /// or forever. MySQL lets go of whole weeks, so up to a week longer
    #[arg(
        long,
        env = "NEMESES_KEEP_POSITIONS",
        default_value = "forever",
        value_parser = value::keep,
        value_name = "DURATION|forever"
    )]
    pub(crate) keep_positions: value::Keep,
    /// How long dead letters are kept after their arrival
    #[arg(
        long,
        env = "NEMESES_KEEP_DEAD_LETTERS",
        default_value = "forever",
        value_parser = value::keep,
        value_name = "DURATION|forever"
    )]
    pub(crate) keep_dead_letters: value::Keep,
    /// How long the books are kept batch by batch; later their lines are joined
    /// into one a worker and day, and no figure is lost
    #[arg(
        long,
        env = "NEMESES_KEEP_BOOKS",
        default_value = "forever",
        value_parser = value::keep,
        value_name = "DURATION|forever"
    )]
    pub(crate) keep_books: value::Keep,
}

impl From<KeepArgs> for nemeses_dbexport::retention::Keep {
    fn from(args: KeepArgs) -> Self {
        Self {
            positions: args.keep_positions.period(),
            dead_letters: args.keep_dead_letters.period(),
            books: args.keep_books.period(),
        }
    }
}

/// Batching.
#[derive(Debug, Args)]
#[command(next_help_heading = "Frames")]
pub(crate) struct FlushArgs {
    /// How long a frame waits for others to be written with, unless nothing came
    /// before it. Longer saves work, shorter acknowledges sooner
    #[arg(
        long,
        env = "NEMESES_FLUSH_AFTER",
        default_value = "2ms",
        value_parser = value::flush_after,
        value_name = "DURATION"
    )]
    pub(crate) flush_after: Duration,
}

/// What is done with frames.
#[derive(Debug, Args)]
#[command(next_help_heading = "Frames")]
pub(crate) struct FrameArgs {
    /// A frame recorded further ahead of its arrival than this is a dead letter
    #[arg(
        long,
        env = "NEMESES_FUTURE_LIMIT",
        default_value = "24h",
        value_parser = value::future_limit,
        value_name = "DURATION"
    )]
    pub(crate) future_limit: Duration,
    /// Keep the raw bytes of good frames too (a third more space)
    #[arg(
        long,
        env = "NEMESES_KEEP_RAW",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        value_name = "true|false"
    )]
    pub(crate) keep_raw: bool,
}

/// Topic names.
#[derive(Debug, Args)]
#[command(next_help_heading = "Topics")]
#[expect(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct TopicArgs {
    /// Frames up; a device's own topic is this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_MESSENGER",
        default_value = "/messenger",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_messenger: String,
    /// Answers to pings; a device's own topic is this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_PING",
        default_value = "/ping",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_ping: String,
    /// Batches from parsers to exporters
    #[arg(
        long,
        env = "NEMESES_TOPIC_DB",
        default_value = "/DB",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_db: String,
    /// Commands down: this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_COMMAND",
        default_value = "/command",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_command: String,
}

/// Metrics.
#[derive(Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct AdminArgs {
    /// Where /metrics is served, or off; other than loopback only with
    /// --private-network. Without it: 127.0.0.1, port 9180 for up, 9181 broker, 9182 api, 18000 + worker parser, 19000 + worker dbexport
    #[arg(
        long,
        env = "NEMESES_ADMIN_LISTEN",
        value_parser = value::admin_listen,
        value_name = "ADDRESS:PORT|off"
    )]
    pub(crate) admin_listen: Option<value::AdminListen>,
}

/// What reaches the listeners for people and for Prometheus.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// The network of this process is private (a container's, a pod's): let the REST
    /// API and /metrics listen on other addresses than loopback. Only a proxy with
    /// TLS and Prometheus may reach them there
    #[arg(
        long,
        env = "NEMESES_PRIVATE_NETWORK",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        value_name = "true|false"
    )]
    pub(crate) private_network: bool,
}

/// The broker that a station or the simulator connects to.
#[derive(Debug, Args)]
#[command(next_help_heading = "MQTT broker")]
pub(crate) struct LinkArgs {
    /// The MQTT broker: mqtt://HOST:PORT or mqtt://USER:PASSWORD@HOST:PORT
    #[arg(
        long,
        env = "NEMESES_MQTT_URL",
        hide_env_values = true,
        default_value = "mqtt://127.0.0.1:1883",
        value_name = "URL"
    )]
    pub(crate) mqtt_url: String,
}

/// Which of several equal stations this is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Worker")]
pub(crate) struct WorkerArgs {
    /// This station's number among its equals, from 0. Each number runs once and
    /// always comes back: the broker keeps its share of the messages meanwhile
    #[arg(
        long,
        env = "NEMESES_WORKER",
        default_value_t = 0,
        value_parser = value::worker,
        value_name = "NUMBER"
    )]
    pub(crate) worker: u16,
    /// Leave for good: give up the share of the messages, work off what is
    /// there, clear the session, and end
    #[arg(
        long,
        env = "NEMESES_LEAVE",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        value_name = "true|false"
    )]
    pub(crate) leave: bool,
}
