//! A device's state as bytes. The first byte is the version of what follows; numbers are LEB128.

use std::collections::VecDeque;

use crate::datum::Datum;
use crate::device::{DeviceState, Entry};
use crate::geo::Point;
use crate::lane::{Lane, Track};
use crate::machine::{Machine, Phase};
use crate::memory::{Memory, Seen, Slot, Window};
use crate::name::{Field, Name};

const VERSION: u8 = 1;

/// The bytes are not a state that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored state of a device's rules cannot be read by this version")]
pub struct StateError;

/// The bytes of a state.
pub fn encode_state(state: &DeviceState) -> Vec<u8> {
    let mut out = Out(vec![VERSION]);
    out.number(state.heard_ms);
    out.track(&state.live);
    out.flag(state.late.is_some());
    if let Some(late) = &state.late {
        out.track(late);
    }
    out.count(state.rules.len());
    for (id, entry) in &state.rules {
        out.number(*id);
        out.number(entry.version.into());
        out.number(entry.episodes.into());
        out.lane(&entry.live);
        out.lane(&entry.late);
    }
    out.0
}

/// Reads a state.
///
/// # Errors
/// They are of a later version, or damaged.
pub fn decode_state(bytes: &[u8]) -> Result<DeviceState, StateError> {
    let mut bytes = In(bytes);
    let state = bytes.state().ok_or(StateError)?;
    if bytes.0.is_empty() { Ok(state) } else { Err(StateError) }
}

struct Out(Vec<u8>);

impl Out {
    fn number(&mut self, mut number: u64) {
        loop {
            let low = u8::try_from(number & 0x7f).unwrap_or_default();
            number >>= 7;
            if number == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    fn count(&mut self, count: usize) {
        self.number(u64::try_from(count).unwrap_or(u64::MAX));
    }

    fn flag(&mut self, flag: bool) {
        self.0.push(flag.into());
    }

    fn double(&mut self, number: f64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn track(&mut self, track: &Track) {
        self.number(track.at_ms);
        self.0.extend_from_slice(&track.hash.to_le_bytes());
        self.number(track.received_ms);
        self.flag(track.place.is_some());
        if let Some((at_ms, place)) = track.place {
            self.number(at_ms);
            self.double(place.latitude);
            self.double(place.longitude);
        }
        self.memory(&track.memory);
    }

    fn memory(&mut self, memory: &Memory) {
        self.count(memory.seen.len());
        for (name, seen) in &memory.seen {
            self.name(name);
            self.number(seen.at_ms);
            self.datum(&seen.value);
            self.flag(seen.before.is_some());
            if let Some((at_ms, number)) = seen.before {
                self.number(at_ms);
                self.double(number);
            }
        }
        self.count(memory.windows.len());
        for ((name, window_ms), window) in &memory.windows {
            self.name(name);
            self.number(*window_ms);
            self.count(window.0.len());
            for slot in &window.0 {
                self.number(slot.number);
                self.double(slot.sum);
                self.number(slot.count.into());
            }
        }
    }

    fn name(&mut self, name: &Name) {
        match name {
            Name::Field(field) => self.0.push(*field as u8),
            Name::Channel(channel) => {
                self.0.push(0);
                self.text(channel);
            }
        }
    }

    fn datum(&mut self, datum: &Datum) {
        match datum {
            Datum::Number(number) => {
                self.0.push(0);
                self.double(*number);
            }
            Datum::Flag(flag) => self.0.push(1 + u8::from(*flag)),
            Datum::Text(text) => {
                self.0.push(3);
                self.text(text);
            }
        }
    }

    fn lane(&mut self, lane: &Lane) {
        let (phase, since_ms) = match lane.machine.phase {
            Phase::Inactive => (0, 0),
            Phase::Pending { since_ms } => (1, since_ms),
            Phase::Firing => (2, 0),
            Phase::Recovering { since_ms } => (3, since_ms),
            Phase::NoData { open: false } => (4, 0),
            Phase::NoData { open: true } => (5, 0),
        };
        let flag = |flag: bool, bit: u8| u8::from(flag) << bit;
        let flags = flag(lane.machine.armed, 3) | flag(lane.notified, 4) | flag(lane.was_in, 5);
        self.0.push(phase | flags);
        self.number(since_ms);
        self.number(lane.machine.heard_ms);
        self.number(lane.episode.into());
    }
}

struct In<'a>(&'a [u8]);

impl In<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return None;
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// A count of elements, each of which has at least one byte.
    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= self.0.len())
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn eight(&mut self) -> Option<[u8; 8]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn double(&mut self) -> Option<f64> {
        self.eight().map(f64::from_le_bytes).filter(|number| !number.is_nan())
    }

    fn text(&mut self) -> Option<Box<str>> {
        let length = self.count()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        str::from_utf8(text).ok().map(Into::into)
    }

    fn state(&mut self) -> Option<DeviceState> {
        if self.byte()? != VERSION {
            return None;
        }
        let heard_ms = self.number()?;
        let live = self.track()?;
        let late = if self.flag()? { Some(self.track()?) } else { None };
        let mut state = DeviceState { heard_ms, live, late, ..DeviceState::default() };
        for _ in 0..self.count()? {
            let id = self.number()?;
            let (version, episodes) = (self.small()?, self.small()?);
            let entry = Entry { version, episodes, live: self.lane()?, late: self.lane()? };
            state.rules.insert(id, entry);
        }
        Some(state)
    }

    fn track(&mut self) -> Option<Track> {
        let at_ms = self.number()?;
        let hash = u64::from_le_bytes(self.eight()?);
        let received_ms = self.number()?;
        let place = if self.flag()? {
            Some((self.number()?, Point::new(self.double()?, self.double()?)))
        } else {
            None
        };
        Some(Track { at_ms, hash, received_ms, place, memory: self.memory()? })
    }

    fn memory(&mut self) -> Option<Memory> {
        let mut memory = Memory::default();
        for _ in 0..self.count()? {
            let name = self.name()?;
            let (at_ms, value) = (self.number()?, self.datum()?);
            let before = if self.flag()? { Some((self.number()?, self.double()?)) } else { None };
            memory.seen.insert(name, Seen { at_ms, value, before });
        }
        for _ in 0..self.count()? {
            let key = (self.name()?, self.number()?);
            let mut slots = VecDeque::new();
            for _ in 0..self.count()? {
                let number = self.number()?;
                slots.push_back(Slot { number, sum: self.double()?, count: self.small()? });
            }
            memory.windows.insert(key, Window(slots));
        }
        Some(memory)
    }

    fn name(&mut self) -> Option<Name> {
        match self.byte()? {
            0 => self.text().map(Name::Channel),
            number => Field::from_number(number).map(Name::Field),
        }
    }

    fn datum(&mut self) -> Option<Datum> {
        match self.byte()? {
            0 => self.double().map(Datum::Number),
            1 => Some(Datum::Flag(false)),
            2 => Some(Datum::Flag(true)),
            3 => self.text().map(Datum::Text),
            _ => None,
        }
    }

    fn lane(&mut self) -> Option<Lane> {
        let byte = self.byte()?;
        let since_ms = self.number()?;
        let phase = match byte & 7 {
            0 => Phase::Inactive,
            1 => Phase::Pending { since_ms },
            2 => Phase::Firing,
            3 => Phase::Recovering { since_ms },
            4 => Phase::NoData { open: false },
            5 => Phase::NoData { open: true },
            _ => return None,
        };
        let machine = Machine { phase, armed: byte & 8 != 0, heard_ms: self.number()? };
        let episode = self.small()?;
        Some(Lane { machine, episode, notified: byte & 16 != 0, was_in: byte & 32 != 0 })
    }
}
