//! Where a trace goes on: the `traceparent` of W3C Trace Context, as it travels in
//! an MQTT 5 user property, in an HTTP header and in the `/DB` message.

use core::fmt;

/// Name of the user property and of the header.
pub const TRACEPARENT: &str = "traceparent";

/// A span of somebody's, to hang further spans below.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; not all zeros.
    pub trace_id: [u8; 16],
    /// The span in it; not all zeros.
    pub span_id: [u8; 8],
    /// Whether whoever began the trace wants it recorded.
    pub sampled: bool,
}

/// `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const LENGTH: usize = 55;

impl TraceContext {
    /// Reads a `traceparent`; `None` for everything that is none. A later version
    /// than 00 may have more behind its flags, which is passed over, as the
    /// specification has it (section 3.2.4).
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let version = octets::<1>(bytes.get(..2)?)?[0];
        let ends = match version {
            0 => bytes.len() == LENGTH,
            0xFF => false,
            _ => bytes.len() == LENGTH || bytes.get(LENGTH) == Some(&b'-'),
        };
        let dashed = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        if !ends || !dashed {
            return None;
        }
        let (trace_id, span_id) = (octets::<16>(&bytes[3..35])?, octets::<8>(&bytes[36..52])?);
        let flags = octets::<1>(&bytes[53..55])?[0];
        let named = trace_id != [0; 16] && span_id != [0; 8];
        named.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// The trace's name, as log lines and trace viewers write it.
    pub const fn trace_id(&self) -> impl fmt::Display + use<> {
        Hex(self.trace_id)
    }
}

/// As a `traceparent` of version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", Hex(self.trace_id), Hex(self.span_id), u8::from(self.sampled))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

#[derive(Clone, Copy)]
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Lower-case digits alone: the specification allows no others.
fn octets<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut read = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (octet, pair) in read.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(read)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString as _};

    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_specification_s_example_is_read_and_written() {
        let read = TraceContext::parse(GOOD).unwrap();
        assert!(read.sampled);
        assert_eq!(read.to_string(), GOOD);
        assert_eq!(read.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let unsampled = TraceContext::parse(&GOOD.replace("-01", "-02")).unwrap();
        assert!(!unsampled.sampled, "another flag");
        let later = format!("cc{}-what-the-future-brings", &GOOD[2..]);
        assert_eq!(TraceContext::parse(&later), Some(read));
    }

    #[test]
    fn rubbish_is_none() {
        let zero_trace = GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_span = GOOD.replace("00f067aa0ba902b7", &"0".repeat(16));
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-"),
            &format!("{GOOD}0"),
            &GOOD.to_uppercase(),
            &GOOD.replace("-01", "_01"),
            &GOOD.replace("00-4", "ff-4"),
            &GOOD.replace("-01", "-0g"),
            &format!("cc{}0", &GOOD[2..]),
            &zero_trace,
            &zero_span,
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-0",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace_id: [u8; 16], span_id: [u8; 8], sampled: bool) {
            prop_assume!(trace_id != [0; 16] && span_id != [0; 8]);
            let context = TraceContext { trace_id, span_id, sampled };
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        }

        #[test]
        fn no_text_panics_and_what_is_read_is_what_was_written(
            text in "\\PC{0,70}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
        ) {
            if let Some(context) = TraceContext::parse(&text) {
                let written: String = context.to_string();
                prop_assert_eq!(&written[2..53], &text[2..53]);
            }
        }
    }
}
