//! The whole line in each of its shapes, behind one face: what a test says about
//! it must hold in all of them.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use nemeses_protocol::DeviceId;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::table::Tables;
use crate::{
    Api, Brand, Load, Mosquitto, Mqtt, Nemeses, Node, Redis, RedisMemory, SqlServer, User, frames,
    run_nemeses, wait_for,
};

/// Long enough for a frame to get through on two busy cores.
pub const SOON: Duration = Duration::from_secs(20);

/// Which shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One process, live entries in memory, rows in SQLite.
    Embedded,
    /// One process on Redis and MariaDB.
    NodeOnServers,
    /// The same with MySQL.
    NodeOnMySql,
    /// Parsers, exporters and API on Mosquitto, Redis and MariaDB.
    Stations,
    /// The same with MySQL.
    StationsOnMySql,
}

impl Shape {
    const fn brand(self) -> Brand {
        match self {
            Self::NodeOnMySql | Self::StationsOnMySql => Brand::MySql,
            Self::Embedded | Self::NodeOnServers | Self::Stations => Brand::MariaDb,
        }
    }

    /// Whether its servers are here; says so aloud where they are not.
    pub fn is_here(self) -> bool {
        self.brand().is_here()
    }
}

/// A running line. What its shape does not have is `None` or empty.
#[derive(Debug)]
pub struct Line {
    /// `nemeses up`.
    pub node: Option<Node>,
    /// Parsers, by number.
    pub parsers: Vec<Nemeses>,
    /// Exporters, by number.
    pub exporters: Vec<Nemeses>,
    /// `nemeses api`.
    pub api: Option<Api>,
    /// The broker of stations.
    pub mosquitto: Option<Mosquitto>,
    /// The live store.
    pub redis: Option<Redis>,
    /// The database.
    pub database: Option<SqlServer>,
    tables: Tables,
    /// The first user's address, once there is one.
    user: OnceCell<String>,
}

impl Line {
    /// Starts a line of this shape; `args` go to whatever takes live entries
    /// (`--live-ttl 3s`), `--unknown-devices` to whatever takes frames, `--grpc-listen` to the API.
    ///
    /// # Errors
    /// A part does not start.
    pub async fn start(shape: Shape, args: &[&str]) -> anyhow::Result<Self> {
        match shape {
            Shape::Embedded => Self::embedded(tempfile::tempdir()?, args).await,
            Shape::NodeOnServers | Shape::NodeOnMySql => {
                let (redis, database) = tokio::try_join!(
                    Redis::start(RedisMemory::Lost),
                    SqlServer::start(shape.brand())
                )?;
                let (redis_url, database_url) = (redis.url(), database.url());
                Self::node_on(redis, database, &redis_url, &database_url, args).await
            }
            Shape::Stations | Shape::StationsOnMySql => {
                let (mosquitto, redis, database) = tokio::try_join!(
                    Mosquitto::start(),
                    Redis::start(RedisMemory::Lost),
                    SqlServer::start(shape.brand())
                )?;
                let urls = (mosquitto.url(), redis.url(), database.url());
                let urls = (&*urls.0, &*urls.1, &*urls.2);
                Self::stations_on(mosquitto, redis, database, urls, 2, args).await
            }
        }
    }

    /// A node with everything embedded, its data directory in `folder`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn embedded(folder: TempDir, args: &[&str]) -> anyhow::Result<Self> {
        let node = Node::start_in(folder, args).await?;
        let tables = Tables::Sqlite(node.sqlite_path());
        Ok(Self::of(Some(node), None, None, None, tables))
    }

    /// A node on servers, reached by these URLs (which may lead through a proxy).
    ///
    /// # Errors
    /// It does not start.
    pub async fn node_on(
        redis: Redis,
        database: SqlServer,
        redis_url: &str,
        database_url: &str,
        args: &[&str],
    ) -> anyhow::Result<Self> {
        let stores = ["--redis-url", redis_url, "--database-url", database_url];
        let node = Node::start(&[&stores, args].concat()).await?;
        let tables = Tables::MySql(database.url());
        Ok(Self::of(Some(node), None, Some(redis), Some(database), tables))
    }

    /// So many parsers and exporters and an API, reached by these URLs: MQTT,
    /// Redis, database.
    ///
    /// # Errors
    /// One does not start.
    pub async fn stations_on(
        mosquitto: Mosquitto,
        redis: Redis,
        database: SqlServer,
        (mqtt_url, redis_url, database_url): (&str, &str, &str),
        workers: u16,
        args: &[&str],
    ) -> anyhow::Result<Self> {
        let tables = Tables::MySql(database.url());
        let mut line = Self::of(None, Some(mosquitto), Some(redis), Some(database), tables);
        let broker = ["--mqtt-url", mqtt_url];
        let redis = ["--redis-url", redis_url];
        let database = ["--database-url", database_url];
        let (for_parsers, args) = split_args(args, &["--unknown-devices", "--shadow"]);
        let (for_api, args) = split_args(&args, &["--grpc-listen"]);
        let (for_exporters, args) = split_args(&args, &["--seal-after"]);
        let args = &args[..];
        // The way out before the way in, so that no batch finds nobody subscribed.
        for number in 0..workers {
            let args = [&broker, &redis, &database, args, &for_exporters].concat();
            line.exporters.push(Nemeses::worker("dbexport", number, &args).await?);
        }
        for number in 0..workers {
            let args = [&broker[..], &redis, args, &for_parsers].concat();
            line.parsers.push(Nemeses::worker("parser", number, &args).await?);
        }
        let commands = ["--commands-mqtt-url", mqtt_url];
        let args = [&commands, &redis, &database, args, &for_api].concat();
        line.api = Some(Api::start(&args).await?);
        Ok(line)
    }

    fn of(
        node: Option<Node>,
        mosquitto: Option<Mosquitto>,
        redis: Option<Redis>,
        database: Option<SqlServer>,
        tables: Tables,
    ) -> Self {
        let (parsers, exporters, api) = (Vec::new(), Vec::new(), None);
        let user = OnceCell::new();
        Self { node, parsers, exporters, api, mosquitto, redis, database, tables, user }
    }

    /// Where devices connect.
    ///
    /// # Panics
    /// The line has no broker, which no shape lacks.
    pub fn mqtt_address(&self) -> SocketAddr {
        let node = self.node.as_ref().map(|node| node.mqtt().address());
        let broker = || self.mosquitto.as_ref().map(|broker| broker.port().address());
        node.or_else(broker).expect("every shape has a broker")
    }

    /// Where the REST API is.
    ///
    /// # Panics
    /// The line has no API, which no shape lacks.
    pub fn api_url(&self) -> String {
        let node = self.node.as_ref().map(Node::api_url);
        node.or_else(|| self.api.as_ref().map(Api::url)).expect("every shape has an API")
    }

    /// For `--database-url`.
    pub fn database_url(&self) -> String {
        match &self.tables {
            Tables::MySql(url) => url.clone(),
            Tables::Sqlite(path) => format!("sqlite:{}", path.display()),
        }
    }

    /// Waits until a worker is subscribed to what devices publish: until then
    /// Mosquitto acknowledges frames and drops them, as its answer in MQTT 5 says
    /// (0x10). Asks with a ping of `device`.
    ///
    /// # Errors
    /// Nobody subscribes in time.
    pub async fn wait_subscribed(&self, device: DeviceId) -> anyhow::Result<()> {
        let (port, ping) = (self.mqtt_address().port().to_string(), frames::ping(device));
        let to = ["-p", &port, "-t", "/messenger", "-m", &hex::encode(ping)].map(str::to_owned);
        wait_for(SOON, "a worker is subscribed", async || {
            let mut probe = tokio::process::Command::new("mosquitto_pub");
            let probe = probe.args(["-V", "5", "-d", "-q", "1", "-h", "127.0.0.1"]).args(&to);
            let said = probe.kill_on_drop(true).output().await?;
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            anyhow::ensure!(said.contains("RC:0"), "{said}");
            Ok(())
        })
        .await
    }

    /// The tables, read from outside.
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// A device's connection.
    ///
    /// # Errors
    /// Refused, or no broker.
    pub async fn device(&self, client_id: &str) -> anyhow::Result<Mqtt> {
        Mqtt::connect(self.mqtt_address(), client_id).await
    }

    /// The line's first user, who is its admin and sees every device, signed in anew.
    ///
    /// # Errors
    /// The API does not answer or refuses.
    pub async fn user(&self) -> anyhow::Result<User> {
        let base = self.api_url();
        let email = self.user.get_or_try_init(|| User::register(&base)).await?;
        User::sign_in(&base, email).await
    }

    /// Waits until the table holds exactly so many positions.
    ///
    /// # Errors
    /// Not in time.
    pub async fn wait_rows(&self, count: usize) -> anyhow::Result<()> {
        wait_for(SOON, &format!("{count} rows"), async || {
            let rows = self.tables.positions().await?.len();
            anyhow::ensure!(rows == count, "there are {rows}");
            Ok(())
        })
        .await
    }

    /// Runs `nemeses audit`: the books must balance.
    ///
    /// # Errors
    /// They do not.
    pub async fn audit(&self) -> anyhow::Result<()> {
        let url = self.database_url();
        let audit = run_nemeses(["audit", "--database-url", &url]).await?;
        anyhow::ensure!(
            audit.status.success(),
            "audit ended with {}:\n{}{}",
            audit.status,
            String::from_utf8_lossy(&audit.stdout),
            String::from_utf8_lossy(&audit.stderr)
        );
        Ok(())
    }

    /// Judges the tables by what was acknowledged to the load, which must have
    /// settled, and the live entries by the newest live frames, within `within`.
    ///
    /// # Errors
    /// A promise is broken.
    pub async fn judge(&self, load: &Load, user: &User, within: Duration) -> anyhow::Result<()> {
        let wanted = load.ledger(crate::Ledger::live_candidates);
        wait_for(within, "live entries equal the newest live frames", async || {
            live_entries_are(user, &wanted).await
        })
        .await?;
        // An acknowledgement of Mosquitto precedes the row.
        wait_for(SOON, "every acknowledged frame is kept once", async || {
            let rows = self.tables.positions().await?;
            let letters = self.tables.dead_letter_bytes().await?;
            load.ledger(|ledger| ledger.judge(&rows, &letters)).check()
        })
        .await?;
        wait_for(SOON, "the books balance", async || self.audit().await).await
    }
}

/// What only some understand, and the rest.
fn split_args<'a>(args: &[&'a str], names: &[&str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut for_some, mut rest) = (Vec::new(), args.to_vec());
    for name in names {
        if let Some(at) = rest.iter().position(|arg| arg == name) {
            let end = (at + 2).min(rest.len());
            for_some.extend(rest.drain(at..end));
        }
    }
    (for_some, rest)
}

async fn live_entries_are(user: &User, wanted: &BTreeMap<u32, HashSet<u32>>) -> anyhow::Result<()> {
    for (device, sequences) in wanted {
        let device = DeviceId::new(*device);
        let location = user.location(device).await.context("asking for a live entry")?;
        let odometer = location["odometer_m"].as_u64().and_then(|value| u32::try_from(value).ok());
        anyhow::ensure!(
            location["status"] == "online"
                && odometer.is_some_and(|odometer| sequences.contains(&odometer)),
            "{device} is at {location}, wanted online with an odometer of {sequences:?}"
        );
    }
    Ok(())
}
