//! The formats, and how a client names them.

/// How a payload is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// JSON, SenML or line protocol, distinguished by the first byte, and JSON by its structure.
    #[default]
    Auto,
    /// Objects of values, with or without a time.
    Json,
    /// RFC 8428, section 5.
    SenmlJson,
    /// RFC 8428, section 6.
    SenmlCbor,
    /// Influx line protocol with times of this precision.
    LineProtocol(Precision),
}

/// What a time of line protocol counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As Influx does when nothing is said.
    #[default]
    Nanoseconds,
    /// `us`.
    Microseconds,
    /// `ms`.
    Milliseconds,
    /// `s`.
    Seconds,
}

impl Format {
    /// The format that a `Content-Type` names, its parameters aside; `None` for others.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/json" => Some(Self::Json),
            "application/senml+json" | "application/sensml+json" => Some(Self::SenmlJson),
            "application/senml+cbor" | "application/sensml+cbor" => Some(Self::SenmlCbor),
            "text/plain" => Some(Self::LineProtocol(Precision::default())),
            _ => None,
        }
    }
}

impl Precision {
    /// The precision that a parameter names (`ns`, `us`, `ms`, `s`, and Influx's older `n`
    /// and `u`); `None` for others.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "ns" | "n" => Some(Self::Nanoseconds),
            "us" | "u" => Some(Self::Microseconds),
            "ms" => Some(Self::Milliseconds),
            "s" => Some(Self::Seconds),
            _ => None,
        }
    }

    pub(crate) const fn nanoseconds(self) -> i128 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_name_formats() {
        for (text, format) in [
            ("application/json", Some(Format::Json)),
            ("Application/JSON; charset=utf-8", Some(Format::Json)),
            ("application/senml+json", Some(Format::SenmlJson)),
            ("application/sensml+cbor", Some(Format::SenmlCbor)),
            ("text/plain;charset=utf-8", Some(Format::LineProtocol(Precision::Nanoseconds))),
            ("application/cbor", None),
            ("", None),
        ] {
            assert_eq!(Format::of_content_type(text), format, "{text}");
        }
    }
}
