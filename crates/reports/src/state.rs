//! A [`Walker`]'s state as bytes, to be kept with the sums of a day: some twenty of a
//! device at rest. The last row and the settings are not in them.

use super::doubt::{Doubts, Fix, Rival};
use super::leg::Point;
use super::meter::Meter;
use super::motion::{Away, Going, Leaving, Motion, Pending};
use super::place::Place;
use super::rest::Slow;
use super::walker::Walker;
use super::{RULES, Settings};

/// In place of the speed of a fix that has none: more than any.
const NO_SPEED: u16 = 256;

impl Walker {
    /// What it takes to go on behind the last row.
    pub fn state(&self) -> Vec<u8> {
        let mut out = Writer { out: Vec::with_capacity(32), last: Last::of(self.last.as_ref()) };
        out.number(RULES);
        out.number(self.settings().motion_kmh);
        out.number(self.believed);
        out.truth(self.certain);
        out.signed(i64::from(self.placed_m) - i64::from(out.last.odometer_m));
        out.doubts(&self.doubts);
        out.motion(&self.motion);
        out.number(self.slow.legs);
        out.number(self.slow.seconds);
        out.number(self.slow.agreed_s);
        out.meter(&self.meter);
        out.out
    }

    /// Goes on from a state behind the row that was the last one. `None` if it was
    /// made by other rules or another `motion_kmh`, or is no state.
    pub fn resume(settings: Settings, last: Point, state: &[u8]) -> Option<Self> {
        Reader { bytes: state, last: Last::of(Some(&last)) }.walker(settings, last).ok()
    }
}

/// Places are written as the way from the last one, and times as the seconds before
/// the last row: mostly zeroes.
#[derive(Clone, Copy)]
struct Last {
    at: u32,
    latitude_udeg: i32,
    longitude_udeg: i32,
    odometer_m: u32,
}

impl Last {
    fn of(point: Option<&Point>) -> Self {
        let place = point.and_then(|point| point.place);
        Self {
            at: point.map_or(0, |point| point.at),
            latitude_udeg: place.map_or(0, |place| place.latitude_udeg),
            longitude_udeg: place.map_or(0, |place| place.longitude_udeg),
            odometer_m: point.map_or(0, |point| point.odometer_m),
        }
    }
}

struct Writer {
    out: Vec<u8>,
    last: Last,
}

impl Writer {
    /// Seven bits a byte, the lowest first, the top bit set but in the last one (LEB128).
    fn number(&mut self, number: impl Into<u64>) {
        let mut number: u64 = number.into();
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            self.out.push(if number > 0 { low | 0x80 } else { low & 0x7F });
            if number == 0 {
                return;
            }
        }
    }

    /// Small numbers of either sign become small ones (zigzag).
    fn signed(&mut self, number: i64) {
        self.number(number.unsigned_abs() * 2 - u64::from(number < 0));
    }

    fn truth(&mut self, truth: bool) {
        self.number(u8::from(truth));
    }

    fn maybe<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.truth(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn at(&mut self, at: u32) {
        self.number(self.last.at.wrapping_sub(at));
    }

    fn place(&mut self, place: &Place) {
        self.signed(i64::from(place.latitude_udeg) - i64::from(self.last.latitude_udeg));
        self.signed(i64::from(place.longitude_udeg) - i64::from(self.last.longitude_udeg));
        self.at(place.fixed_at);
    }

    fn fix(&mut self, fix: &Fix) {
        self.place(&fix.place);
        self.number(fix.kmh.map_or(NO_SPEED, u16::from));
    }

    fn doubts(&mut self, doubts: &Doubts) {
        self.maybe(doubts.trusted.as_ref(), Self::fix);
        self.number(doubts.repeated_s);
        self.maybe(doubts.speed.as_ref(), |out, (kmh, at)| {
            out.number(*kmh);
            out.at(*at);
        });
        self.maybe(doubts.rival.as_ref(), |out, rival| {
            out.fix(&rival.last);
            out.at(rival.since);
            out.number(rival.rows);
        });
    }

    fn motion(&mut self, motion: &Motion) {
        match motion {
            Motion::Standing { anchor, stood_s } => {
                self.number(0_u8);
                self.maybe(anchor.as_ref(), Self::place);
                self.number(*stood_s);
            }
            Motion::Leaving(Leaving { anchor, reach_mm, away, pending }) => {
                self.number(1_u8);
                self.maybe(anchor.as_ref(), Self::place);
                self.number(*reach_mm);
                self.maybe(away.as_ref(), |out, away| {
                    out.number(away.rows);
                    out.number(away.seconds);
                });
                self.pending(pending);
            }
            Motion::Going(going) => {
                self.number(2_u8);
                self.maybe(going.check.as_ref(), Self::place);
                self.number(going.since_check_s);
                self.number(going.expected_mm);
                self.number(going.metered_mm);
                self.truth(going.has_speed);
                self.maybe(going.lost.as_ref(), Self::pending);
            }
        }
    }

    fn pending(&mut self, pending: &Pending) {
        self.number(pending.seconds);
        self.number(pending.idle_s);
        self.number(pending.rest_s);
        self.number(pending.rest_idle_s);
        self.maybe(pending.way_mm.as_ref(), |out, mm| out.number(*mm));
        self.maybe(pending.advanced_m.as_ref(), |out, metres| out.number(*metres));
        self.maybe(pending.max_speed_kmh.as_ref(), |out, kmh| out.number(*kmh));
    }

    fn meter(&mut self, meter: &Meter) {
        self.number(u8::from(meter.proven) + 2 * u8::from(meter.known));
        self.number(meter.way_mm);
        self.number(meter.metered_m);
        self.number(meter.ahead_m);
        self.number(meter.rest_mm);
    }
}

/// These bytes are no state that these rules can go on from.
#[derive(Clone, Copy, Debug)]
struct NoState;

type Read<T> = Result<T, NoState>;

/// Reads what a [`Writer`] wrote.
struct Reader<'a> {
    bytes: &'a [u8],
    last: Last,
}

impl Reader<'_> {
    fn walker(mut self, settings: Settings, last: Point) -> Read<Walker> {
        if self.narrow::<u32>()? != RULES || self.narrow::<u32>()? != settings.motion_kmh {
            return Err(NoState);
        }
        let mut walker = Walker::new(settings, false);
        walker.last = Some(last);
        walker.believed = self.narrow()?;
        walker.certain = self.truth()?;
        let placed_m = i64::from(last.odometer_m).checked_add(self.signed()?).ok_or(NoState)?;
        walker.placed_m = u32::try_from(placed_m).map_err(|_| NoState)?;
        walker.doubts = self.doubts()?;
        walker.motion = self.motion()?;
        walker.slow =
            Slow { legs: self.narrow()?, seconds: self.narrow()?, agreed_s: self.narrow()? };
        walker.meter = self.meter()?;
        if self.bytes.is_empty() { Ok(walker) } else { Err(NoState) }
    }

    fn number(&mut self) -> Read<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.bytes.split_first().ok_or(NoState)?;
            self.bytes = rest;
            let bits = u64::from(byte & 0x7F);
            number |= bits << shift;
            if (bits << shift) >> shift != bits {
                return Err(NoState);
            }
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(NoState)
    }

    /// Millimetres and metres of less than a light second.
    fn length(&mut self) -> Read<u64> {
        let length = self.number()?;
        if length < 1 << 40 { Ok(length) } else { Err(NoState) }
    }

    fn narrow<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.number()?).map_err(|_| NoState)
    }

    fn signed(&mut self) -> Read<i64> {
        let number = self.number()?;
        let half = i64::try_from(number.div_ceil(2)).map_err(|_| NoState)?;
        Ok(if number % 2 == 1 { -half } else { half })
    }

    fn truth(&mut self) -> Read<bool> {
        Ok(self.number()? != 0)
    }

    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if self.truth()? { read(self).map(Some) } else { Ok(None) }
    }

    fn at(&mut self) -> Read<u32> {
        self.last.at.checked_sub(self.narrow()?).ok_or(NoState)
    }

    fn place(&mut self) -> Read<Place> {
        let moved = |from: i32, by: i64| {
            let to = i64::from(from).checked_add(by).ok_or(NoState)?;
            i32::try_from(to).map_err(|_| NoState)
        };
        let latitude_udeg = moved(self.last.latitude_udeg, self.signed()?)?;
        let longitude_udeg = moved(self.last.longitude_udeg, self.signed()?)?;
        Ok(Place { latitude_udeg, longitude_udeg, fixed_at: self.at()? })
    }

    fn fix(&mut self) -> Read<Fix> {
        let (place, kmh) = (self.place()?, self.narrow::<u16>()?);
        let kmh = (kmh != NO_SPEED).then(|| u8::try_from(kmh)).transpose();
        Ok(Fix { place, kmh: kmh.map_err(|_| NoState)? })
    }

    fn doubts(&mut self) -> Read<Doubts> {
        let trusted = self.maybe(Self::fix)?;
        let repeated_s = self.narrow()?;
        let speed = self.maybe(|from| Ok((from.narrow()?, from.at()?)))?;
        let rival = self.maybe(|from| {
            Ok(Rival { last: from.fix()?, since: from.at()?, rows: from.narrow()? })
        })?;
        Ok(Doubts { trusted, repeated_s, speed, rival })
    }

    fn motion(&mut self) -> Read<Motion> {
        let kind = self.number()?;
        let place = self.maybe(Self::place)?;
        match kind {
            0 => Ok(Motion::Standing { anchor: place, stood_s: self.narrow()? }),
            1 => {
                let reach_mm = self.length()?;
                let away =
                    self.maybe(|from| Ok(Away { rows: from.narrow()?, seconds: from.narrow()? }))?;
                let pending = self.pending()?;
                Ok(Motion::Leaving(Leaving { anchor: place, reach_mm, away, pending }))
            }
            2 => Ok(Motion::Going(Going {
                check: place,
                since_check_s: self.narrow()?,
                expected_mm: self.length()?,
                metered_mm: self.length()?,
                has_speed: self.truth()?,
                lost: self.maybe(Self::pending)?,
            })),
            _ => Err(NoState),
        }
    }

    fn pending(&mut self) -> Read<Pending> {
        Ok(Pending {
            seconds: self.narrow()?,
            idle_s: self.narrow()?,
            rest_s: self.narrow()?,
            rest_idle_s: self.narrow()?,
            way_mm: self.maybe(Self::length)?,
            advanced_m: self.maybe(Self::narrow)?,
            max_speed_kmh: self.maybe(Self::narrow)?,
        })
    }

    fn meter(&mut self) -> Read<Meter> {
        let flags = self.number()?;
        Ok(Meter {
            proven: flags & 1 != 0,
            known: flags & 2 != 0,
            way_mm: self.length()?,
            metered_m: self.length()?,
            ahead_m: self.length()?,
            rest_mm: self.length()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::road::{FIX, ON, Road, roads};
    use super::*;

    #[test]
    fn a_device_at_rest_takes_few_bytes() {
        let road = Road::new(FIX | ON).odometer(1000).times(100, 10, 200, 72);
        let mut walker = Walker::new(Settings::default(), true);
        for row in road.with(FIX).times(60, 60, 0, 0).rows() {
            walker.step(&row.position);
        }
        assert!(walker.state().len() < 36, "{:?}", walker.state());
    }

    #[test]
    fn other_rules_and_settings_begin_anew() {
        let mut walker = Walker::new(Settings::default(), true);
        let (last, _) = walker.step(&Road::new(FIX).rows()[0].position);
        let mut state = walker.state();
        assert_eq!(Walker::resume(Settings::default(), last, &state), Some(walker));
        let faster = Settings { motion_kmh: 9, ..Settings::default() };
        assert_eq!(Walker::resume(faster, last, &state), None);
        state.push(0);
        assert_eq!(Walker::resume(Settings::default(), last, &state), None);
        state[0] += 1;
        assert_eq!(Walker::resume(Settings::default(), last, &state), None);
    }

    proptest! {
        #[test]
        fn what_was_kept_goes_on_as_if_nothing_had_happened(rows in roads()) {
            let mut walker = Walker::new(Settings::default(), true);
            for row in &rows {
                let (last, _) = walker.step(&row.position);
                let kept = Walker::resume(Settings::default(), last, &walker.state());
                prop_assert_eq!(kept.as_ref(), Some(&walker));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let (last, _) = Walker::new(Settings::default(), true).step(&Road::new(FIX).rows()[0].position);
            if let Some(mut walker) = Walker::resume(Settings::default(), last, &bytes) {
                for row in Road::new(FIX | ON).odometer(5).times(9, 60, 500, 30).rows() {
                    walker.step(&row.position);
                }
            }
        }
    }
}
