//! Why a connection ends, and what the client is told.

use crate::mailbox::Dismissed;
use crate::packet::{PacketError, Reason};

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client said goodbye.
    Left { with_will: bool },
    /// The client went without a word, or the network did.
    Gone,
    /// The client sent what may not be.
    Refused(Reason),
    /// Silent for too long.
    Silent,
    /// Takes nothing off its socket.
    Stuck,
    /// Another connection bears its id.
    TakenOver,
    /// Its login holds no longer.
    Revoked,
    /// Its frames could not be kept.
    NotKept,
    /// The door closes.
    Stopping,
}

impl End {
    /// What a DISCONNECT says; none when nobody is there to hear it.
    pub(super) const fn reason(self) -> Option<Reason> {
        match self {
            Self::Left { .. } | Self::Gone | Self::Stuck => None,
            Self::Refused(reason) => Some(reason),
            Self::Silent => Some(Reason::KEEP_ALIVE_TIMEOUT),
            Self::TakenOver => Some(Reason::SESSION_TAKEN_OVER),
            Self::Revoked => Some(Reason::ADMINISTRATIVE_ACTION),
            Self::NotKept => Some(Reason::IMPLEMENTATION_SPECIFIC),
            Self::Stopping => Some(Reason::SERVER_SHUTTING_DOWN),
        }
    }

    /// Whether the will is published. It is published by the client's rights, and a
    /// revoked login has none.
    pub(super) const fn publishes_will(self) -> bool {
        !matches!(self, Self::Left { with_will: false } | Self::Revoked)
    }

    /// The word in the metric.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Left { .. } => "left",
            Self::Gone => "gone",
            Self::Refused(_) => "protocol",
            Self::Silent => "keep_alive",
            Self::Stuck => "stuck",
            Self::TakenOver => "taken_over",
            Self::Revoked => "revoked",
            Self::NotKept => "not_kept",
            Self::Stopping => "stopping",
        }
    }
}

impl From<Dismissed> for End {
    fn from(why: Dismissed) -> Self {
        match why {
            Dismissed::TakenOver => Self::TakenOver,
            Dismissed::Revoked => Self::Revoked,
        }
    }
}

impl From<PacketError> for End {
    fn from(error: PacketError) -> Self {
        Self::Refused(error.reason())
    }
}
