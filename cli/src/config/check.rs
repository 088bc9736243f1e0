//! From what was written to what is meant: each command's arguments become its
//! settings, or a refusal that names the setting, its value and what is allowed.
//! Pure, but for reading the files that settings name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use nemeses_api::{ApiConfig, MapSource, Registration};
use nemeses_broker::{DoorConfig, TlsListen};
use nemeses_protocol::Topics;
use nemeses_runtime::Secret;

use super::devices::devices;
use super::jwt::{LEAST_SECRET_BYTES, read_secret};
use super::link::{commands, link};
use super::mappings::{at_a_node_alone, mapped};
use super::url::without_password;
use super::value::AdminListen;
use super::wrong::Wrong;
use super::{
    Api, Broker, Database, DatabaseUrl, Exporter, Http, JwtSecret, Node, Parser, Periods, RedisUrl,
    traces,
};
use crate::args;

/// Ports of the admin listener when none is set: apart, so that all stations
/// and up to 1000 workers of a kind run on one machine.
const UP_ADMIN_PORT: u16 = 9180;
const BROKER_ADMIN_PORT: u16 = 9181;
const API_ADMIN_PORT: u16 = 9182;
const PARSER_ADMIN_PORT: u16 = 18_000;
const EXPORTER_ADMIN_PORT: u16 = 19_000;

/// The file in the data directory that holds the secret nobody gave.
const JWT_SECRET_FILE: &str = "jwt-secret";

impl TryFrom<&args::UpArgs> for Node {
    type Error = Wrong;

    fn try_from(args: &args::UpArgs) -> Result<Self, Wrong> {
        let database = station_database(&args.database)?;
        let (topics, reads) = mapped(&args.mappings, topics(&args.topics)?)?;
        Ok(Self {
            data_dir: args.database.which.data_dir.clone(),
            door: door(&args.door)?,
            devices: devices(&args.devices, &args.frames, &args.admin)?,
            http: http(&args.http, &args.admin, &database.url, &args.database.which.data_dir)?,
            redis: redis(&args.live)?,
            live_ttl: args.live.live_ttl,
            database,
            flush_after: args.flush.flush_after,
            periods: Periods {
                keep: args.keep.clone().into(),
                seal_after: args.seal.seal_after.after(),
            },
            frames: args.frames,
            topics,
            reads,
            admin_listen: admin(&args.admin, UP_ADMIN_PORT)?,
            traces: traces(&args.traces)?,
        })
    }
}

impl TryFrom<&args::BrokerArgs> for Broker {
    type Error = Wrong;

    fn try_from(args: &args::BrokerArgs) -> Result<Self, Wrong> {
        Ok(Self {
            data_dir: args.database.which.data_dir.clone(),
            door: door(&args.door)?,
            database: station_database(&args.database)?,
            topics: topics(&args.topics)?,
            admin_listen: admin(&args.admin, BROKER_ADMIN_PORT)?,
        })
    }
}

impl TryFrom<&args::ParserArgs> for Parser {
    type Error = Wrong;

    fn try_from(args: &args::ParserArgs) -> Result<Self, Wrong> {
        at_a_node_alone(&args.mappings)?;
        let (topics, reads) = mapped(&args.mappings, topics(&args.topics)?)?;
        Ok(Self {
            broker: link(&args.link)?,
            devices: devices(&args.devices, &args.frames, &args.admin)?,
            shadow: args.shadow.shadow.into(),
            worker: args.worker,
            redis: required_redis(&args.live)?,
            live_ttl: args.live.live_ttl,
            flush_after: args.flush.flush_after,
            frames: args.frames,
            topics,
            reads,
            admin_listen: admin(&args.admin, PARSER_ADMIN_PORT + args.worker.worker)?,
            traces: traces(&args.traces)?,
        })
    }
}

impl TryFrom<&args::ExporterArgs> for Exporter {
    type Error = Wrong;

    fn try_from(args: &args::ExporterArgs) -> Result<Self, Wrong> {
        Ok(Self {
            data_dir: args.database.which.data_dir.clone(),
            broker: link(&args.link)?,
            worker: args.worker,
            redis: redis(&args.live)?,
            live_ttl: args.live.live_ttl,
            database: station_database(&args.database)?,
            flush_after: args.flush.flush_after,
            periods: Periods {
                keep: args.keep.clone().into(),
                seal_after: args.seal.seal_after.after(),
            },
            topics: topics(&args.topics)?,
            admin_listen: admin(&args.admin, EXPORTER_ADMIN_PORT + args.worker.worker)?,
            traces: traces(&args.traces)?,
        })
    }
}

impl TryFrom<&args::ApiArgs> for Api {
    type Error = Wrong;

    fn try_from(args: &args::ApiArgs) -> Result<Self, Wrong> {
        let database = station_database(&args.database)?;
        Ok(Self {
            data_dir: args.database.which.data_dir.clone(),
            http: http(&args.http, &args.admin, &database.url, &args.database.which.data_dir)?,
            commands: commands(&args.commands)?,
            topics: topics(&args.topics)?,
            redis: required_redis(&args.live)?,
            live_ttl: args.live.live_ttl,
            database,
            admin_listen: admin(&args.admin, API_ADMIN_PORT)?,
            traces: traces(&args.traces)?,
        })
    }
}

/// The database of a station or a tool.
pub(crate) fn database(args: &args::DatabaseArgs) -> Result<DatabaseUrl, Wrong> {
    let Some(url) = &args.database_url else {
        return Ok(DatabaseUrl::in_data_dir(&args.data_dir));
    };
    DatabaseUrl::parse(url)
        .map_err(|allowed| Wrong::new("database-url", without_password(url), allowed))
}

fn station_database(args: &args::PoolArgs) -> Result<Database, Wrong> {
    Ok(Database {
        url: database(&args.which)?,
        connections: args.db_connections,
        migrate: args.migrate && !args.no_migrate,
        engine: args.engine.database_engine.map(Into::into),
    })
}

/// Redis, where there is one.
pub(crate) fn redis(args: &args::LiveArgs) -> Result<Option<RedisUrl>, Wrong> {
    let read = |url: &String| {
        RedisUrl::parse(url)
            .map_err(|allowed| Wrong::new("redis-url", without_password(url), allowed))
    };
    let url = args.redis_url.as_ref().map(read).transpose()?;
    let Some(ca) = &args.redis_ca else { return Ok(url) };
    let Some(url) = url.filter(RedisUrl::is_tls) else {
        let allowed = "it is of no use unless redis-url begins with rediss://";
        return Err(Wrong::new("redis-ca", ca.display(), allowed));
    };
    let certificates = std::fs::read(ca).map_err(|error| {
        Wrong::new("redis-ca", ca.display(), format!("the file cannot be read: {error}"))
    })?;
    Ok(Some(url.trusting(certificates)))
}

fn required_redis(args: &args::LiveArgs) -> Result<RedisUrl, Wrong> {
    redis(args)?.ok_or_else(|| {
        Wrong::missing(
            "redis-url",
            "stations that run apart meet in Redis; write for example redis://127.0.0.1:6379, or run everything in one process with nemeses up",
        )
    })
}

fn door(args: &args::DoorArgs) -> Result<DoorConfig, Wrong> {
    let listeners = [
        ("mqtt-listen", Some(args.mqtt_listen)),
        ("mqtt-tls-listen", args.mqtt_tls_listen),
        ("mqtt-websocket-listen", args.mqtt_websocket_listen),
    ];
    for (setting, address) in listeners {
        let Some(address) = address else { continue };
        if args.mqtt_anonymous && !is_loopback(address) {
            return Err(Wrong::new(
                setting,
                address,
                "without logins, everyone who reaches this address could speak for every device; listen on loopback (127.0.0.1, [::1]), or require logins with --mqtt-anonymous=false (see nemeses device add)",
            ));
        }
    }
    if let Some(proxy) = args.proxy_protocol.first().filter(|_| args.mqtt_anonymous) {
        return Err(Wrong::new(
            "proxy-protocol",
            proxy,
            "a load balancer brings clients from elsewhere, who could speak for every device without a login; require logins with --mqtt-anonymous=false (see nemeses device add)",
        ));
    }
    Ok(DoorConfig {
        listen: args.mqtt_listen,
        tls: tls(args)?,
        websocket: args.mqtt_websocket_listen,
        websocket_origins: args.mqtt_websocket_origins.clone(),
        proxies: args.proxy_protocol.clone(),
        anonymous: args.mqtt_anonymous,
        websocket_anonymous: args.mqtt_websocket_anonymous,
        max_connections: usize::try_from(args.max_connections).unwrap_or(usize::MAX),
        window_per_connection: args.window,
        max_packet_bytes: usize::try_from(args.max_packet_bytes).unwrap_or(usize::MAX),
        ..DoorConfig::default()
    })
}

fn tls(args: &args::DoorArgs) -> Result<Option<TlsListen>, Wrong> {
    const WANTED: &str = "mqtt-tls-listen wants a certificate and its key, PEM files";
    let files = [("mqtt-tls-cert", &args.mqtt_tls_cert), ("mqtt-tls-key", &args.mqtt_tls_key)];
    let Some(listen) = args.mqtt_tls_listen else {
        return match files.into_iter().find_map(|(name, path)| Some((name, path.as_ref()?))) {
            Some((name, path)) => {
                Err(Wrong::new(name, path.display(), "it is of no use without mqtt-tls-listen"))
            }
            None => Ok(None),
        };
    };
    match certificate(files, [WANTED; 2])? {
        Some((cert_pem, key_pem)) => Ok(Some(TlsListen { listen, cert_pem, key_pem })),
        None => Err(Wrong::missing("mqtt-tls-cert", WANTED)),
    }
}

/// A certificate and its key: both or none, and readable. `wanted` is what to say when the
/// one or the other is missing.
pub(super) fn certificate(
    [(cert_setting, cert), (key_setting, key)]: [(&'static str, &Option<PathBuf>); 2],
    wanted: [&str; 2],
) -> Result<Option<(PathBuf, PathBuf)>, Wrong> {
    match (cert, key) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Wrong::missing(cert_setting, wanted[0])),
        (Some(_), None) => Err(Wrong::missing(key_setting, wanted[1])),
        (Some(cert), Some(key)) => {
            readable(cert_setting, cert)?;
            readable(key_setting, key)?;
            Ok(Some((cert.clone(), key.clone())))
        }
    }
}

pub(super) fn readable(setting: &'static str, path: &Path) -> Result<(), Wrong> {
    std::fs::read(path).map(drop).map_err(|error| {
        Wrong::new(setting, path.display(), format!("the file cannot be read: {error}"))
    })
}

fn http(
    args: &args::HttpArgs,
    network: &args::AdminArgs,
    database: &DatabaseUrl,
    data_dir: &Path,
) -> Result<Http, Wrong> {
    let files = [("http-tls-cert", &args.http_tls_cert), ("http-tls-key", &args.http_tls_key)];
    let tls = certificate(files, ["--http-tls-cert and --http-tls-key go together, PEM files"; 2])?;
    let grpc = args.grpc_listen.map(|address| ("grpc-listen", address));
    for (name, address) in [("http-listen", args.http_listen)].into_iter().chain(grpc) {
        if tls.is_none() {
            const WHY: &str = "passwords and tokens would cross the network as they are, so only loopback (127.0.0.1, [::1]) is allowed; serve it by HTTPS with --http-tls-cert and --http-tls-key, put a proxy with TLS in front, or say --private-network when only such a proxy can reach this address";
            only_loopback(network, name, address, WHY)?;
        }
    }
    // Whoever reaches such a listener is at this machine.
    let local = is_loopback(args.http_listen)
        && args.trusted_proxies.is_empty()
        && args.public_url.is_none();
    let registration = match args.registration {
        Some(args::Registration::Open) => Registration::Open,
        None if local => Registration::Local,
        None | Some(args::Registration::Closed) => Registration::Closed,
    };
    Ok(Http {
        listen: args.http_listen,
        grpc_listen: args.grpc_listen,
        redirect_listen: redirect_listen(args, tls.is_some())?,
        tls,
        api: ApiConfig {
            public_url: args.public_url.clone(),
            any_host: network.private_network && args.public_url.is_none(),
            first_is_admin: local && registration != Registration::Closed,
            registration,
            map: map_source(args)?,
            trusted_proxies: args.trusted_proxies.clone(),
            cors_origins: args.cors_origins.clone(),
            ..ApiConfig::default()
        },
        jwt_secret: jwt_secret(args, database, data_dir)?,
        jwt_previous_secret: previous_secret(args)?,
    })
}

fn redirect_listen(args: &args::HttpArgs, tls: bool) -> Result<Option<SocketAddr>, Wrong> {
    let Some(address) = args.http_redirect_listen else { return Ok(None) };
    let https = args.public_url.as_ref().is_some_and(nemeses_api::PublicUrl::is_https);
    if tls && https {
        return Ok(Some(address));
    }
    let why = "it sends people to the HTTPS address of --public-url, which --http-tls-cert and --http-tls-key have to serve";
    Err(Wrong::new("http-redirect-listen", address, why))
}

fn map_source(args: &args::HttpArgs) -> Result<Option<MapSource>, Wrong> {
    let credit = &args.map_credit;
    let (name, url, source) = match (&args.map_tiles, &args.map_style) {
        (None, None) => return Ok(None),
        (Some(url), None) => ("map-tiles", url, MapSource::tiles(url, credit)),
        (None, Some(url)) => ("map-style", url, MapSource::style(url, credit)),
        (Some(_), Some(url)) => {
            let what = "tiles are drawn above the bundled map, a style in place of it: choose --map-style or --map-tiles";
            return Err(Wrong::new("map-style", url, what));
        }
    };
    source.map(Some).map_err(|what| Wrong::new(name, url, what))
}

fn previous_secret(args: &args::HttpArgs) -> Result<Option<Secret>, Wrong> {
    let Some(path) = &args.jwt_previous_secret_file else { return Ok(None) };
    read_secret(path).map(Some).map_err(|error| {
        Wrong::new("jwt-previous-secret-file", path.display(), format!("{error:#}"))
    })
}

fn jwt_secret(
    args: &args::HttpArgs,
    database: &DatabaseUrl,
    data_dir: &Path,
) -> Result<JwtSecret, Wrong> {
    match (&args.jwt_secret, &args.jwt_secret_file) {
        (Some(_), Some(path)) => Err(Wrong::new(
            "jwt-secret-file",
            path.display(),
            "jwt-secret is set too; set one of the two",
        )),
        (Some(secret), None) if secret.len() < LEAST_SECRET_BYTES => Err(Wrong::new(
            "jwt-secret",
            "(not shown)",
            format!(
                "it has {} characters, it needs {LEAST_SECRET_BYTES} at least, for example from: openssl rand -base64 32",
                secret.len()
            ),
        )),
        (Some(secret), None) => Ok(JwtSecret::Given(Secret::new(secret.clone()))),
        (None, Some(path)) => read_secret(path)
            .map(JwtSecret::Given)
            .map_err(|error| Wrong::new("jwt-secret-file", path.display(), format!("{error:#}"))),
        (None, None) if database.is_server() => Err(Wrong::missing(
            "jwt-secret",
            "all instances on one database server must sign with the same secret; make one with: openssl rand -base64 32",
        )),
        (None, None) => Ok(JwtSecret::KeptIn(data_dir.join(JWT_SECRET_FILE))),
    }
}

fn admin(args: &args::AdminArgs, default_port: u16) -> Result<Option<SocketAddr>, Wrong> {
    admin_address(args, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), default_port))
}

/// Where metrics are served, if at all.
pub(crate) fn admin_address(
    args: &args::AdminArgs,
    default: SocketAddr,
) -> Result<Option<SocketAddr>, Wrong> {
    match args.admin_listen {
        Some(AdminListen::Off) => Ok(None),
        None => Ok(Some(default)),
        Some(AdminListen::At(address)) => {
            only_loopback(
                args,
                "admin-listen",
                address,
                "metrics are served without a login, so only loopback (127.0.0.1, [::1]) is allowed, or off; say --private-network when only Prometheus can reach this address",
            )?;
            Ok(Some(address))
        }
    }
}

fn only_loopback(
    network: &args::AdminArgs,
    setting: &'static str,
    address: SocketAddr,
    why: &str,
) -> Result<(), Wrong> {
    if network.private_network || is_loopback(address) {
        Ok(())
    } else {
        Err(Wrong::new(setting, address, why))
    }
}

pub(super) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Whether a topic has the name that it has when nobody says anything.
fn is_default(setting: &str, topic: &str) -> bool {
    let Topics { messenger, ping, db, command, telemetry, .. } = Topics::default();
    let named = match setting {
        "topic-messenger" => messenger,
        "topic-ping" => ping,
        "topic-db" => db,
        "topic-command" => command,
        _ => telemetry,
    };
    named == topic
}

/// No topic may be another, nor lie below another: `/a/+` would catch it.
pub(crate) fn topics(args: &args::TopicArgs) -> Result<Topics, Wrong> {
    let all = [
        ("topic-messenger", &args.topic_messenger),
        ("topic-ping", &args.topic_ping),
        ("topic-db", &args.topic_db),
        ("topic-command", &args.topic_command),
        ("topic-telemetry", &args.topic_telemetry),
    ];
    // Of two that meet, the one that was set is to blame and not the default.
    let (defaults, set): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(setting, topic)| is_default(setting, topic));
    for (setting, topic) in set.into_iter().chain(defaults) {
        for (other_setting, other) in all {
            let below = topic.strip_prefix(other.as_str());
            if setting != other_setting
                && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            {
                return Err(Wrong::new(
                    setting,
                    topic,
                    format!("it is {other_setting} or lies below it; the topics must lie apart"),
                ));
            }
        }
    }
    Ok(Topics {
        messenger: args.topic_messenger.clone(),
        ping: args.topic_ping.clone(),
        db: args.topic_db.clone(),
        command: args.topic_command.clone(),
        telemetry: args.topic_telemetry.clone(),
        ..Topics::default()
    })
}

#[cfg(test)]
mod tests;
