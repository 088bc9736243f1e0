//! The door's certificate: can it be read, and until when is it good? Of a whole chain
//! the first to end counts. Only the dates are read; whether it fits its key is
//! seen when the door starts.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::finding::Finding;
use crate::tools::moment;

const ABOUT: &str = "certificate";
const DAY_S: i64 = 86_400;
/// Sooner than this it should be renewed by now: automatic renewal begins at 30 days.
const SOON_S: i64 = 30 * DAY_S;

/// Looks at a PEM file.
pub(super) fn look(path: &Path, now_s: i64) -> Finding {
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let says = format!("{shown} cannot be read: {error}; see --mqtt-tls-cert");
            return Finding::wrong(ABOUT, says);
        }
    };
    match first_end(&text) {
        Some(end_s) => judge(&shown.to_string(), end_s, now_s),
        None => Finding::wrong(
            ABOUT,
            format!("{shown} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"),
        ),
    }
}

fn judge(shown: &str, end_s: i64, now_s: i64) -> Finding {
    let end = moment(u64::try_from(end_s).unwrap_or_default().saturating_mul(1000));
    let left_s = end_s - now_s;
    if left_s < 0 {
        let says = format!(
            "{shown} ended on {end}: devices refuse the door; renew it; the listener reads the new one by itself"
        );
        return Finding::wrong(ABOUT, says);
    }
    let days = left_s / DAY_S;
    if left_s < SOON_S {
        let says = format!(
            "{shown} ends in {days} days, on {end}; renew it before then; the listener reads the new one by itself"
        );
        return Finding::weak(ABOUT, says);
    }
    Finding::good(ABOUT, format!("{shown} is good for {days} days, until {end}"))
}

/// When the first certificate of a chain ends (Unix seconds); `None` when one of them
/// cannot be read, or there is none.
fn first_end(pem: &str) -> Option<i64> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let ends: Option<Vec<i64>> = pem
        .split(BEGIN)
        .skip(1)
        .map(|rest| {
            let body: String = rest.split_once(END)?.0.split_whitespace().collect();
            not_after(&STANDARD.decode(body).ok()?)
        })
        .collect();
    ends?.into_iter().min()
}

/// The end of validity of a certificate in DER (RFC 5280, 4.1): the second time of the
/// first field of `tbsCertificate` behind version, serial number, algorithm and issuer.
fn not_after(der: &[u8]) -> Option<i64> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xA0;
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = any(fields)?.2;
    }
    for _ in 0..3 {
        fields = any(fields)?.2;
    }
    let (validity, _) = element(fields, SEQUENCE)?;
    let (_, _, behind) = any(validity)?;
    let (tag, time, _) = any(behind)?;
    time_of(tag, time)
}

/// The contents of an element of this tag, and what is behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, contents, behind) = any(der)?;
    (found == tag).then_some((contents, behind))
}

/// The next element: its tag, its contents, and what is behind it.
fn any(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length, rest @ ..] = der else { return None };
    let (length, rest) = match *length {
        short @ 0..=0x7F => (usize::from(short), rest),
        // A length of one to four bytes; certificates have no longer ones.
        long => {
            let count = usize::from(long & 0x7F);
            let (bytes, rest) =
                rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
            let length =
                bytes.iter().fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
    };
    let (contents, behind) = rest.split_at_checked(length)?;
    Some((*tag, contents, behind))
}

/// `YYMMDDhhmmssZ` (of 1950 to 2049) or `YYYYMMDDhhmmssZ`.
fn time_of(tag: u8, text: &[u8]) -> Option<i64> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let text = std::str::from_utf8(text).ok()?;
    let whole = match tag {
        UTC_TIME if text.as_bytes().first()? < &b'5' => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", whole).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    /// A certificate that is good until 2030-05-01T00:00:00Z.
    fn pem(year: i32) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wanted = rcgen::CertificateParams::new(vec!["door.example.org".into()]).unwrap();
        wanted.not_after = rcgen::date_time_ymd(year, 5, 1);
        wanted.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn the_first_end_of_a_chain_counts() {
        let chain = format!("{}\n{}", pem(2060), pem(2030));
        assert_eq!(first_end(&chain), Some(1_903_824_000));
        assert_eq!(first_end(&pem(2060)), Some(2_850_595_200));
        assert_eq!(first_end("no certificate"), None);
        assert_eq!(first_end("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"), None);
    }

    #[test]
    fn no_bytes_of_a_certificate_panic() {
        let pem = pem(2030);
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(body).unwrap();
        for cut in 0..der.len() {
            let mut bad = der.clone();
            bad[cut] ^= 0xFF;
            let _ = not_after(&bad);
            let _ = not_after(&der[..cut]);
        }
        assert_eq!(not_after(&der), Some(1_903_824_000));
    }

    #[test]
    fn an_end_that_is_near_is_told_and_one_that_is_past_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door.pem");
        assert_eq!(look(&path, 0).verdict, Verdict::Wrong);
        std::fs::write(&path, pem(2030)).unwrap();
        let end_s = 1_903_824_000;
        let far = look(&path, end_s - 31 * DAY_S);
        assert_eq!(far.verdict, Verdict::Good);
        assert!(far.says.ends_with("for 31 days, until 2030-05-01T00:00:00Z"), "{far:?}");
        assert_eq!(look(&path, end_s - 29 * DAY_S).verdict, Verdict::Weak);
        assert_eq!(look(&path, end_s + 1).verdict, Verdict::Wrong);
        std::fs::write(&path, "").unwrap();
        assert!(look(&path, 0).says.contains("no certificate"));
    }
}
