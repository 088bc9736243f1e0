//! Settings of a frame's way: batches, frames, topics, and a station's link to
//! its broker.

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use crate::config::value;

/// Batching.
#[derive(Debug, Args)]
#[command(next_help_heading = "Frames")]
pub(crate) struct FlushArgs {
    /// How long a frame waits for others to be written with, unless nothing came
    /// before it. Longer saves work, shorter acknowledges sooner
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
#[derive(Debug, Args)]
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
    /// Keep the raw bytes of good frames too (a third more space)
    #[arg(
        long,
        env = "NEMESES_KEEP_RAW",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        value_name = "true|false"
    )]
    pub(crate) keep_raw: bool,
    /// What is done with frames of devices without a profile, login, group or rows:
    /// accept them; quarantine: keep them unseen until somebody makes the device known;
    /// reject: keep them only as dead letters
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
    /// Frames up; a device's own topic is this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_MESSENGER",
        default_value = "/messenger",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_messenger: String,
    /// Answers to pings; a device's own topic is this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_PING",
        default_value = "/ping",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_ping: String,
    /// Batches from parsers to exporters
    #[arg(
        long,
        env = "NEMESES_TOPIC_DB",
        default_value = "/DB",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_db: String,
    /// Commands down: this/DEVICE
    #[arg(
        long,
        env = "NEMESES_TOPIC_COMMAND",
        default_value = "/command",
        value_parser = value::topic,
        value_name = "TOPIC"
    )]
    pub(crate) topic_command: String,
}

/// The broker that a station or the simulator connects to.
#[derive(Debug, Args)]
#[command(next_help_heading = "MQTT broker")]
pub(crate) struct LinkArgs {
    /// The MQTT broker: mqtt://HOST:PORT or mqtt://USER:PASSWORD@HOST:PORT
    #[arg(
        long,
        env = "NEMESES_MQTT_URL",
        hide_env_values = true,
        default_value = "mqtt://127.0.0.1:1883",
        value_name = "URL"
    )]
    pub(crate) mqtt_url: String,
}

/// Which of several equal stations this is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Worker")]
pub(crate) struct WorkerArgs {
    /// This station's number among its equals, from 0. Each number runs once and
    /// always comes back: the broker keeps its share of the messages meanwhile
    #[arg(
        long,
        env = "NEMESES_WORKER",
        default_value_t = 0,
        value_parser = value::worker,
        value_name = "NUMBER"
    )]
    pub(crate) worker: u16,
    /// Leave for good: give up the share of the messages, work off what is
    /// there, clear the session, and end
    #[arg(
        long,
        env = "NEMESES_LEAVE",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        value_name = "true|false"
    )]
    pub(crate) leave: bool,
}
