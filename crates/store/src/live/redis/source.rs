//! Connects to Redis wherever its URL says it is. With Sentinels, each connection
//! asks them all anew and follows the one with the newest configuration, since one
//! that was cut off may name a primary that is none any more; the server itself must
//! agree.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    ServerErrorKind, TlsCertificates, Value,
};
use tokio::time::timeout;

use super::fault::{store_error, unavailable};
use super::place::{Place, Sentinels};
use crate::StoreError;

/// A command to a cluster is led elsewhere or tried again so often, so far apart; then
/// it has failed.
const TRIES: u32 = 3;
const BETWEEN_TRIES_MS: (u64, u64) = (10, 100);

/// Where to connect to.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    place: Place,
    certificates: Option<Vec<u8>>,
    /// Tried on construction, so that a URL is found wrong at once.
    ready: Ready,
}

#[derive(Clone, Debug)]
enum Ready {
    One(Box<Client>),
    Sentinel,
    Cluster(Box<ClusterClient>),
}

/// An open connection. Clones share.
#[derive(Clone)]
pub(super) enum Open {
    One(MultiplexedConnection),
    /// And the time for an answer: of its own it would try on for ever.
    Cluster(ClusterConnection, Duration),
}

impl Source {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// `InvalidClientConfig` for a URL or certificates that cannot be used.
    pub(crate) fn new(url: &str, certificates: Option<Vec<u8>>) -> RedisResult<Self> {
        let place = Place::parse(url)
            .map_err(|why| RedisError::from((ErrorKind::InvalidClientConfig, why)))?;
        let ready = match &place {
            Place::One(url) => Ready::One(Box::new(client(url, certificates.as_deref())?)),
            Place::Sentinel(sentinels) => {
                for url in sentinels.urls_with_login() {
                    client(&url, certificates.as_deref())?;
                }
                Ready::Sentinel
            }
            Place::Cluster(urls) => {
                let nodes = ClusterClient::builder(urls.iter().map(String::as_str))
                    .retries(TRIES)
                    .min_retry_wait(BETWEEN_TRIES_MS.0)
                    .max_retry_wait(BETWEEN_TRIES_MS.1);
                let nodes = match &certificates {
                    Some(_) => nodes.certs(tls(certificates.as_deref())),
                    None => nodes,
                };
                Ready::Cluster(Box::new(nodes.build()?))
            }
        };
        Ok(Self { place, certificates, ready })
    }

    /// Whether keys of different hash tags may be on different servers.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.ready, Ready::Cluster(_))
    }

    /// What an error means: where a cluster is meant, being led elsewhere passes.
    pub(crate) fn store_error(&self, error: &RedisError, answer_within: Duration) -> StoreError {
        let led_elsewhere = matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask)
        );
        if self.is_cluster() && led_elsewhere {
            return unavailable(format!("its cluster is changing ({error})"));
        }
        store_error(error, answer_within)
    }

    /// Connects within `within`, and half of that more where Sentinels are asked
    /// first or a cluster is looked over. Answers are waited for as long as `answer_within`.
    pub(super) async fn connect(
        &self,
        within: Duration,
        answer_within: Duration,
    ) -> RedisResult<Open> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            .set_response_timeout(Some(answer_within));
        match &self.ready {
            Ready::Cluster(nodes) => {
                // First to the nodes of the URL, then to those that they name: one that
                // is silent must not take all the time.
                let config = redis::cluster::ClusterConfig::new()
                    .set_connection_timeout(within / 2)
                    .set_response_timeout(answer_within);
                let opened = nodes.get_async_connection_with_config(config);
                match timeout(within + within / 2, opened).await {
                    Ok(opened) => opened.map(|open| Open::Cluster(open, answer_within)),
                    Err(_) => Err(silent()),
                }
            }
            Ready::One(client) => {
                let opened = client.get_multiplexed_async_connection_with_config(&config);
                opened.await.map(Open::One)
            }
            Ready::Sentinel => {
                let client = self.client(within).await?;
                let mut open = client.get_multiplexed_async_connection_with_config(&config).await?;
                match timeout(within, is_primary(&mut open)).await {
                    Ok(Ok(true)) => Ok(Open::One(open)),
                    Ok(Ok(false)) => Err(RedisError::from((
                        ErrorKind::Server(ServerErrorKind::ReadOnly),
                        "the server that the Sentinels name is a replica",
                    ))),
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(silent()),
                }
            }
        }
    }

    /// A client of a server through which all hear each other's messages: of a
    /// cluster that is any, so one that answers.
    pub(crate) async fn client(&self, within: Duration) -> RedisResult<Client> {
        match (&self.ready, &self.place) {
            (Ready::One(client), _) => Ok((**client).clone()),
            (_, Place::Sentinel(sentinels)) => {
                let url = self.primary(sentinels, within / 2).await?;
                client(&url, self.certificates.as_deref())
            }
            (_, Place::Cluster(urls)) => self.any_that_answers(urls, within).await,
            (_, Place::One(url)) => client(url, self.certificates.as_deref()),
        }
    }

    /// The URL of the primary, by the Sentinel that knows of the newest failover.
    async fn primary(&self, sentinels: &Sentinels, within: Duration) -> RedisResult<String> {
        let with_login = sentinels.urls_with_login();
        let mut answers: FuturesUnordered<_> = sentinels
            .urls
            .iter()
            .zip(&with_login)
            .map(|(url, with_login)| async {
                let asked = self.ask_sentinel(url, with_login, sentinels, within);
                timeout(within, asked).await.unwrap_or_else(|_| Err(silent()))
            })
            .collect();
        let (mut newest, mut failed) = (None::<Named>, None);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(named) if newest.as_ref().is_none_or(|known| known.epoch < named.epoch) => {
                    newest = Some(named);
                }
                // What a Sentinel says tells more than that another is gone.
                Err(error) if failed.as_ref().is_none_or(RedisError::is_io_error) => {
                    failed = Some(error);
                }
                Ok(_) | Err(_) => {}
            }
        }
        match (newest, failed) {
            (Some(Named { host, port, .. }), _) => Ok(sentinels.server(&host, &port)),
            (None, Some(error)) => Err(error),
            (None, None) => Err(RedisError::from((ErrorKind::EmptySentinelList, "no Sentinel"))),
        }
    }

    /// Without a login; with the servers' own where the Sentinel wants one.
    async fn ask_sentinel(
        &self,
        url: &str,
        with_login: &str,
        sentinels: &Sentinels,
        within: Duration,
    ) -> RedisResult<Named> {
        let answer = self.ask_name(url, &sentinels.name, within).await;
        match answer {
            Err(error) if sentinels.has_login() && error.code() == Some("NOAUTH") => {
                self.ask_name(with_login, &sentinels.name, within).await
            }
            answer => answer,
        }
    }

    async fn ask_name(&self, url: &str, name: &str, within: Duration) -> RedisResult<Named> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            .set_response_timeout(Some(within));
        let client = client(url, self.certificates.as_deref())?;
        let mut sentinel = client.get_multiplexed_async_connection_with_config(&config).await?;
        let fields: HashMap<String, String> =
            redis::cmd("SENTINEL").arg("MASTER").arg(name).query_async(&mut sentinel).await?;
        Named::read(fields)
    }

    async fn any_that_answers(&self, urls: &[String], within: Duration) -> RedisResult<Client> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            .set_response_timeout(Some(within));
        let mut failed = None;
        for url in urls {
            let client = client(url, self.certificates.as_deref())?;
            match client.get_multiplexed_async_connection_with_config(&config).await {
                Ok(mut open) => match redis::cmd("PING").query_async::<()>(&mut open).await {
                    Ok(()) => return Ok(client),
                    Err(error) => failed = Some(error),
                },
                Err(error) => failed = Some(error),
            }
        }
        let none = || RedisError::from((ErrorKind::ClusterConnectionNotFound, "no node of it"));
        Err(failed.unwrap_or_else(none))
    }
}

/// What a Sentinel says of a primary.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    host: String,
    port: String,
    /// Counts failovers.
    epoch: u64,
}

impl Named {
    fn read(mut fields: HashMap<String, String>) -> RedisResult<Self> {
        let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        match (fields.remove("ip"), fields.remove("port")) {
            (Some(host), Some(port)) => Ok(Self { host, port, epoch }),
            _ => Err(RedisError::from((
                ErrorKind::MasterNameNotFoundBySentinel,
                "the Sentinel gives no address",
            ))),
        }
    }
}

async fn is_primary(open: &mut MultiplexedConnection) -> RedisResult<bool> {
    let role: Vec<Value> = redis::cmd("ROLE").query_async(open).await?;
    let word = role.into_iter().next().map(redis::from_redis_value::<String>);
    Ok(word.transpose()?.as_deref() == Some("master"))
}

fn client(url: &str, certificates: Option<&[u8]>) -> RedisResult<Client> {
    match certificates {
        None => Client::open(url),
        Some(_) => Client::build_with_tls(url, tls(certificates)),
    }
}

fn tls(certificates: Option<&[u8]>) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: certificates.map(<[u8]>::to_vec) }
}

fn silent() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

async fn in_time<T>(within: Duration, answer: RedisFuture<'_, T>) -> RedisResult<T> {
    timeout(within, answer).await.unwrap_or_else(|_| Err(silent()))
}

impl ConnectionLike for Open {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(open) => open.req_packed_command(command),
            Self::Cluster(open, within) => {
                Box::pin(in_time(*within, open.req_packed_command(command)))
            }
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(open) => open.req_packed_commands(commands, offset, count),
            Self::Cluster(open, within) => {
                Box::pin(in_time(*within, open.req_packed_commands(commands, offset, count)))
            }
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(open) => open.get_db(),
            Self::Cluster(open, _) => open.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sentinel_says_is_read() {
        let fields = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let named = Named::read(fields(&[("ip", "h"), ("port", "1"), ("config-epoch", "7")]));
        assert_eq!(named.unwrap(), Named { host: "h".to_owned(), port: "1".to_owned(), epoch: 7 });
        assert!(Named::read(fields(&[("port", "1")])).is_err());
    }
}
