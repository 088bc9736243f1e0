//! Why a stretch of bytes is not a frame.

/// Why a stretch of bytes was skipped by the decoder. Each cause has a stable
/// code that appears in the dead letter, the metric and `docs/protocol.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    /// The payload ends before the frame does.
    #[error("the payload ends before the frame does")]
    Truncated,
    /// The bytes do not begin with 50F7.
    #[error("the bytes do not begin with the header 50F7")]
    BadHeader,
    /// No footer 73C4 stands at any length that the type allows.
    #[error("no footer 73C4 at any length that the frame's type allows")]
    BadFooter,
    /// The type byte is neither 01 nor 02.
    #[error("the frame's type is neither 01 (ping) nor 02 (location)")]
    UnknownType,
    /// Latitude beyond 90 degrees.
    #[error("the latitude is beyond 90 degrees")]
    LatitudeOutOfRange,
    /// Longitude beyond 180 degrees.
    #[error("the longitude is beyond 180 degrees")]
    LongitudeOutOfRange,
    /// Direction beyond 360.00 degrees.
    #[error("the direction is beyond 360.00 degrees")]
    DirectionOutOfRange,
    /// Hex text with a character that is no hex digit, or an odd number of digits.
    #[error("the hex text has a character that is no hex digit, or an odd number of digits")]
    BadHex,
    /// The payload is larger than the decoder takes at once.
    #[error("the payload is larger than the limit")]
    Oversized,
    /// The payload is empty.
    #[error("the payload is empty")]
    Empty,
}

impl DecodeError {
    /// Every cause, for metrics and documentation.
    pub const ALL: [Self; 10] = [
        Self::Truncated,
        Self::BadHeader,
        Self::BadFooter,
        Self::UnknownType,
        Self::LatitudeOutOfRange,
        Self::LongitudeOutOfRange,
        Self::DirectionOutOfRange,
        Self::BadHex,
        Self::Oversized,
        Self::Empty,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::BadHeader => "bad_header",
            Self::BadFooter => "bad_footer",
            Self::UnknownType => "unknown_type",
            Self::LatitudeOutOfRange => "latitude_out_of_range",
            Self::LongitudeOutOfRange => "longitude_out_of_range",
            Self::DirectionOutOfRange => "direction_out_of_range",
            Self::BadHex => "bad_hex",
            Self::Oversized => "oversized",
            Self::Empty => "empty",
        }
    }
}
