//! TLS by rustls: the handshake, and why one failed in a word that tells what the device
//! would need. rustls shows no ClientHello that it refuses, so that the first bytes are
//! looked at before it reads them.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CipherSuite, Error, PeerIncompatible, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Refused;
use crate::metrics::{Agreed, GONE};

/// Suites that the log names; a ClientHello has some tens.
const NAMED_SUITES: usize = 12;
/// How much of a ClientHello is looked at: its suites come first, behind some 80 bytes.
const LOOKED_AT: usize = 512;
/// On the wire.
const TLS_1_2: u16 = 0x0303;

/// What a client offers, as far as its first bytes say.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    /// TLS 1.3 says 1.2 here, and the rest in an extension.
    version: u16,
    suites: Vec<CipherSuite>,
}

/// Shakes hands; says what was agreed.
pub(super) async fn accept(
    config: Arc<ServerConfig>,
    tcp: TcpStream,
) -> Result<(TlsStream<TcpStream>, Agreed), Refused> {
    let mut first = [0; LOOKED_AT];
    let seen = tcp.peek(&mut first).await.map_err(|_| Refused::new(GONE))?;
    let tls = TlsAcceptor::from(config).accept(tcp).await.map_err(|error| {
        let offer = Offer::read(&first[..seen]);
        Refused {
            reason: why(offer.as_ref(), &error),
            offered: offer.map(|offer| offer.to_string()),
        }
    })?;
    let session = tls.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str());
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let agreed = Agreed { version: version.unwrap_or(OTHER), suite: suite.unwrap_or(OTHER) };
    Ok((tls, agreed))
}

const OTHER: &str = "other";

/// The word of a failed handshake.
fn why(offer: Option<&Offer>, error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return GONE;
    };
    match (error, offer) {
        (Error::PeerIncompatible(needs), Some(offer)) => {
            offer.lacks().unwrap_or_else(|| incompatible(needs))
        }
        (Error::PeerIncompatible(needs), None) => incompatible(needs),
        (
            Error::AlertReceived(
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied,
            ),
            _,
        ) => "tls_certificate_rejected",
        (Error::InvalidMessage(_), None) => "tls_no_handshake",
        _ => "tls_failed",
    }
}

fn incompatible(needs: &PeerIncompatible) -> &'static str {
    match needs {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::SupportedVersionsExtensionRequired => "tls_version",
        // ECDSA alone before a certificate with RSA, or the other way round.
        PeerIncompatible::NoCipherSuitesInCommon => "tls_certificate_type",
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::UncompressedEcPointsRequired => "tls_curve",
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => "tls_signature",
        _ => "tls_failed",
    }
}

impl Offer {
    /// Reads the beginning of a ClientHello (RFC 5246, 7.4.1.2), up to its suites.
    fn read(bytes: &[u8]) -> Option<Self> {
        const HANDSHAKE: u8 = 22;
        const CLIENT_HELLO: u8 = 1;
        const RANDOM: usize = 32;
        let (&[content, _, _, _, _, message, _, _, _], rest) = bytes.split_first_chunk::<9>()?;
        if (content, message) != (HANDSHAKE, CLIENT_HELLO) {
            return None;
        }
        let (version, rest) = rest.split_first_chunk::<2>()?;
        let (_, rest) = rest.split_at_checked(RANDOM)?;
        let (&session_id, rest) = rest.split_first()?;
        let (_, rest) = rest.split_at_checked(usize::from(session_id))?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let suites = &rest[..rest.len().min(usize::from(u16::from_be_bytes(*length)))];
        let (suites, _) = suites.as_chunks::<2>();
        let suites = suites.iter().map(|suite| u16::from_be_bytes(*suite).into()).collect();
        Some(Self { version: u16::from_be_bytes(*version), suites })
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.suites.iter().filter_map(CipherSuite::as_str)
    }

    /// What it lacks, the oldest thing first.
    fn lacks(&self) -> Option<&'static str> {
        let is_aead = |name: &str| ["_GCM_", "_CHACHA20_"].iter().any(|word| name.contains(word));
        let is_new = |name: &str| name.starts_with("TLS13_");
        let ephemeral = |name: &str| name.contains("_ECDHE_");
        if self.version < TLS_1_2 {
            Some("tls_version")
        } else if self.names().any(is_new) {
            None
        } else if !self.names().any(ephemeral) {
            Some("tls_key_exchange")
        } else if !self.names().any(|name| ephemeral(name) && is_aead(name)) {
            Some("tls_cipher")
        } else {
            None
        }
    }
}

impl std::fmt::Display for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#06x}:", self.version)?;
        for suite in self.suites.iter().take(NAMED_SUITES) {
            f.write_char(' ')?;
            match suite.as_str() {
                Some(name) => f.write_str(name)?,
                None => write!(f, "{:#06x}", u16::from(*suite))?,
            }
        }
        match self.suites.len().saturating_sub(NAMED_SUITES) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RSA_CBC: CipherSuite = CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA;
    const ECDHE_CBC: CipherSuite = CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA;
    const ECDHE_GCM: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    const NEW: CipherSuite = CipherSuite::TLS13_AES_128_GCM_SHA256;

    fn offer(version: u16, suites: &[CipherSuite]) -> Offer {
        Offer { version, suites: suites.to_vec() }
    }

    #[test]
    fn what_an_offer_lacks_is_the_first_thing_that_an_old_modem_would_need() {
        let signals = CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV;
        for (version, suites, lacks) in [
            (0x0302, &[RSA_CBC][..], Some("tls_version")),
            (0x0303, &[RSA_CBC, signals], Some("tls_key_exchange")),
            (0x0303, &[], Some("tls_key_exchange")),
            (0x0303, &[RSA_CBC, ECDHE_CBC], Some("tls_cipher")),
            (0x0303, &[ECDHE_GCM, RSA_CBC], None),
            (0x0303, &[NEW], None),
        ] {
            assert_eq!(offer(version, suites).lacks(), lacks, "{suites:?}");
        }
    }

    #[test]
    fn an_offer_is_read_off_its_first_bytes_and_named_up_to_a_length() {
        let mut hello = vec![22, 3, 1, 0, 80, 1, 0, 0, 76, 3, 3];
        hello.extend([7; 32]);
        hello.extend([1, 0xAA, 0, 6, 0, 0x2F, 0x12, 0x34, 0xC0, 0x13, 1, 0]);
        let read = Offer::read(&hello).unwrap();
        assert_eq!(read, offer(0x0303, &[RSA_CBC, CipherSuite::from(0x1234), ECDHE_CBC]));
        let named =
            "0x0303: TLS_RSA_WITH_AES_128_CBC_SHA 0x1234 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA";
        assert_eq!(read.to_string(), named);
        // Cut, it says what is there.
        assert_eq!(Offer::read(&hello[..49]).unwrap(), offer(0x0303, &[RSA_CBC]));
        assert_eq!(Offer::read(b"\x10\x0C\0\x04MQTT\x04\x02\0\x3C\0\0"), None);
        let many = offer(0x0303, &[RSA_CBC; NAMED_SUITES + 3]).to_string();
        assert!(many.ends_with("SHA and 3 more"), "{many}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, hello: bool) {
            let begin: &[u8] = if hello { &[22, 3, 1, 0, 80, 1, 0, 0, 76, 3, 3] } else { &[] };
            let _ = Offer::read(&[begin, &bytes].concat());
        }
    }
}
