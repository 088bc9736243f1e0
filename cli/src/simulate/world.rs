//! Where simulated trackers drive: round trips through a few cities, with
//! traffic lights, parking and tunnels. All of it follows from the seed.

use std::f64::consts::TAU;

/// Degrees of latitude are this long everywhere, degrees of longitude at the equator.
pub(super) const METRES_A_DEGREE: f64 = 111_320.0;
/// Different ways to drive; trackers share them at different times and places,
/// which keeps a million trackers small.
pub(super) const PATTERNS: usize = 64;

/// City centres: half of the trackers drive in Belo Horizonte, the first.
const CITIES: [(f64, f64); 12] = [
    (-19.9167, -43.9345), // Belo Horizonte
    (-23.5505, -46.6333), // São Paulo
    (-22.9068, -43.2500), // Rio de Janeiro
    (-25.4284, -49.2733), // Curitiba
    (-15.7939, -47.8828), // Brasília
    (-12.9500, -38.4500), // Salvador
    (-18.9186, -48.2772), // Uberlândia
    (-33.4489, -70.6693), // Santiago
    (4.7110, -74.0721),   // Bogotá
    (19.4326, -99.1332),  // Mexico City
    (40.4168, -3.7038),   // Madrid
    (-25.9500, 32.5500),  // Maputo
];

/// Mixes a seed and two numbers into 64 bits that look random (SplitMix64).
pub(super) fn mix(seed: u64, number: u64, purpose: u64) -> u64 {
    let mut bits = seed
        .wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(purpose.wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Numbers that follow from a seed, one after the other.
pub(super) struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        Self { seed: mix(seed, number, 0), thrown: 0 }
    }

    /// A whole number below `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        self.thrown += 1;
        let high = mix(self.seed, self.thrown, 1) >> 32;
        // 32 bits times 32 bits, then the upper half: below `end`.
        u32::try_from((high * u64::from(end)) >> 32).unwrap_or(0)
    }

    /// Between two bounds.
    pub(super) fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * f64::from(self.below(u32::MAX)) / f64::from(u32::MAX)
    }
}

/// A place on the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// Degrees.
    pub(super) latitude: f64,
    /// Degrees.
    pub(super) longitude: f64,
}

/// A centre that a tracker drives around: a city's, a few kilometres aside.
pub(super) fn home(dice: &mut Dice) -> Place {
    let city = if dice.below(2) == 0 { 0 } else { dice.below(12) as usize };
    let (latitude, longitude) = CITIES[city];
    Place {
        latitude: latitude + dice.between(-0.05, 0.05),
        longitude: longitude + dice.between(-0.05, 0.05),
    }
}

/// One straight street of a round trip.
#[derive(Clone, Copy, Debug)]
struct Street {
    /// Metres of the trip before it.
    begins_m: f64,
    /// Metres east and north of the centre.
    from: (f64, f64),
    /// Metres east and north for each metre driven.
    towards: (f64, f64),
    /// 1/100 degree clockwise from north.
    direction_cdeg: u16,
}

/// A round trip.
#[derive(Clone, Debug)]
struct Route {
    streets: Vec<Street>,
    length_m: f64,
    /// From and to, in metres of the trip: no sky, no fix.
    tunnel_m: (f64, f64),
}

/// Where a tracker is on its round trip, and what its receiver says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) direction_cdeg: u16,
    pub(super) fix: bool,
}

impl Route {
    fn new(dice: &mut Dice) -> Self {
        let corners = 12 + dice.below(12);
        let radius_m = dice.between(1_500.0, 9_000.0);
        let points: Vec<(f64, f64)> = (0..corners)
            .map(|corner| {
                let angle = TAU * f64::from(corner) / f64::from(corners);
                let reach = radius_m * dice.between(0.6, 1.3);
                (reach * angle.sin(), reach * angle.cos())
            })
            .collect();
        let mut streets = Vec::with_capacity(points.len());
        let mut length_m = 0.0;
        for (from, to) in points.iter().zip(points.iter().cycle().skip(1)) {
            let (east, north) = (to.0 - from.0, to.1 - from.1);
            let street_m = east.hypot(north);
            streets.push(Street {
                begins_m: length_m,
                from: *from,
                towards: (east / street_m, north / street_m),
                direction_cdeg: bearing_cdeg(east, north),
            });
            length_m += street_m;
        }
        let tunnel = dice.between(0.1, 0.8) * length_m;
        let tunnel_m = (tunnel, tunnel + dice.between(300.0, 1_200.0));
        Self { streets, length_m, tunnel_m }
    }

    /// In a tunnel the receiver repeats the last place it knew.
    fn spot(&self, home: Place, driven_m: f64) -> Spot {
        let at_m = driven_m.rem_euclid(self.length_m);
        let fix = !(self.tunnel_m.0..self.tunnel_m.1).contains(&at_m);
        let known_m = if fix { at_m } else { self.tunnel_m.0 };
        let behind = self.streets.partition_point(|street| street.begins_m <= known_m);
        let street = &self.streets[behind.saturating_sub(1)];
        let along_m = known_m - street.begins_m;
        let east_m = street.from.0 + street.towards.0 * along_m;
        let north_m = street.from.1 + street.towards.1 * along_m;
        let shrink = home.latitude.to_radians().cos();
        let place = Place {
            latitude: home.latitude + north_m / METRES_A_DEGREE,
            longitude: home.longitude + east_m / (METRES_A_DEGREE * shrink),
        };
        Spot { place, direction_cdeg: street.direction_cdeg, fix }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rem_euclid leaves 0 to 35 999"
)]
fn bearing_cdeg(east: f64, north: f64) -> u16 {
    (east.atan2(north).to_degrees().rem_euclid(360.0) * 100.0).rem_euclid(36_000.0) as u16
}

/// m/s²: a car in town.
const ACCELERATION: f64 = 1.5;

/// One part of a day's cycle.
#[derive(Clone, Copy, Debug)]
struct Leg {
    begins_s: u32,
    duration_s: u32,
    /// Metres and seconds with the ignition on, in the cycle before this leg.
    driven_m: f64,
    on_s: u32,
    /// m/s in the middle of the leg; 0 at a traffic light and when parked.
    top_speed: f64,
    ignition: bool,
}

/// What the vehicle does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Motion {
    /// Since the beginning of simulated time.
    pub(super) driven_m: f64,
    /// Seconds with the ignition on, since the beginning of simulated time.
    pub(super) on_s: i64,
    pub(super) speed_ms: f64,
    pub(super) ignition: bool,
}

impl Leg {
    /// Speeds up, holds, brakes: metres driven and speed, `at_s` into the leg.
    fn progress(&self, at_s: f64) -> (f64, f64) {
        let ramp_s = self.top_speed / ACCELERATION;
        let duration_s = f64::from(self.duration_s);
        if at_s < ramp_s {
            (ACCELERATION * at_s * at_s / 2.0, ACCELERATION * at_s)
        } else if at_s <= duration_s - ramp_s {
            (self.top_speed * (at_s - ramp_s / 2.0), self.top_speed)
        } else {
            let left_s = duration_s - at_s;
            (self.length_m() - ACCELERATION * left_s * left_s / 2.0, ACCELERATION * left_s)
        }
    }

    fn length_m(&self) -> f64 {
        self.top_speed * (f64::from(self.duration_s) - self.top_speed / ACCELERATION)
    }
}

/// A way to drive: a round trip, and a cycle of driving, waiting and parking.
#[derive(Clone, Debug)]
struct Pattern {
    route: Route,
    legs: Vec<Leg>,
    cycle_s: u32,
    cycle_m: f64,
    cycle_on_s: u32,
}

impl Pattern {
    fn new(dice: &mut Dice) -> Self {
        let route = Route::new(dice);
        let mut pattern = Self { route, legs: Vec::new(), cycle_s: 0, cycle_m: 0.0, cycle_on_s: 0 };
        for _ in 0..2 + dice.below(3) {
            for _ in 0..4 + dice.below(8) {
                let top_speed = dice.between(6.0, 27.0);
                // Longer than both ramps together: 2 x 27 / 1.5 = 36 s.
                pattern.push(40 + dice.below(200), top_speed, true);
                pattern.push(15 + dice.below(75), 0.0, true);
            }
            pattern.push(300 + dice.below(2_400), 0.0, false);
        }
        pattern
    }

    fn push(&mut self, duration_s: u32, top_speed: f64, ignition: bool) {
        let leg = Leg {
            begins_s: self.cycle_s,
            duration_s,
            driven_m: self.cycle_m,
            on_s: self.cycle_on_s,
            top_speed,
            ignition,
        };
        self.cycle_s += duration_s;
        self.cycle_m += leg.length_m();
        self.cycle_on_s += if ignition { duration_s } else { 0 };
        self.legs.push(leg);
    }

    #[expect(clippy::cast_precision_loss, reason = "cycles since 2026 are far below 2^52")]
    fn motion(&self, at_s: i64) -> Motion {
        let cycles = at_s.div_euclid(i64::from(self.cycle_s));
        let into_s = u32::try_from(at_s.rem_euclid(i64::from(self.cycle_s))).unwrap_or(0);
        let behind = self.legs.partition_point(|leg| leg.begins_s <= into_s);
        let leg = &self.legs[behind.saturating_sub(1)];
        let leg_s = into_s - leg.begins_s;
        let (leg_m, speed_ms) = leg.progress(f64::from(leg_s));
        Motion {
            driven_m: cycles as f64 * self.cycle_m + leg.driven_m + leg_m,
            on_s: cycles * i64::from(self.cycle_on_s)
                + i64::from(leg.on_s)
                + if leg.ignition { i64::from(leg_s) } else { 0 },
            speed_ms,
            ignition: leg.ignition,
        }
    }
}

/// All ways to drive.
#[derive(Clone, Debug)]
pub(super) struct World {
    patterns: Vec<Pattern>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let pattern = |number: usize| Pattern::new(&mut Dice::new(!seed, number as u64));
        Self { patterns: (0..PATTERNS).map(pattern).collect() }
    }

    /// What a vehicle does `at_s` seconds into simulated time (negative before it).
    pub(super) fn motion(&self, pattern: usize, at_s: i64) -> Motion {
        self.patterns[pattern].motion(at_s)
    }

    /// Where it is then.
    pub(super) fn spot(&self, pattern: usize, home: Place, driven_m: f64) -> Spot {
        self.patterns[pattern].route.spot(home, driven_m)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metres_between(left: Place, right: Place) -> f64 {
        let north = (left.latitude - right.latitude) * METRES_A_DEGREE;
        let shrink = left.latitude.to_radians().cos();
        let east = (left.longitude - right.longitude) * METRES_A_DEGREE * shrink;
        east.hypot(north)
    }

    #[test]
    fn nothing_jumps() {
        let world = World::new(7);
        let home = Place { latitude: -19.9, longitude: -43.9 };
        for pattern in 0..PATTERNS {
            let mut before: Option<(Motion, Spot)> = None;
            for at_s in -3_000..9_000 {
                let motion = world.motion(pattern, at_s);
                let spot = world.spot(pattern, home, motion.driven_m);
                if let Some((last, last_spot)) = before {
                    let step_m = motion.driven_m - last.driven_m;
                    assert!((-1e-6..=27.5).contains(&step_m), "{pattern} {at_s}: {step_m} m");
                    assert!((motion.speed_ms - last.speed_ms).abs() <= ACCELERATION + 1e-6);
                    assert_eq!(motion.on_s - last.on_s, i64::from(last.ignition));
                    if spot.fix && last_spot.fix {
                        assert!(metres_between(spot.place, last_spot.place) < 28.0);
                    }
                }
                assert!(motion.ignition || motion.speed_ms == 0.0);
                assert!(spot.direction_cdeg < 36_000);
                before = Some((motion, spot));
            }
        }
    }

    #[test]
    fn days_have_driving_waiting_parking_and_tunnels() {
        let world = World::new(1);
        let home = Place { latitude: -19.9, longitude: -43.9 };
        let seen: Vec<(Motion, Spot)> = (0..40_000)
            .map(|at_s| {
                let motion = world.motion(3, at_s);
                (motion, world.spot(3, home, motion.driven_m))
            })
            .collect();
        assert!(seen.iter().any(|(motion, _)| motion.speed_ms > 8.0));
        assert!(seen.iter().any(|(motion, _)| motion.ignition && motion.speed_ms == 0.0));
        assert!(seen.iter().any(|(motion, _)| !motion.ignition));
        assert!(seen.iter().any(|(_, spot)| !spot.fix));
        assert!(seen.iter().filter(|(_, spot)| spot.fix).count() > seen.len() / 2);
    }

    #[test]
    fn bearings() {
        for (east, north, expected) in
            [(0.0, 1.0, 0), (1.0, 0.0, 9_000), (0.0, -1.0, 18_000), (-1.0, 0.0, 27_000)]
        {
            assert_eq!(bearing_cdeg(east, north), expected);
        }
    }
}
