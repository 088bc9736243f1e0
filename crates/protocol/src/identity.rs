//! Who a device is, and how that is written and read: six hex digits for an SFT9001 device, a kind and
//! a name for any other, and either as one segment of a topic or a URL.

use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use core::fmt::{self, Write as _};
use core::str::FromStr;

use crate::DeviceId;

/// Who sent a frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A protocol whose ids are device numbers.
    Number(DeviceId),
    /// Any other, for example `imei` and `356307042441013`.
    Named {
        /// What kind of name it is.
        kind: &'static str,
        /// The name.
        name: Arc<str>,
    },
}

impl Identity {
    /// The device's number, if that is its identity.
    pub const fn number(&self) -> Option<DeviceId> {
        match self {
            Self::Number(device) => Some(*device),
            Self::Named { .. } => None,
        }
    }
}

/// `0A3F73`, or the kind before the name: `imei:356307042441013`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(device) => device.fmt(f),
            Self::Named { kind, name } => write!(f, "{kind}:{name}"),
        }
    }
}

/// A name has at most this many bytes.
pub const MAX_IDENTITY_NAME: usize = 120;

/// A kind of name: how it is written, and what a name of it may be.
struct Kind {
    name: &'static str,
    /// The one spelling of a name; `None` when it is no name of this kind.
    canonical: fn(&str) -> Option<Cow<'_, str>>,
    /// What a name is, for a message to a person.
    shape: &'static str,
}

/// Every kind. A new one is a row here, and no name moves from one kind to another.
static KINDS: [Kind; 5] = [
    Kind { name: "imei", canonical: imei, shape: "imei: and 14 to 17 digits" },
    Kind { name: "eui", canonical: eui, shape: "eui: and 16 hex digits" },
    Kind { name: "owntracks", canonical: owntracks, shape: "owntracks: and user/device" },
    Kind { name: "host", canonical: host, shape: "host: and a host's name" },
    Kind { name: "id", canonical: any, shape: "id: and visible ASCII" },
];

fn imei(name: &str) -> Option<Cow<'_, str>> {
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (14..=17).contains(&name.len())).then_some(Cow::Borrowed(name))
}

fn eui(name: &str) -> Option<Cow<'_, str>> {
    let digits = name.bytes().all(|byte| byte.is_ascii_hexdigit());
    (digits && name.len() == 16).then(|| Cow::Owned(name.to_ascii_uppercase()))
}

fn owntracks(name: &str) -> Option<Cow<'_, str>> {
    let (user, device) = name.split_once('/')?;
    let whole = !user.is_empty() && !device.is_empty() && !device.contains('/');
    any(name).filter(|_| whole)
}

fn host(name: &str) -> Option<Cow<'_, str>> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    name.bytes().all(allowed).then(|| Cow::Owned(name.to_ascii_lowercase()))
}

fn any(name: &str) -> Option<Cow<'_, str>> {
    name.bytes().all(|byte| byte.is_ascii_graphic()).then_some(Cow::Borrowed(name))
}

/// The text is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdentityError {
    /// Neither hex digits nor a kind with a name.
    #[error(
        "a device is written as six hex digits (0A3F73) or as a kind and a name \
         (imei:356307042441013)"
    )]
    Shape,
    /// A kind that there is not.
    #[error("there is no kind of device id before the colon; the kinds are {}", kinds())]
    Kind,
    /// No name of its kind.
    #[error(
        "the name behind the colon does not fit its kind: it is {0}, at most {MAX_IDENTITY_NAME} bytes"
    )]
    Name(&'static str),
    /// Not percent-encoded UTF-8.
    #[error("the percent-encoding is broken")]
    Encoding,
}

fn kinds() -> String {
    let mut text = String::new();
    for kind in &KINDS {
        let comma = if text.is_empty() { "" } else { ", " };
        let _infallible = write!(text, "{comma}{}", kind.name);
    }
    text
}

impl Identity {
    /// A name of a kind, in its one spelling.
    ///
    /// # Errors
    /// `Kind` or `Name`.
    pub fn named(kind: &str, name: &str) -> Result<Self, ParseIdentityError> {
        let kind = KINDS.iter().find(|known| known.name == kind).ok_or(ParseIdentityError::Kind)?;
        let fits = (1..=MAX_IDENTITY_NAME).contains(&name.len());
        let canonical = fits.then(|| (kind.canonical)(name)).flatten();
        let name = canonical.ok_or(ParseIdentityError::Name(kind.shape))?;
        Ok(Self::Named { kind: kind.name, name: Arc::from(&*name) })
    }

    /// As one level of a topic or one segment of a URL: what is not a letter, a digit or
    /// one of `-._~:` is percent-encoded.
    pub fn segment(&self) -> String {
        let text = self.to_string();
        let mut out = String::with_capacity(text.len());
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _infallible = write!(out, "%{byte:02X}");
            }
        }
        out
    }

    /// Reads a segment as [`Self::segment`] writes it, and as clients do that encode more
    /// or less.
    ///
    /// # Errors
    /// As reading the text; `Encoding` when a `%` is not followed by two hex digits.
    pub fn from_segment(segment: &str) -> Result<Self, ParseIdentityError> {
        decoded(segment)?.parse()
    }
}

/// What a segment or an item of a list means whose awkward characters are percent-encoded.
///
/// # Errors
/// [`ParseIdentityError::Encoding`] when that is broken.
pub fn decoded(segment: &str) -> Result<Cow<'_, str>, ParseIdentityError> {
    if !segment.contains('%') {
        return Ok(Cow::Borrowed(segment));
    }
    let mut bytes = alloc::vec::Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, behind @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = behind;
            continue;
        }
        let byte = match behind {
            [high, low, ..] => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(byte.ok_or(ParseIdentityError::Encoding)?);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| ParseIdentityError::Encoding)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Reads either form, never guessing: digits alone are a device number in hex, and a
/// colon stands behind a kind. A name comes back in its one spelling.
impl FromStr for Identity {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((kind, name)) => Self::named(kind, name),
            None => {
                text.parse::<DeviceId>().map(Self::Number).map_err(|_| ParseIdentityError::Shape)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, ParseIdentityError> {
        text.parse::<Identity>().map(|identity| identity.to_string())
    }

    #[test]
    fn every_kind_has_one_spelling() {
        for (text, canonical) in [
            ("0a3f73", "0A3F73"),
            ("01000000", "01000000"),
            ("imei:356307042441013", "imei:356307042441013"),
            ("eui:0004a30b001c0530", "eui:0004A30B001C0530"),
            ("owntracks:jane/phone", "owntracks:jane/phone"),
            ("host:Web1.Example", "host:web1.example"),
            ("id:anything-safe:1/2,3%", "id:anything-safe:1/2,3%"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(canonical), "{text}");
            assert_eq!(read(canonical).as_deref(), Ok(canonical), "{text}");
        }
    }

    #[test]
    fn what_is_no_identity_is_told_why() {
        use ParseIdentityError::{Kind, Name, Shape};
        for (text, error) in [
            ("", Shape),
            ("web1", Shape),
            ("356307042441013", Shape),
            ("sensor:1", Kind),
            ("IMEI:356307042441013", Kind),
            (":x", Kind),
            ("imei:", Name(KINDS[0].shape)),
            ("imei:35630704244101X", Name(KINDS[0].shape)),
            ("imei:3563", Name(KINDS[0].shape)),
            ("eui:0004A30B001C053", Name(KINDS[1].shape)),
            ("owntracks:jane", Name(KINDS[2].shape)),
            ("owntracks:/phone", Name(KINDS[2].shape)),
            ("owntracks:jane/my/phone", Name(KINDS[2].shape)),
            ("host:web 1", Name(KINDS[3].shape)),
            ("id:a b", Name(KINDS[4].shape)),
            ("id:\u{202e}x", Name(KINDS[4].shape)),
            ("id:ärger", Name(KINDS[4].shape)),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
        let long = alloc::format!("id:{}", "x".repeat(MAX_IDENTITY_NAME + 1));
        assert_eq!(read(&long), Err(Name(KINDS[4].shape)));
        assert!(Kind.to_string().ends_with("imei, eui, owntracks, host, id"));
    }

    #[test]
    fn a_segment_holds_no_separator() {
        let segment = |text: &str| text.parse::<Identity>().unwrap().segment();
        assert_eq!(segment("owntracks:jane/phone"), "owntracks:jane%2Fphone");
        assert_eq!(segment("id:a,b+c#d%e"), "id:a%2Cb%2Bc%23d%25e");
        assert_eq!(segment("0A3F73"), "0A3F73");
        let read = Identity::from_segment("owntracks%3Ajane%2fphone");
        assert_eq!(read, "owntracks:jane/phone".parse());
        for broken in ["id:%", "id:%2", "id:%zz", "id:%ff"] {
            assert_eq!(Identity::from_segment(broken), Err(ParseIdentityError::Encoding));
        }
    }

    proptest! {
        #[test]
        fn segments_are_read_as_they_were_written(name in "[!-~]{1,120}") {
            let identity = Identity::named("id", &name).unwrap();
            let segment = identity.segment();
            prop_assert!(!segment.contains(['/', '+', '#', ',', '?', '&', ' ']));
            prop_assert_eq!(Identity::from_segment(&segment), Ok(identity));
        }

        #[test]
        fn anything_is_read_or_refused(text in "\\PC*") {
            if let Ok(identity) = text.parse::<Identity>() {
                prop_assert_eq!(identity.to_string().parse::<Identity>(), Ok(identity));
            }
            let _ = Identity::from_segment(&text);
        }
    }
}
