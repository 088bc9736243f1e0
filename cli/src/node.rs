//! `nemeses up`: every station in one process. There is one durable step: a
//! frame's acknowledgement follows the commit of its row.

use std::sync::Arc;

use anyhow::Context as _;
use nemeses_api::Stores;
use nemeses_broker::{Authenticator, CommandKeeper, Door, DoorConfig, DoorHandle};
use nemeses_dbexport::{Config, Exporter, Submission, Work};
use nemeses_parser::{Policy, Step};
use nemeses_runtime::{Clock, Listener, Registry, Reload, Tasks};
use nemeses_store::history::Database;
use nemeses_store::known::KnownDevices;
use nemeses_store::relay::{open_relay, relay_caller};

use crate::config;
use crate::dead_letters::Retrier;
use crate::glue::{
    Asked, CommandFigures, DOOR_ADDRESSES, DRAIN, Desk, DoorRelay, ForeignDevices, Keeper,
    LoginAuthenticator, Mirror, NodeAck, NodeCommands, NodeIntake, Posting, Submit, announce,
    bind_metrics, database, describe, door_config, evaluate_rules, follow_named, keep_rebuilt,
    keep_small, keep_sums, listen, live, live_writer, lock_data_dir, make_data_dir, name_at,
    of_node, policy, publish_alerts, run_lanes, serve_api, serve_devices, serve_metrics,
    show_new_devices, trace, watch_books, with_devices,
};
use crate::unknown::{Watch, show_policy};

/// This process in the books.
const WORKER: &str = "node";

/// Runs a node until it is asked to end or a station dies.
///
/// # Errors
/// Settings that do not work here (an address in use, a database that refuses),
/// or the station that died.
pub(crate) async fn up(settings: config::Node) -> anyhow::Result<()> {
    let asked = Asked::listen()?;
    let metrics = bind_metrics(settings.admin_listen).await?;
    let (clock, tasks, mut registry) = (Clock::system(), Tasks::new(), Registry::default());
    make_data_dir(&settings.data_dir)?;
    let own_database = !settings.database.url.is_server();
    let _lock = own_database.then(|| lock_data_dir(&settings.data_dir)).transpose()?;
    let Some(database) = database(&settings.database, &asked).await? else { return Ok(()) };
    let live = live(settings.redis.as_ref(), settings.live_ttl, clock.clone())?;

    let tracer = trace(&tasks, settings.traces.as_ref(), "node", None, &mut registry);
    let writer =
        live_writer(&tasks, Arc::clone(&live), clock.clone(), tracer.clone(), &mut registry);
    let committing = Config { flush_after: settings.flush_after, ..Config::named(WORKER) };
    let exporter = Exporter::new(committing, &mut registry)
        .with_live(writer.clone(), clock.clone())
        .with_tracer(tracer.clone());
    let mirror = Arc::new(Mirror::new(settings.topics.db.clone()));
    // Who is known is there before the first frame.
    let (known, unknown_devices) = (KnownDevices::default(), settings.frames.unknown_devices);
    show_policy(unknown_devices, &mut registry);
    let shared = settings.redis.is_some().then(|| Arc::clone(&live));
    let topics = follow_named(&tasks, &database, shared.clone(), settings.topics);
    show_new_devices(&tasks, &writer, topics.names.clone());
    let watch = Watch::new(&database, shared, clock.clone()).releasing(
        &database,
        Some(writer.clone()),
        &mut registry,
    )?;
    let watch = watch.guarding(unknown_devices, &known).await;
    let of_frames = policy(settings.frames, topics.clone(), settings.reads, &known);
    let intake = NodeIntake {
        step: Step::new(of_frames.clone()),
        live: writer.clone(),
        exporter: exporter.clone(),
        mirror: Arc::clone(&mirror),
        clock: clock.clone(),
        tracer: tracer.clone(),
    };
    let logins: Arc<dyn Authenticator> = Arc::new(LoginAuthenticator::new(&database));
    let config = door_config(&settings.door, topics, tracer.clone(), asked.reload());
    let devices = (&tasks, &settings.devices, &asked.reload());
    let (mut door, listeners) =
        listen_to_devices(config, intake, logins, devices, &mut registry).await?;
    let desk = Arc::new(Desk::default());
    door = door.with_commands(Arc::clone(&desk) as Arc<dyn CommandKeeper>);
    if let Some(redis) = &settings.redis {
        let (sender, relay) = open_relay(redis.expose(), redis.certificates())?;
        door = door.with_relay(Arc::new(DoorRelay(sender)));
        listen(&tasks, relay, door.handle(), Arc::clone(&desk));
    }
    attach(&mirror, &door.handle(), &of_frames, clock.now_ms());
    let mqtt = door.local_addr().context("the door has no address")?;

    let retrier = Retrier::new(&database, settings.frames.future_limit)?.reading_as(&of_frames);
    let nodes = settings
        .redis
        .as_ref()
        .map(|redis| relay_caller(redis.expose(), redis.certificates()))
        .transpose()?;
    let figures = CommandFigures::register(&mut registry);
    let kept = database.commands();
    if own_database {
        // What a node on this file that was killed held is free at once.
        kept.release_all().await?;
    }
    let commands = NodeCommands::new(kept, door.handle(), desk, nodes, clock.clone(), figures);
    commands.run(&tasks);
    let submit = submit_to(exporter.clone(), mirror);
    let posting = Posting::new(of_frames, writer, &database, clock.clone(), submit);
    let committing = exporter.clone();
    let stores = Stores::new(Arc::clone(&live), &database)
        .with_second_chance(Arc::new(retrier))
        .with_commits_fail(Arc::new(move || committing.is_down()))
        .with_commands(Arc::new(commands))
        .with_telemetry(Arc::new(posting));
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
    watch_books(&tasks, &database, clock.clone(), &mut registry);
    keep_small(&tasks, &database, settings.periods, WORKER, clock.clone(), &mut registry);
    keep_sums(&tasks, &database, &exporter, clock.clone(), &mut registry);
    raise_alarms(&tasks, &database, own_database, (door.handle(), clock.clone()), &mut registry);
    let registry = Arc::new(registry);
    let name = name_at("node", Some(mqtt));
    let describe = describe(name, "node", listeners, clock.clone(), Arc::clone(&registry));
    serve_metrics(&tasks, metrics, registry, Some(Arc::clone(&describe)), Some(api.ready))?;
    announce(&tasks, Arc::clone(&live), describe);
    run_lanes(&tasks, &exporter, &database, !own_database, settings.live_ttl);
    watch.run(&tasks);
    keep_rebuilt(&tasks, live, &database, settings.live_ttl, clock);
    tasks.spawn_intake("door", door.run(tasks.stop()));
    tracing::info!(%mqtt, http = %api.address, database = %settings.database.url, "the node is up");
    tasks.run_until(asked.to_end(), DRAIN).await?;
    tracing::info!("the node is down; everything acknowledged is committed");
    Ok(())
}

/// Evaluates the rules, and publishes what is open.
fn raise_alarms(
    tasks: &Tasks,
    database: &Database,
    alone: bool,
    (door, clock): (DoorHandle, Clock),
    registry: &mut Registry,
) {
    evaluate_rules(tasks, database, (WORKER, alone), clock.clone(), registry);
    publish_alerts(tasks, database, door, clock);
}

/// Gives the listener to what publishes on it, and tells edges of Sparkplug that their host
/// application is there: some wait for it.
fn attach(mirror: &Mirror, door: &DoorHandle, policy: &Policy, now_ms: u64) {
    mirror.attach(door.clone());
    if policy.sparkplug.is_some() {
        let state = format!("{{\"online\":true,\"timestamp\":{now_ms}}}");
        if let Err(error) = door.retain("spBv1.0/STATE/nemeses", state) {
            tracing::warn!(%error, "edges of Sparkplug are not told that their host is there");
        }
    }
}

/// Hands values that were sent to the API to the exporter of all frames.
fn submit_to(exporter: Exporter<NodeAck>, mirror: Arc<Mirror>) -> Submit {
    Box::new(move |part, request| {
        let receipt = NodeAck::of_request(request, mirror.prepare(&part.records, &[]));
        exporter.submit(Submission { work: Work::Part(part), receipt });
    })
}

/// The listeners of devices, with what commits what they send; also where they are.
async fn listen_to_devices(
    config: DoorConfig,
    intake: NodeIntake,
    logins: Arc<dyn Authenticator>,
    (tasks, devices, reload): (&Tasks, &config::Devices, &Reload),
    registry: &mut Registry,
) -> anyhow::Result<(Door, Vec<Listener>)> {
    let intake = Arc::new(intake);
    let keeper = Arc::clone(&intake) as Arc<dyn Keeper>;
    let phones =
        serve_devices(tasks, devices, Arc::clone(&keeper), (&mut *registry, reload)).await?;
    let config = with_devices(config, devices);
    let door = Door::bind(config, Some(intake), logins, registry).await.context(DOOR_ADDRESSES)?;
    let listeners = of_node(keeper.step().policy(), devices, &door, phones);
    Ok((door.with_devices(Arc::new(ForeignDevices(keeper))), listeners))
}
