//! Settings of what listens: the MQTT listener, the REST API, the metrics.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{LinkTlsArgs, Switch as _};
use crate::config::value;

/// The MQTT listener.
#[derive(Debug, Args)]
#[command(next_help_heading = "MQTT listener")]
pub(crate) struct DoorArgs {
    /// Address of the MQTT listener for trackers (MQTT 3.1, 3.1.1 and 5); port 0 takes
    /// any free one
    #[arg(
        long,
        env = "NEMESES_MQTT_LISTEN",
        default_value = "127.0.0.1:1883",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) mqtt_listen: std::net::SocketAddr,
    /// Address of the MQTT listener with TLS; needs --mqtt-tls-cert and --mqtt-tls-key
    #[arg(
        long,
        env = "NEMESES_MQTT_TLS_LISTEN",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) mqtt_tls_listen: Option<std::net::SocketAddr>,
    /// The TLS listener's certificate chain, PEM; read again when the file changes, and
    /// on SIGHUP
    #[arg(long, env = "NEMESES_MQTT_TLS_CERT", value_name = "PATH")]
    pub(crate) mqtt_tls_cert: Option<PathBuf>,
    /// The TLS listener's private key, PEM
    #[arg(long, env = "NEMESES_MQTT_TLS_KEY", value_name = "PATH")]
    pub(crate) mqtt_tls_key: Option<PathBuf>,
    /// Address of the listener for MQTT over WebSocket
    #[arg(
        long,
        env = "NEMESES_MQTT_WEBSOCKET_LISTEN",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) mqtt_websocket_listen: Option<std::net::SocketAddr>,
    /// Origins, separated by commas, such as https://map.example.org, whose pages may
    /// use MQTT over WebSocket; pages of other origins are refused. Clients other than
    /// browsers send no origin, or the address that they connect to, and need none
    #[arg(
        long,
        env = "NEMESES_MQTT_WEBSOCKET_ORIGINS",
        value_delimiter = ',',
        value_parser = value::origin,
        value_name = "ORIGIN"
    )]
    pub(crate) mqtt_websocket_origins: Vec<String>,
    /// Load balancers in front of the MQTT and TCP listeners, addresses or networks separated
    /// by commas: their connections begin with a header of the PROXY protocol (version
    /// 1 or 2), and logs, limits and shares use the device's address in it. Requires
    /// logins
    #[arg(
        long,
        env = "NEMESES_PROXY_PROTOCOL",
        value_delimiter = ',',
        value_parser = value::network,
        value_name = "ADDRESS"
    )]
    pub(crate) proxy_protocol: Vec<nemeses_runtime::Network>,
    /// Accept clients without a login; they may publish for any device. Only with
    /// listeners on loopback; write --mqtt-anonymous=false to require logins (`nemeses
    /// device add`)
    #[arg(long, env = "NEMESES_MQTT_ANONYMOUS", switch = true)]
    pub(crate) mqtt_anonymous: bool,
    /// Accept clients without a login over WebSocket as well, if --mqtt-anonymous is
    /// set: any page that a browser on this machine shows could connect
    #[arg(long, env = "NEMESES_MQTT_WEBSOCKET_ANONYMOUS", switch = false)]
    pub(crate) mqtt_websocket_anonymous: bool,
    /// Maximum number of connected clients; further ones are refused (MQTT 5: 0x97,
    /// 3.1.1: 3), unless they replace their own connection. As many sockets may be
    /// waiting for their CONNECT
    #[arg(
        long,
        env = "NEMESES_MAX_CONNECTIONS",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "COUNT"
    )]
    pub(crate) max_connections: u32,
    /// Maximum number of unacknowledged messages of one connection
    #[arg(
        long,
        env = "NEMESES_WINDOW",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u16).range(1..=65_535),
        value_name = "COUNT"
    )]
    pub(crate) window: u16,
    /// Largest MQTT packet accepted, in bytes; a connection that sends a larger one is
    /// closed
    #[arg(
        long,
        env = "NEMESES_MAX_PACKET_BYTES",
        default_value_t = 262_144,
        value_parser = clap::value_parser!(u32).range(1024..=16_777_216),
        value_name = "BYTES"
    )]
    pub(crate) max_packet_bytes: u32,
}

/// Listeners of devices that speak a protocol of their own.
#[derive(Debug, Args)]
#[command(next_help_heading = "Devices of other protocols")]
pub(crate) struct DeviceArgs {
    /// TCP listeners for devices that speak a protocol of their own, separated by commas: the
    /// protocol and an address, such as teltonika=127.0.0.1:5027, or by TLS with --device-tls-cert
    /// teltonika+tls=127.0.0.1:5028. Protocols: sft9001, teltonika, gt06, queclink. On other addresses than loopback only with --unknown-devices quarantine or
    /// reject, or with --private-network, since their devices have no secret
    #[arg(
        long,
        env = "NEMESES_TCP_LISTEN",
        value_delimiter = ',',
        value_parser = value::tcp_listen,
        value_name = "PROTOCOL=ADDRESS:PORT"
    )]
    pub(crate) tcp_listen: Vec<nemeses_broker::DeviceListen>,
    /// The same over UDP. Protocols: sft9001, teltonika, queclink
    #[arg(
        long,
        env = "NEMESES_UDP_LISTEN",
        value_delimiter = ',',
        value_parser = value::udp_listen,
        value_name = "PROTOCOL=ADDRESS:PORT"
    )]
    pub(crate) udp_listen: Vec<nemeses_broker::DeviceListen>,
    /// HTTP listener for OsmAnd, Traccar Client and OwnTracks, usually port 5055, and for
    /// mappings at /devices/NAME. On other addresses than loopback under the same terms as
    /// --tcp-listen
    #[arg(
        long,
        env = "NEMESES_HTTP_DEVICES_LISTEN",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) http_devices_listen: Option<std::net::SocketAddr>,
    /// The certificate chain of listeners for devices that speak TLS, PEM: those of --tcp-listen
    /// with +tls, and --http-devices-listen, which is served by HTTPS then. Read again when the
    /// file changes, and on SIGHUP; needs --device-tls-key
    #[arg(long, env = "NEMESES_DEVICE_TLS_CERT", value_name = "PATH")]
    pub(crate) device_tls_cert: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, env = "NEMESES_DEVICE_TLS_KEY", value_name = "PATH")]
    pub(crate) device_tls_key: Option<PathBuf>,
}

/// What is accepted over MQTT beside our own topics.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Devices of other protocols")]
pub(crate) struct MappingArgs {
    /// What is accepted over MQTT beside SFT9001 and telemetry, separated by commas: owntracks, for
    /// phones on owntracks/USER/DEVICE, sparkplug, for edges (a node only), or built-in mappings: thingsboard, telegraf, glances,
    /// tasmota, zigbee2mqtt, chirpstack, chirpstack-cayenne, ttn, ttn-cayenne
    #[arg(
        long,
        env = "NEMESES_MQTT_PROTOCOLS",
        value_delimiter = ',',
        value_parser = value::mqtt_protocol,
        value_name = "PROTOCOL"
    )]
    pub(crate) mqtt_protocols: Vec<String>,
    /// A TOML file of mappings for devices that send JSON of their own, over MQTT and HTTP;
    /// `nemeses mapping try` shows what they make of samples
    #[arg(long, env = "NEMESES_MAPPINGS", value_name = "PATH")]
    pub(crate) mappings: Option<PathBuf>,
}

/// REST API.
#[derive(Debug, Args)]
#[command(next_help_heading = "REST API")]
pub(crate) struct HttpArgs {
    /// Address of the REST API; other than loopback only with HTTPS (--http-tls-cert)
    /// or with --private-network
    #[arg(
        long,
        env = "NEMESES_HTTP_LISTEN",
        default_value = "127.0.0.1:5000",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) http_listen: std::net::SocketAddr,
    /// Address of gRPC (docs/nemeses.proto), usually port 5001; without it, gRPC is not
    /// served. With the certificate of the REST API, if there is one; other than loopback
    /// under the same terms
    #[arg(
        long,
        env = "NEMESES_GRPC_LISTEN",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) grpc_listen: Option<std::net::SocketAddr>,
    /// The certificate chain of the REST API, PEM: it is served by HTTPS then. Read
    /// again when the file changes, and on SIGHUP; needs --http-tls-key
    #[arg(long, env = "NEMESES_HTTP_TLS_CERT", value_name = "PATH")]
    pub(crate) http_tls_cert: Option<PathBuf>,
    /// The private key of the REST API, PEM
    #[arg(long, env = "NEMESES_HTTP_TLS_KEY", value_name = "PATH")]
    pub(crate) http_tls_key: Option<PathBuf>,
    /// Address of a listener that redirects plain HTTP to HTTPS, usually port 80; needs
    /// --public-url
    #[arg(
        long,
        env = "NEMESES_HTTP_REDIRECT_LISTEN",
        value_parser = value::listen,
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) http_redirect_listen: Option<std::net::SocketAddr>,
    /// The address under which people reach the REST API and the page, such as
    /// https://fleet.example.org. Requests for other host names are then refused, and
    /// with https cookies are sent by HTTPS only. Without it, a listener on loopback
    /// answers for localhost and for IP addresses
    #[arg(long, env = "NEMESES_PUBLIC_URL", value_parser = value::public_url, value_name = "URL")]
    pub(crate) public_url: Option<nemeses_api::PublicUrl>,
    /// Map tiles of another server, drawn above the bundled base map: a URL with {z},
    /// {x} and {y}. Browsers then send requests to that server as well; without it,
    /// only to this one
    #[arg(long, env = "NEMESES_MAP_TILES", value_name = "URL")]
    pub(crate) map_tiles: Option<String>,
    /// A MapLibre style document of another server, used instead of the bundled base
    /// map; its tiles, glyphs and sprites must be on the same host, the only other one
    /// that browsers may use then
    #[arg(long, env = "NEMESES_MAP_STYLE", value_name = "URL")]
    pub(crate) map_style: Option<String>,
    /// Attribution of the tiles or the style, shown on the map; most map servers
    /// require it
    #[arg(long, env = "NEMESES_MAP_CREDIT", default_value = "", value_name = "TEXT")]
    pub(crate) map_credit: String,
    /// Whether people may create accounts themselves. closed: only admins and `nemeses
    /// user add` create them. open: an account requested from another machine is
    /// disabled until an admin enables it. Default: open for people at this machine if
    /// the listener is on loopback and no proxy is named, otherwise closed
    #[arg(long, env = "NEMESES_REGISTRATION")]
    pub(crate) registration: Option<Registration>,
    /// Proxies in front of the REST API, addresses or networks separated by commas:
    /// attempts to sign in are counted by the address in their X-Forwarded-For, and
    /// X-Forwarded-Proto tells whether the request came by HTTPS. They must set both
    /// headers, not pass them on
    #[arg(
        long,
        env = "NEMESES_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_parser = value::network,
        value_name = "ADDRESS"
    )]
    pub(crate) trusted_proxies: Vec<nemeses_api::Network>,
    /// Origins, separated by commas, such as https://map.example.org, whose pages may
    /// read answers of the REST API (CORS)
    #[arg(
        long,
        env = "NEMESES_CORS_ORIGINS",
        value_delimiter = ',',
        value_parser = value::origin,
        value_name = "ORIGIN"
    )]
    pub(crate) cors_origins: Vec<String>,
    /// The secret that signs users' tokens, at least 32 characters. Without it, one is
    /// generated and stored in the data directory; with a database server it is
    /// required, as all instances must share it. Prefer the variable or
    /// --jwt-secret-file: other users of the machine can read command lines
    #[arg(long, env = "NEMESES_JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) jwt_secret: Option<String>,
    /// A file with the secret
    #[arg(long, env = "NEMESES_JWT_SECRET_FILE", value_name = "PATH")]
    pub(crate) jwt_secret_file: Option<PathBuf>,
    /// A file with the previous secret: tokens signed with it stay valid, so that
    /// changing the secret signs nobody out
    #[arg(long, env = "NEMESES_JWT_PREVIOUS_SECRET_FILE", value_name = "PATH")]
    pub(crate) jwt_previous_secret_file: Option<PathBuf>,
}

/// Commands to devices, of an API station.
#[derive(Debug, Args)]
#[command(next_help_heading = "REST API")]
pub(crate) struct CommandArgs {
    /// The MQTT broker to which commands to devices are published, with a login of the
    /// role operator: mqtt://USER:PASSWORD@HOST:PORT, mqtts:// for TLS. Without it they
    /// are sent to the nodes that share the Redis
    #[arg(long, env = "NEMESES_COMMANDS_MQTT_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) commands_mqtt_url: Option<String>,
    #[command(flatten)]
    pub(crate) tls: LinkTlsArgs,
}

/// Whether people may create accounts themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Registration {
    /// Whoever reaches the API may register
    Open,
    /// Nobody may
    Closed,
}

/// Metrics, and who can reach what listens for people and for Prometheus.
#[derive(Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct AdminArgs {
    /// Address of /metrics, or off; other than loopback only with --private-network. Without
    /// it: 127.0.0.1, port 9180 for up, 9181 broker, 9182 api, 18000 + worker parser,
    /// 19000 + worker dbexport
    #[arg(
        long,
        env = "NEMESES_ADMIN_LISTEN",
        value_parser = value::admin_listen,
        value_name = "ADDRESS:PORT|off"
    )]
    pub(crate) admin_listen: Option<value::AdminListen>,
    /// The network of this process is private (a container's, a pod's): the REST API
    /// and /metrics may listen on other addresses than loopback. Only a proxy with TLS
    /// and Prometheus may reach them there
    #[arg(long, env = "NEMESES_PRIVATE_NETWORK", switch = false, help_heading = "Network")]
    pub(crate) private_network: bool,
}
