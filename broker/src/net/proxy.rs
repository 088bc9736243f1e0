//! The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): what a load
//! balancer says of the client before the client's own bytes. Only the header's bytes are
//! read, so that TLS and WebSocket find theirs. Extensions (TLV) are skipped.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// The longest header of version 1, its CR and LF included (2.1).
const LONGEST_LINE: usize = 107;
/// Longer addresses and extensions of version 2 are refused: AWS and HAProxy send some
/// hundred bytes.
const LONGEST_BLOCK: usize = 4096;

/// Reads a header off the front. `None`: the proxy speaks for itself (a health check) or
/// does not know who the client is.
///
/// # Errors
/// No header is there, or the connection ends.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    // Shorter than any header of either version.
    let mut begin = [0; SIGNATURE.len()];
    stream.read_exact(&mut begin).await?;
    if begin == SIGNATURE {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if length > LONGEST_BLOCK {
            return Err(bad("a header of the PROXY protocol that is too long"));
        }
        let mut block = vec![0; length];
        stream.read_exact(&mut block).await?;
        return version_2(head[0], head[1], &block);
    }
    if !begin.starts_with(WORD) {
        return Err(bad("no header of the PROXY protocol"));
    }
    let mut line = begin.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LONGEST_LINE {
            return Err(bad("a line of the PROXY protocol that is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    version_1(&line)
}

/// `PROXY TCP4 192.0.2.1 192.0.2.9 56324 1883`, and CR LF.
fn version_1(line: &[u8]) -> io::Result<Option<SocketAddr>> {
    let text = std::str::from_utf8(line).map_err(|_| bad("a line that is no text"))?;
    let words: Vec<&str> = text.trim_end_matches("\r\n").split(' ').collect();
    let address = match words[..] {
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", "TCP4", source, to, ..] => both::<Ipv4Addr>(source, to)?.into(),
        ["PROXY", "TCP6", source, to, ..] => both::<Ipv6Addr>(source, to)?.into(),
        _ => return Err(bad("a line that is neither TCP4, TCP6 nor UNKNOWN")),
    };
    let [_, _, _, _, port, to_port] = words[..] else {
        return Err(bad("a line without two addresses and two ports"));
    };
    Ok(Some(SocketAddr::new(address, both::<u16>(port, to_port)?)))
}

/// The first of two values that both must be good.
fn both<T: std::str::FromStr>(first: &str, second: &str) -> io::Result<T> {
    match (first.parse(), second.parse::<T>()) {
        (Ok(first), Ok(_)) => Ok(first),
        _ => Err(bad("an address or a port that is none")),
    }
}

/// Version and command, family and transport, and what is behind the length.
fn version_2(command: u8, family: u8, block: &[u8]) -> io::Result<Option<SocketAddr>> {
    const LOCAL: u8 = 0x20;
    const PROXY: u8 = 0x21;
    const TCP_OVER_IPV4: u8 = 0x11;
    const TCP_OVER_IPV6: u8 = 0x21;
    if command != PROXY {
        let known = command == LOCAL;
        return if known { Ok(None) } else { Err(bad("neither version 2 nor its commands")) };
    }
    let short = || bad("a block that is shorter than its addresses");
    match family {
        TCP_OVER_IPV4 => {
            let (source, rest) = block.split_first_chunk::<4>().ok_or_else(short)?;
            let port = port_behind::<4>(rest).ok_or_else(short)?;
            Ok(Some(SocketAddr::new(Ipv4Addr::from(*source).into(), port)))
        }
        TCP_OVER_IPV6 => {
            let (source, rest) = block.split_first_chunk::<16>().ok_or_else(short)?;
            let port = port_behind::<16>(rest).ok_or_else(short)?;
            Ok(Some(SocketAddr::new(Ipv6Addr::from(*source).into(), port)))
        }
        // UNIX sockets, UDP, unspecified: whoever it is has no address here.
        _ => Ok(None),
    }
}

/// The source's port: behind the destination's address, of so many bytes, and before the
/// destination's port.
fn port_behind<const ADDRESS: usize>(rest: &[u8]) -> Option<u16> {
    let (_destination, ports) = rest.split_first_chunk::<ADDRESS>()?;
    let (&[high, low, _, _], _extensions) = ports.split_first_chunk::<4>()?;
    Some(u16::from_be_bytes([high, low]))
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a header says, and how many bytes are left behind it.
    fn read_all(mut bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let said = runtime.block_on(read(&mut bytes));
        (said, bytes.len())
    }

    fn version_2_header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, block].concat()
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 9, 0xDC, 0x04, 0x07, 0x5B];

    #[test]
    fn both_versions_say_who_the_client_is_and_leave_its_bytes() {
        let v6 = [&[0x20, 1, 0x0D, 0xB8][..], &[0; 11], &[5], &[0; 16], &[0xDC, 4, 7, 0x5B]];
        let with_extension = [&IPV4[..], &[0xEA, 0, 3, 1, b'v', b'p']].concat();
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.1 192.0.2.9 56324 1883\r\n".to_vec(), Some("192.0.2.1:56324")),
            (b"PROXY TCP6 2001:db8::5 ::1 56324 1883\r\n".to_vec(), Some("[2001:db8::5]:56324")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n".to_vec(), None),
            (version_2_header(0x21, 0x11, &IPV4), Some("192.0.2.1:56324")),
            (version_2_header(0x21, 0x11, &with_extension), Some("192.0.2.1:56324")),
            (version_2_header(0x21, 0x21, &v6.concat()), Some("[2001:db8::5]:56324")),
            (version_2_header(0x20, 0x00, b""), None),
            (version_2_header(0x21, 0x31, &[0; 216]), None),
        ] {
            let shown = String::from_utf8_lossy(&header).into_owned();
            let (said, left) = read_all(&[&header[..], b"MQTT"].concat());
            let said = said.unwrap().map(|address| address.to_string());
            assert_eq!((said.as_deref(), left), (expected, 4), "{shown}");
        }
    }

    #[test]
    fn anything_else_is_no_header() {
        let long = format!("PROXY TCP4 {}\r\n", "1".repeat(LONGEST_LINE));
        for header in [
            &b"\x10\x0C\x00\x04MQTT\x04\x02\x00\x3C\x00\x00"[..],
            b"PROXY TCP4 192.0.2.1 192.0.2.9 56324\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.9 56324 1883 1\r\n",
            b"PROXY TCP4 ::1 ::1 56324 1883\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.9 65536 1883\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.9 1 1\r\n",
            b"PROXY  TCP4 192.0.2.1 192.0.2.9 1 1\r\n",
            b"PROXY TCP4 \xFF\xFE\r\n",
            b"PROXY TCP4 192.0.2.1",
            long.as_bytes(),
            &version_2_header(0x11, 0x11, &IPV4),
            &version_2_header(0x22, 0x11, &IPV4),
            &version_2_header(0x21, 0x11, &IPV4[..11]),
            &version_2_header(0x21, 0x21, &IPV4),
            &version_2_header(0x21, 0x11, &[0; LONGEST_BLOCK + 1]),
            &SIGNATURE,
        ] {
            assert!(read_all(header).0.is_err(), "{}", String::from_utf8_lossy(header));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, begin in 0_usize..3, command: u8, family: u8) {
            let begin = [&b""[..], WORD, &SIGNATURE][begin];
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            let _ = read_all(&[begin, &bytes].concat());
            bytes.splice(0..0, [command, family, length[0], length[1]]);
            let _ = read_all(&[&SIGNATURE, &bytes[..]].concat());
        }
    }
}
