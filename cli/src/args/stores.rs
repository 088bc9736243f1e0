//! Settings of the stores: live store, database, and how long things stay there.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use nemeses_dbexport::retention::{ClassPeriod, Keep};
use nemeses_store::history::StorageEngine;

use super::Switch as _;
use crate::config::value;

/// The live store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Live store")]
pub(crate) struct LiveArgs {
    /// Redis for live positions: redis://, redis+sentinel:// or redis+cluster://, with
    /// rediss for TLS. Without it, `up` stores them in its own memory; `parser` and
    /// `api` need it
    #[arg(long, env = "NEMESES_REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) redis_url: Option<String>,
    /// The certificate authorities to trust for a Redis at rediss://, a PEM file;
    /// without it, those of the system
    #[arg(long, env = "NEMESES_REDIS_CA", value_name = "PATH")]
    pub(crate) redis_ca: Option<PathBuf>,
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
    /// The database: mysql://USER:PASSWORD@HOST:PORT/DATABASE (or mariadb://), or
    /// sqlite:PATH. Without it: nemeses.db in the data directory
    #[arg(long, env = "NEMESES_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Directory of the files that this program creates
    #[arg(long, env = "NEMESES_DATA_DIR", default_value = "./data", value_name = "PATH")]
    pub(crate) data_dir: PathBuf,
}

/// How a server's tables are created.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct EngineArgs {
    /// Storage engine of the tables when they are created; without it, the server's
    /// default. rocksdb needs MariaDB's plugin and rocksdb_large_prefix, and positions
    /// cannot be removed by age (docs/sizing.md says when it pays)
    #[arg(long, env = "NEMESES_DATABASE_ENGINE", value_enum, value_name = "ENGINE")]
    pub(crate) database_engine: Option<DatabaseEngine>,
}

/// A storage engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatabaseEngine {
    /// Available on every server
    Innodb,
    /// `MyRocks`
    Rocksdb,
}

impl From<DatabaseEngine> for StorageEngine {
    fn from(engine: DatabaseEngine) -> Self {
        match engine {
            DatabaseEngine::Innodb => Self::InnoDb,
            DatabaseEngine::Rocksdb => Self::RocksDb,
        }
    }
}

/// Which database a station uses, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct PoolArgs {
    #[command(flatten)]
    pub(crate) which: DatabaseArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Maximum number of connections to the database server
    #[arg(
        long,
        env = "NEMESES_DB_CONNECTIONS",
        default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(1..=200),
        value_name = "COUNT"
    )]
    pub(crate) db_connections: u32,
    /// Create or upgrade the tables at start
    #[arg(long, env = "NEMESES_MIGRATE", switch = true, overrides_with = "no_migrate")]
    pub(crate) migrate: bool,
    /// Same as --migrate=false: refuse to start with tables of another version
    #[arg(long, action = ArgAction::SetTrue, overrides_with = "migrate")]
    pub(crate) no_migrate: bool,
}

/// How long rows are stored.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Retention")]
#[expect(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct KeepArgs {
    /// How long positions are stored, by the device's clock: a duration such as 90days,
    /// or forever. MySQL removes whole weeks, so up to a week longer
    #[arg(
        long,
        env = "NEMESES_KEEP_POSITIONS",
        default_value = "forever",
        value_parser = value::keep,
        value_name = "DURATION|forever"
    )]
    pub(crate) keep_positions: value::Keep,
    /// How long positions of the devices in a retention class are stored, instead of
    /// keep-positions: class=duration for each class, separated by commas. Eight at
    /// most
    #[arg(
        long,
        env = "NEMESES_KEEP_CLASSES",
        default_value = "",
        hide_default_value = true,
        value_parser = value::classes,
        value_name = "short=30days,long=5years"
    )]
    pub(crate) keep_classes: value::Classes,
    /// How long dead letters are stored after their arrival
    #[arg(
        long,
        env = "NEMESES_KEEP_DEAD_LETTERS",
        default_value = "forever",
        value_parser = value::keep,
        value_name = "DURATION|forever"
    )]
    pub(crate) keep_dead_letters: value::Keep,
    /// How long the books are stored batch by batch; after that their rows are merged
    /// into one per worker and day, with the same sums
    #[arg(
        long,
        env = "NEMESES_KEEP_BOOKS",
        default_value = "forever",
        value_parser = value::keep,
        value_name = "DURATION|forever"
    )]
    pub(crate) keep_books: value::Keep,
}

/// When readings are sealed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Retention")]
pub(crate) struct SealArgs {
    /// After how long readings become compressed blocks, by the device's clock: a duration such
    /// as 7days, or never. One process seals for all that share a database
    #[arg(
        long,
        env = "NEMESES_SEAL_AFTER",
        default_value = "never",
        value_parser = value::seal,
        value_name = "DURATION|never"
    )]
    pub(crate) seal_after: value::Seal,
}

impl From<KeepArgs> for Keep {
    fn from(args: KeepArgs) -> Self {
        Self {
            positions: args.keep_positions.period(),
            classes: args
                .keep_classes
                .0
                .into_iter()
                .map(|(class, keep)| ClassPeriod { class, period: keep.period() })
                .collect(),
            dead_letters: args.keep_dead_letters.period(),
            books: args.keep_books.period(),
        }
    }
}
