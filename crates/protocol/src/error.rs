//! Why a stretch of bytes is not a frame.

/// Why a stretch of bytes was skipped by the decoder. Each cause has a stable
/// code that appears in the dead letter, the metric and `docs/protocol.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    /// The payload ends before the frame does.
    #[error("the payload ends before the frame does")]
    Truncated,
    /// The bytes do not begin as a frame of the protocol does (SFT9001: 50F7).
    #[error("the bytes do not begin as a frame of the protocol does (SFT9001: with 50F7)")]
    BadHeader,
    /// The frame does not end as it must (SFT9001: no footer 73C4 at any length of its type).
    #[error(
        "the frame does not end as it must (SFT9001: no footer 73C4 at any length that its type allows)"
    )]
    BadFooter,
    /// The frame's type is none that is read (SFT9001: neither 01 nor 02).
    #[error("the frame's type is none that is read (SFT9001: 01 is a ping, 02 a location)")]
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
    /// The sum over the frame is another one than the frame says.
    #[error("the frame's checksum does not fit its bytes; they were changed on their way")]
    BadChecksum,
    /// Counts or lengths within the frame contradict each other.
    #[error("counts or lengths within the frame contradict each other")]
    BadCount,
    /// A record before its sender has said who it is, or a name that is none.
    #[error("nothing says whose the frame is, or it is no device's name")]
    NoIdentity,
    /// A connection on which another device spoke before.
    #[error("another device spoke on this connection before; a device needs one of its own")]
    SecondIdentity,
    /// A date that there is not.
    #[error("the date or the time is none")]
    BadDate,
    /// A field that cannot be read or is out of its range.
    #[error("a field cannot be read, or is out of its range")]
    BadField,
    /// Not JSON, or nested too deeply.
    #[error("the payload is not JSON, or is nested too deeply")]
    BadJson,
}

impl DecodeError {
    /// Every cause, for metrics and documentation.
    pub const ALL: [Self; 17] = [
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
        Self::BadChecksum,
        Self::BadCount,
        Self::NoIdentity,
        Self::SecondIdentity,
        Self::BadDate,
        Self::BadField,
        Self::BadJson,
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
            Self::BadChecksum => "bad_checksum",
            Self::BadCount => "bad_count",
            Self::NoIdentity => "no_identity",
            Self::SecondIdentity => "second_identity",
            Self::BadDate => "bad_date",
            Self::BadField => "bad_field",
            Self::BadJson => "bad_json",
        }
    }
}
