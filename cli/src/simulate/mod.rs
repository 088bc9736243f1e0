//! `nemeses simulate`: trackers that drive around, for trying things out, for
//! measuring, and for tests that must know which frames were acknowledged.
//!
//! What a device sends is a pure function of seed, device and simulated time
//! (`route`, `trip`, `device`); when it is sent is decided by `pace`; `session`
//! holds what is unacknowledged and what comes again after a loss, without IO;
//! `connection` is the IO around it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use crate::args::LinkArgs;
use crate::config::value;

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses simulate
      Ten trackers, one frame every 10 s each, until Ctrl-C.
  nemeses simulate --devices 1000 --speed 60
      An hour of a thousand trackers every minute.
  nemeses simulate --devices 10000 --rate 20000 --connections 4 --duration 60s
      As a measurement: 20 000 frames a second over four connections.";

/// `nemeses simulate`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Simulation")]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
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
    /// Simulated seconds that pass in one second
    #[arg(
        long,
        env = "NEMESES_SIMULATE_SPEED",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=100_000),
        value_name = "TIMES",
        help_heading = "Simulation"
    )]
    pub(crate) speed: u32,
    /// Frames per second of all trackers together, whatever --speed says; 0
    /// sends as fast as they are acknowledged
    #[arg(
        long,
        env = "NEMESES_SIMULATE_RATE",
        value_parser = clap::value_parser!(u32).range(0..=10_000_000),
        value_name = "FRAMES",
        help_heading = "Simulation"
    )]
    pub(crate) rate: Option<u32>,
    /// Simulated time begins here, RFC 3339 or Unix seconds; without it, such
    /// that it does not run ahead of the clock
    #[arg(
        long,
        env = "NEMESES_SIMULATE_START",
        value_parser = value::moment_ms,
        value_name = "MOMENT",
        help_heading = "Simulation"
    )]
    pub(crate) start: Option<u64>,
    /// How long to send; without it until Ctrl-C
    #[arg(
        long,
        env = "NEMESES_SIMULATE_DURATION",
        value_parser = value::run_time,
        value_name = "DURATION",
        help_heading = "Simulation"
    )]
    pub(crate) duration: Option<Duration>,
    /// The same seed, start and devices give the same frames
    #[arg(
        long,
        env = "NEMESES_SIMULATE_SEED",
        default_value_t = 1,
        value_name = "NUMBER",
        help_heading = "Simulation"
    )]
    pub(crate) seed: u64,
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
    /// Connections that the trackers share, as behind gateways; 0 gives each
    /// tracker its own (10 000 at most)
    #[arg(
        long,
        env = "NEMESES_SIMULATE_CONNECTIONS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(0..=10_000),
        value_name = "COUNT",
        help_heading = "Connections"
    )]
    pub(crate) connections: u32,
    /// Messages of a connection on their way and not yet acknowledged, at most
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
    #[arg(
        long,
        env = "NEMESES_SIMULATE_HEX",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new(),
        value_name = "true|false",
        help_heading = "Connections"
    )]
    pub(crate) hex: bool,
    /// Publish to each tracker's own topic, /messenger/DEVICE, instead of the
    /// shared one
    #[arg(
        long,
        env = "NEMESES_SIMULATE_OWN_TOPICS",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new(),
        value_name = "true|false",
        help_heading = "Connections"
    )]
    pub(crate) own_topics: bool,
    /// Client ids are this, a dash and a number
    #[arg(
        long,
        env = "NEMESES_SIMULATE_CLIENT_ID_PREFIX",
        default_value = "simulator",
        value_name = "TEXT",
        help_heading = "Connections"
    )]
    pub(crate) client_id_prefix: String,
    /// User name, before one in --mqtt-url
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
    /// Topic that replies to pings come on
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
    /// acknowledgement, a space, the frame as hex; one frame a line
    #[arg(
        long,
        env = "NEMESES_SIMULATE_LOG_ACKNOWLEDGED",
        value_name = "PATH",
        help_heading = "Report"
    )]
    pub(crate) log_acknowledged: Option<PathBuf>,
    /// Write every frame to this file before it is sent for the first time, in
    /// the same form
    #[arg(long, env = "NEMESES_SIMULATE_LOG_SENT", value_name = "PATH", help_heading = "Report")]
    pub(crate) log_sent: Option<PathBuf>,
    /// Write the final counts as one line of JSON to standard output
    #[arg(
        long,
        env = "NEMESES_JSON",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new(),
        value_name = "true|false",
        help_heading = "Report"
    )]
    pub(crate) json: bool,
}

/// Runs the simulation.
pub(crate) async fn run(_args: SimulateArgs) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
