//! Named channels of devices and their readings, and the numbers of devices that are
//! known by a name.

use std::pin::Pin;
use std::str::FromStr;

use async_trait::async_trait;
use futures_util::Stream;
use nemeses_protocol::{DeviceId, Identity, Unpacked, Value};

use super::derived::{Derivation, Derived};
use crate::StoreError;

/// Channels that a device may have in all.
pub const MAX_CHANNELS: usize = 1024;
/// Channels that it may have by the end of the day of its first one (UTC).
pub const MAX_CHANNELS_FIRST_DAY: usize = 256;
/// Channels that it may get on any later day.
pub const MAX_CHANNELS_A_DAY: usize = 64;
/// The first number that is given to a device with a name.
pub const FIRST_GIVEN_NUMBER: u32 = DeviceId::MAX_SFT9001 + 1;

/// How the values of a channel belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// A measurement that goes up and down.
    Gauge,
    /// A count that only grows, and begins at 0 again when its device does.
    Counter,
    /// A sum that a correction may lower.
    Total,
    /// One of some states, a flag among them.
    State,
    /// Free text.
    Text,
    /// Something that happened at that moment.
    Event,
}

impl ChannelKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Gauge, Self::Counter, Self::Total, Self::State, Self::Text, Self::Event];

    /// The word in tables and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Total => "total",
            Self::State => "state",
            Self::Text => "text",
            Self::Event => "event",
        }
    }

    /// What a channel is taken for by its first value.
    pub const fn of(value: &Value) -> Self {
        match value {
            Value::Flag(_) => Self::State,
            Value::Integer(_) | Value::Number(_) => Self::Gauge,
            Value::Text(_) => Self::Text,
        }
    }
}

/// The text is no kind of channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a channel's kind is gauge, counter, total, state, text or event")]
pub struct NoChannelKind;

impl FromStr for ChannelKind {
    type Err = NoChannelKind;

    fn from_str(word: &str) -> Result<Self, NoChannelKind> {
        Self::ALL.into_iter().find(|kind| kind.word() == word).ok_or(NoChannelKind)
    }
}

/// A channel of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its place in the device's list, which only grows.
    pub number: u16,
    /// Its name. One whose unit differs from that of the first channel of this name
    /// bears the unit behind it: `temperature [degF]`.
    pub name: String,
    /// UCUM, once a reading or a person told it.
    pub unit: Option<String>,
    /// How its values belong together.
    pub kind: ChannelKind,
    /// What people call it.
    pub label: Option<String>,
    /// Digits behind the point that are shown; `None` for as many as there are.
    pub decimals: Option<u8>,
    /// When its first value arrived, Unix milliseconds.
    pub created_at_ms: u64,
    /// Of a derived channel: what it is computed from. Its number is then the source's.
    pub derivation: Option<Derivation>,
}

impl Channel {
    /// What the channel says where its record holds this value.
    pub fn read(&self, value: &Value) -> Option<Value> {
        match &self.derivation {
            Some(derivation) => derivation.read(value),
            None => Some(value.clone()),
        }
    }
}

/// What a record says of each channel, derived ones included.
pub fn named_values<'l>(list: &'l [Channel], values: &Unpacked) -> Vec<(&'l str, Value)> {
    let read = |channel: &'l Channel| {
        let (_, value) = values.iter().find(|(number, _)| *number == channel.number)?;
        Some((channel.name.as_str(), channel.read(value)?))
    };
    list.iter().filter_map(read).collect()
}

/// What a person says of a channel; each part that is `Some` is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelChange {
    /// See [`Channel::unit`].
    pub unit: Option<Option<String>>,
    /// See [`Channel::kind`].
    pub kind: Option<ChannelKind>,
    /// See [`Channel::label`].
    pub label: Option<Option<String>>,
    /// See [`Channel::decimals`].
    pub decimals: Option<Option<u8>>,
}

/// A derived channel as it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDerived {
    /// Its name, which no channel of the device's own has.
    pub name: String,
    /// What it is computed from.
    pub derivation: Derivation,
    /// See [`Channel::unit`].
    pub unit: Option<String>,
    /// See [`Channel::kind`].
    pub kind: ChannelKind,
    /// See [`Channel::label`].
    pub label: Option<String>,
    /// See [`Channel::decimals`].
    pub decimals: Option<u8>,
}

/// Which records of one device are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingsQuery {
    /// Whose.
    pub device: DeviceId,
    /// First moment, Unix milliseconds, inclusive.
    pub from_ms: u64,
    /// Last moment, inclusive.
    pub to_ms: u64,
    /// Newest first.
    pub descending: bool,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReadings {
    /// See [`nemeses_protocol::ReadingsRecord::recorded_at_ms`].
    pub recorded_at_ms: u64,
    /// See [`nemeses_protocol::ReadingsRecord::content_hash`].
    pub content_hash: u64,
    /// See [`nemeses_protocol::ReadingsRecord::received_at_ms`].
    pub received_at_ms: u64,
    /// See [`nemeses_protocol::ReadingsRecord::timeless`].
    pub timeless: bool,
    /// Channels' numbers in their order, with the values.
    pub values: Unpacked,
}

impl StoredReadings {
    /// What it says of a channel.
    pub fn value(&self, channel: u16) -> Option<&Value> {
        let at = self.values.binary_search_by_key(&channel, |(number, _)| *number);
        at.ok().map(|at| &self.values[at].1)
    }
}

/// Records in time order, read as they are consumed.
pub type ReadingsStream<'a> =
    Pin<Box<dyn Stream<Item = Result<StoredReadings, StoreError>> + Send + 'a>>;

/// The channels of devices and their readings.
#[async_trait]
pub trait Channels: Send + Sync {
    /// A device's channels in the order of their numbers, then those that are derived.
    async fn channels(&self, device: DeviceId) -> Result<Vec<Channel>, StoreError>;

    /// Changes what is said of a channel; `false` when there is none of this name.
    async fn describe(
        &self,
        device: DeviceId,
        name: &str,
        change: &ChannelChange,
    ) -> Result<bool, StoreError>;

    /// Makes a derived channel, or changes the one of this name.
    async fn derive(
        &self,
        device: DeviceId,
        new: &NewDerived,
        now_ms: u64,
    ) -> Result<Derived, StoreError>;

    /// Removes a derived channel; `false` when there is none of this name.
    async fn underive(&self, device: DeviceId, name: &str) -> Result<bool, StoreError>;

    /// A device's records in time order (time, then hash).
    fn readings(&self, query: ReadingsQuery) -> ReadingsStream<'_>;
}

/// Which device has which number. A number is given once and for all.
#[async_trait]
pub trait Identities: Send + Sync {
    /// The numbers of identities, in their order; new ones for those that have none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there are no numbers left.
    async fn give_numbers(
        &self,
        identities: &[Identity],
        now_ms: u64,
    ) -> Result<Vec<DeviceId>, StoreError>;

    /// The number of an identity, if it has one.
    async fn number_of(&self, identity: &Identity) -> Result<Option<DeviceId>, StoreError>;

    /// The named devices behind `after`, in order of number.
    async fn named_after(
        &self,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<(DeviceId, Identity)>, StoreError>;
}
