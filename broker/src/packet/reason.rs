//! The reason codes of MQTT 5 that the door gives, and what 3.1.1 makes of them.

/// A reason code of MQTT 5 (section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(pub u8);

impl Reason {
    /// All is well.
    pub const SUCCESS: Self = Self(0x00);
    /// Accepted, nobody listens.
    pub const NO_MATCHING_SUBSCRIBERS: Self = Self(0x10);
    /// Nothing to unsubscribe.
    pub const NO_SUBSCRIPTION: Self = Self(0x11);
    /// Any other failure.
    pub const UNSPECIFIED: Self = Self(0x80);
    /// The bytes are not a packet.
    pub const MALFORMED_PACKET: Self = Self(0x81);
    /// Well formed, not allowed.
    pub const PROTOCOL_ERROR: Self = Self(0x82);
    /// Neither 3.1.1 nor 5.
    pub const UNSUPPORTED_PROTOCOL_VERSION: Self = Self(0x84);
    /// The client id is not taken.
    pub const CLIENT_ID_INVALID: Self = Self(0x85);
    /// Wrong user name or password.
    pub const BAD_CREDENTIALS: Self = Self(0x86);
    /// Known, and not allowed to.
    pub const NOT_AUTHORIZED: Self = Self(0x87);
    /// Cannot serve now.
    pub const SERVER_UNAVAILABLE: Self = Self(0x88);
    /// The process ends.
    pub const SERVER_SHUTTING_DOWN: Self = Self(0x8B);
    /// Extended authentication is not offered.
    pub const BAD_AUTHENTICATION_METHOD: Self = Self(0x8C);
    /// Silent for one and a half keep-alives.
    pub const KEEP_ALIVE_TIMEOUT: Self = Self(0x8D);
    /// Another connection bears the same client id.
    pub const SESSION_TAKEN_OVER: Self = Self(0x8E);
    /// Not a valid filter, or not one the door serves.
    pub const TOPIC_FILTER_INVALID: Self = Self(0x8F);
    /// Not a valid topic name.
    pub const TOPIC_NAME_INVALID: Self = Self(0x90);
    /// PUBREL or PUBREC of a packet id that is not in use.
    pub const PACKET_ID_NOT_FOUND: Self = Self(0x92);
    /// More unacknowledged PUBLISH packets than the receive maximum.
    pub const RECEIVE_MAXIMUM_EXCEEDED: Self = Self(0x93);
    /// A topic alias outside of what was offered.
    pub const TOPIC_ALIAS_INVALID: Self = Self(0x94);
    /// Longer than the maximum packet size.
    pub const PACKET_TOO_LARGE: Self = Self(0x95);
    /// A limit of the door is reached.
    pub const QUOTA_EXCEEDED: Self = Self(0x97);
    /// Closed by the operator: the login was disabled, removed or changed.
    pub const ADMINISTRATIVE_ACTION: Self = Self(0x98);
    /// Frames could not be kept, or the will of the operator.
    pub const IMPLEMENTATION_SPECIFIC: Self = Self(0x83);
    /// `$share` is not served.
    pub const SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: Self = Self(0x9E);

    /// Whether the code tells of a failure.
    pub const fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// The CONNACK return code of MQTT 3.1.1 (section 3.2.2.3).
    pub const fn connect_return_code(self) -> u8 {
        match self {
            Self::SUCCESS => 0,
            Self::UNSUPPORTED_PROTOCOL_VERSION => 1,
            Self::CLIENT_ID_INVALID => 2,
            Self::BAD_CREDENTIALS => 4,
            Self::NOT_AUTHORIZED => 5,
            _ => 3,
        }
    }
}
