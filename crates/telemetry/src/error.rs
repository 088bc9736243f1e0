//! Why a part of a payload was rejected.

/// Why a part of a payload was rejected. Each cause has a stable code that appears in the
/// dead letter, the metric, the answer and `docs/telemetry.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum TelemetryError {
    /// The payload is not of its format at all.
    #[error("the payload is not of its format")]
    BadPayload,
    /// A line that is not line protocol.
    #[error("the line is not line protocol")]
    BadLine,
    /// The device's name is not a text, or is too long.
    #[error("the device's name is not a text of a usable length")]
    BadDevice,
    /// The time cannot be read, or is before 1970 or after 9999.
    #[error("the time cannot be read")]
    BadTime,
    /// The text cannot name a channel.
    #[error("the text cannot name a channel")]
    BadChannel,
    /// The unit is not a unit.
    #[error("the unit is not a unit")]
    BadUnit,
    /// The value is not one: a list, too deep, too long or not finite.
    #[error("the value is not a finite number, a boolean or a text of a usable length")]
    BadValue,
    /// The record is full.
    #[error("the record has more values than a record can have")]
    TooManyValues,
    /// A member beside `values` that has no meaning.
    #[error("the member has no meaning beside the values")]
    UnknownMember,
    /// A SenML pack of a later version, or with a mandatory field that is not known; a metric of
    /// Sparkplug of a type that a channel cannot have.
    #[error("the payload asks for something that is not supported")]
    Unsupported,
    /// A metric of Sparkplug whose alias no birth defined.
    #[error("a metric has an alias that no birth defined")]
    UnknownAlias,
}

impl TelemetryError {
    /// Every cause, for metrics and documentation.
    pub const ALL: [Self; 11] = [
        Self::BadPayload,
        Self::BadLine,
        Self::BadDevice,
        Self::BadTime,
        Self::BadChannel,
        Self::BadUnit,
        Self::BadValue,
        Self::TooManyValues,
        Self::UnknownMember,
        Self::Unsupported,
        Self::UnknownAlias,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadPayload => "bad_payload",
            Self::BadLine => "bad_line",
            Self::BadDevice => "bad_device",
            Self::BadTime => "bad_time",
            Self::BadChannel => "bad_channel",
            Self::BadUnit => "bad_unit",
            Self::BadValue => "bad_value",
            Self::TooManyValues => "too_many_values",
            Self::UnknownMember => "unknown_member",
            Self::Unsupported => "unsupported",
            Self::UnknownAlias => "unknown_alias",
        }
    }
}
