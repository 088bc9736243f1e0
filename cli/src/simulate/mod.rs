//! `nemeses simulate`: trackers that drive around, for trying things out, for
//! measuring, and for tests that must know which frames were acknowledged.
//!
//! What a device sends is a pure function of seed, device and simulated time
//! (`world`, `device`); when it is sent is decided by `pace`; `session`
//! holds what is unacknowledged and what comes again after a loss, without IO;
//! `connection` is the IO around it.

mod connection;
mod device;
mod fault;
mod journal;
mod pace;
mod report;
mod session;
mod speech;
mod tally;
mod tracker;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::Args;
use nemeses_mqtt::Broker;
use nemeses_mqtt::v311::Qos;
use nemeses_protocol::DeviceId;
use nemeses_runtime::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::connection::{Connection, Plan};
use self::device::{Device, Schedule};
use self::fault::Fault;
use self::journal::Journal;
use self::pace::Pace;
pub(crate) use self::speech::SimulatedProtocol;
use self::speech::Speech;
use self::tally::Tally;
use self::tracker::Tracker;
use self::world::World;
use crate::args::{LinkArgs, Switch as _};
use crate::config::{link, value};
use crate::tools::print;

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses simulate
      Ten trackers, one frame every 10 s each, until Ctrl-C.
  nemeses simulate --devices 1000 --speed 60
      An hour of a thousand trackers every minute.
  nemeses simulate --devices 10000 --rate 20000 --connections 4 --duration 60s
      As a measurement: 20 000 frames a second over four connections.
  nemeses simulate --protocol teltonika --devices 100
      Trackers of another protocol, for a node with --tcp-listen teltonika=127.0.0.1:5027.
  nemeses simulate --protocol osmand --tcp-server 127.0.0.1:5055
      Phones, for a node with --http-devices-listen 127.0.0.1:5055.
  nemeses simulate --devices 3 --fault jitter,zero-island,clock-ahead --start 2026-06-01T00:00:00Z --rate 500
      Trackers with one fault each, on past days, to see what the reports do with them.";

/// `nemeses simulate`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Simulation")]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// What the trackers speak. sft9001 over MQTT; teltonika, gt06, queclink and osmand (which is
    /// HTTP) over TCP to --tcp-server, where each tracker has a connection of its own and the
    /// IMEI 35 with its number in 13 digits
    #[arg(
        long,
        env = "NEMESES_SIMULATE_PROTOCOL",
        value_enum,
        default_value = "sft9001",
        value_name = "NAME",
        help_heading = "Simulation"
    )]
    pub(crate) protocol: SimulatedProtocol,
    /// Where trackers connect that speak over TCP
    #[arg(
        long,
        env = "NEMESES_SIMULATE_TCP_SERVER",
        default_value = "127.0.0.1:5027",
        value_name = "ADDRESS:PORT",
        help_heading = "Connections"
    )]
    pub(crate) tcp_server: String,
    /// Trackers; their ids count up from --first-device
    #[arg(
        long,
        env = "NEMESES_SIMULATE_DEVICES",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "COUNT",
        help_heading = "Simulation"
    )]
    pub(crate) devices: u32,
    /// Id of the first tracker, six hex digits
    #[arg(
        long,
        env = "NEMESES_SIMULATE_FIRST_DEVICE",
        default_value = "500000",
        value_name = "DEVICE",
        help_heading = "Simulation"
    )]
    pub(crate) first_device: nemeses_protocol::DeviceId,
    /// Simulated time between two frames of a tracker, whole seconds
    #[arg(
        long,
        env = "NEMESES_SIMULATE_INTERVAL",
        default_value = "10s",
        value_parser = value::frame_interval,
        value_name = "DURATION",
        help_heading = "Simulation"
    )]
    pub(crate) interval: Duration,
    /// Simulated seconds per second
    #[arg(
        long,
        env = "NEMESES_SIMULATE_SPEED",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=100_000),
        value_name = "TIMES",
        help_heading = "Simulation"
    )]
    pub(crate) speed: u32,
    /// Frames per second of all trackers together, regardless of --speed; 0 sends as
    /// fast as they are acknowledged
    #[arg(
        long,
        env = "NEMESES_SIMULATE_RATE",
        value_parser = clap::value_parser!(u32).range(0..=10_000_000),
        value_name = "FRAMES",
        help_heading = "Simulation"
    )]
    pub(crate) rate: Option<u32>,
    /// Start of simulated time, RFC 3339 or Unix seconds; without it, early enough not
    /// to run ahead of the clock
    #[arg(
        long,
        env = "NEMESES_SIMULATE_START",
        value_parser = value::moment_ms,
        value_name = "MOMENT",
        help_heading = "Simulation"
    )]
    pub(crate) start: Option<u64>,
    /// How long to send; without it, until Ctrl-C
    #[arg(
        long,
        env = "NEMESES_SIMULATE_DURATION",
        value_parser = value::run_time,
        value_name = "DURATION",
        help_heading = "Simulation"
    )]
    pub(crate) duration: Option<Duration>,
    /// The same seed, start and number of devices give the same frames
    #[arg(
        long,
        env = "NEMESES_SIMULATE_SEED",
        default_value_t = 1,
        value_name = "NUMBER",
        help_heading = "Simulation"
    )]
    pub(crate) seed: u64,
    /// Faults of the trackers, separated by commas; several faults are given to the
    /// trackers in turn
    #[arg(
        long,
        env = "NEMESES_SIMULATE_FAULT",
        value_delimiter = ',',
        value_enum,
        value_name = "FAULT",
        help_heading = "Simulation"
    )]
    pub(crate) fault: Vec<Fault>,
    /// MQTT quality of service: 1 and 2 are acknowledged and repeated, 0 is not
    #[arg(
        long,
        env = "NEMESES_SIMULATE_QOS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(0..=2),
        value_name = "0|1|2",
        help_heading = "Connections"
    )]
    pub(crate) qos: u8,
    /// Connections that the trackers share, as behind gateways; 0 gives each tracker
    /// its own (10 000 at most)
    #[arg(
        long,
        env = "NEMESES_SIMULATE_CONNECTIONS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(0..=10_000),
        value_name = "COUNT",
        help_heading = "Connections"
    )]
    pub(crate) connections: u32,
    /// Maximum number of unacknowledged messages of a connection
    #[arg(
        long,
        env = "NEMESES_SIMULATE_WINDOW",
        default_value_t = 100,
        value_parser = clap::value_parser!(u16).range(1..=60_000),
        value_name = "COUNT",
        help_heading = "Connections"
    )]
    pub(crate) window: u16,
    /// Send frames as hex text instead of raw bytes
    #[arg(long, env = "NEMESES_SIMULATE_HEX", switch = false, help_heading = "Connections")]
    pub(crate) hex: bool,
    /// Publish to each tracker's own topic, /messenger/DEVICE, instead of the
    /// shared one
    #[arg(long, env = "NEMESES_SIMULATE_OWN_TOPICS", switch = false, help_heading = "Connections")]
    pub(crate) own_topics: bool,
    /// Prefix of the client ids; a dash and a number follow
    #[arg(
        long,
        env = "NEMESES_SIMULATE_CLIENT_ID_PREFIX",
        default_value = "simulator",
        value_name = "TEXT",
        help_heading = "Connections"
    )]
    pub(crate) client_id_prefix: String,
    /// User name; overrides the one in --mqtt-url
    #[arg(
        long,
        env = "NEMESES_SIMULATE_USERNAME",
        value_name = "NAME",
        help_heading = "Connections"
    )]
    pub(crate) username: Option<String>,
    /// Password of --username
    #[arg(
        long,
        env = "NEMESES_SIMULATE_PASSWORD",
        hide_env_values = true,
        requires = "username",
        value_name = "PASSWORD",
        help_heading = "Connections"
    )]
    pub(crate) password: Option<String>,
    /// Topic that frames are published to
    #[arg(
        long,
        env = "NEMESES_TOPIC_MESSENGER",
        default_value = "/messenger",
        value_parser = value::topic,
        value_name = "TOPIC",
        help_heading = "Topics"
    )]
    pub(crate) topic_messenger: String,
    /// Topic of the replies to pings
    #[arg(
        long,
        env = "NEMESES_TOPIC_PING",
        default_value = "/ping",
        value_parser = value::topic,
        value_name = "TOPIC",
        help_heading = "Topics"
    )]
    pub(crate) topic_ping: String,
    /// Write every acknowledged frame to this file: Unix milliseconds of the
    /// acknowledgement, a space, the frame as hex; one frame per line
    #[arg(
        long,
        env = "NEMESES_SIMULATE_LOG_ACKNOWLEDGED",
        value_name = "PATH",
        help_heading = "Report"
    )]
    pub(crate) log_acknowledged: Option<PathBuf>,
    /// Write every frame to this file before it is sent for the first time, in the same
    /// format
    #[arg(long, env = "NEMESES_SIMULATE_LOG_SENT", value_name = "PATH", help_heading = "Report")]
    pub(crate) log_sent: Option<PathBuf>,
    /// Write the final counts as one line of JSON to standard output
    #[arg(long, env = "NEMESES_JSON", switch = false, help_heading = "Report")]
    pub(crate) json: bool,
}

/// Connections when each tracker has its own.
const MOST_OWN_CONNECTIONS: u32 = 10_000;

/// Simulates until the duration is over or Ctrl-C, and shows what was counted.
///
/// # Errors
/// Wrong settings, a broker that refuses the login, a file that cannot be
/// written; after showing the counts, that none of it reached a broker.
#[expect(clippy::disallowed_methods, reason = "a tool: they end with its command")]
pub(crate) async fn run(args: SimulateArgs) -> anyhow::Result<()> {
    let plan = Arc::new(plan(&args)?);
    let mut connections = JoinSet::new();
    if let Some(speech) = args.protocol.speech() {
        for tracker in trackers_of(&args, speech, &plan)? {
            connections.spawn(tracker.run());
        }
    } else {
        for connection in connections_of(&args, &plan)? {
            connections.spawn(connection.run());
        }
    }
    let report =
        tokio::spawn(report::show_progress(Arc::clone(&plan), connections.len(), args.duration));
    let ending = Arc::clone(&plan);
    let end = tokio::spawn(async move {
        tokio::select! {
            () = asked_to_end() => {}
            () = run_time_over(args.duration) => {}
            () = ending.stop.cancelled() => {}
        }
        ending.stop.cancel();
    });
    let outcome = finished(&mut connections, &plan.stop).await;
    let took = plan.begun.elapsed();
    plan.stop.cancel();
    end.await?;
    report.await?;
    for journal in [&plan.acknowledged, &plan.sent].into_iter().flatten() {
        journal.flush()?;
    }
    outcome?;
    let counts = plan.tally.read();
    if args.json {
        print(&format!("{}\n", counts.as_json(took)))?;
    } else {
        print(&counts.as_text(took))?;
    }
    match counts.failure(plan.qos != Qos::AtMostOnce) {
        Some(why) if args.protocol.speech().is_some() => {
            anyhow::bail!("{}: {why}", args.tcp_server)
        }
        Some(why) => anyhow::bail!("{}: {why}", plan.broker.url()),
        None => Ok(()),
    }
}

/// Waits for all connections; the first that fails ends the others.
async fn finished(
    connections: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    while let Some(ended) = connections.join_next().await {
        let ended = ended.map_err(anyhow::Error::from).flatten();
        if ended.is_err() {
            stop.cancel();
            outcome = outcome.and(ended);
        }
    }
    outcome
}

async fn run_time_over(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// Ctrl-C, or the system's wish.
async fn asked_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without signals the process ends the hard way.
    let _ = tokio::signal::ctrl_c().await;
}

fn plan(args: &SimulateArgs) -> anyhow::Result<Plan> {
    let broker = with_login(args, link(&args.link)?);
    let last = args.first_device.number().checked_add(args.devices - 1);
    anyhow::ensure!(
        last.is_some_and(|last| last <= DeviceId::MAX_SFT9001),
        "{} devices from {} on go beyond the last id, FFFFFF; begin earlier with --first-device, or simulate fewer with --devices",
        args.devices,
        args.first_device
    );
    let clock = Clock::system();
    let interval_s = u32::try_from(args.interval.as_secs()).unwrap_or(u32::MAX);
    let pace = Pace::new(args.rate, args.devices, interval_s, args.speed);
    let start_s = match args.start {
        Some(start_ms) => u32::try_from(start_ms / 1000).unwrap_or(u32::MAX),
        None => pace.start_s(clock.now_s(), args.duration, args.devices, interval_s),
    };
    let journal = |path: &Option<PathBuf>| path.as_deref().map(Journal::create).transpose();
    Ok(Plan {
        broker,
        schedule: Schedule { start_s, interval_s, devices: args.devices },
        pace,
        world: World::new(args.seed),
        qos: match args.qos {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        },
        window: args.window,
        hex: args.hex,
        own_topics: args.own_topics,
        topic_messenger: args.topic_messenger.clone(),
        topic_ping: args.topic_ping.clone(),
        acknowledged: journal(&args.log_acknowledged)?,
        sent: journal(&args.log_sent)?,
        tally: Tally::new(),
        clock,
        begun: Instant::now(),
        stop: CancellationToken::new(),
        outage_told: AtomicBool::new(false),
    })
}

/// A login that is named goes before the URL's.
fn with_login(args: &SimulateArgs, broker: Broker) -> Broker {
    match &args.username {
        Some(name) => broker.with_login(name.clone(), args.password.clone().unwrap_or_default()),
        None => broker,
    }
}

/// The fault of the tracker at this place.
fn fault_of(args: &SimulateArgs, index: u32) -> Option<Fault> {
    args.fault.iter().copied().cycle().nth(index as usize % args.fault.len().max(1))
}

/// Deals the trackers out to the connections in turn.
fn connections_of(args: &SimulateArgs, plan: &Arc<Plan>) -> anyhow::Result<Vec<Connection>> {
    let own = args.connections == 0;
    anyhow::ensure!(
        !own || args.devices <= MOST_OWN_CONNECTIONS,
        "{} devices cannot have a connection each, {MOST_OWN_CONNECTIONS} at most; let them share with --connections",
        args.devices
    );
    let count = if own { args.devices } else { args.connections.min(args.devices) };
    let connection = |number: u32| {
        let devices: Vec<(u32, Device)> = (number..args.devices)
            .step_by(count as usize)
            .map(|index| {
                let id = DeviceId::new(args.first_device.number() + index);
                (index, Device::new(args.seed, id, fault_of(args, index)))
            })
            .collect();
        let prefix = &args.client_id_prefix;
        let client_id = match devices.as_slice() {
            [(_, device)] if own => format!("{prefix}-{}", device.id),
            _ => format!("{prefix}-{number}"),
        };
        Connection::new(Arc::clone(plan), client_id, devices)
    };
    Ok((0..count).map(connection).collect())
}

/// Trackers with a TCP connection each.
fn trackers_of(
    args: &SimulateArgs,
    speech: Speech,
    plan: &Arc<Plan>,
) -> anyhow::Result<Vec<Tracker>> {
    anyhow::ensure!(
        args.devices <= MOST_OWN_CONNECTIONS,
        "{} trackers have a connection each, {MOST_OWN_CONNECTIONS} at most; choose fewer with --devices",
        args.devices
    );
    let server = tracker::server(&args.tcp_server)?;
    let tracker = |index| {
        let id = DeviceId::new(args.first_device.number() + index);
        let device = Device::new(args.seed, id, fault_of(args, index));
        Tracker { plan: Arc::clone(plan), server, speech, index, device }
    };
    Ok((0..args.devices).map(tracker).collect())
}

#[cfg(test)]
mod tests;
