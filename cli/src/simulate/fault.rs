//! Faults that real trackers have, so that anyone can see what the reports and the page
//! make of them. Each changes what a healthy tracker would record at a second, and is a
//! pure function of seed, device and second like everything else here.

use clap::ValueEnum;
use nemeses_protocol::{Composition, Position};

use super::world::{Dice, METRES_A_DEGREE, Place};

/// Of so many frames one is wrong, where a fault strikes now and then.
const ONE_IN: u32 = 40;
/// How far a fix that was reflected by a building is off, in metres north and east.
const TELEPORT_M: f64 = 3_600.0;
/// Where a stale fix comes from.
const STALE_S: u32 = 600;
/// How far ahead a clock runs.
const AHEAD_S: u32 = 12 * 3600;
/// How far back the last movement is looked for: parking ends within 45 minutes.
const LOOK_BACK_S: u32 = 3600;
/// Of each half hour, the seconds whose frames are sent live, where all else comes from
/// memory.
const LIVE_EVERY_S: u32 = 1800;
const LIVE_S: u32 = 10;
/// Of three hours, the seconds of which nothing is recorded: more than reports bridge.
const SILENCE_EVERY_S: u32 = 3 * 3600;
const SILENCE_S: u32 = 70 * 60;
/// An odometer that counts one metre of so many.
const CREEPING: u32 = 1000;
/// What an odometer shows that does not count.
const STANDING_M: u32 = 123_456;
/// Fiji, where the 180th meridian crosses land.
const ON_THE_DATE_LINE: Place = Place { latitude: -16.8, longitude: 180.0 };

/// What is wrong with a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Standing, the receiver wanders by some 30 m, and now and then by up to 600 m
    Jitter,
    /// After a halt the receiver repeats the last speed it had
    StuckSpeed,
    /// Now and then a standing vehicle reports 255 km/h for one frame
    SpeedSpike,
    /// Now and then a fix is at latitude 0, longitude 0
    ZeroIsland,
    /// Now and then a fix is 5 km off
    Teleport,
    /// Now and then a fix is that of ten minutes before
    StaleFix,
    /// Now and then a frame is dated twelve hours ahead
    ClockAhead,
    /// The odometer counts a metre of each kilometre
    CreepingOdometer,
    /// The odometer always shows the same
    StandingOdometer,
    /// All but the first frames of each half hour come from memory, while pings go on
    MemoryOnly,
    /// For 70 minutes of every three hours nothing is recorded, wherever it drives
    Silence,
    /// Drives around on both sides of the 180th meridian
    DateLine,
}

impl Fault {
    /// The centre that a tracker drives around, if the fault lies there.
    pub(super) const fn home(self) -> Option<Place> {
        match self {
            Self::DateLine => Some(ON_THE_DATE_LINE),
            _ => None,
        }
    }

    /// Whether the tracker records nothing at a second.
    pub(super) fn is_silent(self, at_s: u32) -> bool {
        self == Self::Silence && at_s % SILENCE_EVERY_S < SILENCE_S
    }

    /// What the tracker records at a second. `healthy` is what it would record at any
    /// second if nothing were wrong; `dice` are this second's.
    pub(super) fn distort(
        self,
        at_s: u32,
        dice: &mut Dice,
        healthy: impl Fn(u32) -> Position,
    ) -> Position {
        let mut position = healthy(at_s);
        let stands = position.speed_kmh == 0;
        let strikes = dice.below(ONE_IN) == 0;
        match self {
            Self::Jitter if stands => wander(&mut position, dice),
            Self::StuckSpeed if stands => {
                position.speed_kmh = last_speed(at_s, healthy).unwrap_or_default();
            }
            Self::SpeedSpike if stands && strikes => position.speed_kmh = u8::MAX,
            Self::ZeroIsland if strikes => {
                (position.latitude_udeg, position.longitude_udeg) = (0, 0);
            }
            Self::Teleport if strikes => shift(&mut position, TELEPORT_M, TELEPORT_M),
            Self::StaleFix if strikes => {
                let then = healthy(at_s.saturating_sub(STALE_S));
                position.latitude_udeg = then.latitude_udeg;
                position.longitude_udeg = then.longitude_udeg;
            }
            Self::ClockAhead if strikes => position.recorded_at = at_s.saturating_add(AHEAD_S),
            Self::CreepingOdometer => position.odometer_m /= CREEPING,
            Self::StandingOdometer => position.odometer_m = STANDING_M,
            Self::MemoryOnly if at_s % LIVE_EVERY_S >= LIVE_S => {
                position.composition.0 |= Composition::HISTORICAL;
            }
            _ => {}
        }
        position
    }
}

/// As a standing receiver does: mostly near, now and then far, and at a walk.
fn wander(position: &mut Position, dice: &mut Dice) {
    let most_m = if dice.below(100) == 0 { 600.0 } else { 30.0 };
    let (angle, metres) = (dice.between(0.0, std::f64::consts::TAU), dice.between(0.0, most_m));
    shift(position, metres * angle.cos(), metres * angle.sin());
    position.speed_kmh = u8::try_from(dice.below(5)).unwrap_or_default();
}

fn shift(position: &mut Position, north_m: f64, east_m: f64) {
    let latitude = f64::from(position.latitude_udeg) / 1e6;
    let shrink = latitude.to_radians().cos();
    position.latitude_udeg = micro(latitude + north_m / METRES_A_DEGREE);
    let longitude = f64::from(position.longitude_udeg) / 1e6;
    position.longitude_udeg = micro(wrapped(longitude + east_m / (METRES_A_DEGREE * shrink)));
}

/// The speed before the vehicle began to brake for its last halt.
fn last_speed(at_s: u32, healthy: impl Fn(u32) -> Position) -> Option<u8> {
    const BRAKING_S: u32 = 20;
    let speed = |at_s: u32| healthy(at_s).speed_kmh;
    let mut before = (1..=LOOK_BACK_S).map_while(|back| at_s.checked_sub(back));
    let moved = before.find(|second| speed(*second) > 0)?;
    (0..BRAKING_S).filter_map(|back| moved.checked_sub(back)).map(speed).max()
}

/// Longitude in the range of -180 to 180.
pub(super) fn wrapped(longitude: f64) -> f64 {
    if (-180.0..=180.0).contains(&longitude) {
        longitude
    } else {
        (longitude + 180.0).rem_euclid(360.0) - 180.0
    }
}

#[expect(clippy::cast_possible_truncation, reason = "degrees within 180 fit in micro degrees")]
pub(super) fn micro(degrees: f64) -> i32 {
    (degrees * 1e6).round() as i32
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::DeviceId;

    use super::super::device::Device;
    use super::super::world::World;
    use super::*;

    const BEGIN_S: u32 = 1_783_000_000;
    const SECONDS: u32 = 12 * 3600;

    fn device(fault: Option<Fault>) -> Device {
        Device::new(1, DeviceId::new(0x50_0000), fault)
    }

    /// What is recorded each ten seconds of half a day: healthy, and with the fault.
    fn pairs(fault: Fault) -> Vec<(Position, Position)> {
        let world = World::new(1);
        let (well, ill) = (device(None), device(Some(fault)));
        let pair = |at_s| (well.position(&world, at_s), ill.position(&world, at_s));
        (BEGIN_S..BEGIN_S + SECONDS).step_by(10).map(pair).collect()
    }

    /// Those that differ; all else of them is as it was.
    fn struck(
        fault: Fault,
        repair: impl Fn(&mut Position, &Position),
    ) -> Vec<(Position, Position)> {
        let found: Vec<_> = pairs(fault).into_iter().filter(|(well, ill)| well != ill).collect();
        for (well, ill) in &found {
            let mut repaired = *ill;
            repair(&mut repaired, well);
            assert_eq!(repaired, *well, "{fault:?}");
        }
        found
    }

    fn at_its_place(ill: &mut Position, well: &Position) {
        ill.latitude_udeg = well.latitude_udeg;
        ill.longitude_udeg = well.longitude_udeg;
    }

    fn at_its_speed(ill: &mut Position, well: &Position) {
        ill.speed_kmh = well.speed_kmh;
    }

    fn metres(well: &Position, ill: &Position) -> f64 {
        let part = |a: i32, b: i32| f64::from(a - b) / 1e6 * METRES_A_DEGREE;
        let shrink = (f64::from(well.latitude_udeg) / 1e6).to_radians().cos();
        let north = part(well.latitude_udeg, ill.latitude_udeg);
        north.hypot(part(well.longitude_udeg, ill.longitude_udeg) * shrink)
    }

    #[test]
    fn a_standing_receiver_wanders_and_sometimes_far() {
        let found = struck(Fault::Jitter, |ill, well| {
            at_its_place(ill, well);
            at_its_speed(ill, well);
        });
        assert!(found.iter().all(|(well, _)| well.speed_kmh == 0));
        let far = found.iter().filter(|(well, ill)| metres(well, ill) > 31.0).count();
        assert!(found.len() > 1000 && (1..found.len() / 50).contains(&far), "{far}");
        assert!(found.iter().all(|(well, ill)| metres(well, ill) < 601.0 && ill.speed_kmh < 5));
    }

    #[test]
    fn a_halt_keeps_the_speed_before_it() {
        let found = struck(Fault::StuckSpeed, at_its_speed);
        assert!(found.iter().all(|(well, ill)| well.speed_kmh == 0 && ill.speed_kmh >= 20));
        assert!(pairs(Fault::StuckSpeed).iter().all(|(_, ill)| ill.speed_kmh > 0));
    }

    #[test]
    fn spikes_are_single_frames_of_a_standing_vehicle() {
        let found = struck(Fault::SpeedSpike, at_its_speed);
        assert!((10..300).contains(&found.len()), "{}", found.len());
        assert!(found.iter().all(|(well, ill)| (well.speed_kmh, ill.speed_kmh) == (0, 255)));
    }

    #[test]
    fn wrong_places_are_rare_and_where_they_are_said_to_be() {
        for (fault, is_right) in [
            (
                Fault::ZeroIsland,
                (|ill, _| (ill.latitude_udeg, ill.longitude_udeg) == (0, 0))
                    as fn(&Position, f64) -> bool,
            ),
            (Fault::Teleport, |_, metres| (5_000.0..5_200.0).contains(&metres)),
            (Fault::StaleFix, |_, metres| metres > 0.0),
        ] {
            let found = struck(fault, |ill, well| {
                at_its_place(ill, well);
                ill.composition = well.composition;
            });
            assert!((40..200).contains(&found.len()), "{fault:?}: {}", found.len());
            assert!(found.iter().all(|(well, ill)| is_right(ill, metres(well, ill))), "{fault:?}");
        }
    }

    #[test]
    fn some_frames_are_twelve_hours_ahead() {
        let found = struck(Fault::ClockAhead, |ill, _| ill.recorded_at -= AHEAD_S);
        assert!((50..200).contains(&found.len()), "{}", found.len());
    }

    #[test]
    fn odometers_creep_or_stand() {
        let driven = |of: &dyn Fn(&(Position, Position)) -> u32, pairs: &[(Position, Position)]| {
            of(pairs.last().unwrap()) - of(&pairs[0])
        };
        let creeping = pairs(Fault::CreepingOdometer);
        let (well, ill) = (
            driven(&|pair| pair.0.odometer_m, &creeping),
            driven(&|pair| pair.1.odometer_m, &creeping),
        );
        assert!(well > 50_000 && ill.abs_diff(well / CREEPING) <= 1, "{well} {ill}");
        assert_eq!(driven(&|pair| pair.1.odometer_m, &pairs(Fault::StandingOdometer)), 0);
    }

    #[test]
    fn all_but_a_frame_of_each_half_hour_is_from_memory() {
        let live = |(_, ill): &&(Position, Position)| !ill.composition.historical();
        let frames = pairs(Fault::MemoryOnly);
        assert_eq!(frames.iter().filter(live).count(), (SECONDS / LIVE_EVERY_S) as usize);
    }

    #[test]
    fn silence_is_longer_than_an_hour_and_regular() {
        let silent = |at_s: &u32| Fault::Silence.is_silent(*at_s);
        let count = (BEGIN_S..BEGIN_S + SILENCE_EVERY_S).filter(silent).count();
        assert_eq!(count, SILENCE_S as usize);
        assert!(!Fault::Jitter.is_silent(0));
    }

    #[test]
    fn both_sides_of_the_date_line_are_visited() {
        let found = pairs(Fault::DateLine);
        let east = found.iter().filter(|(_, ill)| ill.longitude_udeg > 179_000_000).count();
        let west = found.iter().filter(|(_, ill)| ill.longitude_udeg < -179_000_000).count();
        assert_eq!(east + west, found.len());
        assert!(east > 100 && west > 100, "{east} {west}");
    }

    #[test]
    fn longitudes_wrap() {
        for (longitude, expected) in
            [(0.0, 0.0), (180.0, 180.0), (-180.0, -180.0), (180.5, -179.5), (-181.0, 179.0)]
        {
            assert!((wrapped(longitude) - expected).abs() < 1e-9, "{longitude}");
        }
    }
}
