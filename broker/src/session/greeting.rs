//! CONNECT and CONNACK: who comes in, and what is said to those who do not.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::presence::Presence;
use crate::auth::{Login, Refusal, Role};
use crate::handshakes::Handshake;
use crate::hub::{ClientKey, TooMany};
use crate::message::Message;
use crate::metrics::{BRIDGE, GONE};
use crate::net::{Progress, READ_BYTES, Wire};
use crate::packet::{
    ConnAck, Connect, Packet, PacketError, Protocol, Reason, connack, decode, measure,
};
use crate::rights::{PublishRight, publish_right};
use crate::shared::Shared;

/// A longer client id is refused: it is kept, compared and logged.
const MAX_CLIENT_ID_BYTES: usize = 256;
/// The longest client id of MQTT 3.1 (section 3.1), which knows no empty one either.
const MAX_CLIENT_ID_OF_V31: usize = 23;
/// The first byte of every CONNECT.
const CONNECT_FIRST_BYTE: u8 = 0x10;

/// A client that came in.
pub(super) struct Admitted {
    pub(super) number: u64,
    pub(super) protocol: Protocol,
    pub(super) key: ClientKey,
    pub(super) role: Role,
    pub(super) revision: u64,
    pub(super) keep_alive_s: u16,
    pub(super) receive_maximum: u16,
    pub(super) client_packet_limit: usize,
    pub(super) will: Option<Message>,
    /// The CONNACK to send.
    pub(super) welcome: Welcome,
}

/// What a CONNACK of success says.
pub(super) struct Welcome {
    pub(super) assigned_client_id: bool,
    pub(super) server_keep_alive_s: Option<u16>,
    pub(super) session_ends: bool,
}

/// Where a client is and how it came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) peer: SocketAddr,
    /// Whether it may come in without a login.
    pub(super) anonymous: bool,
    /// None for a client of this process.
    pub(super) handshake: Option<&'a Handshake>,
}

/// Reads CONNECT and decides. `None`: the refusal, if one is due, waits in the
/// wire.
pub(super) async fn greet(
    shared: &Arc<Shared>,
    wire: &mut Wire,
    origin: Origin<'_>,
) -> Option<(Presence, Admitted)> {
    let peer = origin.peer;
    let packet = read_connect(shared, wire).await?;
    if let Some(handshake) = origin.handshake {
        handshake.has_spoken();
    }
    let connect = match decode(Protocol::V5, &packet) {
        Ok(Packet::Connect(connect)) => connect,
        Ok(_) => {
            shared.metrics().refused("not_connect");
            return None;
        }
        Err(error) => {
            shared.metrics().refused(match error {
                PacketError::Version(0x83 | 0x84) => BRIDGE,
                PacketError::Version(_) => "protocol_version",
                _ => "malformed",
            });
            tracing::debug!(%peer, %error, "a client was refused");
            refuse_version(wire, error);
            return None;
        }
    };
    let admitted = admit(shared, &connect, origin).await;
    match admitted.and_then(|admitted| enter(shared, admitted)) {
        Ok(entered) => {
            let (login, client_id) = &entered.1.key;
            tracing::debug!(%peer, %login, %client_id, "a client was let in");
            Some(entered)
        }
        Err((reason, label)) => {
            shared.metrics().refused(label);
            tracing::debug!(%peer, label, "a client was refused");
            refuse(wire, connect.protocol, reason);
            None
        }
    }
}

/// Enters a client among those that are connected.
fn enter(
    shared: &Arc<Shared>,
    admitted: Admitted,
) -> Result<(Presence, Admitted), (Reason, &'static str)> {
    let Admitted { number, role, revision, .. } = admitted;
    match Presence::enter(shared, number, admitted.key.clone(), (role, revision)) {
        Ok(presence) => Ok((presence, admitted)),
        Err(TooMany) => Err((Reason::QUOTA_EXCEEDED, "connection_limit")),
    }
}

async fn read_connect(shared: &Shared, wire: &mut Wire) -> Option<Vec<u8>> {
    let limit = shared.config.max_device_packet_bytes;
    loop {
        if wire.unread.first().is_some_and(|first| *first != CONNECT_FIRST_BYTE) {
            shared.metrics().refused("not_connect");
            return None;
        }
        match measure(&wire.unread, limit) {
            Ok(Some(bytes)) if wire.unread.len() >= bytes => {
                return Some(wire.unread.drain(..bytes).collect());
            }
            Ok(_) => {}
            Err(_) => {
                shared.metrics().refused("malformed");
                return None;
            }
        }
        match wire.progress(READ_BYTES).await {
            Ok(Progress::Read | Progress::Wrote) => {}
            Ok(Progress::Ended) | Err(_) => {
                shared.metrics().refused(GONE);
                return None;
            }
        }
    }
}

async fn admit(
    shared: &Shared,
    connect: &Connect<'_>,
    origin: Origin<'_>,
) -> Result<Admitted, (Reason, &'static str)> {
    if connect.extended_authentication {
        return Err((Reason::BAD_AUTHENTICATION_METHOD, "authentication_method"));
    }
    let nameless = connect.client_id.is_empty();
    if !is_client_id(connect) {
        return Err((Reason::CLIENT_ID_INVALID, "client_id"));
    }
    let login = log_in(shared, connect, origin).await.map_err(|refusal| match refusal {
        Refusal::BadCredentials => (Reason::BAD_CREDENTIALS, "bad_credentials"),
        Refusal::NotAuthorized => (Reason::NOT_AUTHORIZED, "not_authorized"),
        Refusal::Unavailable => (Reason::SERVER_UNAVAILABLE, "unavailable"),
    })?;
    let number = shared.hub.next_connection();
    let will = will(shared, connect, login.role, number)?;
    let client_id = if nameless { format!("door-{number}") } else { connect.client_id.to_owned() };
    let (keep_alive_s, server_keep_alive_s) = keep_alive(shared, connect);
    Ok(Admitted {
        number,
        protocol: connect.protocol,
        key: (login.name.into(), client_id.into()),
        role: login.role,
        revision: login.revision,
        keep_alive_s,
        receive_maximum: connect.receive_maximum,
        client_packet_limit: usize::try_from(connect.maximum_packet_bytes).unwrap_or(usize::MAX),
        will,
        welcome: Welcome {
            assigned_client_id: nameless,
            server_keep_alive_s,
            session_ends: connect.session_expiry_s > 0,
        },
    })
}

/// Whether this version takes such a client id.
fn is_client_id(connect: &Connect<'_>) -> bool {
    let id = connect.client_id;
    match connect.protocol {
        Protocol::V31 => (1..=MAX_CLIENT_ID_OF_V31).contains(&id.chars().count()),
        Protocol::V311 => id.len() <= MAX_CLIENT_ID_BYTES && (!id.is_empty() || connect.clean),
        Protocol::V5 => id.len() <= MAX_CLIENT_ID_BYTES,
    }
}

async fn log_in(
    shared: &Shared,
    connect: &Connect<'_>,
    origin: Origin<'_>,
) -> Result<Login, Refusal> {
    if connect.username.is_none() && connect.password.is_none() {
        return if origin.anonymous {
            Ok(Login { name: String::new(), role: Role::Anonymous, revision: 0 })
        } else {
            Err(Refusal::NotAuthorized)
        };
    }
    let (username, password) = (connect.username, connect.password);
    shared.rights.authenticate(connect.client_id, username, password, origin.peer).await
}

fn will(
    shared: &Shared,
    connect: &Connect<'_>,
    role: Role,
    number: u64,
) -> Result<Option<Message>, (Reason, &'static str)> {
    let Some(will) = &connect.will else {
        return Ok(None);
    };
    match publish_right(role, &shared.config.topics, will.topic) {
        PublishRight::Allowed => {}
        PublishRight::Dropped => return Ok(None),
        PublishRight::Refused => return Err((Reason::NOT_AUTHORIZED, "will")),
    }
    Ok(Some(Message {
        publisher: number,
        topic: will.topic.into(),
        payload: Bytes::copy_from_slice(will.payload),
        qos: will.qos,
        retain: will.retain,
        properties: will.properties.clone().into(),
    }))
}

/// The keep-alive in force, and what an MQTT 5 client is told of it.
fn keep_alive(shared: &Shared, connect: &Connect<'_>) -> (u16, Option<u16>) {
    let (asked, longest) = (connect.keep_alive_s, shared.config.longest_keep_alive_s);
    let too_long = longest > 0 && (asked == 0 || asked > longest);
    if too_long && connect.protocol == Protocol::V5 {
        (longest, Some(longest))
    } else {
        (asked, None)
    }
}

/// A bridge of Mosquitto asks with 0x80 set in the level, and asks again without it when
/// it hears the refusal of the version that is below the bit.
fn refuse_version(wire: &mut Wire, error: PacketError) {
    if let PacketError::Version(level) = error {
        let protocol = if level & 0x7F < 5 { Protocol::V311 } else { Protocol::V5 };
        refuse(wire, protocol, error.reason());
    }
}

fn refuse(wire: &mut Wire, protocol: Protocol, reason: Reason) {
    let ack = ConnAck {
        reason,
        assigned_client_id: None,
        server_keep_alive_s: None,
        receive_maximum: 0,
        maximum_packet_bytes: 0,
        session_ends: false,
    };
    connack(&mut wire.out, protocol, &ack);
}
