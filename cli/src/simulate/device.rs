//! What one tracker records and sends: a pure function of seed, number and
//! simulated time.

use nemeses_protocol::{Composition, DeviceId, Position, Protocol as _, Sft9001};

use super::fault::{Fault, micro, wrapped};
use super::world::{Dice, PATTERNS, Place, World, home};

/// 2026-01-01T00:00:00Z: odometers stand at their first reading then.
const EPOCH_S: i64 = 1_767_225_600;
/// Frames in one message when a tracker empties its memory.
pub(super) const BURST_FRAMES: usize = 100;
/// Seconds between two pings.
const PING_EVERY_S: u64 = 120;

/// What the trackers speak.
pub(super) type Spoken = Sft9001;

/// One MQTT message of a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) device: DeviceId,
    pub(super) kind: Kind,
    /// The frames end to end, raw; all of one length.
    pub(super) bytes: Vec<u8>,
    pub(super) frames: usize,
}

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ping,
    Locations,
}

impl Message {
    /// The frames one by one.
    pub(super) fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.bytes.len() / self.frames.max(1))
    }

    /// Marks all frames as sent from memory; pings have no such mark.
    pub(super) fn mark_historical(&mut self) {
        if self.kind == Kind::Ping {
            return;
        }
        let length = self.bytes.len() / self.frames.max(1);
        self.bytes.chunks_mut(length).for_each(Spoken::mark_historical);
    }

    /// Takes another message's frames in, when it is of the same tracker and
    /// kind and there is room.
    pub(super) fn absorb(&mut self, other: &Self) -> bool {
        let fits = self.device == other.device
            && self.kind == Kind::Locations
            && other.kind == Kind::Locations
            && self.frames + other.frames <= BURST_FRAMES;
        if fits {
            self.bytes.extend_from_slice(&other.bytes);
            self.frames += other.frames;
        }
        fits
    }
}

/// One tracker.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) id: DeviceId,
    seed: u64,
    fault: Option<Fault>,
    home: Place,
    pattern: usize,
    /// Its own place in the cycle of its pattern.
    shift_s: u32,
    odometer_m: u32,
    hour_meter_min: u32,
    /// Sends the long form.
    extension: Option<u16>,
    ping_shift_s: u32,
    /// Every so often the tracker has no network for a while.
    gap_every_s: u32,
    gap_s: u32,
    gap_shift_s: u32,
}

impl Device {
    pub(super) fn new(seed: u64, id: DeviceId, fault: Option<Fault>) -> Self {
        let dice = &mut Dice::new(seed, u64::from(id.number()));
        let gap_every_s = 3_600 + dice.below(7_200);
        let home = home(dice);
        Self {
            id,
            seed,
            fault,
            home: fault.and_then(Fault::home).unwrap_or(home),
            pattern: usize::try_from(dice.below(64)).unwrap_or(0) % PATTERNS,
            shift_s: dice.below(1_000_000),
            odometer_m: 5_000_000 + dice.below(300_000_000),
            hour_meter_min: 10_000 + dice.below(600_000),
            extension: (dice.below(4) == 0).then_some(0x8400),
            ping_shift_s: dice.below(120),
            gap_every_s,
            gap_s: 120 + dice.below(600),
            gap_shift_s: dice.below(gap_every_s),
        }
    }

    /// What the tracker records at a second: always the same for the same second.
    pub(super) fn position(&self, world: &World, at_s: u32) -> Position {
        let healthy = |at_s| self.healthy(world, at_s);
        let mut position = match self.fault {
            None => healthy(at_s),
            Some(fault) => {
                let of_device = self.seed.wrapping_add(u64::from(self.id.number()));
                fault.distort(at_s, &mut Dice::new(of_device, u64::from(at_s)), healthy)
            }
        };
        if position.latitude_udeg < 0 {
            position.composition.0 |= Composition::LATITUDE_NEGATIVE;
        }
        if position.longitude_udeg < 0 {
            position.composition.0 |= Composition::LONGITUDE_NEGATIVE;
        }
        position
    }

    /// What it would record if nothing were wrong with it.
    fn healthy(&self, world: &World, at_s: u32) -> Position {
        let since_s = i64::from(at_s) - EPOCH_S;
        let motion = world.motion(self.pattern, since_s + i64::from(self.shift_s));
        let first = world.motion(self.pattern, i64::from(self.shift_s));
        let spot = world.spot(self.pattern, self.home, motion.driven_m);
        let mut composition = 0;
        if spot.fix {
            composition |= Composition::GPS_FIX;
        }
        if motion.ignition {
            composition |= Composition::IGNITION;
        }
        Position {
            device: self.id,
            recorded_at: at_s,
            direction_cdeg: spot.direction_cdeg,
            odometer_m: meter(self.odometer_m, motion.driven_m - first.driven_m),
            hour_meter_min: meter(self.hour_meter_min, minutes(motion.on_s - first.on_s)),
            composition: Composition(composition),
            extension: self.extension,
            speed_kmh: whole(motion.speed_ms * 3.6),
            latitude_udeg: micro(spot.place.latitude),
            longitude_udeg: micro(wrapped(spot.place.longitude)),
        }
    }

    /// Whether it records anything then.
    fn records(&self, at_s: u32) -> bool {
        !self.fault.is_some_and(|fault| fault.is_silent(at_s))
    }

    /// Whether the tracker has network then.
    fn linked(&self, at_s: u32) -> bool {
        let into = (u64::from(at_s) + u64::from(self.gap_shift_s)) % u64::from(self.gap_every_s);
        into >= u64::from(self.gap_s)
    }

    /// Appends what the tracker sends at a second of its `schedule`: a ping when
    /// one is due, after a gap the memory in large messages, and the frame of now.
    pub(super) fn send(
        &self,
        world: &World,
        schedule: &Schedule,
        index: u32,
        round: u64,
        out: &mut Vec<Message>,
    ) {
        let now_s = schedule.second(index, round);
        if !self.linked(now_s) || !self.records(now_s) {
            return;
        }
        let before_s = round.checked_sub(1).map(|before| schedule.second(index, before));
        let ping_number =
            |at_s: u32| (u64::from(at_s) + u64::from(self.ping_shift_s)) / PING_EVERY_S;
        if before_s.is_none_or(|before_s| ping_number(before_s) != ping_number(now_s)) {
            let mut bytes = Vec::with_capacity(12);
            Spoken::write_heartbeat(self.id, &mut bytes);
            out.push(Message { device: self.id, kind: Kind::Ping, bytes, frames: 1 });
        }
        let kept = (0..round)
            .rev()
            .map(|earlier| schedule.second(index, earlier))
            .take_while(|&at_s| !self.linked(at_s) || !self.records(at_s))
            .filter(|&at_s| self.records(at_s))
            .collect::<Vec<_>>();
        for part in kept.rchunks(BURST_FRAMES) {
            let seconds = part.iter().rev().copied();
            let mut message = self.locations(world, seconds);
            message.mark_historical();
            out.push(message);
        }
        out.push(self.locations(world, std::iter::once(now_s)));
    }

    fn locations(&self, world: &World, seconds: impl Iterator<Item = u32>) -> Message {
        let mut message = Message {
            device: self.id,
            kind: Kind::Locations,
            bytes: Vec::with_capacity(35),
            frames: 0,
        };
        for at_s in seconds {
            let written = Spoken::write(&self.position(world, at_s), &mut message.bytes);
            message.frames += usize::from(written);
        }
        message
    }
}

/// When trackers record: each once a round, spread evenly over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Unix seconds of the first frame of all.
    pub(super) start_s: u32,
    pub(super) interval_s: u32,
    pub(super) devices: u32,
}

impl Schedule {
    /// The second at which a tracker records in a round.
    pub(super) fn second(&self, index: u32, round: u64) -> u32 {
        let shift = u64::from(index) * u64::from(self.interval_s) / u64::from(self.devices);
        let since = round.saturating_mul(u64::from(self.interval_s)).saturating_add(shift);
        u32::try_from(u64::from(self.start_s).saturating_add(since)).unwrap_or(u32::MAX)
    }
}

fn minutes(seconds: i64) -> f64 {
    i32::try_from(seconds / 60).map_or(0.0, f64::from)
}

/// A meter that stands at `first` at the epoch, and never below zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` from a float saturates, as a meter at its end does"
)]
fn meter(first: u32, since: f64) -> u32 {
    (f64::from(first) + since).floor() as u32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "speeds end at 27 m/s, 98 km/h"
)]
fn whole(kmh: f64) -> u8 {
    kmh.round() as u8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nemeses_protocol::{Frame, Item, encode_location, frames};
    use proptest::prelude::*;

    use super::*;

    const NOW_S: u32 = 1_783_000_000;

    fn messages(seed: u64, number: u32, schedule: &Schedule, rounds: u64) -> Vec<Message> {
        let world = World::new(seed);
        let device = Device::new(seed, DeviceId::new(number), None);
        let mut out = Vec::new();
        for round in 0..rounds {
            device.send(&world, schedule, 0, round, &mut out);
        }
        out
    }

    fn positions(message: &Message) -> Vec<Position> {
        let read = |bytes| match frames(bytes).collect::<Vec<_>>()[..] {
            [Item::Frame { frame: Frame::Location(position), .. }] => position,
            ref other => panic!("{other:?}"),
        };
        message.each().map(read).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn frames_follow_from_seed_device_and_time(
            seed: u64,
            number in 0..=DeviceId::MAX_SFT9001,
            at_s in 1_500_000_000_u32..2_000_000_000,
        ) {
            let device = DeviceId::new(number);
            let first = Device::new(seed, device, None).position(&World::new(seed), at_s);
            let again = Device::new(seed, device, None).position(&World::new(seed), at_s);
            prop_assert_eq!(first, again);
            let mut bytes = Vec::new();
            encode_location(&first, &mut bytes);
            let Some(Item::Frame { frame: Frame::Location(read), .. }) = frames(&bytes).next()
            else {
                return Err(TestCaseError::fail("no frame"));
            };
            prop_assert_eq!(read, first);
        }

        #[test]
        fn every_recorded_second_is_sent_once_and_in_order_of_meters(
            seed: u64,
            number in 0..=DeviceId::MAX_SFT9001,
            interval_s in 1_u32..200,
        ) {
            let schedule = Schedule { start_s: NOW_S, interval_s, devices: 1 };
            let rounds = 20_000 / u64::from(interval_s);
            let mut recorded = BTreeMap::new();
            for message in messages(seed, number, &schedule, rounds) {
                prop_assert!(message.frames <= BURST_FRAMES);
                if message.kind == Kind::Ping {
                    continue;
                }
                for position in positions(&message) {
                    prop_assert_eq!(position.device.number(), number);
                    let second = position.recorded_at;
                    prop_assert_eq!(recorded.insert(second, position), None);
                }
            }
            // All but the gap that may be open at the end: 720 s at most.
            let open = u64::from(720 / interval_s + 1);
            let first = recorded.keys().next().copied();
            prop_assert!(rounds - recorded.len() as u64 <= open);
            prop_assert_eq!(first, Some(NOW_S));
            let meters = |position: &Position| (position.odometer_m, position.hour_meter_min);
            let meters: Vec<_> = recorded.values().map(meters).collect();
            prop_assert!(meters.is_sorted_by_key(|meters| meters.0));
            prop_assert!(meters.is_sorted_by_key(|meters| meters.1));
        }
    }

    #[test]
    fn a_gap_ends_with_a_burst_of_historical_frames() {
        let schedule = Schedule { start_s: NOW_S, interval_s: 5, devices: 1 };
        let sent = messages(1, 0x50_0000, &schedule, 2_500);
        let bursts: Vec<&Message> = sent.iter().filter(|message| message.frames > 1).collect();
        assert!(!bursts.is_empty());
        for message in bursts {
            let read = positions(message);
            assert!(read.iter().all(|position| position.composition.historical()));
            assert!(read.is_sorted_by_key(|position| position.recorded_at));
        }
        let live = sent.iter().filter(|message| message.frames == 1 && message.kind != Kind::Ping);
        let live: Vec<Position> = live.flat_map(positions).collect();
        assert!(live.iter().all(|position| !position.composition.historical()), "{live:?}");
    }

    #[test]
    fn pings_come_every_two_minutes() {
        let schedule = Schedule { start_s: NOW_S, interval_s: 10, devices: 1 };
        let sent = messages(1, 0x50_0001, &schedule, 720);
        let pings = sent.iter().filter(|message| message.kind == Kind::Ping).count();
        // Two hours: 60, one more at the start, fewer for gaps (two at most, of 12 minutes).
        assert!((47..=61).contains(&pings), "{pings}");
    }

    #[test]
    fn marking_changes_bit_14_alone() {
        let world = World::new(1);
        let device = Device::new(1, DeviceId::new(0x50_0002), None);
        let live = device.locations(&world, [NOW_S, NOW_S + 1].into_iter());
        let mut marked = live.clone();
        marked.mark_historical();
        for (live, marked) in positions(&live).into_iter().zip(positions(&marked)) {
            assert!(marked.composition.historical() && !live.composition.historical());
            assert_eq!(marked.odometer_m, live.odometer_m);
        }
        let hashes = |message: &Message| -> Vec<u64> {
            message.each().map(nemeses_protocol::frame_hash).collect()
        };
        assert_eq!(hashes(&live), hashes(&marked));
    }

    #[test]
    fn rounds_are_spread_over_the_interval() {
        let schedule = Schedule { start_s: 100, interval_s: 10, devices: 4 };
        let seconds: Vec<u32> = (0..4).map(|index| schedule.second(index, 1)).collect();
        assert_eq!(seconds, [110, 112, 115, 117]);
    }
}
