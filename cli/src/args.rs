//! The command line. Every setting is declared once, here and in the modules
//! below: its flag, its environment variable, its default and its help; the
//! configuration file, the reference document and the example file are derived
//! from these declarations (`config::file`, `config::reference`). Meaning is
//! checked in `config`.

mod line;
mod listen;
mod stores;
mod switch;
mod traces;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::line::{
    FlushArgs, FrameArgs, LinkArgs, LinkTlsArgs, ShadowArgs, TopicArgs, WorkerArgs,
};
pub(crate) use self::listen::{
    AdminArgs, CommandArgs, DeviceArgs, DoorArgs, HttpArgs, MappingArgs, Registration,
};
pub(crate) use self::stores::{DatabaseArgs, EngineArgs, KeepArgs, LiveArgs, PoolArgs, SealArgs};
pub(crate) use self::switch::Switch;
pub(crate) use self::traces::TraceArgs;
use crate::dead_letters::DeadLettersCommand;
use crate::device::DeviceCommand;
use crate::simulate::SimulateArgs;
use crate::user::UserCommand;

const EXAMPLES: &str = "\
Examples:
  nemeses up                                everything in one process, data in ./data
  nemeses simulate --devices 100            simulated trackers, in a second terminal
  nemeses decode 50F70A3F730150494E4773C4   show what these bytes contain
  nemeses up --config nemeses.toml          settings from a file

Settings come from flags, then NEMESES_... variables, then the file, then defaults.
docs/configuration.md lists them all, `nemeses COMMAND --help` those of one command.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "nemeses",
    version,
    about = "Receives positions of GPS trackers over MQTT, stores every frame exactly once, shows them live",
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
    /// Run the MQTT listener alone (development, small sites)
    Broker(BrokerArgs),
    /// Run a parser: frames from an MQTT broker to the live store and to `/DB`
    Parser(ParserArgs),
    /// Run an exporter: batches from `/DB` to the database
    Dbexport(ExporterArgs),
    /// Run the REST API
    Api(Box<ApiArgs>),
    /// Send frames of simulated trackers, to try things out or to measure
    #[command(after_help = crate::simulate::EXAMPLES)]
    Simulate(SimulateArgs),
    /// Send values of a device over MQTT; ends when they are acknowledged
    #[command(after_help = crate::publish::EXAMPLES)]
    Publish(Box<crate::publish::PublishArgs>),
    /// Show what the bytes of a tracker contain, field by field
    #[command(after_help = crate::decode::EXAMPLES)]
    Decode(crate::decode::DecodeArgs),
    /// Mappings for devices that send JSON of their own: try, show
    #[command(subcommand)]
    Mapping(crate::mapping::MappingCommand),
    /// Print a location frame as hex, to try things out
    #[command(after_help = crate::encode::EXAMPLES)]
    Encode(crate::encode::EncodeArgs),
    /// Create or upgrade the tables of the database
    Migrate(MigrateArgs),
    /// Logins of trackers: add, list, disable, enable, rotate, remove
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Accounts of the REST API: add, list, role, grant, revoke, reset
    #[command(subcommand)]
    User(UserCommand),
    /// Rules, geofences and alarms: list, add, remove, test, geofence, alarms
    #[command(subcommand)]
    Rules(crate::rules::RulesCommand),
    /// Bytes that could not be decoded: list, show, retry, purge
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Remove rows older than their retention period, or show how much there is
    #[command(after_help = crate::retention::EXAMPLES)]
    Retention(crate::retention::RetentionArgs),
    /// Check that the books add up: every frame received is accounted for
    Audit(crate::audit::AuditArgs),
    /// Store the positions of a file (CSV, GPX, KML, Traccar's export) as a device's history
    #[command(after_help = crate::import::EXAMPLES)]
    Import(Box<crate::import::ImportArgs>),
    /// Decode stored raw bytes again and compare the result with the stored rows
    #[command(after_help = crate::replay::EXAMPLES)]
    Replay(crate::replay::ReplayArgs),
    /// Create the same logins in Mosquitto, through its dynamic-security plugin
    #[command(after_help = crate::mosquitto_roles::EXAMPLES)]
    MosquittoRoles(Box<crate::mosquitto_roles::MosquittoRolesArgs>),
    /// Export Mosquitto's own counters ($SYS) as Prometheus metrics
    MosquittoMetrics(crate::mosquitto_metrics::MosquittoMetricsArgs),
    /// The state of a running system: stores, books, queues, processes
    #[command(after_help = crate::status::EXAMPLES)]
    Status(crate::status::StatusArgs),
    /// Check a station's settings, files, stores, permissions and clocks
    #[command(after_help = crate::doctor::EXAMPLES)]
    Doctor(crate::doctor::DoctorArgs),
    /// Ask a running station whether it is healthy; for health checks of containers
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
      The same with servers, which several nodes can share.";

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
    /// The format of log lines
    #[arg(long, global = true, env = "NEMESES_LOG_FORMAT", default_value = "human")]
    pub(crate) log_format: LogFormat,
}

/// The format of log lines
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line per event
    Human,
    /// One JSON object per event
    Json,
}

/// `nemeses up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) door: DoorArgs,
    #[command(flatten)]
    pub(crate) devices: DeviceArgs,
    #[command(flatten)]
    pub(crate) mappings: MappingArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    #[command(flatten)]
    pub(crate) database: PoolArgs,
    #[command(flatten)]
    pub(crate) flush: FlushArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) seal: SealArgs,
    #[command(flatten)]
    pub(crate) frames: FrameArgs,
    #[command(flatten)]
    pub(crate) topics: TopicArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `nemeses broker`.
#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    #[command(flatten)]
    pub(crate) door: DoorArgs,
    #[command(flatten)]
    pub(crate) database: PoolArgs,
    #[command(flatten)]
    pub(crate) topics: TopicArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `nemeses parser`.
#[derive(Debug, Args)]
pub(crate) struct ParserArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    #[command(flatten)]
    pub(crate) shadow: ShadowArgs,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
    #[command(flatten)]
    pub(crate) devices: DeviceArgs,
    #[command(flatten)]
    pub(crate) mappings: MappingArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    #[command(flatten)]
    pub(crate) flush: FlushArgs,
    #[command(flatten)]
    pub(crate) frames: FrameArgs,
    #[command(flatten)]
    pub(crate) topics: TopicArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
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
    pub(crate) database: PoolArgs,
    #[command(flatten)]
    pub(crate) flush: FlushArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) seal: SealArgs,
    #[command(flatten)]
    pub(crate) topics: TopicArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `nemeses api`.
#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) commands: CommandArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    #[command(flatten)]
    pub(crate) database: PoolArgs,
    #[command(flatten)]
    pub(crate) topics: TopicArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `nemeses migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}
