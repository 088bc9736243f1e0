//! The control topic of a running broker: commands out, answers in. A thin shell;
//! one message is under way at a time.

use std::time::Duration;

use anyhow::{Context as _, bail};
use nemeses_mqtt::{
    Broker, Client, ClientEvent, ConnectError, Endpoint, PublishError, Subscription,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::plan::Step;
use super::present::Present;

const COMMANDS: &str = "$CONTROL/dynamic-security/v1";
const ANSWERS: &str = "$CONTROL/dynamic-security/v1/response";
/// The broker writes its file after each command: some tens of milliseconds with
/// ten thousand clients.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Commands in one message. During it the broker serves nobody else; a command
/// is below 2 KiB, so a message is far below any `message_size_limit` in use.
const COMMANDS_AT_ONCE: usize = 10;
/// Clients or roles in one answer, some 300 bytes each.
const PAGE: usize = 500;
/// An answer is at most a page; more than that is not for us.
const MAX_ANSWER_BYTES: u32 = 4 * 1024 * 1024;

/// A connection to the control topic.
pub(super) struct Control {
    client: Client,
    /// Tells our answers from those of others.
    name: String,
    sent: u64,
}

impl Control {
    /// Connects and subscribes to the answers.
    ///
    /// # Errors
    /// No broker, or it does not let this login administer it.
    pub(super) async fn connect(broker: &Broker) -> anyhow::Result<Self> {
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random)
            .map_err(|error| anyhow::anyhow!("no random bytes from the system: {error}"))?;
        let name = format!("nemeses-roles-{}", hex::encode(random));
        let endpoint = Endpoint {
            max_packet_bytes: MAX_ANSWER_BYTES,
            ..Endpoint::new(broker.clone(), name.clone())
        };
        let connecting = async {
            let mut client = Client::connect(endpoint).await?;
            client.subscribe(&[ANSWERS.to_owned()], Subscription::Acknowledged).await?;
            Ok::<_, ConnectError>(client)
        };
        let client = connecting.await.map_err(|error| match error {
            error @ ConnectError::Subscription { .. } => anyhow::Error::new(error).context(
                "the login may not administer the broker; use the administrator's, made with `mosquitto_ctrl dynsec init`",
            ),
            other => other.into(),
        });
        let client = client
            .with_context(|| format!("the broker at {} cannot be administered", broker.url()))?;
        Ok(Self { client, name, sent: 0 })
    }

    /// What the broker holds.
    ///
    /// # Errors
    /// No answer, or one that cannot be understood.
    pub(super) async fn present(&mut self) -> anyhow::Result<Present> {
        let mut present = Present::default();
        let defaults = self.ask(json!({ "command": "getDefaultACLAccess" })).await?;
        present.take_defaults(&defaults)?;
        let roles = self.list("listRoles", "roles").await?;
        present.take_roles(&roles)?;
        let clients = self.list("listClients", "clients").await?;
        present.take_clients(&clients)?;
        Ok(present)
    }

    async fn list(&mut self, command: &str, key: &str) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        loop {
            let page = json!({
                "command": command, "verbose": true, "count": PAGE, "offset": all.len(),
            });
            let mut data = self.ask(page).await?;
            let Value::Array(page) = data[key].take() else {
                bail!("the answer to {command} has no {key}");
            };
            let last = page.len() < PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    async fn ask(&mut self, command: Value) -> anyhow::Result<Value> {
        let mut answers = self.send(vec![command]).await?;
        let mut answer = answers.pop().context("the broker answers with nothing")?;
        if let Some(error) = error_of(&answer) {
            bail!("the broker answers: {error}");
        }
        Ok(answer["data"].take())
    }

    /// Carries the steps out, in order. Calls `done` with the number of those done
    /// so far.
    ///
    /// # Errors
    /// The first that the broker does not carry out; those before it are done.
    pub(super) async fn carry_out(
        &mut self,
        steps: &[Step],
        mut done: impl FnMut(usize),
    ) -> anyhow::Result<()> {
        for (index, chunk) in steps.chunks(COMMANDS_AT_ONCE).enumerate() {
            let commands = chunk.iter().map(Step::command).collect::<Option<Vec<_>>>();
            let commands = commands.context("a secret's hash cannot be sent to a broker")?;
            let answers = self.send(commands).await?;
            for (place, step) in chunk.iter().enumerate() {
                let (what, whom) = step.words();
                match answers.get(place).map(error_of) {
                    Some(None) => {}
                    Some(Some(error)) => bail!("{what} {whom}: the broker answers: {error}"),
                    None => bail!("{what} {whom}: the broker does not answer"),
                }
            }
            done(index * COMMANDS_AT_ONCE + chunk.len());
        }
        Ok(())
    }

    /// Sends commands and returns their answers, in the same order.
    async fn send(&mut self, mut commands: Vec<Value>) -> anyhow::Result<Vec<Value>> {
        self.sent += 1;
        let tag = format!("{}-{}", self.name, self.sent);
        for command in &mut commands {
            command["correlationData"] = json!(tag);
        }
        let message = json!({ "commands": commands }).to_string();
        let packet_id = self.client.publish(COMMANDS, message, None);
        let answered = timeout(ANSWER_WITHIN, self.answers(packet_id, &tag)).await;
        answered.map_err(|_| {
            anyhow::anyhow!(
                "the broker does not answer on {ANSWERS}; is the dynamic-security plugin loaded, and may this login publish to {COMMANDS}?"
            )
        })?
    }

    async fn answers(&mut self, asked: u16, tag: &str) -> anyhow::Result<Vec<Value>> {
        loop {
            let payload = match self.client.next().await? {
                ClientEvent::Message { topic, payload } if topic == ANSWERS => payload,
                ClientEvent::Published { packet_id, answer: Err(error) }
                    if packet_id == asked && error != PublishError::NoSubscriber =>
                {
                    return Err(error).with_context(|| format!("publishing to {COMMANDS}"));
                }
                _ => continue,
            };
            let mut answer: Value =
                serde_json::from_slice(&payload).context("the broker's answer is no JSON")?;
            let Value::Array(answers) = answer["responses"].take() else { continue };
            if answers.iter().any(|answer| answer["correlationData"] == *tag) {
                return Ok(answers);
            }
        }
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        self.client.close().await;
    }
}

fn error_of(answer: &Value) -> Option<&str> {
    answer.get("error").and_then(Value::as_str)
}
