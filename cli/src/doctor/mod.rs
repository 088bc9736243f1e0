//! `nemeses doctor`: looks at a station's settings, files, database, Redis, broker,
//! clocks and the other processes, before it is started or when it does not work,
//! and says for each what is wrong, where, and what to do. It changes nothing.

mod broker;
mod certificate;
mod delivery;
mod files;
mod finding;
mod stores;
mod traces;

use clap::{Args, Subcommand};
use nemeses_broker::TlsListen;
use nemeses_runtime::Clock;
use serde_json::json;

use self::delivery::Pipeline;
use self::finding::{Finding, as_text, worst};
use crate::args::{ApiArgs, BrokerArgs, ExporterArgs, ParserArgs, UpArgs};
use crate::config::{self, Wrong};
use crate::tools::{OutputArgs, print, print_json};

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses doctor up                                     check what `nemeses up` would use here
  nemeses --config /etc/nemeses/nemeses.toml doctor up
  nemeses doctor parser --mqtt-url mqtt://parser-0:PASSWORD@broker --redis-url redis://redis

Exit code 1 if something is wrong, not if something could merely be better.";

/// `nemeses doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    station: Station,
}

/// Which command's settings to check; they are given as for the command itself
#[derive(Debug, Subcommand)]
enum Station {
    /// The settings of `nemeses up`
    Up(Box<UpArgs>),
    /// The settings of `nemeses broker`
    Broker(Box<BrokerArgs>),
    /// The settings of `nemeses parser`
    Parser(Box<ParserArgs>),
    /// The settings of `nemeses dbexport`
    Dbexport(Box<ExporterArgs>),
    /// The settings of `nemeses api`
    Api(Box<ApiArgs>),
}

/// Looks, and tells; `false` when something is wrong.
///
/// # Errors
/// What printing reports.
pub(crate) async fn run(args: DoctorArgs) -> anyhow::Result<bool> {
    let findings = match &args.station {
        Station::Up(args) => checked(args.as_ref().try_into(), node).await,
        Station::Broker(args) => checked(args.as_ref().try_into(), door).await,
        Station::Parser(args) => checked(args.as_ref().try_into(), parser).await,
        Station::Dbexport(args) => checked(args.as_ref().try_into(), exporter).await,
        Station::Api(args) => checked(args.as_ref().try_into(), api).await,
    };
    if args.output.json {
        print_json(&json!({ "well": worst(&findings), "findings": findings }))?;
    } else {
        print(&as_text(&findings))?;
    }
    Ok(worst(&findings))
}

/// Looks further when the settings can be used.
async fn checked<S, F>(settings: Result<S, Wrong>, look: impl FnOnce(S) -> F) -> Vec<Finding>
where
    F: Future<Output = Vec<Finding>>,
{
    match settings {
        Err(wrong) => vec![Finding::wrong("settings", wrong.to_string())],
        Ok(settings) => {
            let mut findings = vec![Finding::good("settings", "they can be used")];
            findings.extend(look(settings).await);
            findings
        }
    }
}

async fn node(settings: config::Node) -> Vec<Finding> {
    let mut found = files::data_dir(&settings.data_dir);
    found.extend(files::secrets(&settings.http, settings.door.tls.as_ref()));
    found.extend(door_certificate(settings.door.tls.as_ref()));
    found.extend(people(&settings.http));
    found.extend(files::descriptors(settings.door.max_connections));
    let listeners = [
        ("mqtt-listen", Some(settings.door.listen)),
        ("mqtt-tls-listen", settings.door.tls.as_ref().map(|tls| tls.listen)),
        ("mqtt-websocket-listen", settings.door.websocket),
        ("http-listen", Some(settings.http.listen)),
        ("http-redirect-listen", settings.http.redirect_listen),
        ("admin-listen", settings.admin_listen),
    ];
    let devices = settings.devices.tcp.iter().map(|at| ("tcp-listen", Some(at.listen)));
    let devices = devices.chain([("http-devices-listen", settings.devices.http)]);
    let listeners: Vec<_> = listeners.into_iter().chain(devices).collect();
    found.extend(files::listeners(&listeners, settings.admin_listen).await);
    found.extend(stores::database(&settings.database, stores::Needs::Everything).await);
    if let Some(redis) = &settings.redis {
        found.extend(stores::redis(redis, settings.live_ttl).await);
    }
    found.extend(traces::look(settings.traces.as_ref()).await);
    found
}

async fn door(settings: config::Broker) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        door_certificate(settings.door.tls.as_ref()).into_iter().collect();
    found.extend(files::descriptors(settings.door.max_connections));
    let listeners = [
        ("mqtt-listen", Some(settings.door.listen)),
        ("mqtt-tls-listen", settings.door.tls.as_ref().map(|tls| tls.listen)),
        ("mqtt-websocket-listen", settings.door.websocket),
        ("admin-listen", settings.admin_listen),
    ];
    found.extend(files::listeners(&listeners, settings.admin_listen).await);
    if !settings.door.anonymous {
        found.extend(stores::database(&settings.database, stores::Needs::Reading).await);
    }
    found
}

fn door_certificate(tls: Option<&TlsListen>) -> Option<Finding> {
    let now_s = i64::try_from(Clock::system().now_ms() / 1000).unwrap_or(i64::MAX);
    Some(certificate::look(&tls?.cert_pem, now_s))
}

/// How people reach the API.
fn people(http: &config::Http) -> Vec<Finding> {
    const ABOUT: &str = "public-url";
    let now_s = i64::try_from(Clock::system().now_ms() / 1000).unwrap_or(i64::MAX);
    let mut found: Vec<_> =
        http.tls.iter().map(|(cert, _)| certificate::look(cert, now_s)).collect();
    let https = http.api.public_url.as_ref().is_some_and(nemeses_api::PublicUrl::is_https);
    if https && http.tls.is_none() && http.api.trusted_proxies.is_empty() {
        found.push(Finding::weak(
            ABOUT,
            "it says https, which a proxy has to serve, and no proxy is named: all people would count as one client and could block each other's sign-in; name it by --trusted-proxies",
        ));
    }
    if http.api.public_url.is_none() && !http.api.trusted_proxies.is_empty() {
        found.push(Finding::weak(
            ABOUT,
            "a proxy is named but not the address that people use, so any host name is answered for; set --public-url, such as https://fleet.example.org",
        ));
    }
    found
}

async fn parser(settings: config::Parser) -> Vec<Finding> {
    let mut found = broker::look(&settings.broker).await;
    let workers = stores::workers(&settings.redis, settings.live_ttl).await;
    let (broker, topics) = (&settings.broker, &settings.topics);
    found.extend(delivery::look(Pipeline { broker, topics, group: "parsers", workers }).await);
    found.extend(stores::redis(&settings.redis, settings.live_ttl).await);
    let listeners = [("admin-listen", settings.admin_listen)];
    found.extend(files::listeners(&listeners, settings.admin_listen).await);
    found.extend(traces::look(settings.traces.as_ref()).await);
    found
}

async fn exporter(settings: config::Exporter) -> Vec<Finding> {
    let mut found = broker::look(&settings.broker).await;
    let workers = match &settings.redis {
        Some(redis) => stores::workers(redis, settings.live_ttl).await,
        None => None,
    };
    let (broker, topics) = (&settings.broker, &settings.topics);
    found.extend(delivery::look(Pipeline { broker, topics, group: "exporters", workers }).await);
    found.extend(stores::database(&settings.database, stores::Needs::Frames).await);
    if let Some(redis) = &settings.redis {
        found.extend(stores::redis(redis, settings.live_ttl).await);
    }
    let listeners = [("admin-listen", settings.admin_listen)];
    found.extend(files::listeners(&listeners, settings.admin_listen).await);
    found.extend(traces::look(settings.traces.as_ref()).await);
    found
}

async fn api(settings: config::Api) -> Vec<Finding> {
    let mut found = files::data_dir(&settings.data_dir);
    found.extend(files::secrets(&settings.http, None));
    found.extend(people(&settings.http));
    found.extend(stores::database(&settings.database, stores::Needs::People).await);
    found.extend(stores::redis(&settings.redis, settings.live_ttl).await);
    if let Some(broker) = &settings.commands {
        found.push(broker::commands(broker).await);
    }
    let listeners = [
        ("http-listen", Some(settings.http.listen)),
        ("http-redirect-listen", settings.http.redirect_listen),
        ("admin-listen", settings.admin_listen),
    ];
    found.extend(files::listeners(&listeners, settings.admin_listen).await);
    found.extend(traces::look(settings.traces.as_ref()).await);
    found
}
