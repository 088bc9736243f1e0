//! The parts that several roles are built from, each from its checked settings.

use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nemeses_api::{
    ApiConfig, ApiState, DailyStats, KeptIn, Listeners, Stores, TokenSecret, TokenSecrets,
};
use nemeses_broker::DoorConfig;
use nemeses_dbexport::{Acknowledge, Exporter, note_quiet};
use nemeses_parser::{Gate, Policy};
use nemeses_runtime::http::{self, HttpConfig};
use nemeses_runtime::traces::Tracer;
use nemeses_runtime::{
    Backoff, Certificates, Clock, Describe, Outage, Ready, Registry, Reload, Tasks, serve_admin,
};
use nemeses_store::history::{Database, Options, Users, open};
use nemeses_store::known::KnownDevices;
use nemeses_store::live::{LiveStore, LiveWriter, RedisOptions, rebuild_loop};
use tokio::net::TcpListener;

use crate::args::FrameArgs;
use crate::config;
use crate::glue::Asked;

/// What is in flight at a stop is given this long to be committed. With the
/// second stage the process ends within twice this, below ten seconds.
pub(crate) const DRAIN: Duration = Duration::from_millis(4500);

/// Sockets that may be on their way in are as many as may be connected, since a fleet
/// comes back at once after an outage, and at least so many, so that where few may be
/// connected all who ask are answered.
const LEAST_HANDSHAKES: usize = 1024;

/// Between attempts to reach a database at start.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));

/// Context of a door that does not start: which settings name its addresses.
pub(crate) const DOOR_ADDRESSES: &str = "the MQTT listener does not start; its addresses are set by \
    --mqtt-listen, --mqtt-tls-listen and --mqtt-websocket-listen, those of devices' own protocols by \
    --tcp-listen and --udp-listen";

/// Makes the directory of the program's own files, for its owner alone: they hold
/// hashes of passwords and everyone's positions. One that is there becomes so.
pub(crate) fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| {
        format!("data-dir {} cannot be made; choose another with --data-dir", path.display())
    })?;
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    let shown = path.display();
    // What everybody may write to (/tmp) is nobody's own directory.
    anyhow::ensure!(
        mode & 0o1000 == 0,
        "data-dir {shown} is a directory for everybody (mode {mode:o}); name one of its own with --data-dir"
    );
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)) {
        Ok(()) => tracing::warn!(
            "others could look into data-dir {shown} (mode {mode:03o}); it is for its owner alone now"
        ),
        Err(error) => tracing::warn!(
            %error,
            "others can look into data-dir {shown} (mode {mode:03o}), where positions and password hashes lie"
        ),
    }
    Ok(())
}

/// Keeps a second node away from this one's data directory: two nodes on one SQLite
/// file would each know only half of the fleet. Held as long as the value lives,
/// and by the system given back when the process ends in whatever way.
pub(crate) fn lock_data_dir(path: &Path) -> anyhow::Result<std::fs::File> {
    let name = path.join("node.lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&name)
        .with_context(|| format!("{} cannot be opened", name.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => anyhow::bail!(
            "another node runs on {}; stop it, or choose another directory with --data-dir",
            path.display()
        ),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", name.display()))
        }
    }
}

/// Opens the database and sees to its tables, waiting for a server that is not
/// there yet. `None` when a person did not want to wait any longer.
pub(crate) async fn database(
    settings: &config::Database,
    asked: &Asked,
) -> anyhow::Result<Option<Database>> {
    let config::Database { connections: max_connections, engine, .. } = *settings;
    let options = Options { max_connections, engine, ..Options::default() };
    let database = open(settings.url.expose(), options).await?;
    let history = database.history();
    let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
    loop {
        let ready = async {
            if settings.migrate {
                history.migrate().await?;
            }
            history.check_schema().await
        };
        match asked.unless_asked(ready).await {
            None => return Ok(None),
            Some(Ok(())) => break,
            Some(Err(error)) if error.is_transient() => {
                if outage.begins() {
                    tracing::warn!(%error, "waiting for the database; nothing is served before it is there");
                }
            }
            Some(Err(error)) => return Err(error.into()),
        }
        if asked.unless_asked(tokio::time::sleep(backoff.wait())).await.is_none() {
            return Ok(None);
        }
    }
    if outage.ends().is_some() {
        tracing::info!("the database is there");
    }
    // Whoever may not read the settings is not kept from working.
    for weakness in history.weaknesses().await.unwrap_or_default() {
        tracing::warn!("an acknowledgement does not mean kept: {weakness}");
    }
    Ok(Some(database))
}

/// Opens the live store.
pub(crate) fn live(
    redis: Option<&config::RedisUrl>,
    ttl: Duration,
    clock: Clock,
) -> anyhow::Result<Arc<dyn LiveStore>> {
    let ttl_ms = millis(ttl);
    let url = redis.map(config::RedisUrl::expose);
    let root_certificates = redis.and_then(config::RedisUrl::certificates);
    let options = RedisOptions { root_certificates, ..RedisOptions::default() };
    Ok(nemeses_store::live::open_with(url, ttl_ms, clock, options)?)
}

/// Starts what writes to the live store behind the line's back.
pub(crate) fn live_writer(
    tasks: &Tasks,
    live: Arc<dyn LiveStore>,
    clock: Clock,
    tracer: Tracer,
    registry: &mut Registry,
) -> LiveWriter {
    let writer = LiveWriter::new(live, clock).with_tracer(tracer);
    writer.register(registry);
    let (running, stop) = (writer.clone(), tasks.stop().all);
    tasks.spawn_rest("live writer", async move {
        running.run(stop).await;
        Ok(())
    });
    writer
}

/// Shows new devices as soon as they have their numbers.
pub(crate) fn show_new_devices(
    tasks: &Tasks,
    writer: &LiveWriter,
    names: nemeses_protocol::DeviceNames,
) {
    let (looking, stop) = (writer.clone(), tasks.stop().all);
    tasks.spawn_rest("live entries of new devices", async move {
        looking.look_for_numbers(names, stop).await;
        Ok(())
    });
}

/// Starts the exporter's lanes. SQLite writes one transaction at a time: one.
pub(crate) fn run_lanes<R: Acknowledge>(
    tasks: &Tasks,
    exporter: &Exporter<R>,
    database: &Database,
    is_server: bool,
    live_ttl: Duration,
) {
    let lanes = if is_server { exporter.config().lanes } else { 1 };
    for _ in 0..lanes {
        let lane = exporter.clone().run_lane(database.history(), tasks.stop());
        tasks.spawn_rest("exporter", lane);
    }
    let rehearsal = exporter.clone().rehearse(database.history(), tasks.stop());
    tasks.spawn_rest("rehearsal", rehearsal);
    tasks.spawn_rest("exporter's log", exporter.clone().tell_dead_letters(tasks.stop()));
    let (history, stop) = (database.history(), tasks.stop().all);
    tasks.spawn_rest("last rows", async move {
        note_quiet(history, live_ttl, Clock::system(), stop).await;
        Ok(())
    });
}

/// Refills the live store from the history whenever it has lost its memory.
pub(crate) fn keep_rebuilt(
    tasks: &Tasks,
    live: Arc<dyn LiveStore>,
    database: &Database,
    ttl: Duration,
    clock: Clock,
) {
    let (history, stop) = (database.history(), tasks.stop().all);
    tasks.spawn_rest("live rebuild", async move {
        rebuild_loop(live, history, millis(ttl), clock, stop).await;
        Ok(())
    });
}

/// Evaluates the rules, if no other process of this database does. `alone` is a process that shares its
/// database with nobody.
pub(crate) fn evaluate_rules(
    tasks: &Tasks,
    database: &Database,
    (name, alone): (&str, bool),
    clock: Clock,
    registry: &mut Registry,
) {
    let config = nemeses_alarms::Config { name: name.to_owned(), alone };
    let names = database.named().names();
    let evaluator =
        nemeses_alarms::Evaluator::new(config, database.clone(), names, clock, registry);
    let stop = tasks.stop();
    tasks.spawn_rest("rules", async move {
        evaluator.run(stop).await;
        Ok(())
    });
}

/// Keeps the sums of days up, if no other process of this database does.
pub(crate) fn keep_sums<R: Acknowledge>(
    tasks: &Tasks,
    database: &Database,
    exporter: &Exporter<R>,
    clock: Clock,
    registry: &mut Registry,
) {
    let (database, stop) = (database.clone(), tasks.stop().all);
    let (exporter, stats) = (exporter.clone(), DailyStats::register(registry));
    let process = KeptIn {
        // The process's number and the moment: two that share a database differ.
        holder: format!("{}-{}", std::process::id(), clock.now_ms()),
        committed_rows: Box::new(move || exporter.committed_rows()),
    };
    tasks.spawn_rest("daily sums", async move {
        nemeses_api::keep_daily(database, process, stats, clock, stop).await;
        Ok(())
    });
}

/// Binds a listener; the message names the setting to change.
pub(crate) async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{setting} {address} cannot be listened on; is another program using it? Choose another with --{setting}")
    })
}

/// Serves the API until the second stage of a stop. Returns where.
pub(crate) async fn serve_api(
    tasks: &Tasks,
    settings: &config::Http,
    live_ttl: Duration,
    stores: Stores,
    clock: Clock,
    tracer: Tracer,
    (registry, reload): (&mut Registry, &Reload),
) -> anyhow::Result<ServedApi> {
    let current = TokenSecret::from_text(settings.jwt_secret.load()?.expose())?;
    let previous = settings.jwt_previous_secret.as_ref();
    let previous = previous.map(|secret| TokenSecret::from_text(secret.expose())).transpose()?;
    let secrets = TokenSecrets { current, previous };
    let listener = bind("http-listen", settings.listen).await?;
    let address = listener.local_addr()?;
    let grpc = match settings.grpc_listen {
        Some(address) => Some(bind("grpc-listen", address).await?),
        None => None,
    };
    print_setup(stores.users.as_ref(), &clock, settings.api.first_is_admin).await?;
    let to = settings.api.public_url.as_ref().map(|url| url.authority().to_owned());
    let tls = settings.tls.as_ref();
    let tls = tls.map(|files| {
        http_tls(tasks, files, http::to_https(to.clone()), reload, "certificate of the API")
            .context(
                "the REST API cannot be served by HTTPS; see --http-tls-cert and --http-tls-key",
            )
    });
    let tls = tls.transpose()?;
    let config = ApiConfig { tls, live_ttl, tracer, ..settings.api.clone() };
    let state = ApiState::new(stores, &secrets, clock, config)?;
    state.register(registry);
    let stop = tasks.stop().all;
    if let Some(redirect) = settings.redirect_listen {
        let listener = bind("http-redirect-listen", redirect).await?;
        let serving = http::serve(listener, http::to_https(to), HttpConfig::small(), stop.clone());
        tasks.spawn_rest("redirect to HTTPS", serving);
    }
    let readiness = state.clone();
    let ready: Ready = Arc::new(move || {
        let state = readiness.clone();
        Box::pin(async move { state.ready().await.map_err(|problem| problem.to_string()) })
    });
    tasks.spawn_rest("api", nemeses_api::serve(Listeners { http: listener, grpc }, state, stop));
    Ok(ServedApi { address, ready })
}

/// A running API.
pub(crate) struct ServedApi {
    /// Where.
    pub(crate) address: SocketAddr,
    /// Whether it can serve requests.
    pub(crate) ready: Ready,
}

/// HTTPS with a certificate that is kept current; `instead` answers those who come without TLS,
/// and `task` names what keeps it current.
pub(crate) fn http_tls(
    tasks: &Tasks,
    (cert, key): &(PathBuf, PathBuf),
    instead: axum::Router,
    reload: &Reload,
    task: &'static str,
) -> anyhow::Result<http::Tls> {
    let certificates = Certificates::read(cert, key)?;
    let tls = http::Tls::new(&certificates, instead)?;
    let (asked, stop) = (reload.asked(), tasks.stop().all);
    tasks.spawn_rest(task, async move {
        certificates.follow(asked, stop).await;
        Ok(())
    });
    Ok(tls)
}

/// Tells whoever reads the log how to make the first account, while there is none.
async fn print_setup(users: &dyn Users, clock: &Clock, by_registering: bool) -> anyhow::Result<()> {
    let Some(token) = nemeses_api::offer_setup(users, clock.now_ms()).await? else {
        return Ok(());
    };
    if by_registering {
        tracing::info!(
            %token,
            "there is no account yet: whoever registers first at this machine is the admin, or \
             whoever has this set-up token (on the page at /#/setup, or POST /setup)"
        );
    } else {
        tracing::warn!(
            %token,
            "there is no account yet: make the admin's with this set-up token, within a day \
             (on the page at /#/setup, or POST /setup), or with nemeses user add --admin"
        );
    }
    Ok(())
}

/// Binds the listener of the metrics, when there is to be one. Comes before a
/// worker connects: a second one of the same name must fail before it takes the
/// first one's session.
pub(crate) async fn bind_metrics(
    listen: Option<SocketAddr>,
) -> anyhow::Result<Option<TcpListener>> {
    match listen {
        Some(address) => bind("admin-listen", address).await.map(Some),
        None => Ok(None),
    }
}

/// Serves the metrics until the second stage of a stop, when a listener is set.
/// What registers later is not served, hence the shared registry. `describe` tells
/// who this process is, which a tool does not; `ready` whether it can do its work now.
pub(crate) fn serve_metrics(
    tasks: &Tasks,
    listener: Option<TcpListener>,
    registry: Arc<Registry>,
    describe: Option<Describe>,
    ready: Option<Ready>,
) -> anyhow::Result<()> {
    if let Some(listener) = listener {
        tracing::info!(address = %listener.local_addr()?, "metrics are served on /metrics");
        let stop = tasks.stop().all;
        tasks.spawn_rest("admin", serve_admin(listener, registry, describe, ready, stop));
    }
    Ok(())
}

/// The listener's settings with what it shares with the rest of the process.
pub(crate) fn door_config(
    settings: &DoorConfig,
    topics: nemeses_protocol::Topics,
    tracer: Tracer,
    reload: Reload,
) -> DoorConfig {
    DoorConfig {
        topics,
        max_handshakes: settings.max_connections.max(LEAST_HANDSHAKES),
        drain_deadline: DRAIN,
        tracer,
        reload,
        ..settings.clone()
    }
}

/// Keeps up with the names of devices, in the live store as well for those who have no
/// database. The topics with them.
pub(crate) fn follow_named(
    tasks: &Tasks,
    database: &Database,
    mirror: Option<Arc<dyn LiveStore>>,
    topics: nemeses_protocol::Topics,
) -> nemeses_protocol::Topics {
    let (named, stop) = (database.named(), tasks.stop().all);
    let following = named.clone().follow(database.identities(), mirror, stop);
    tasks.spawn_rest("named devices", async move {
        following.await;
        Ok(())
    });
    nemeses_protocol::Topics { names: named.names(), ..topics }
}

/// The same with listeners for devices of other protocols.
pub(crate) fn with_devices(door: DoorConfig, devices: &config::Devices) -> DoorConfig {
    DoorConfig {
        device_tcp: devices.tcp.clone(),
        device_udp: devices.udp.clone(),
        device_tls: devices.tls.clone().filter(|_| devices.tcp.iter().any(|at| at.tls)),
        ..door
    }
}

/// The parser's own form of its settings; `known` is who is known, where that matters.
pub(crate) fn policy(
    settings: FrameArgs,
    topics: nemeses_protocol::Topics,
    config::Reads { mappings, sparkplug }: config::Reads,
    known: &KnownDevices,
) -> Policy {
    Policy {
        topics,
        mappings,
        sparkplug,
        gate: Gate::new(settings.unknown_devices, known),
        future_limit_s: u32::try_from(settings.future_limit.as_secs()).unwrap_or(u32::MAX),
        keep_raw: settings.keep_raw,
        ..Policy::default()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let new = folder.path().join("made/on/demand");
        make_data_dir(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        set(&new, 0o755);
        make_data_dir(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        set(&new, 0o1777);
        let refusal = make_data_dir(&new).unwrap_err().to_string();
        assert!(refusal.contains("--data-dir"), "{refusal}");
        assert_eq!(mode(&new), 0o1777, "what is everybody's stays so");
    }

    #[test]
    fn a_second_node_is_kept_away_until_the_first_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock_data_dir(folder.path()).unwrap();
        let refusal = lock_data_dir(folder.path()).unwrap_err().to_string();
        assert!(refusal.starts_with("another node runs on"), "{refusal}");
        assert!(refusal.contains("--data-dir"), "{refusal}");
        drop(first);
        lock_data_dir(folder.path()).unwrap();
    }
}
