//! What the API can be told, with the values that hold unless it is told otherwise.

use std::num::NonZeroUsize;
use std::time::Duration;

use nemeses_runtime::Network;
use nemeses_runtime::http::Tls;
use nemeses_runtime::traces::Tracer;

use crate::guard::PublicUrl;
use crate::page::MapSource;

/// Who may make accounts without an admin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Nobody.
    Closed,
    /// People at this machine.
    Local,
    /// Anyone who can reach the API; accounts of those who come from elsewhere are disabled
    /// until an admin enables them.
    Open,
}

/// Settings of the API. `Default` is what the binary starts with.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Whether whoever registers first at this machine becomes the admin; only where
    /// the listener is loopback and no proxy is named.
    pub first_is_admin: bool,
    /// Who may make accounts without an admin.
    pub registration: Registration,
    /// The address under which people reach this server, if it is another than the
    /// listener's.
    pub public_url: Option<PublicUrl>,
    /// Whether requests for any host are answered where no public URL says which are
    /// ours: in a private network, whose names are not known here.
    pub any_host: bool,
    /// With it the listener speaks TLS.
    pub tls: Option<Tls>,
    /// Proxies whose `X-Forwarded-For` is believed, to tell addresses apart that
    /// try passwords.
    pub trusted_proxies: Vec<Network>,
    /// Origins (`https://map.example.org`) whose pages may read answers. They send
    /// tokens in a header; the cookie of our own page is never shared.
    pub cors_origins: Vec<String>,
    /// How long an access token is good for.
    pub token_life: Duration,
    /// How long a device counts as there after it was heard: the live store's TTL.
    pub live_ttl: Duration,
    /// How long a session goes on after its refresh token was used last.
    pub refresh_life: Duration,
    /// Another server's map; else the bundled base map is all.
    pub map: Option<MapSource>,
    /// A request without an answer after this gets 503. A report that has
    /// begun to stream is not counted; there `write_stall` holds.
    pub request_timeout: Duration,
    /// A store that has not answered after this counts as unreachable.
    pub store_timeout: Duration,
    /// A client has this long to send the head of a request; an idle
    /// connection is closed after it too.
    pub head_timeout: Duration,
    /// A client has this long to send a request's body.
    pub body_timeout: Duration,
    /// A client that has not read a byte of its answer for this long is cut off.
    pub write_stall: Duration,
    /// Connections at most. One costs some 30 KiB idle and some 600 KiB while a
    /// report streams: 512 of them are bounded by about 300 MiB. When all places are
    /// taken, idle ones make room; one address holds at most half of them.
    pub max_connections: NonZeroUsize,
    /// Clients of the live stream at most, beside the connections above. One costs
    /// some 60 KiB, and at worst, all of them slow at once, 2 MB of a fleet of
    /// 10 000: 2 000 of them are bounded by 120 MiB as a rule.
    pub max_streams: NonZeroUsize,
    /// A client of the live stream that has not taken a text after this is let go.
    /// At 10 000 positions/s the instance still keeps what it missed.
    pub stream_stall: Duration,
    /// Chunks of rows of reports read at the same time.
    pub reads_at_once: NonZeroUsize,
    /// Passwords hashed at the same time, each on a core and with 19 MiB.
    pub hashing_at_once: NonZeroUsize,
    /// Requests in progress have this long to end when the API is asked to stop.
    pub drain: Duration,
    /// Follows some of the requests.
    pub tracer: Tracer,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            first_is_admin: true,
            registration: Registration::Local,
            public_url: None,
            any_host: false,
            tls: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            live_ttl: Duration::from_secs(300),
            token_life: Duration::from_secs(900),
            refresh_life: Duration::from_secs(30 * 86_400),
            map: None,
            request_timeout: Duration::from_secs(30),
            store_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
            max_connections: NonZeroUsize::new(512).unwrap_or(NonZeroUsize::MIN),
            max_streams: NonZeroUsize::new(2_000).unwrap_or(NonZeroUsize::MIN),
            stream_stall: Duration::from_secs(10),
            reads_at_once: reading_cores(),
            hashing_at_once: hashing_cores(),
            drain: Duration::from_secs(4),
            tracer: Tracer::off(),
        }
    }
}

/// Two for each core, since a read waits for the database about as long as it works
/// here; half of a database's usual connections (8) at least are left to short reads.
fn reading_cores() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new((2 * cores).clamp(2, 4)).unwrap_or(NonZeroUsize::MIN)
}

/// Half of the cores: a storm of logins leaves the other half to the trackers.
fn hashing_cores() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new((cores / 2).clamp(1, 4)).unwrap_or(NonZeroUsize::MIN)
}
