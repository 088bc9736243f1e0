//! How much of the way a device made, by its odometer or by its places.
//!
//! On each leg that it moved, the odometer's step counts if it is at least half of
//! the straight way. Else the way counts, and the odometer may make up for it
//! later: there are odometers that advance in steps of up to a kilometre. So no
//! odometer has to be believed in advance, one that creeps or stands still adds
//! nothing, and a parked device's odometer is not taken for missing.

/// Steps of a coarse odometer.
const COARSE_M: u64 = 1000;
/// So long a way tells whether an odometer follows it.
const PROOF_MM: u64 = 1_500_000;
/// A proven odometer may lag behind the straight way by so much at once.
const LAG_MM: u64 = 50_000;
/// Standing with the ignition on, an odometer that advances slower than this (in
/// decimetres a second; 1 km/h) creeps.
const CRAWL_DM_S: u64 = 3;

/// Millimetres are rounded to whole metres along the way, beginning with a half.
const HALF_MM: u64 = 500;

/// Metres that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Metres {
    pub(super) odometer_m: u64,
    pub(super) gps_m: u64,
}

/// What is known of a device's odometer, and what is left of metres already counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meter {
    /// It followed the last way that was long enough to tell.
    pub(super) proven: bool,
    /// Whether there was such a way since reading began.
    pub(super) known: bool,
    /// The way since the last proof or stop, by places and by the odometer.
    pub(super) way_mm: u64,
    pub(super) metered_m: u64,
    /// Counted by places; the odometer's next metres are these.
    pub(super) ahead_m: u64,
    /// Counted with the next whole metre.
    pub(super) rest_mm: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { proven: false, known: false, way_mm: 0, metered_m: 0, ahead_m: 0, rest_mm: HALF_MM }
    }
}

/// What the odometer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advance {
    /// On the leg.
    pub(super) leg_m: u32,
    /// Since the row from which the way leads, which may be further back.
    pub(super) way_m: u32,
}

impl Meter {
    /// A leg on which the device moved.
    pub(super) fn moved(&mut self, way_mm: Option<u64>, advance: Option<Advance>) -> Metres {
        match (way_mm, advance) {
            (None, None) => Metres::default(),
            (Some(way_mm), None) => self.by_way(way_mm),
            (None, Some(advance)) => self.by_odometer(advance.leg_m.into()),
            (Some(way_mm), Some(advance)) => {
                self.way_mm += way_mm;
                self.metered_m += u64::from(advance.way_m);
                let metres = self.by_both(way_mm, advance);
                self.prove();
                metres
            }
        }
    }

    /// A leg on which it stood. The odometer may catch up; beyond that it counts in
    /// a jam, where steps are too short for places to tell.
    pub(super) fn stood(&mut self, advanced_m: Option<u32>, seconds: u32, on: bool) -> Metres {
        let Some(advanced_m) = advanced_m.map(u64::from).filter(|metres| *metres > 0) else {
            return Metres::default();
        };
        self.metered_m += advanced_m;
        let new = self.by_odometer(advanced_m);
        let crawls = new.odometer_m * 10 >= u64::from(seconds) * CRAWL_DM_S;
        if on && crawls { new } else { Metres::default() }
    }

    /// A stop: what was counted ahead is settled, unless the odometer is suspected.
    pub(super) fn rest(&mut self) {
        if !self.is_suspect() {
            *self = Self { proven: self.proven, known: self.known, ..Self::default() };
        }
    }

    /// Whether it does not follow, on a way that is too short to tell.
    pub(super) fn is_suspect(&self) -> bool {
        self.metered_m * 2000 < self.way_mm
    }

    fn by_both(&mut self, way_mm: u64, advance: Advance) -> Metres {
        let advanced_mm = u64::from(advance.way_m) * 1000;
        let lags = self.proven && advanced_mm > 0 && advanced_mm + LAG_MM >= way_mm;
        if advanced_mm * 2 >= way_mm || lags {
            return self.by_odometer(advance.leg_m.into());
        }
        self.ahead_m = (self.ahead_m + (way_mm - advanced_mm) / 1000).min(COARSE_M);
        // What it advanced before this leg was counted then.
        let counted_m = u64::from(advance.way_m.saturating_sub(advance.leg_m));
        self.by_way(way_mm.saturating_sub(counted_m * 1000))
    }

    fn by_odometer(&mut self, advanced_m: u64) -> Metres {
        let counted_m = self.ahead_m.min(advanced_m);
        self.ahead_m -= counted_m;
        Metres { odometer_m: advanced_m - counted_m, gps_m: 0 }
    }

    fn by_way(&mut self, way_mm: u64) -> Metres {
        let mm = self.rest_mm + way_mm;
        self.rest_mm = mm % 1000;
        Metres { odometer_m: 0, gps_m: mm / 1000 }
    }

    fn prove(&mut self) {
        if self.way_mm < PROOF_MM {
            return;
        }
        (self.proven, self.known) = (!self.is_suspect(), true);
        (self.way_mm, self.metered_m) = (0, 0);
        if !self.proven {
            // It is not coarse: it will not make up for anything.
            self.ahead_m = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Legs of metres by places and by the odometer.
    fn sum(meter: &mut Meter, legs: impl IntoIterator<Item = (u64, u32)>) -> (u64, u64) {
        legs.into_iter().fold((0, 0), |(odometer_m, gps_m), (way_m, advanced_m)| {
            let advance = Advance { leg_m: advanced_m, way_m: advanced_m };
            let new = meter.moved(Some(way_m * 1000), Some(advance));
            (odometer_m + new.odometer_m, gps_m + new.gps_m)
        })
    }

    #[test]
    fn an_odometer_that_follows_counts() {
        let mut meter = Meter::default();
        // Curves make the odometer's way longer, a coarse receiver the straight one.
        assert_eq!(sum(&mut meter, [(200, 210), (200, 260), (200, 150)]), (620, 0));
        assert_eq!(sum(&mut meter, [(200, 205); 10]), (2050, 0));
        assert!(meter.proven);
    }

    #[test]
    fn one_that_creeps_or_stands_still_does_not() {
        // 19 m in a drive of 19 km.
        let creeping = (0..95).map(|leg| (200, u32::from(leg % 5 == 0)));
        let mut meter = Meter::default();
        assert_eq!(sum(&mut meter, creeping.clone()), (0, 19_000));
        let mut proven = Meter { proven: true, known: true, ..Meter::default() };
        assert_eq!(sum(&mut proven, creeping), (0, 19_000));
        assert_eq!(sum(&mut Meter::default(), [(200, 0); 6]), (0, 1200));
    }

    #[test]
    fn one_with_coarse_steps_counts_in_the_end() {
        // A kilometre at a time, here after five legs.
        let legs = (1..=100).map(|leg| (200, if leg % 5 == 0 { 1000 } else { 0 }));
        let (odometer_m, gps_m) = sum(&mut Meter::default(), legs);
        assert_eq!(odometer_m + gps_m, 20_000);
        // The last step comes when the device stands already.
        let mut meter = Meter { proven: true, known: true, ..Meter::default() };
        assert_eq!(sum(&mut meter, [(200, 0), (200, 0), (200, 0)]), (0, 600));
        assert_eq!(meter.stood(Some(1000), 10, true).odometer_m, 400);
        assert_eq!(meter.ahead_m, 0);
    }

    #[test]
    fn a_parked_odometer_creeps_in_vain() {
        let mut meter = Meter { proven: true, known: true, ..Meter::default() };
        assert_eq!(meter.stood(Some(40), 60, false), Metres::default());
        assert_eq!(meter.stood(Some(5), 600, true), Metres::default());
        assert_eq!(meter.stood(Some(9), 10, true).odometer_m, 9, "a jam");
    }

    #[test]
    fn fractions_are_counted_with_the_next_whole_metre() {
        let mut meter = Meter::default();
        let metres: u64 = (0..1000).map(|_| meter.moved(Some(1_499), None).gps_m).sum();
        assert_eq!((metres, meter.rest_mm), (1499, 500));
    }
}
