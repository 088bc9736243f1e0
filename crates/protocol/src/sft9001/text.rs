//! A payload is raw bytes, or the same frames as hex text.
//!
//! The form is decided once for the whole payload. Text that cannot be read is
//! handed back as it came, so that nothing of a payload is lost.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::protocol::{Form, Normalised};

/// The header as it stands in hex text.
const HEADER_TEXT: &[u8] = b"50F7";

/// Brings a payload into raw bytes.
///
/// It is hex text when it begins, after white space, with the characters
/// `50F7` in either case, or when it holds hex digits and white space only (at
/// least one digit). Everything else is raw. Text is read up to the first
/// character that is neither a digit nor white space; a digit without its
/// partner is unreadable too, and so is all that follows.
pub fn normalise(payload: &[u8]) -> Normalised<'_> {
    if is_hex_text(payload) {
        from_hex(payload)
    } else {
        Normalised { form: Form::Raw, bytes: Cow::Borrowed(payload), unreadable: None }
    }
}

fn is_hex_text(payload: &[u8]) -> bool {
    let text = payload.trim_ascii_start();
    let begins_with_header =
        text.get(..HEADER_TEXT.len()).is_some_and(|start| start.eq_ignore_ascii_case(HEADER_TEXT));
    let digits_only =
        || text.iter().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace());
    begins_with_header || (!text.is_empty() && digits_only())
}

fn from_hex(payload: &[u8]) -> Normalised<'_> {
    let mut bytes = Vec::with_capacity(payload.len() / 2);
    let mut first_digit: Option<(usize, u8)> = None;
    let mut readable_until = payload.len();
    for (offset, &character) in payload.iter().enumerate() {
        match (digit(character), first_digit) {
            (Some(high), None) => first_digit = Some((offset, high)),
            (Some(low), Some((_, high))) => {
                bytes.push(high << 4 | low);
                first_digit = None;
            }
            (None, _) if character.is_ascii_whitespace() => {}
            (None, _) => {
                readable_until = offset;
                break;
            }
        }
    }
    let unreadable_from = first_digit.map_or(readable_until, |(offset, _)| offset);
    let unreadable = &payload[unreadable_from..];
    Normalised {
        form: Form::Hex,
        bytes: Cow::Owned(bytes),
        unreadable: (!unreadable.is_empty()).then_some((unreadable_from, unreadable)),
    }
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(payload: &[u8]) -> Normalised<'_> {
        Normalised { form: Form::Raw, bytes: Cow::Borrowed(payload), unreadable: None }
    }

    fn hex<'a>(bytes: &'a [u8], unreadable: Option<(usize, &'a [u8])>) -> Normalised<'a> {
        Normalised { form: Form::Hex, bytes: Cow::Borrowed(bytes), unreadable }
    }

    #[test]
    fn raw_bytes_stay_as_they_are() {
        for payload in [&b"\x50\xF7\x0A\x3F\x73\x01\x73\xC4"[..], b"", b"hello", b"\0 50F7"] {
            assert_eq!(normalise(payload), raw(payload));
        }
    }

    #[test]
    fn white_space_alone_is_raw_so_that_it_is_not_lost() {
        assert_eq!(normalise(b" \r\n"), raw(b" \r\n"));
    }

    #[test]
    fn hex_text_is_read_in_either_case_and_over_white_space() {
        assert_eq!(normalise(b"50F70a3F"), hex(b"\x50\xF7\x0A\x3F", None));
        assert_eq!(normalise(b"\n 50f7 0A\t3f\r\n"), hex(b"\x50\xF7\x0A\x3F", None));
        assert_eq!(normalise(b"5 0F7"), hex(b"\x50\xF7", None), "a pair split by a space");
    }

    #[test]
    fn digits_without_a_header_are_text_too() {
        assert_eq!(normalise(b"1234"), hex(b"\x12\x34", None));
    }

    #[test]
    fn an_odd_digit_is_unreadable() {
        assert_eq!(normalise(b"50F70"), hex(b"\x50\xF7", Some((4, b"0"))));
        assert_eq!(normalise(b"7"), hex(b"", Some((0, b"7"))));
        assert_eq!(normalise(b"50F70 \n"), hex(b"\x50\xF7", Some((4, b"0 \n"))));
    }

    #[test]
    fn all_behind_a_bad_character_is_unreadable() {
        assert_eq!(normalise(b"50F7xx50F7"), hex(b"\x50\xF7", Some((4, b"xx50F7"))));
        let odd_before = normalise(b"50F70\xFFab");
        assert_eq!(odd_before, hex(b"\x50\xF7", Some((4, b"0\xFFab"))), "from the odd digit on");
    }

    #[test]
    fn a_bad_character_without_a_header_means_raw() {
        assert_eq!(normalise(b"1234x"), raw(b"1234x"));
    }
}
