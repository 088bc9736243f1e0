//! Stations that run alone.

use crate::config::{Api, Broker, Exporter, Parser};

pub(crate) async fn parser(_settings: Parser) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
pub(crate) async fn dbexport(_settings: Exporter) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
pub(crate) async fn api(_settings: Api) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
pub(crate) async fn broker(_settings: Broker) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
