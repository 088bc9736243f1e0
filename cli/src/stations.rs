//! Stations that run alone, joined by a broker, Redis and a database.

use std::sync::Arc;

use nemeses_api::Stores;
use nemeses_broker::{Authenticator, Door, NoLogins};
use nemeses_runtime::{Clock, Registry, Tasks};

use crate::config::{Api, Broker, Exporter, Parser};
use crate::glue::{
    DRAIN, LoginAuthenticator, asked_to_end, database, door_config, live, make_data_dir, serve_api,
    serve_metrics,
};

pub(crate) async fn parser(_settings: Parser) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}

pub(crate) async fn dbexport(_settings: Exporter) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}

/// `nemeses api`: the REST API over Redis and the database.
///
/// # Errors
/// Settings that do not work here, or a listener that died.
pub(crate) async fn api(settings: Api) -> anyhow::Result<()> {
    let (clock, tasks) = (Clock::system(), Tasks::new());
    make_data_dir(&settings.data_dir)?;
    let database = database(&settings.database).await?;
    let live = live(Some(&settings.redis), settings.live_ttl, clock.clone())?;
    let stores = Stores::new(live, &database);
    let http = serve_api(&tasks, &settings.http, stores, clock).await?;
    serve_metrics(&tasks, settings.admin_listen, Registry::default()).await?;
    tracing::info!(%http, "the API is up");
    tasks.run_until(asked_to_end(), DRAIN).await
}

/// `nemeses broker`: the door without the rest. A PUBACK only means that the
/// router has the message.
///
/// # Errors
/// Settings that do not work here, or the router that died.
pub(crate) async fn broker(settings: Broker) -> anyhow::Result<()> {
    let (tasks, mut registry) = (Tasks::new(), Registry::default());
    let logins: Arc<dyn Authenticator> = if settings.door.anonymous {
        Arc::new(NoLogins)
    } else {
        make_data_dir(&settings.data_dir)?;
        Arc::new(LoginAuthenticator::new(database(&settings.database).await?.logins()))
    };
    let config = door_config(&settings.door, settings.topics);
    let door = Door::bind(config, None, logins, &mut registry).await?;
    if let Some(mqtt) = door.local_addr() {
        tracing::info!(%mqtt, "the broker is up; an acknowledgement here does not mean kept");
    }
    serve_metrics(&tasks, settings.admin_listen, registry).await?;
    let stop = tasks.stop();
    tasks.spawn_intake("door", async move { Ok(door.run(stop).await?) });
    tasks.run_until(asked_to_end(), DRAIN).await
}
