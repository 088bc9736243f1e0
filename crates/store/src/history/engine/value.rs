//! What goes into a statement and what comes out of a row, without naming a
//! product: the shared SQL is written against these.

use nemeses_protocol::DeviceId;

use super::fault::Fault;

/// A value bound to a `?`.
#[derive(Clone, Copy, Debug)]
pub(in crate::history) enum Value<'a> {
    /// An unsigned number.
    Number(u64),
    /// A signed number (coordinates).
    Signed(i64),
    /// All 64 bits in use, ordered as unsigned. A product without unsigned
    /// 64-bit integers maps it so that the order stays.
    Hash(u64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Nothing, where a number may stand.
    NoNumber,
    /// Nothing, where bytes may stand.
    NoBytes,
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u8> for Value<'_> {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Number(flag.into())
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Self::Signed(number.into())
    }
}

impl From<DeviceId> for Value<'_> {
    fn from(device: DeviceId) -> Self {
        Self::Number(device.number().into())
    }
}

impl From<Option<DeviceId>> for Value<'_> {
    fn from(device: Option<DeviceId>) -> Self {
        device.map_or(Self::NoNumber, Self::from)
    }
}

impl From<Option<u32>> for Value<'_> {
    fn from(number: Option<u32>) -> Self {
        number.map_or(Self::NoNumber, Self::from)
    }
}

impl From<Option<u16>> for Value<'_> {
    fn from(number: Option<u16>) -> Self {
        number.map_or(Self::NoNumber, Self::from)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::NoBytes, Self::Bytes)
    }
}

/// A hash for a product without unsigned 64-bit integers: its top bit flipped, so
/// that signed order is the order of the hashes.
pub(in crate::history) const fn signed_hash(hash: u64) -> i64 {
    (hash ^ (1 << 63)).cast_signed()
}

/// A row read by column number.
pub(in crate::history) trait Fields {
    /// An unsigned number, `None` for NULL.
    fn number(&self, column: usize) -> Result<Option<u64>, Fault>;
    /// A signed number.
    fn signed(&self, column: usize) -> Result<i64, Fault>;
    /// All 64 bits, as written from [`Value::Hash`].
    fn hash(&self, column: usize) -> Result<u64, Fault>;
    /// Text.
    fn text(&self, column: usize) -> Result<String, Fault>;
    /// Bytes, `None` for NULL.
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, Fault>;

    /// An unsigned number that is there and fits.
    fn need<T: TryFrom<u64>>(&self, column: usize) -> Result<T, Fault> {
        self.maybe(column)?.ok_or_else(|| Fault::column(column, "is NULL"))
    }

    /// An unsigned number that fits, or NULL.
    fn maybe<T: TryFrom<u64>>(&self, column: usize) -> Result<Option<T>, Fault> {
        let number = self.number(column)?;
        number
            .map(|number| {
                T::try_from(number).map_err(|_| Fault::column(column, "holds too large a number"))
            })
            .transpose()
    }

    /// A signed number that fits.
    fn need_signed(&self, column: usize) -> Result<i32, Fault> {
        i32::try_from(self.signed(column)?)
            .map_err(|_| Fault::column(column, "holds too large a number"))
    }

    /// A device number, or NULL.
    fn device(&self, column: usize) -> Result<Option<DeviceId>, Fault> {
        Ok(self.maybe(column)?.map(DeviceId::new))
    }
}
