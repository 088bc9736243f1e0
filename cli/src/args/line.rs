//! Settings of a frame's way: batches, frames, topics, and a station's link to
//! its broker.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Switch as _;
use crate::config::value;

/// Batching.
#[derive(Debug, Args)]
#[command(next_help_heading = "Frames")]
pub(crate) struct FlushArgs {
    /// How long frames are collected for one batch; a node or exporter commits the first
    /// one after a pause at once. Longer means fewer transactions, shorter means earlier
    /// acknowledgements
    #[arg(
        long,
        env = "NEMESES_FLUSH_AFTER",
        default_value = "2ms",
        value_parser = value::flush_after,
        value_name = "DURATION"
    )]
    pub(crate) flush_after: Duration,
}

/// What is done with frames.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Frames")]
pub(crate) struct FrameArgs {
    /// A frame recorded further ahead of its arrival than this is a dead letter
    #[arg(
        long,
        env = "NEMESES_FUTURE_LIMIT",
        default_value = "24h",
        value_parser = value::future_limit,
        value_name = "DURATION"
    )]
    pub(crate) future_limit: Duration,
    /// Store the raw bytes of valid frames as well (a third more space)
    #[arg(long, env = "NEMESES_KEEP_RAW", switch = false)]
    pub(crate) keep_raw: bool,
    /// What happens to frames of devices without a profile, login, group or rows.
    /// accept: store them; quarantine: store them hidden until somebody registers the
    /// device; reject: store them only as dead letters
    #[arg(
        long,
        env = "NEMESES_UNKNOWN_DEVICES",
        default_value = "accept",
        value_parser = value::unknown_devices,
        value_name = "accept|quarantine|reject"
    )]
    pub(crate) unknown_devices: nemeses_parser::UnknownDevices,
}

/// Topic names.
#[derive(Debug, Args)]
#[command(next_help_heading = "Topics")]
#[expect(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct TopicArgs {
    /// Topic of frames from devices; a device's own topic is this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_MESSENGER",
        default_value = "/messenger",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_messenger: String,
    /// Topic of the replies to pings; a device's own topic is this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_PING",
        default_value = "/ping",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_ping: String,
    /// Topic of batches from parsers to exporters
    #[arg(
        long,
        env = "NEMESES_TOPIC_DB",
        default_value = "/DB",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_db: String,
    /// Topic of commands to devices: this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_COMMAND",
        default_value = "/command",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_command: String,
    /// Topic of values of named channels, as JSON or SenML: this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_TELEMETRY",
        default_value = "/telemetry",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_telemetry: String,
}

/// The broker that a station or the simulator connects to.
#[derive(Debug, Args)]
#[command(next_help_heading = "MQTT broker")]
pub(crate) struct LinkArgs {
    /// The MQTT broker: mqtt://HOST:PORT or mqtt://USER:PASSWORD@HOST:PORT, mqtts:// for
    /// TLS
    #[arg(
        long,
        env = "NEMESES_MQTT_URL",
        hide_env_values = true,
        default_value = "mqtt://127.0.0.1:1883",
        value_name = "URL"
    )]
    pub(crate) mqtt_url: String,
    #[command(flatten)]
    pub(crate) tls: LinkTlsArgs,
}

/// TLS towards a broker whose URL begins with `mqtts://`.
#[derive(Debug, Args)]
#[command(next_help_heading = "MQTT broker")]
#[expect(clippy::struct_field_names, reason = "fields are named as their flags")]
pub(crate) struct LinkTlsArgs {
    /// The certificate authorities to trust for a broker at mqtts://, a PEM file;
    /// without it, those of the system
    #[arg(long, env = "NEMESES_MQTT_CA", value_name = "PATH")]
    pub(crate) mqtt_ca: Option<PathBuf>,
    /// The client certificate for a broker at mqtts:// that requires one, a PEM file;
    /// read again for the next connection after a change
    #[arg(long, env = "NEMESES_MQTT_CLIENT_CERT", value_name = "PATH")]
    pub(crate) mqtt_client_cert: Option<PathBuf>,
    /// The private key of that certificate, a PEM file
    #[arg(long, env = "NEMESES_MQTT_CLIENT_KEY", value_name = "PATH")]
    pub(crate) mqtt_client_key: Option<PathBuf>,
    /// The name expected in the certificate of a broker at mqtts://, if it is not the
    /// host of the URL
    #[arg(long, env = "NEMESES_MQTT_SERVER_NAME", value_name = "NAME")]
    pub(crate) mqtt_server_name: Option<String>,
}

/// A parser's second subscription.
#[derive(Debug, Args)]
#[command(next_help_heading = "MQTT broker")]
pub(crate) struct ShadowArgs {
    /// Whether worker 0 holds a second, unshared subscription to all frames: Mosquitto
    /// with a persistence file forgets shared subscriptions at each restart, and frames
    /// would be lost until workers have reconnected. auto: with Mosquitto, unless its
    /// persistence is the sqlite plugin (docs/mosquitto.md)
    #[arg(long, env = "NEMESES_SHADOW", default_value = "auto")]
    pub(crate) shadow: ShadowMode,
}

/// When there is a second subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShadowMode {
    /// With a broker that says it is Mosquitto
    Auto,
    /// With any broker
    On,
    /// Never
    Off,
}

impl From<ShadowMode> for nemeses_parser::Shadow {
    fn from(mode: ShadowMode) -> Self {
        match mode {
            ShadowMode::Auto => Self::Auto,
            ShadowMode::On => Self::On,
            ShadowMode::Off => Self::Off,
        }
    }
}

/// Which of several equal stations this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
#[command(next_help_heading = "Worker")]
pub(crate) struct WorkerArgs {
    /// This worker's number, from 0. Each number runs once and is kept across restarts:
    /// the broker queues its share of the messages meanwhile
    #[arg(
        long,
        env = "NEMESES_WORKER",
        default_value_t = 0,
        value_parser = value::worker,
        value_name = "NUMBER"
    )]
    pub(crate) worker: u16,
    /// Remove this worker permanently: give up its share of the messages, process what
    /// is queued, clear the session, and exit
    #[arg(long, env = "NEMESES_LEAVE", switch = false)]
    pub(crate) leave: bool,
}
