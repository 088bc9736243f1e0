//! Who knocks, and how often: how a request came here, through which proxies and for
//! which host, and the pace at which passwords may be tried.

mod address;
mod arrival;
mod attempts;
mod pace;
mod public_url;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use nemeses_runtime::http::{Peer, may_be_a_person};
pub use nemeses_runtime::{Network, NetworkError};

pub(crate) use self::arrival::Arrival;
use self::arrival::{Asked, Refused};
pub(crate) use self::attempts::{Attempts, Knock};
pub use self::public_url::{PublicUrl, PublicUrlError};
use crate::config::ApiConfig;
use crate::problem::{Kind, Problem};

/// Proxies that the log names once each.
const MOST_NAMED: usize = 16;

/// Proxies that are not trusted, as far as the log has named them.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<HashSet<IpAddr>>);

impl Strangers {
    /// Warns of somebody who says whom he speaks for and is not believed: then all who
    /// come through him share one pace of attempts.
    fn notice(&self, arrival: &Arrival) {
        let proxy = arrival.peer.remote.ip().to_canonical();
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if arrival.claims_forwarded && named.len() < MOST_NAMED && named.insert(proxy) {
            tracing::warn!(
                %proxy,
                "X-Forwarded-For is not believed from this address, so all who come through it \
                 count as one client and can block each other's sign-in; if it is your proxy, \
                 name it by --trusted-proxies"
            );
        }
    }
}

/// How the request came here, or why it is not looked at.
pub(crate) fn arrival(
    config: &ApiConfig,
    strangers: &Strangers,
    request: &Request,
) -> Result<Arrival, Problem> {
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(NOBODY);
    let asked = Asked {
        method: request.method(),
        uri: request.uri(),
        version: request.version(),
        headers: request.headers(),
    };
    let arrival = Arrival::of(&asked, peer, config).map_err(refusal)?;
    strangers.notice(&arrival);
    Ok(arrival)
}

fn refusal(refused: Refused) -> Problem {
    match refused {
        Refused::Host(host) => Problem::new(
            Kind::Misdirected,
            format!(
                "This server does not answer for {}. If people reach it by this name, set \
                 --public-url to the address that they use.",
                cut(&host)
            ),
        ),
        Refused::Origin(origin) => Problem::new(
            Kind::Forbidden,
            format!(
                "A page of {} may not do this here. If it is this server's own page, set \
                 --public-url to the address that people use.",
                cut(&origin)
            ),
        )
        .blaming("Origin"),
    }
}

/// Of what strangers wrote, enough to recognise it.
fn cut(text: &str) -> String {
    let seen = |c: &char| c.is_ascii_graphic();
    text.chars().filter(seen).take(100).collect()
}

/// The other end of a request that came by no connection.
const NOBODY: Peer = Peer {
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
    local: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
    tls: false,
};

impl Arrival {
    /// Whether a person at this machine sent it. A proxy here that says nothing of
    /// itself runs as a user of the system's.
    pub(crate) async fn is_local_person(&self) -> bool {
        self.local && may_be_a_person(self.peer.remote, self.peer.local).await
    }
}

/// The router has put it there before the handler runs.
impl<S: Sync> FromRequestParts<S> for Arrival {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().copied().ok_or_else(|| {
            tracing::error!(path = parts.uri.path(), "it is not known how a request came here");
            Problem::new(Kind::Internal, "The server could not do this; its log says why.")
        })
    }
}
