//! The channels of devices: a list a device that only grows. A channel gets its number
//! in a transaction of its own before the first commit that uses it, so a process that is
//! killed between the two leaves a channel without values, and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use nemeses_protocol::{DeviceId, Reading};

use super::Engine;
use super::fault::Fault;
use super::ladder::{NARROW, WIDE, rungs};
use super::plan::DAY_SECONDS;
use super::seam::{Product, Session, fixed, sql};
use super::sql::{insert, placeholders};
use super::value::{Fields, Value};
use super::work::Work;
use crate::hash::NumberHash;
use crate::history::channels::{
    Channel, ChannelKind, MAX_CHANNELS, MAX_CHANNELS_A_DAY, MAX_CHANNELS_FIRST_DAY,
};

const SELECT: &str = "SELECT channel, name, unit, kind, label, decimals, created_at_ms \
    FROM channels WHERE device = ? ORDER BY channel";
const SELECT_OF_MANY: &str = "SELECT channel, name, unit, kind, label, decimals, created_at_ms, \
    device FROM channels WHERE device";
/// Devices whose channels are read or made in one transaction.
const DEVICES_AT_ONCE: usize = 250;
const COLUMNS: &[&str] = &["device", "channel", "name", "unit", "kind", "created_at_ms"];
const SET_UNIT: &str =
    "UPDATE channels SET unit = ? WHERE device = ? AND channel = ? AND unit IS NULL";
/// Devices whose channels are remembered: 1 KiB each with ten of them.
const MAX_DEVICES: usize = 20_000;

/// A device's channels as far as one knows.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    by_name: HashMap<Box<str>, (u16, Option<Box<str>>)>,
    /// The days on which they came (Unix days), in the order of their numbers.
    days: Vec<u64>,
}

/// What is to be done so that a reading has a channel.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// It has this one.
    At(u16),
    /// It has this one, whose unit is not known yet.
    WithUnit(u16),
    /// It needs a new one of this name.
    New(Box<str>),
}

impl List {
    /// Adds the channel of the next number.
    fn add(&mut self, channel: Channel) {
        let unit = channel.unit.map(String::into_boxed_str);
        self.push(channel.number, channel.name.into(), unit, channel.created_at_ms);
    }

    /// Makes room for readings: returns the units of stored channels that had none, and adds to
    /// `added` the channels that are new.
    fn grow<'a>(&mut self, wanted: &Wanted<'a>, added: &mut Vec<Added<'a>>) -> Vec<(u16, &'a str)> {
        let (device, now_ms) = (wanted.device, wanted.now_ms);
        let (stored, first) = (self.days.len(), added.len());
        let mut room = self.room(day_of(now_ms));
        let mut units = Vec::new();
        for reading in &wanted.readings {
            match self.place(reading) {
                Place::WithUnit(number) => {
                    let unit = reading.unit.as_deref().unwrap_or_default();
                    if usize::from(number) < stored {
                        units.push((number, unit));
                    }
                    self.by_name.insert(reading.channel.clone(), (number, Some(unit.into())));
                }
                Place::New(name) if room > 0 => {
                    let number = u16::try_from(self.days.len()).unwrap_or(u16::MAX);
                    self.push(number, name.clone(), reading.unit.clone(), now_ms);
                    added.push(Added { device, number, name, unit: None, reading, now_ms });
                    room -= 1;
                }
                Place::At(_) | Place::New(_) => {}
            }
        }
        // A later reading may have brought the unit.
        for added in &mut added[first..] {
            added.unit = self.by_name.get(&added.name).and_then(|(_, unit)| unit.clone());
        }
        units
    }

    fn push(&mut self, number: u16, name: Box<str>, unit: Option<Box<str>>, created_at_ms: u64) {
        self.by_name.insert(name, (number, unit));
        self.days.push(day_of(created_at_ms));
    }

    /// Where a reading belongs.
    fn place(&self, reading: &Reading) -> Place {
        let Some((number, known)) = self.by_name.get(&reading.channel) else {
            return Place::New(reading.channel.clone());
        };
        match (&reading.unit, known) {
            (None, _) => Place::At(*number),
            (Some(unit), Some(known)) if unit == known => Place::At(*number),
            (Some(_), None) => Place::WithUnit(*number),
            // Another unit is another channel: values of both never mix.
            (Some(unit), Some(_)) => {
                let name = format!("{} [{unit}]", reading.channel);
                let known = self.by_name.get(name.as_str());
                known.map_or(Place::New(name.into()), |(number, _)| Place::At(*number))
            }
        }
    }

    /// The number of a reading's channel; `None` when it has none.
    pub(super) fn number(&self, reading: &Reading) -> Option<u16> {
        match self.place(reading) {
            Place::At(number) | Place::WithUnit(number) => Some(number),
            Place::New(_) => None,
        }
    }

    /// How many channels may still come on this day.
    fn room(&self, day: u64) -> usize {
        let in_all = MAX_CHANNELS - self.days.len().min(MAX_CHANNELS);
        let (of_day, most) = match self.days.first() {
            Some(first) if *first < day => {
                (self.days.iter().filter(|other| **other == day).count(), MAX_CHANNELS_A_DAY)
            }
            _ => (self.days.len(), MAX_CHANNELS_FIRST_DAY),
        };
        in_all.min(most.saturating_sub(of_day))
    }

    /// Whether a reading has its channel and the channel its unit, or there is no room.
    fn is_settled(&self, reading: &Reading, day: u64) -> bool {
        match self.place(reading) {
            Place::At(_) => true,
            Place::WithUnit(_) => false,
            Place::New(_) => self.room(day) == 0,
        }
    }
}

fn day_of(time_ms: u64) -> u64 {
    time_ms / 1000 / u64::from(DAY_SECONDS)
}

/// The lists that are remembered. Forgetting costs a read, nothing else.
#[derive(Default)]
pub(in crate::history) struct Lists(Mutex<HashMap<u32, Arc<List>, NumberHash>>);

impl Lists {
    fn get(&self, device: DeviceId) -> Option<Arc<List>> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(&device.number()).cloned()
    }

    /// Reads a device's channels anew the next time.
    pub(super) fn forget(&self, device: DeviceId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&device.number());
    }

    fn put(&self, device: DeviceId, list: List) -> Arc<List> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= MAX_DEVICES {
            lists.clear();
        }
        let list = Arc::new(list);
        lists.insert(device.number(), Arc::clone(&list));
        list
    }
}

/// A device, and readings of it that want channels.
pub(super) struct Wanted<'a> {
    pub(super) device: DeviceId,
    pub(super) readings: Vec<&'a Reading>,
    /// The first arrival of them.
    pub(super) now_ms: u64,
}

/// Gives channels to the readings of devices that have none, as far as there is room. All
/// devices of a commit at once: after a start none of them is known.
struct Extend<'a>(&'a [&'a Wanted<'a>]);

/// A channel that is new.
struct Added<'a> {
    device: DeviceId,
    number: u16,
    name: Box<str>,
    unit: Option<Box<str>>,
    reading: &'a Reading,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Extend<'_> {
    /// In the order of the devices.
    type Output = Vec<List>;

    async fn run(&self, session: &mut P::Session) -> Result<Vec<List>, Fault> {
        let mut lists: Vec<List> = self.0.iter().map(|_| List::default()).collect();
        let places: HashMap<u32, usize> =
            self.0.iter().enumerate().map(|(at, wanted)| (wanted.device.number(), at)).collect();
        for wanted in rungs(self.0, NARROW) {
            let values: Vec<Value<'_>> = wanted.iter().map(|it| it.device.into()).collect();
            let text = format!(
                "{SELECT_OF_MANY} IN ({}) ORDER BY device, channel",
                placeholders(values.len())
            );
            for row in session.rows(sql(text), &values).await? {
                if let Some(place) = places.get(&row.need(7)?) {
                    lists[*place].add(channel_of(&row)?);
                }
            }
        }
        let mut added = Vec::new();
        for (wanted, list) in self.0.iter().zip(&mut lists) {
            for (number, unit) in list.grow(wanted, &mut added) {
                let values = [unit.into(), wanted.device.into(), number.into()];
                session.execute(fixed(SET_UNIT), &values).await?;
            }
        }
        for added in rungs(&added, WIDE) {
            let values: Vec<Value<'_>> = added.iter().flat_map(Added::values).collect();
            let text = insert("channels", COLUMNS, added.len());
            session.execute(sql(text), &values).await.map_err(Fault::lost_race)?;
        }
        Ok(lists)
    }
}

impl Added<'_> {
    /// In the order of [`COLUMNS`].
    fn values(&self) -> [Value<'_>; 6] {
        [
            self.device.into(),
            self.number.into(),
            Value::Text(&self.name),
            text_or_null(self.unit.as_deref()),
            ChannelKind::of(&self.reading.value).word().into(),
            self.now_ms.into(),
        ]
    }
}

impl<P: Product> Engine<P> {
    /// The channels of devices, with one for each of the readings as far as there is room.
    pub(super) async fn channels_for(
        &self,
        wanted: &[Wanted<'_>],
    ) -> Result<Vec<Arc<List>>, Fault> {
        let settled = |wanted: &Wanted<'_>| {
            let day = day_of(wanted.now_ms);
            let list = self.lists.get(wanted.device)?;
            wanted.readings.iter().all(|reading| list.is_settled(reading, day)).then_some(list)
        };
        let mut lists: Vec<Option<Arc<List>>> = wanted.iter().map(settled).collect();
        let open: Vec<usize> =
            lists.iter().enumerate().filter(|(_, list)| list.is_none()).map(|(at, _)| at).collect();
        for at_once in open.chunks(DEVICES_AT_ONCE) {
            let of_these: Vec<&Wanted<'_>> = at_once.iter().map(|at| &wanted[*at]).collect();
            let grown = self.transact(Extend(&of_these)).await?;
            for (at, list) in at_once.iter().zip(grown) {
                lists[*at] = Some(self.lists.put(wanted[*at].device, list));
            }
        }
        Ok(lists.into_iter().flatten().collect())
    }

    pub(super) async fn list_of(&self, device: DeviceId) -> Result<Vec<Channel>, Fault> {
        let rows = self.product.rows(fixed(SELECT), &[device.into()]).await?;
        rows.iter().map(channel_of).collect()
    }
}

fn channel_of(row: &impl Fields) -> Result<Channel, Fault> {
    Ok(Channel {
        number: row.need(0)?,
        name: row.text(1)?,
        unit: optional_text(row, 2)?,
        kind: row.text(3)?.parse().map_err(|_| Fault::column(3, "is no kind of channel"))?,
        label: optional_text(row, 4)?,
        decimals: row.maybe(5)?,
        created_at_ms: row.need(6)?,
        derivation: None,
    })
}

/// A text that may be absent.
pub(super) fn optional_text(row: &impl Fields, column: usize) -> Result<Option<String>, Fault> {
    let text = row.bytes(column)?.map(String::from_utf8).transpose();
    text.map_err(|_| Fault::column(column, "is no text"))
}

pub(super) fn text_or_null(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::NoBytes, Value::Text)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::Value as Measured;

    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn reading(name: &str, unit: Option<&str>) -> Reading {
        Reading { channel: name.into(), unit: unit.map(Into::into), value: Measured::Integer(1) }
    }

    fn list(channels: &[(&str, Option<&str>, u64)]) -> List {
        let mut list = List::default();
        for (number, (name, unit, day)) in (0..).zip(channels) {
            list.push(number, (*name).into(), unit.map(Into::into), day * DAY_MS);
        }
        list
    }

    #[test]
    fn another_unit_is_another_channel() {
        let list = list(&[("a", Some("Cel"), 0), ("b", None, 0), ("a [degF]", Some("degF"), 0)]);
        for (name, unit, place) in [
            ("a", None, Place::At(0)),
            ("a", Some("Cel"), Place::At(0)),
            ("a", Some("degF"), Place::At(2)),
            ("a", Some("K"), Place::New("a [K]".into())),
            ("b", None, Place::At(1)),
            ("b", Some("V"), Place::WithUnit(1)),
            ("c", Some("V"), Place::New("c".into())),
        ] {
            assert_eq!(list.place(&reading(name, unit)), place, "{name} {unit:?}");
        }
    }

    #[test]
    fn a_device_gets_so_many_channels_a_day_and_in_all() {
        let of = |days: Vec<u64>| List { days, ..List::default() };
        assert_eq!(of(vec![]).room(5), 256);
        assert_eq!(of(vec![5; 200]).room(5), 56);
        assert_eq!(of(vec![5; 256]).room(5), 0);
        assert_eq!(of(vec![5; 256]).room(6), 64);
        assert_eq!(of([vec![5; 3], vec![6; 60]].concat()).room(6), 4);
        assert_eq!(of([vec![5; 3], vec![6; 60]].concat()).room(7), 64);
        assert_eq!(of(vec![5; 1000]).room(9), 24);
        assert_eq!(of(vec![5; 1024]).room(9), 0);
    }
}
