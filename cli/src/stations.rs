//! Stations that run alone, joined by a broker, Redis and a database.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nemeses_api::{CommandSink, Stores};
use nemeses_broker::{Authenticator, Door, DoorConfig, NoLogins};
use nemeses_dbexport::{Submission, Work};
use nemeses_mqtt::{BrokerUrl, PublisherConfig};
use nemeses_parser::{Policy, Step};
use nemeses_protocol::Topics;
use nemeses_runtime::traces::Tracer;
use nemeses_runtime::{Clock, Describe, Listener, Ready, Registry, Reload, Tasks};
use nemeses_store::history::Database;
use nemeses_store::known::KnownDevices;
use nemeses_store::live::LiveStore;
use nemeses_store::named::NamedDevices;
use nemeses_store::relay::relay_caller;
use tokio::net::TcpListener;

use crate::config::{self, Api, Broker, Exporter, Parser};
use crate::dead_letters::Retrier;
use crate::glue::{
    AlertPublisher, Asked, BrokerCommands, Canary, CommandFigures, DOOR_ADDRESSES, DRAIN,
    ForeignDevices, Keeper, LoginAuthenticator, ParserDevices, Pipeline, PostAck, Posting,
    RelayCommands, announce, bind_metrics, database, describe, door_config, evaluate_rules,
    follow_named, keep_rebuilt, keep_small, keep_sums, live, live_writer, make_data_dir, name_at,
    of_devices, over_http, over_mqtt, policy, run_lanes, serve_api, serve_devices, serve_metrics,
    show_new_devices, trace, watch_books, with_devices,
};
use crate::unknown::{Watch, follow, show_policy};

/// `nemeses parser`: its share of the frames, from the broker to `/DB`.
///
/// # Errors
/// Settings that do not work here, a broker that refuses the worker, or a
/// connection that died for good.
pub(crate) async fn parser(settings: Parser) -> anyhow::Result<()> {
    let asked = Asked::listen()?;
    let metrics = bind_metrics(settings.admin_listen).await?;
    let (clock, tasks, mut registry) = (Clock::system(), Tasks::new(), Registry::default());
    let live = live(Some(&settings.redis), settings.live_ttl, clock.clone())?;
    let (known, unknown_devices) = (KnownDevices::default(), settings.frames.unknown_devices);
    show_policy(unknown_devices, &mut registry);
    let (named, shared, stop) = (NamedDevices::default(), Arc::clone(&live), tasks.stop().all);
    let topics = Topics { names: named.names(), ..settings.topics.clone() };
    tasks.spawn_rest("named devices", async move {
        named.follow_live(shared, stop).await;
        Ok(())
    });
    let identities = topics.names.clone();
    let following = follow(&tasks, unknown_devices, Arc::clone(&live), &known, clock.clone());
    if asked.unless_asked(following).await.is_none() {
        return Ok(());
    }
    let mut config = nemeses_parser::WorkerConfig {
        policy: policy(settings.frames, topics, settings.reads, &known),
        flush_after: settings.flush_after,
        // One of a group is enough, and this one always runs.
        shadow: (settings.worker.worker == 0).then_some(settings.shadow),
        ..nemeses_parser::WorkerConfig::new(settings.broker.clone(), settings.worker.worker.into())
    };
    let name = config.name.clone();
    let decoder = Step::new(config.policy.clone());
    config.tracer = trace(&tasks, settings.traces.as_ref(), "parser", Some(&name), &mut registry);
    let (told, tracer) = (Arc::clone(&live), config.tracer.clone());
    let writer = live_writer(&tasks, told, clock.clone(), tracer, &mut registry);
    show_new_devices(&tasks, &writer, identities);
    let connecting = async {
        if settings.worker.leave {
            nemeses_parser::Worker::leave(config, writer, clock.clone(), &mut registry).await
        } else {
            nemeses_parser::Worker::connect(config, writer, clock.clone(), &mut registry).await
        }
    };
    let Some(worker) = asked.unless_asked(connecting).await.transpose()? else { return Ok(()) };
    let mut listeners = Vec::new();
    if !settings.worker.leave {
        listeners = at_broker(decoder.policy(), settings.broker.url());
        let keeper = ParserDevices { step: decoder, clock: clock.clone(), giver: worker.giver() };
        let topics = (settings.topics.clone(), asked.reload());
        let of_devices =
            listen_for(&tasks, &settings.devices, topics, Arc::new(keeper), &mut registry).await?;
        listeners.extend(of_devices);
    }
    let canary = Canary {
        broker: settings.broker.clone(),
        name: name.clone(),
        topics: settings.topics,
        live: Some(Arc::clone(&live)),
    };
    let pipeline = (!settings.worker.leave).then(|| canary.run(&tasks, &mut registry));
    let here = Here { name: name.clone(), role: "parser", listeners, clock, pipeline };
    here.make_known(&tasks, metrics, registry, Some(live), None)?;
    tracing::info!(worker = name, broker = %settings.broker.url(), "the parser is up");
    Box::pin(work(&tasks, &asked, &name, settings.worker.leave, worker.run(tasks.stop()))).await
}

/// Where devices reach the broker, as far as a parser knows.
fn at_broker(policy: &Policy, url: &BrokerUrl) -> Vec<Listener> {
    let BrokerUrl { tls, host, port, .. } = url;
    let transport = if *tls { "mqtts" } else { "mqtt" };
    let address =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    over_mqtt(policy, transport, &address)
}

/// Listens for devices of other protocols, where that is asked for; returns where.
async fn listen_for(
    tasks: &Tasks,
    devices: &config::Devices,
    (topics, reload): (nemeses_protocol::Topics, Reload),
    keeper: Arc<dyn Keeper>,
    registry: &mut Registry,
) -> anyhow::Result<Vec<Listener>> {
    let phones =
        serve_devices(tasks, devices, Arc::clone(&keeper), (&mut *registry, &reload)).await?;
    let policy = keeper.step().policy();
    let mut listeners: Vec<Listener> =
        phones.into_iter().flat_map(|bound| over_http(policy, devices, bound)).collect();
    if devices.tcp.is_empty() && devices.udp.is_empty() {
        return Ok(listeners);
    }
    let config = DoorConfig { only_devices: true, ..DoorConfig::default() };
    let config = door_config(&config, topics, Tracer::off(), reload);
    let door = Door::bind(with_devices(config, devices), None, Arc::new(NoLogins), registry)
        .await
        .context(DOOR_ADDRESSES)?
        .with_devices(Arc::new(ForeignDevices(Arc::clone(&keeper))));
    listeners.extend(of_devices(devices, &door));
    tasks.spawn_intake("devices", door.run(tasks.stop()));
    Ok(listeners)
}

/// `nemeses dbexport`: its share of the batches, from `/DB` to the database.
///
/// # Errors
/// Settings that do not work here, a broker that refuses the worker, or a
/// connection that died for good.
pub(crate) async fn dbexport(settings: Exporter) -> anyhow::Result<()> {
    let asked = Asked::listen()?;
    let metrics = bind_metrics(settings.admin_listen).await?;
    let (clock, tasks, mut registry) = (Clock::system(), Tasks::new(), Registry::default());
    make_data_dir(&settings.data_dir)?;
    let Some(database) = database(&settings.database, &asked).await? else { return Ok(()) };
    let number = settings.worker.worker.into();
    let config = nemeses_dbexport::WorkerConfig::new(
        settings.broker.clone(),
        number,
        settings.topics.db.clone(),
    );
    let name = config.name.clone();
    let committing = nemeses_dbexport::Config {
        flush_after: settings.flush_after,
        ..nemeses_dbexport::Config::named(name.clone())
    };
    watch_books(&tasks, &database, clock.clone(), &mut registry);
    let tracer = trace(&tasks, settings.traces.as_ref(), "dbexport", Some(&name), &mut registry);
    let mut exporter =
        nemeses_dbexport::Exporter::new(committing, &mut registry).with_tracer(tracer.clone());
    let (mut told, mut shown) = (None, None);
    if let Some(redis) = &settings.redis {
        let live = live(Some(redis), settings.live_ttl, clock.clone())?;
        told = Some(Arc::clone(&live));
        let writer = live_writer(&tasks, Arc::clone(&live), clock.clone(), tracer, &mut registry);
        shown = Some(writer.clone());
        exporter = exporter.with_live(writer, clock.clone());
        keep_rebuilt(&tasks, live, &database, settings.live_ttl, clock.clone());
    }
    let is_server = settings.database.url.is_server();
    run_lanes(&tasks, &exporter, &database, is_server, settings.live_ttl);
    keep_small(&tasks, &database, settings.periods, &name, clock.clone(), &mut registry);
    keep_sums(&tasks, &database, &exporter, clock.clone(), &mut registry);
    evaluate_rules(&tasks, &database, (&name, false), clock.clone(), &mut registry);
    let topics = follow_named(&tasks, &database, told.clone(), settings.topics);
    let watch = Watch::new(&database, told.clone(), clock.clone());
    watch.releasing(&database, shown, &mut registry)?.run(&tasks);
    let connecting = async {
        if settings.worker.leave {
            nemeses_dbexport::Worker::leave(&config, exporter, clock.clone(), &mut registry).await
        } else {
            nemeses_dbexport::Worker::connect(&config, exporter, clock.clone(), &mut registry).await
        }
    };
    let Some(worker) = asked.unless_asked(connecting).await.transpose()? else { return Ok(()) };
    if !settings.worker.leave {
        let (broker, clock) = (settings.broker.clone(), clock.clone());
        AlertPublisher { broker, name: name.clone(), database, clock }.run(&tasks);
    }
    let canary =
        Canary { broker: settings.broker.clone(), name: name.clone(), topics, live: told.clone() };
    let pipeline = (!settings.worker.leave).then(|| canary.run(&tasks, &mut registry));
    let here =
        Here { name: name.clone(), role: "dbexport", listeners: Vec::new(), clock, pipeline };
    here.make_known(&tasks, metrics, registry, told, None)?;
    tracing::info!(worker = name, broker = %settings.broker.url(), database = %settings.database.url, "the exporter is up");
    work(&tasks, &asked, &name, settings.worker.leave, worker.run(tasks.stop())).await
}

/// Who this process is.
struct Here {
    name: String,
    role: &'static str,
    /// Where devices reach it.
    listeners: Vec<Listener>,
    clock: Clock,
    /// Of a worker: whether what is published comes through.
    pipeline: Option<Pipeline>,
}

/// A worker does its work while it has its broker and canaries come back.
fn readiness(describe: Describe, pipeline: Pipeline) -> Ready {
    Arc::new(move || {
        let trouble = if describe().figures.get("broker_connected") == Some(&0.0) {
            Some("there is no connection to the broker".to_owned())
        } else {
            pipeline.trouble()
        };
        Box::pin(std::future::ready(trouble.map_or(Ok(()), Err)))
    })
}

impl Here {
    /// Serves its metrics, and says in the live store that it is there.
    fn make_known(
        self,
        tasks: &Tasks,
        metrics: Option<TcpListener>,
        registry: Registry,
        live: Option<Arc<dyn LiveStore>>,
        ready: Option<Ready>,
    ) -> anyhow::Result<()> {
        let registry = Arc::new(registry);
        let describe =
            describe(self.name, self.role, self.listeners, self.clock, Arc::clone(&registry));
        let ready = match self.pipeline {
            Some(pipeline) => Some(readiness(Arc::clone(&describe), pipeline)),
            None => ready,
        };
        serve_metrics(tasks, metrics, registry, Some(Arc::clone(&describe)), ready)?;
        if let Some(live) = live {
            announce(tasks, live, describe);
        }
        Ok(())
    }
}

/// Runs a worker until it is asked to end, or has left for good.
async fn work(
    tasks: &Tasks,
    asked: &Asked,
    name: &str,
    leaving: bool,
    worker: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) -> anyhow::Result<()> {
    if !leaving {
        tasks.spawn_intake("worker", worker);
        return tasks.run_until(asked.to_end(), DRAIN).await;
    }
    let mut left = None;
    let until = async {
        tokio::select! {
            outcome = worker => left = Some(outcome),
            () = asked.to_end() => {}
        }
    };
    tasks.run_until(until, DRAIN).await?;
    match left {
        Some(Ok(())) => {
            tracing::info!(
                worker = name,
                "left for good: its share was worked off and its session is cleared"
            );
            Ok(())
        }
        Some(Err(error)) => Err(error),
        None => anyhow::bail!("{name} was ended before it had left; run it again with --leave"),
    }
}

/// An API knows no parser's settings: a dead letter that is decoded again may be
/// recorded so far ahead of its arrival, as `nemeses parser` has it by default.
const FUTURE_LIMIT: Duration = Duration::from_secs(86_400);

/// `nemeses api`: the REST API over Redis and the database.
///
/// # Errors
/// Settings that do not work here, or a listener that died.
pub(crate) async fn api(settings: Api) -> anyhow::Result<()> {
    let asked = Asked::listen()?;
    let metrics = bind_metrics(settings.admin_listen).await?;
    let (clock, tasks, mut registry) = (Clock::system(), Tasks::new(), Registry::default());
    make_data_dir(&settings.data_dir)?;
    let Some(database) = database(&settings.database, &asked).await? else { return Ok(()) };
    let live = live(Some(&settings.redis), settings.live_ttl, clock.clone())?;
    if let Some(Err(error)) = asked.unless_asked(live.ping()).await {
        tracing::warn!(%error, "live positions are not served until Redis answers; the rest is");
    }
    let retrier = Retrier::new(&database, FUTURE_LIMIT)?;
    let topics = follow_named(&tasks, &database, Some(Arc::clone(&live)), settings.topics.clone());
    let names = topics.names.clone();
    let commands = commands(&settings, topics, &database, &clock, &tasks, &mut registry)?;
    let stores = Stores::new(Arc::clone(&live), &database)
        .with_second_chance(Arc::new(retrier))
        .with_commands(commands);
    let tracer = trace(&tasks, settings.traces.as_ref(), "api", None, &mut registry);
    let writer =
        live_writer(&tasks, Arc::clone(&live), clock.clone(), tracer.clone(), &mut registry);
    show_new_devices(&tasks, &writer, names);
    let committing = nemeses_dbexport::Config::named("api");
    let exporter = nemeses_dbexport::Exporter::new(committing, &mut registry);
    let lanes = if settings.database.url.is_server() { exporter.config().lanes } else { 1 };
    for _ in 0..lanes {
        tasks.spawn_rest("values", exporter.clone().run_lane(database.history(), tasks.stop()));
    }
    let submit = move |part, receipt: PostAck| {
        exporter.submit(Submission { work: Work::Part(part), receipt });
    };
    let future_limit_s = u32::try_from(FUTURE_LIMIT.as_secs()).unwrap_or(u32::MAX);
    let policy = Policy { future_limit_s, ..Policy::default() };
    let posting = Posting::new(policy, writer, &database, clock.clone(), Box::new(submit));
    let stores = stores.with_telemetry(Arc::new(posting));
    let api = serve_api(
        &tasks,
        &settings.http,
        settings.live_ttl,
        stores,
        clock.clone(),
        tracer,
        (&mut registry, &asked.reload()),
    )
    .await?;
    Watch::new(&database, Some(Arc::clone(&live)), clock.clone()).run(&tasks);
    let http = api.address;
    let here = Here {
        name: name_at("api", Some(http)),
        role: "api",
        listeners: Vec::new(),
        clock,
        pipeline: None,
    };
    here.make_known(&tasks, metrics, registry, Some(live), Some(api.ready))?;
    tracing::info!(%http, "the API is up");
    tasks.run_until(asked.to_end(), DRAIN).await
}

/// Where an API that runs alone gives commands: a broker, else the nodes on its Redis.
fn commands(
    settings: &Api,
    topics: Topics,
    database: &Database,
    clock: &Clock,
    tasks: &Tasks,
    registry: &mut Registry,
) -> anyhow::Result<Arc<dyn CommandSink>> {
    let Some(broker) = &settings.commands else {
        return Ok(Arc::new(RelayCommands(relay_caller(
            settings.redis.expose(),
            settings.redis.certificates(),
        )?)));
    };
    // The process's number and the moment: no two APIs turn each other out.
    let client_id = format!("nemeses-api-{}-{}", std::process::id(), clock.now_ms());
    let config = PublisherConfig::new(broker.clone(), client_id);
    let kept = database.commands();
    let figures = CommandFigures::register(registry);
    let commands = BrokerCommands::new(kept, config, topics, clock.clone(), figures);
    commands.run(tasks);
    Ok(Arc::new(commands))
}

/// `nemeses broker`: the door without the rest. A PUBACK only means that the
/// router has the message.
///
/// # Errors
/// Settings that do not work here, or the router that died.
pub(crate) async fn broker(settings: Broker) -> anyhow::Result<()> {
    let asked = Asked::listen()?;
    let metrics = bind_metrics(settings.admin_listen).await?;
    let (tasks, mut registry) = (Tasks::new(), Registry::default());
    let mut topics = settings.topics;
    let logins: Arc<dyn Authenticator> = if settings.door.anonymous {
        Arc::new(NoLogins)
    } else {
        make_data_dir(&settings.data_dir)?;
        let Some(database) = database(&settings.database, &asked).await? else { return Ok(()) };
        topics = follow_named(&tasks, &database, None, topics);
        Arc::new(LoginAuthenticator::new(&database))
    };
    let config = door_config(&settings.door, topics, Tracer::off(), asked.reload());
    let door = Door::bind(config, None, logins, &mut registry).await.context(DOOR_ADDRESSES)?;
    if let Some(mqtt) = door.local_addr() {
        tracing::info!(%mqtt, "the broker is up; an acknowledgement here does not mean kept");
    }
    let name = name_at("broker", door.local_addr());
    let here = Here {
        name,
        role: "broker",
        listeners: Vec::new(),
        clock: Clock::system(),
        pipeline: None,
    };
    here.make_known(&tasks, metrics, registry, None, None)?;
    let stop = tasks.stop();
    tasks.spawn_intake("door", door.run(stop));
    tasks.run_until(asked.to_end(), DRAIN).await
}
