//! `nemeses publish`: values of a device over MQTT, for scripts. Ends well only when the broker
//! has acknowledged all of it, which at a node means that it is committed.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use nemeses_mqtt::{PublishError, Publisher, PublisherConfig};
use nemeses_parser::device_of;
use nemeses_protocol::{
    Identity, Reading, Topics, Value, in_order, is_channel_name, readings_json,
};
use nemeses_runtime::Clock;
use nemeses_telemetry::{Format, decode};
use tokio::time::timeout;

use crate::args::{LinkArgs, TopicArgs};
use crate::config::{Wrong, link, topics, value};

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses publish --device host:web1 temperature=21.5 door=true
      Two values of this moment. Numbers, true and false are what they look like, all
      else is text; state='\"21.5\"' is a text, too.
  tail -F values.ndjson | nemeses publish --device id:boiler-3
      A message for each line: JSON, or line protocol.
  telegraf --test --quiet | sed 's/^> //' | nemeses publish
      Lines of line protocol, each of the host or device that its tags name.";

/// `nemeses publish`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Values")]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    link: LinkArgs,
    #[command(flatten)]
    topics: TopicArgs,
    /// Whose the values are, for example host:web1, id:boiler-3 or 0A3F73; without it,
    /// each line of standard input names its device
    #[arg(long, env = "NEMESES_PUBLISH_DEVICE", value_name = "DEVICE", help_heading = "Values")]
    device: Option<String>,
    /// When they were measured, RFC 3339 or Unix seconds; without it, now
    #[arg(
        long,
        env = "NEMESES_PUBLISH_TIME",
        value_parser = value::moment_ms,
        value_name = "MOMENT",
        help_heading = "Values"
    )]
    time: Option<u64>,
    /// How long to try, for each message
    #[arg(
        long,
        env = "NEMESES_PUBLISH_WITHIN",
        default_value = "30s",
        value_parser = value::run_time,
        value_name = "DURATION",
        help_heading = "Values"
    )]
    within: Duration,
    /// The values; without any, lines of standard input
    #[arg(value_name = "NAME=VALUE")]
    values: Vec<String>,
}

/// Publishes, and waits for the acknowledgements.
///
/// # Errors
/// What is no value or no device, and what the broker has not acknowledged.
pub(crate) async fn run(args: PublishArgs) -> anyhow::Result<()> {
    let (broker, topics) = (link(&args.link)?, topics(&args.topics)?);
    let device = args.device.as_deref().map(device).transpose()?;
    let first = (!args.values.is_empty()).then(|| message(&args, device.as_ref())).transpose()?;
    let url = broker.url().to_string();
    // Two of one name would turn each other out.
    let client_id = format!("nemeses-publish-{:016x}", rand::random::<u64>());
    let connecting = Publisher::connect(PublisherConfig::new(broker, client_id));
    let publisher = timeout(args.within, connecting).await.with_context(|| {
        format!("the broker at {url} has not answered within {:?}", args.within)
    })??;
    let sender = Sender { publisher, topics, device, within: args.within };
    match first {
        Some(payload) => sender.send(payload).await?,
        None => sender.send_lines().await?,
    }
    sender.publisher.close().await;
    Ok(())
}

fn device(text: &str) -> Result<Identity, Wrong> {
    text.parse::<Identity>().map_err(|error| Wrong::new("device", text, error.to_string()))
}

struct Sender {
    publisher: Publisher,
    topics: Topics,
    device: Option<Identity>,
    within: Duration,
}

impl Sender {
    async fn send_lines(&self) -> anyhow::Result<()> {
        let mut lines = (1_u64..).zip(std::io::stdin().lines());
        // Standard input cannot be waited for otherwise.
        while let Some((number, line)) = tokio::task::block_in_place(|| lines.next()) {
            let line = line.context("standard input cannot be read")?;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                self.send(line.to_owned()).await.with_context(|| format!("line {number}"))?;
            }
        }
        Ok(())
    }

    /// Publishes a message until it is acknowledged. One that was sent again is the same
    /// record, if it has a time.
    async fn send(&self, payload: String) -> anyhow::Result<()> {
        let device = self.device.clone().map_or_else(|| device_in(&payload), Ok)?;
        let topic = self.topics.telemetry_of(&device);
        let sending = async {
            loop {
                match self.publisher.publish(&topic, payload.clone()).await {
                    Err(PublishError::ConnectionLost) => {}
                    outcome => return outcome,
                }
            }
        };
        let outcome = timeout(self.within, sending).await.with_context(|| {
            format!("no acknowledgement within {:?}; it may be stored later", self.within)
        })?;
        match outcome {
            Ok(nemeses_mqtt::Delivered) => Ok(()),
            Err(PublishError::NoSubscriber) => anyhow::bail!(
                "the broker has dropped it, since nobody is subscribed to {topic}: is a parser running?"
            ),
            Err(PublishError::NotAuthorised) => anyhow::bail!(
                "this login may not publish on {topic}; a device's login sends its own values alone"
            ),
            Err(error) => Err(error.into()),
        }
    }
}

/// The device that a line names.
fn device_in(line: &str) -> anyhow::Result<Identity> {
    let decoded = decode(Format::Auto, line.as_bytes(), 0);
    let name = decoded.records.into_iter().find_map(|record| record.name);
    let named = name.as_deref().and_then(device_of);
    named.context("it names no device; give --device, or the member id, or the tag device or host")
}

/// The values of the command line as a message.
fn message(args: &PublishArgs, device: Option<&Identity>) -> Result<String, Wrong> {
    if device.is_none() {
        return Err(Wrong::missing("device", "say whose the values are, for example host:web1"));
    }
    let readings = args.values.iter().map(|text| reading(text)).collect::<Result<_, _>>()?;
    // With a time it is the same record when it has to be sent again.
    let time_ms = args.time.unwrap_or_else(|| Clock::system().now_ms());
    Ok(readings_json(Some(time_ms), None, &in_order(readings)))
}

fn reading(text: &str) -> Result<Reading, Wrong> {
    let wrong = |why: &str| Wrong::new("NAME=VALUE", text, why.to_owned());
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("write temperature=21.5"))?;
    if !is_channel_name(name) {
        return Err(wrong("a name has 1 to 128 bytes of visible characters"));
    }
    Ok(Reading { channel: name.into(), unit: None, value: measured(value) })
}

fn measured(text: &str) -> Value {
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match (text, quoted) {
        (_, Some(text)) => Value::Text(text.into()),
        ("true", _) => Value::Flag(true),
        ("false", _) => Value::Flag(false),
        _ => {
            let number = || text.parse().ok().filter(|number: &f64| number.is_finite());
            let number =
                text.parse().ok().map(Value::Integer).or_else(|| number().map(Value::Number));
            number.unwrap_or_else(|| Value::Text(text.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_look_like() {
        for (text, value) in [
            ("a=21.5", Value::Number(21.5)),
            ("a=-3", Value::Integer(-3)),
            ("a=1e3", Value::Number(1000.0)),
            ("a=true", Value::Flag(true)),
            ("a=\"true\"", Value::Text("true".into())),
            ("a=x=y", Value::Text("x=y".into())),
            ("a=nan", Value::Text("nan".into())),
            ("a=", Value::Text("".into())),
        ] {
            assert_eq!(reading(text).unwrap().value, value, "{text}");
        }
        for bad in ["temperature", "=1", " =1"] {
            assert!(reading(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_name_their_device() {
        for (line, device) in [
            ("cpu,host=web1 usage=1", Some("host:web1")),
            ("m,device=imei:356307042441013 a=1", Some("imei:356307042441013")),
            (r#"{"id":"id:a","values":{"x":1}}"#, Some("id:a")),
            (r#"{"values":{"x":1}}"#, None),
            ("rubbish", None),
        ] {
            assert_eq!(device_in(line).ok().map(|it| it.to_string()).as_deref(), device, "{line}");
        }
    }
}
