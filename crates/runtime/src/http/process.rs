//! Whose process is at the other end of a connection within this machine, as far as the
//! system tells. A proxy that says nothing of itself is known by it: it runs as a user
//! of the system's, not as a person.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;

/// Numbers of people's accounts (login.defs, systemd's nss-systemd); below are the
/// system's, above are containers' and nobody.
const PEOPLE: std::ops::Range<u32> = 1000..60_000;

/// Whether the other end may be a person at this machine: a process of this program's
/// own user or of a person's account. Also where the system does not tell.
pub async fn may_be_a_person(remote: SocketAddr, local: SocketAddr) -> bool {
    let found = tokio::task::spawn_blocking(move || {
        let us = std::fs::metadata("/proc/self").ok()?.uid();
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let texts = tables.iter().filter_map(|path| std::fs::read_to_string(path).ok());
        let user = texts.into_iter().find_map(|text| user_of(&text, remote, local))?;
        Some(user == us || PEOPLE.contains(&user))
    });
    found.await.ok().flatten().unwrap_or(true)
}

/// The user of the socket from `remote` to `local` in a table of the system's:
/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid ...`.
fn user_of(table: &str, remote: SocketAddr, local: SocketAddr) -> Option<u32> {
    let wanted = |address: SocketAddr| (address.ip().to_canonical(), address.port());
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = |index: usize| address(fields.get(index)?);
        let ours = at(1)? == wanted(remote) && at(2)? == wanted(local);
        ours.then(|| fields.get(7)?.parse().ok()).flatten()
    })
}

/// `0100007F:1F90`: words of 32 bits in the machine's order, and the port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |from: usize| u32::from_str_radix(address.get(from..from + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::from(word(0)?.to_ne_bytes()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].map(u32::to_ne_bytes);
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some((address.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 1 1 0\n\
            1: 0100007F:1388 0100007F:C350 01 00000000:00000000 00:00000000 00000000   998        0 2 1 0\n\
            2: 0100007F:C350 0100007F:1388 01 00000000:00000000 00:00000000 00000000    33        0 3 1 0\n\
            3: 0000000000000000FFFF00000100007F:C351 0000000000000000FFFF00000100007F:1388 01 00000000:00000000 00:00000000 00000000  1000        0 4 1 0\n";
        let local = SocketAddr::from(([127, 0, 0, 1], 5000));
        let user = |port| user_of(table, SocketAddr::from(([127, 0, 0, 1], port)), local);
        if cfg!(target_endian = "little") {
            assert_eq!((user(50_000), user(50_001), user(50_002)), (Some(33), Some(1000), None));
        }
        for rubbish in ["", "x", "a\nb c d\n", "h\n0: 0:0 0:0\n", "h\n0: zz:1 1:1 x x x x x\n"] {
            assert_eq!(user_of(rubbish, local, local), None);
        }
    }

    #[tokio::test]
    async fn this_test_may_be_a_person() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (server, remote) = accepted.unwrap();
        assert!(may_be_a_person(remote, server.local_addr().unwrap()).await);
    }
}
