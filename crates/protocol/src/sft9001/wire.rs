//! The numbers of an SFT9001 frame, shared by the decoder and the encoder.
//! `docs/protocol.md` has the table they come from.

/// Begins every frame.
pub(crate) const HEADER: [u8; 2] = [0x50, 0xF7];
/// Ends every frame.
pub(crate) const FOOTER: [u8; 2] = [0x73, 0xC4];

/// Offset of the composition's high byte in a location frame.
pub(crate) const COMPOSITION_OFFSET: usize = 20;
/// Bit 14 of the composition, seen from its high byte.
pub(crate) const HISTORICAL_HIGH_BIT: u8 = 0x40;

/// The type of a heartbeat.
pub(crate) const TYPE_PING: u8 = 0x01;
/// The type of a location.
pub(crate) const TYPE_LOCATION: u8 = 0x02;

/// Header, device id and type.
pub(crate) const HEAD_BYTES: usize = 2 + 3 + 1;
/// A location frame without the extension.
pub(crate) const SHORT_LOCATION_BYTES: usize = 33;
/// A location frame with the extension.
pub(crate) const LONG_LOCATION_BYTES: usize = 35;
/// A ping without a payload.
pub(crate) const MIN_PING_BYTES: usize = HEAD_BYTES + FOOTER.len();
/// A ping's payload is at most this long.
pub(crate) const MAX_PING_PAYLOAD_BYTES: usize = 32;
/// The payload nearly every device sends.
pub(crate) const USUAL_PING_PAYLOAD: &[u8] = b"PING";

/// 1/100 degree.
pub(crate) const MAX_DIRECTION_CDEG: u16 = 36_000;
/// 1e-6 degree.
pub(crate) const MAX_LATITUDE_UDEG: u32 = 90_000_000;
/// 1e-6 degree.
pub(crate) const MAX_LONGITUDE_UDEG: u32 = 180_000_000;
