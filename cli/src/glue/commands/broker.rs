//! The way of an API alone to devices at a broker such as Mosquitto. It connects at the start,
//! so that the first command need not wait for it, and the API is there without the broker. What
//! the device makes of a command the broker does not tell.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nemeses_api::{CommandSink, Delivered, KeptCommand, NoWay};
use nemeses_mqtt::{ConnectError, PublishError, Publisher, PublisherConfig};
use nemeses_protocol::{DeviceId, Topics};
use nemeses_runtime::{Backoff, Clock, Outage, Tasks};
use nemeses_store::history::{ClaimedCommand, CommandStep, Commands};
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

use super::CommandFigures;
use super::courier::{Courier, Way};

/// A broker that has not acknowledged after this is told of as silent; connecting, where that
/// is not over, is in it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// A device that nobody listens for is tried again after this: five hundred that are away
/// are fifty messages a second.
const NOBODY_MS: u64 = 10_000;

/// After the broker has refused the login.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

const REFUSED: CommandStep = CommandStep::Failed("no_way");

/// The broker's.
pub(crate) struct BrokerCommands(Arc<Courier<Broker>>);

struct Broker {
    config: PublisherConfig,
    topics: Topics,
    publisher: OnceCell<Publisher>,
    clock: Clock,
}

impl BrokerCommands {
    pub(crate) fn new(
        store: Arc<dyn Commands>,
        config: PublisherConfig,
        topics: Topics,
        clock: Clock,
        figures: CommandFigures,
    ) -> Self {
        let way = Broker { config, topics, publisher: OnceCell::new(), clock: clock.clone() };
        Self(Arc::new(Courier::new(store, way, Arc::default(), clock, figures)))
    }

    /// Connects, and sends what waits for those who subscribe.
    pub(crate) fn run(&self, tasks: &Tasks) {
        let (courier, stop) = (Arc::clone(&self.0), tasks.stop().all);
        tasks.spawn_rest("commands", async move {
            let connecting = stop.run_until_cancelled(courier.way.connect());
            tokio::join!(courier.run(stop.clone()), connecting);
            Ok(())
        });
    }
}

impl Broker {
    /// Connects, however often the broker refuses.
    async fn connect(&self) {
        let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
        let url = self.config.endpoint.broker.url();
        while let Err(error) = self.publisher().await {
            if outage.begins() {
                tracing::warn!(%error, "the broker at {url} does not let commands in; trying again");
            }
            sleep(backoff.wait()).await;
        }
        tracing::info!("commands go to the broker at {url}");
    }

    async fn publisher(&self) -> Result<&Publisher, ConnectError> {
        self.publisher.get_or_try_init(|| Publisher::connect(self.config.clone())).await
    }
}

#[async_trait]
impl CommandSink for BrokerCommands {
    async fn send(&self, command: KeptCommand) -> Result<Delivered, NoWay> {
        let sent = self.0.send_to(&[command.device]).await;
        let sent = sent.unwrap_or_else(|error| {
            tracing::warn!(%error, device = %command.device, "a command waits: the database did not give it");
            Vec::new()
        });
        let step = sent.into_iter().find(|(id, _)| *id == command.id).and_then(|(_, step)| step);
        match step {
            Some(CommandStep::SentForGood) => Ok(Delivered::Broker),
            Some(REFUSED) => Err(NoWay),
            _ => Ok(Delivered::Nobody),
        }
    }
}

#[async_trait]
impl Way for Broker {
    fn leads_to(&self, _device: DeviceId) -> bool {
        true
    }

    async fn send(&self, command: &ClaimedCommand) -> anyhow::Result<Option<CommandStep>> {
        let publishing = async {
            let publisher = self.publisher().await?;
            let topic = self.topics.command_of(command.device);
            match publisher.publish(&topic, command.payload.clone()).await {
                Ok(nemeses_mqtt::Delivered) => Ok(Some(CommandStep::SentForGood)),
                Err(PublishError::NoSubscriber) => {
                    Ok(Some(CommandStep::Released(self.clock.now_ms() + NOBODY_MS)))
                }
                // Its login may not: trying again would not help.
                Err(error @ (PublishError::NotAuthorised | PublishError::Refused(_))) => {
                    tracing::warn!(%error, "the broker takes no commands from this login");
                    Ok(Some(REFUSED))
                }
                Err(error) => Err(error.into()),
            }
        };
        timeout(ANSWERS_WITHIN, publishing).await.unwrap_or_else(|_| {
            let within_s = ANSWERS_WITHIN.as_secs();
            let url = self.config.endpoint.broker.url();
            anyhow::bail!("the broker at {url} has not answered within {within_s} s")
        })
    }
}
