//! Packets of the client protocol, as far as logging in and committing need them:
//! bytes in, values out, and the other way round, without IO. The server's bytes are
//! not trusted: whatever they are, reading them ends in a value or in an error.

use sha1::{Digest as _, Sha1};

/// Capabilities of the server that matter here: CLIENT_SSL; the bit by which MySQL tells
/// itself from MariaDB, whose next four bytes are capabilities; MARIADB_CLIENT_STMT_BULK_OPERATIONS.
const TLS: u32 = 1 << 11;
const NOT_MARIADB: u32 = 1;
const BULK: u32 = 1 << 2;
/// What is asked for: CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION,
/// MULTI_STATEMENTS, MULTI_RESULTS, PLUGIN_AUTH; and of MariaDB's own the bulk.
const ASKED: u32 = 1 << 3 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 19;
const ASKED_OF_MARIADB: u32 = BULK;
/// The largest packet that the server is told to take: more than is ever sent.
const MAX_PACKET: u32 = 1 << 24;
/// The largest packet that the server may send: it never needs more than a message.
pub(super) const MAX_ANSWER: usize = 64 * 1024;
/// utf8mb4_general_ci, until SET NAMES.
const CHARACTER_SET: u8 = 45;
/// The way to log in that is spoken here.
const NATIVE_PASSWORD: &[u8] = b"mysql_native_password";
const NONCE: usize = 20;
/// The status bit that announces another answer to the same command.
const MORE_ANSWERS: u16 = 1 << 3;

pub(super) const QUERY: u8 = 0x03;
pub(super) const PING: u8 = 0x0e;
pub(super) const PREPARE: u8 = 0x16;

/// Who logs in, and where.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
}

/// An error that the server tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerError {
    pub(super) number: u16,
    pub(super) sqlstate: String,
    pub(super) message: String,
}

/// Bytes that are not what stands in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// How the server introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) nonce: [u8; NONCE],
    pub(super) offers_tls: bool,
    pub(super) takes_bulk: bool,
}

/// An answer that is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done {
        more: bool,
    },
    Failed(ServerError),
    /// While logging in: prove it in this way; `None` for one that is not spoken here.
    Prove(Option<[u8; NONCE]>),
}

/// Appends a packet: length in three bytes, number in its exchange, payload. Payloads are
/// bounded by their makers, far below the 16 MiB where one would have to be cut.
pub(super) fn packet(out: &mut Vec<u8>, number: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0, 0, 0, number]);
    payload(out);
    let length = (out.len() - at - 4).to_le_bytes();
    debug_assert!(length[3..].iter().all(|byte| *byte == 0), "a payload below 16 MiB");
    out[at..at + 3].copy_from_slice(&length[..3]);
}

/// Length of the payload behind a header.
pub(super) fn payload_length(header: [u8; 4]) -> usize {
    let [low, middle, high, _] = header.map(usize::from);
    low | middle << 8 | high << 16
}

/// Reads what the server says first.
pub(super) fn greeting(payload: &[u8]) -> Result<Greeting, Result<ServerError, Malformed>> {
    match payload.first() {
        Some(10) => read_greeting(payload).ok_or(Err(Malformed)),
        Some(0xff) => Err(read_error(payload).ok_or(Malformed)),
        _ => Err(Err(Malformed)),
    }
}

/// Protocol::HandshakeV10, with MariaDB's four bytes of capabilities.
fn read_greeting(payload: &[u8]) -> Option<Greeting> {
    let mut rest = Reader(payload);
    rest.take(1)?;
    rest.until_nul()?; // version
    rest.take(4)?; // number of the connection
    let first = rest.take(8)?;
    rest.take(1)?;
    let low = rest.u16()?;
    rest.take(1 + 2)?; // character set, status
    let capabilities = u32::from(low) | u32::from(rest.u16()?) << 16;
    rest.take(1 + 6)?; // length of the nonce, which is 20 bytes and a NUL ever since
    let own = u32::from_le_bytes(rest.take(4)?.try_into().ok()?);
    let second = rest.take(NONCE - 8)?;
    Some(Greeting {
        nonce: [first, second].concat().try_into().ok()?,
        offers_tls: capabilities & TLS != 0,
        takes_bulk: capabilities & NOT_MARIADB == 0
            && own & BULK != 0
            && capabilities & ASKED == ASKED,
    })
}

/// Protocol::SSLRequest: the beginning of a login, behind which TLS begins.
pub(super) fn tls_request(out: &mut Vec<u8>) {
    push_wishes(out, ASKED | TLS);
}

/// What every login begins with.
fn push_wishes(out: &mut Vec<u8>, asked: u32) {
    out.extend(asked.to_le_bytes());
    out.extend(MAX_PACKET.to_le_bytes());
    out.push(CHARACTER_SET);
    out.extend([0; 19]);
    out.extend(ASKED_OF_MARIADB.to_le_bytes());
}

/// Protocol::HandshakeResponse41.
pub(super) fn login(out: &mut Vec<u8>, account: &Account, nonce: &[u8; NONCE], over_tls: bool) {
    push_wishes(out, if over_tls { ASKED | TLS } else { ASKED });
    push_nul(out, account.user.as_bytes());
    let proof = proof(&account.password, nonce);
    out.extend(proof.len().to_le_bytes().first());
    out.extend(proof);
    push_nul(out, account.database.as_bytes());
    push_nul(out, NATIVE_PASSWORD);
}

/// What shows that the password is known: `SHA1(password) XOR SHA1(nonce, SHA1(SHA1(password)))`,
/// nothing for an empty one.
pub(super) fn proof(password: &str, nonce: &[u8; NONCE]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password.as_bytes());
    let mask = Sha1::new().chain_update(nonce).chain_update(Sha1::digest(once)).finalize();
    once.iter().zip(mask).map(|(password, mask)| password ^ mask).collect()
}

/// Reads OK, ERR, or the request to log in in another way.
pub(super) fn answer(payload: &[u8]) -> Result<Answer, Malformed> {
    let answer = match payload.first() {
        Some(0) => read_done(payload),
        Some(0xff) => read_error(payload).map(Answer::Failed),
        Some(0xfe) => read_other_way(payload),
        _ => None,
    };
    answer.ok_or(Malformed)
}

fn read_done(payload: &[u8]) -> Option<Answer> {
    let mut rest = Reader(payload);
    rest.take(1)?;
    rest.skip_number()?; // rows
    rest.skip_number()?; // drawn number
    Some(Answer::Done { more: rest.u16()? & MORE_ANSWERS != 0 })
}

/// Before the login the SQLSTATE is missing.
fn read_error(payload: &[u8]) -> Option<ServerError> {
    let mut rest = Reader(payload);
    rest.take(1)?;
    let number = rest.u16()?;
    let sqlstate = match rest.0.first() {
        Some(b'#') => rest.take(6)?.get(1..)?,
        _ => b"",
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(ServerError { number, sqlstate: text(sqlstate), message: text(rest.0) })
}

fn read_other_way(payload: &[u8]) -> Option<Answer> {
    let mut rest = Reader(payload);
    rest.take(1)?;
    if rest.until_nul() != Some(NATIVE_PASSWORD) {
        return Some(Answer::Prove(None));
    }
    Some(Answer::Prove(Some(rest.take(NONCE)?.try_into().ok()?)))
}

/// The answer to PREPARE: the statement's number, and how many packets follow, which
/// describe its parameters and its columns, each list with an end.
pub(super) fn prepared(payload: &[u8]) -> Result<(u32, u32), Malformed> {
    let read = || {
        let mut rest = Reader(payload);
        rest.take(1)?;
        let statement = u32::from_le_bytes(rest.take(4)?.try_into().ok()?);
        let lists = [rest.u16()?, rest.u16()?].map(u32::from);
        let packets = lists.iter().filter(|list| **list > 0).map(|list| list + 1).sum();
        Some((statement, packets))
    };
    read().ok_or(Malformed)
}

fn push_nul(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes);
    out.push(0);
}

/// Takes bytes off the front, if there are so many.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn until_nul(&mut self) -> Option<&'a [u8]> {
        let length = self.0.iter().position(|byte| *byte == 0)?;
        let taken = self.take(length)?;
        self.take(1)?;
        Some(taken)
    }

    /// A number of one byte, or of as many as its first byte tells.
    fn skip_number(&mut self) -> Option<()> {
        let more = match self.take(1)?[0] {
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            0xff | 0xfb => return None,
            _ => 0,
        };
        self.take(more).map(drop)
    }
}

#[cfg(test)]
mod tests;
