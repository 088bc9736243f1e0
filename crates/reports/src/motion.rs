//! Whether a device moves: what its places, speeds, ignition and odometer agree on.
//!
//! Each of them alone is wrong now and then. A parked receiver's places scatter and
//! jump, receivers repeat their last speed after a halt or make one up, ignition is
//! on in a jam and not wired in many vehicles, odometers stand still or creep. So a
//! device leaves a stand only by two of them; what one of them says alone is
//! undecided until the rows that follow bear it out or the device is back.

use super::Settings;
use super::leg::{LegKind, Point, Way};
use super::meter::Advance;
use super::place::Place;

/// A standing receiver's places scatter within this radius.
const SCATTER_MM: u64 = 50_000;
/// Speeds are held against the way once they lead to expect this much of it; less
/// than a quarter of it refutes them.
const EXPECTED_MM: u64 = 100_000;
const REFUTED_SHARE: u64 = 4;
/// No standing receiver makes up a speed of so many times `motion_kmh`.
const STRONG_FACTOR: u32 = 4;
/// An odometer agrees with places that it could have been between: four times the
/// straight way, and 10 m/s of detours.
const DETOUR_FACTOR: u64 = 4;
const DETOUR_M_S: u64 = 10;
/// Places alone are believed when the device stays away this long, with so many rows.
const AWAY: [(u8, u32); 2] = [(3, 180), (2, 600)];
/// Leaving or being out of sight for longer than this is standing.
const UNDECIDED_S: u32 = 180;
/// Who is slow may take longer to leave, up to this.
const LONGEST_UNDECIDED_S: u32 = 900;
/// Short quick legs without a speed count as moving for so long.
const SPEEDLESS_S: u32 = 30;
/// A stand counts up to this.
pub(super) const STOOD_S: u32 = 180;

/// A leg as it is seen, before it is decided what it was.
pub(super) struct Seen<'a> {
    pub(super) from: &'a Point,
    pub(super) to: &'a Point,
    pub(super) way: Option<Way>,
    pub(super) advance: Option<Advance>,
    /// The odometer followed the way before.
    pub(super) proven: bool,
    /// See [`super::doubt::Verdict`].
    pub(super) relocated: bool,
    pub(super) settings: &'a Settings,
    /// Seconds with the engine on, if this was a stand.
    pub(super) idle_s: u32,
    /// See [`super::rest::Slow::is_rest`].
    pub(super) at_rest: bool,
}

impl Seen<'_> {
    pub(super) fn seconds(&self) -> u32 {
        self.to.at - self.from.at
    }

    pub(super) fn on(&self) -> bool {
        self.from.ignition || self.to.ignition
    }

    fn min_distance_mm(&self) -> u64 {
        u64::from(self.settings.min_distance_m) * 1000
    }

    /// The way, but for what the odometer advanced on legs before without a place.
    fn gps_mm(&self) -> u64 {
        let metered_m =
            self.advance.map_or(0, |advance| advance.way_m.saturating_sub(advance.leg_m));
        self.way.map_or(0, |way| way.mm.saturating_sub(u64::from(metered_m) * 1000))
    }

    fn is_fast(&self, point: &Point) -> bool {
        point.speed_kmh.is_some_and(|kmh| u32::from(kmh) >= self.settings.motion_kmh)
    }

    fn any_fast(&self) -> bool {
        self.is_fast(self.from) || self.is_fast(self.to)
    }

    fn both_fast(&self) -> bool {
        self.is_fast(self.from) && self.is_fast(self.to)
    }

    /// The way that the speeds at both ends lead to expect, if both are fast.
    fn expected_mm(&self) -> u64 {
        let slower = self.from.speed_kmh.min(self.to.speed_kmh).unwrap_or(0);
        if self.both_fast() { mm(slower.into(), self.seconds()) } else { 0 }
    }

    /// The odometer's way, where it agrees with the places or there are none.
    fn metered_mm(&self) -> u64 {
        let Some(advance) = self.advance else { return 0 };
        let leg_mm = u64::from(advance.leg_m) * 1000;
        let Some(way) = self.way else { return leg_mm };
        let way_mm = u64::from(advance.way_m) * 1000;
        let detours = u64::from(way.seconds) * DETOUR_M_S * 1000;
        let possible = way_mm <= way.mm * DETOUR_FACTOR + detours;
        if possible && (self.proven || way_mm * 2 >= way.mm) { leg_mm } else { 0 }
    }

    fn is_metered_quick(&self) -> bool {
        let metered = self.metered_mm();
        metered > 0 && metered >= mm(self.settings.motion_kmh.into(), self.seconds())
    }

    /// As quick as something that moves, by places or by the odometer.
    pub(super) fn is_quick(&self) -> bool {
        let motion = u64::from(self.settings.motion_kmh);
        self.is_metered_quick()
            || self
                .way
                .is_some_and(|way| self.gps_mm() > 0 && self.gps_mm() >= mm(motion, way.seconds))
    }

    /// Speeds that no standing receiver makes up.
    fn is_strong(&self, kmh: Option<u8>) -> bool {
        kmh.is_some_and(|kmh| u32::from(kmh) >= self.settings.motion_kmh * STRONG_FACTOR)
    }

    /// Two of them, and the way that they lead to expect.
    fn is_sure(&self) -> bool {
        let slower = self.from.speed_kmh.min(self.to.speed_kmh);
        self.is_strong(slower) && self.gps_mm() * 2 >= self.expected_mm()
    }

    /// The odometer follows the way as a rule, and here it does not.
    fn is_denied(&self) -> bool {
        let advanced_mm = self.advance.map(|advance| u64::from(advance.way_m) * 1000);
        let way_mm = self.way.map_or(0, |way| way.mm);
        let stands = advanced_mm.is_some_and(|mm| mm * REFUTED_SHARE < way_mm);
        self.proven && stands && !self.is_sure()
    }

    /// Fast at both ends and not moved: the receiver repeats its last speed.
    fn is_refuted(&self) -> bool {
        let expected = self.expected_mm();
        expected >= EXPECTED_MM && self.gps_mm().max(self.metered_mm()) * REFUTED_SHARE < expected
    }

    /// How far away from a stand is not scatter.
    fn enough_mm(&self) -> u64 {
        if self.on() { SCATTER_MM } else { self.min_distance_mm() }
    }

    /// How long leaving may take: as long as something takes that just moves.
    fn undecided_s(&self) -> u32 {
        let needs_s = self.settings.min_distance_m.saturating_mul(18)
            / self.settings.motion_kmh.saturating_mul(5).max(1);
        needs_s.clamp(UNDECIDED_S, LONGEST_UNDECIDED_S)
    }

    /// Whether two witnesses agree that it left a stand, `away_mm` away from it.
    fn leaves(&self, away_mm: u64) -> bool {
        if !self.is_quick() || self.is_refuted() {
            return false;
        }
        let enough = self.enough_mm();
        self.metered_mm() >= enough || (self.both_fast() && away_mm >= enough && !self.is_denied())
    }
}

/// Millimetres at a speed in a time.
fn mm(kmh: u64, seconds: u32) -> u64 {
    kmh * u64::from(seconds) * 2500 / 9
}

/// Legs that are not decided yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pending {
    /// Up to the last quick one.
    pub(super) seconds: u32,
    pub(super) idle_s: u32,
    /// Those since.
    pub(super) rest_s: u32,
    pub(super) rest_idle_s: u32,
    /// `None` without a place, and where the odometer is unknown on a leg.
    pub(super) way_mm: Option<u64>,
    pub(super) advanced_m: Option<u32>,
    pub(super) max_speed_kmh: Option<u8>,
}

impl Pending {
    fn whole_s(&self) -> u32 {
        self.seconds.saturating_add(self.rest_s)
    }

    fn add(&mut self, seen: &Seen<'_>) {
        let first = *self == Self::default();
        self.rest_s = self.rest_s.saturating_add(seen.seconds());
        self.rest_idle_s = self.rest_idle_s.saturating_add(seen.idle_s);
        if seen.is_quick() || !seen.to.is_placed() {
            self.seconds = self.seconds.saturating_add(std::mem::take(&mut self.rest_s));
            self.idle_s = self.idle_s.saturating_add(std::mem::take(&mut self.rest_idle_s));
        }
        self.max_speed_kmh = self.max_speed_kmh.max(seen.to.speed_kmh);
        let way_mm = seen.way.filter(|_| seen.is_quick()).map(|way| way.mm);
        self.way_mm = self.way_mm.map_or(way_mm, |mm| Some(mm + way_mm.unwrap_or(0)));
        let advanced_m = seen.advance.map(|advance| advance.leg_m);
        self.advanced_m = match (self.advanced_m, advanced_m) {
            (None, advanced) if first => advanced,
            (Some(held), Some(new)) => Some(held.saturating_add(new)),
            _ => None,
        };
    }
}

/// How long it has been away from the stand it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) rows: u8,
    pub(super) seconds: u32,
}

/// What a device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    /// Around a place, for so many seconds.
    Standing {
        anchor: Option<Place>,
        stood_s: u32,
    },
    /// Perhaps.
    Leaving(Leaving),
    Going(Going),
}

/// Perhaps leaving a stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    pub(super) anchor: Option<Place>,
    /// The furthest from there.
    pub(super) reach_mm: u64,
    /// Since the first row that is far away.
    pub(super) away: Option<Away>,
    pub(super) pending: Pending,
}

/// On its way. `check` is where speeds were last borne out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Going {
    pub(super) check: Option<Place>,
    pub(super) since_check_s: u32,
    pub(super) expected_mm: u64,
    pub(super) metered_mm: u64,
    /// Whether it reported a speed on this way.
    pub(super) has_speed: bool,
    /// Out of sight.
    pub(super) lost: Option<Pending>,
}

/// What a leg was, and those before it that were undecided.
pub(super) struct Decision {
    pub(super) kind: LegKind,
    pub(super) quick: bool,
    /// Whether they moved.
    pub(super) settled: Option<(bool, Pending)>,
}

impl Motion {
    pub(super) fn at(place: Option<Place>) -> Self {
        Self::Standing { anchor: place, stood_s: 0 }
    }

    /// Whether it has stood for long enough to forget what was before.
    pub(super) fn rests(&self) -> bool {
        matches!(self, Self::Standing { stood_s: STOOD_S, anchor: Some(_) })
    }

    /// After silence it stands where it is heard again.
    pub(super) fn silence(&mut self, place: Option<Place>) -> Option<(bool, Pending)> {
        let settled = match self {
            Self::Standing { .. } => None,
            Self::Leaving(leaving) => Some((leaving.away.is_some(), leaving.pending)),
            Self::Going(going) => going.lost.map(|pending| (false, pending)),
        };
        *self = Self::Standing { anchor: place, stood_s: STOOD_S };
        settled
    }

    /// The next leg that is no silence.
    pub(super) fn decide(&mut self, seen: &Seen<'_>) -> Decision {
        let quick = seen.is_quick();
        let (next, kind, settled) = match *self {
            Self::Standing { anchor, stood_s } => stand_on(anchor, stood_s, seen),
            Self::Leaving(leaving) => leaving.on(seen),
            Self::Going(going) => going.on(seen),
        };
        *self = next;
        Decision { kind, quick, settled }
    }
}

type Next = (Motion, LegKind, Option<(bool, Pending)>);

fn away_mm(anchor: Option<Place>, seen: &Seen<'_>) -> Option<u64> {
    let here = seen.to.place.filter(|_| seen.to.is_placed());
    anchor.zip(here).map(|(anchor, here)| anchor.mm_to(here))
}

fn stand(anchor: Option<Place>, stood_s: u32, seen: &Seen<'_>) -> Motion {
    // Slow places drift; quick ones are held against where it stood.
    let drifts = anchor.is_none() || seen.relocated || !seen.is_quick();
    let longer_s = if anchor.is_some() { stood_s.saturating_add(seen.seconds()) } else { 0 };
    let stood_s = if seen.at_rest { STOOD_S } else { longer_s };
    let here = seen.to.place.filter(|_| seen.to.is_placed());
    let anchor = if drifts { here.or(anchor) } else { anchor };
    Motion::Standing { anchor, stood_s: stood_s.min(STOOD_S) }
}

fn stand_on(anchor: Option<Place>, stood_s: u32, seen: &Seen<'_>) -> Next {
    let away = away_mm(anchor, seen);
    if seen.leaves(away.unwrap_or(0)) {
        return (Motion::Going(Going::at(seen)), LegKind::Moving, None);
    }
    let far = away.is_some_and(|mm| mm >= SCATTER_MM);
    if seen.is_quick() && !seen.is_refuted() && (far || seen.any_fast()) {
        // Where it stood is not known: how far it gets from here has to tell.
        let anchor = anchor.or(seen.to.place.filter(|_| seen.to.is_placed()));
        let leaving = Leaving { anchor, reach_mm: 0, away: None, pending: Pending::default() };
        return (leaving.and(away, seen), LegKind::Undecided, None);
    }
    (stand(anchor, stood_s, seen), LegKind::Standing, None)
}

impl Leaving {
    fn on(self, seen: &Seen<'_>) -> Next {
        let distance = away_mm(self.anchor, seen);
        if seen.leaves(distance.unwrap_or(0)) || self.goes_on(distance.unwrap_or(0), seen) {
            let settled = Some((true, self.pending));
            return (Motion::Going(Going::at(seen)), LegKind::Moving, settled);
        }
        let fast = seen.is_quick() && seen.any_fast() && !seen.is_refuted();
        let back = match distance {
            Some(mm) => mm < SCATTER_MM && !fast,
            None => seen.to.is_placed() && !fast,
        };
        if seen.relocated || back {
            let next = stand(self.anchor, self.pending.whole_s(), seen);
            return (next, LegKind::Standing, Some((false, self.pending)));
        }
        let away = self.away_with(distance, seen);
        if away.is_some_and(|away| seen.at_rest || away.is_long()) {
            return self.stayed_away(seen);
        }
        let late = self.pending.whole_s().saturating_add(seen.seconds()) > seen.undecided_s();
        if seen.at_rest || (late && (away.is_none() || !seen.to.is_placed())) {
            let next = stand(None, self.pending.whole_s(), seen);
            return (next, LegKind::Standing, Some((false, self.pending)));
        }
        (self.and(distance, seen), LegKind::Undecided, None)
    }

    /// One more undecided leg.
    fn and(mut self, distance: Option<u64>, seen: &Seen<'_>) -> Motion {
        self.away = self.away_with(distance, seen);
        self.reach_mm = self.reach_mm.max(distance.unwrap_or(0));
        self.pending.add(seen);
        Motion::Leaving(self)
    }

    fn away_with(&self, distance: Option<u64>, seen: &Seen<'_>) -> Option<Away> {
        let far = distance.map_or(self.away.is_some(), |mm| mm >= seen.min_distance_mm());
        far.then(|| self.away.map_or(Away { rows: 1, seconds: 0 }, |away| away.plus(seen)))
    }

    /// Once more quick, further away, and with a speed.
    fn goes_on(&self, distance_mm: u64, seen: &Seen<'_>) -> bool {
        let further = distance_mm >= seen.enough_mm().max(self.reach_mm + SCATTER_MM);
        let faster = seen.from.speed_kmh.max(seen.to.speed_kmh);
        let fast = if seen.on() { seen.any_fast() } else { seen.is_strong(faster) };
        let agreed = seen.is_quick() && fast && !seen.is_refuted();
        self.reach_mm > 0 && further && agreed && !seen.is_denied()
    }

    /// It is there still: by now it did move, unless a proven odometer did not; then
    /// it was carried, or its places drifted.
    fn stayed_away(self, seen: &Seen<'_>) -> Next {
        let Pending { seconds, way_mm, advanced_m, .. } = self.pending;
        let way = way_mm.map(|mm| Way { mm, seconds });
        let advance = advanced_m.map(|metres| Advance { leg_m: metres, way_m: metres });
        let moved = !Seen { way, advance, ..*seen }.is_denied();
        let settled = Some((moved, self.pending));
        if moved && seen.is_quick() {
            return (Motion::Going(Going::at(seen)), LegKind::Moving, settled);
        }
        let seconds = self.away.map_or(0, |away| away.seconds);
        (stand(seen.to.place, seconds, seen), LegKind::Standing, settled)
    }
}

impl Away {
    fn plus(self, seen: &Seen<'_>) -> Self {
        let rows = self.rows.saturating_add(u8::from(seen.to.is_placed()));
        Self { rows, seconds: self.seconds.saturating_add(seen.seconds()) }
    }

    fn is_long(self) -> bool {
        AWAY.iter().any(|(rows, seconds)| self.rows >= *rows && self.seconds >= *seconds)
    }
}

impl Going {
    fn at(seen: &Seen<'_>) -> Self {
        Self { check: seen.to.place, has_speed: seen.any_fast(), ..Self::default() }
    }

    fn on(mut self, seen: &Seen<'_>) -> Next {
        if seen.relocated {
            let settled = self.lost.map(|pending| (true, pending));
            return (Motion::Going(Self::at(seen)), LegKind::Moving, settled);
        }
        let moves = self.moves(seen);
        if !moves && !seen.to.is_placed() && seen.on() {
            let mut pending = self.lost.unwrap_or_default();
            pending.add(seen);
            if pending.whole_s() <= UNDECIDED_S {
                self.lost = Some(pending);
                return (Motion::Going(self), LegKind::Undecided, None);
            }
        }
        let settled = self.lost.take().map(|pending| (moves, pending));
        if moves {
            return (Motion::Going(self), LegKind::Moving, settled);
        }
        // Without a place nobody knows where it came to stand.
        let here = seen.to.place.filter(|_| seen.to.is_placed());
        (Motion::at(here), LegKind::Standing, settled)
    }

    fn moves(&mut self, seen: &Seen<'_>) -> bool {
        self.has_speed |= seen.any_fast();
        self.since_check_s = self.since_check_s.saturating_add(seen.seconds());
        self.expected_mm += seen.expected_mm();
        self.metered_mm += seen.metered_mm();
        let since_check_mm = self.check.zip(seen.to.place).map_or(0, |(check, to)| check.mm_to(to));
        let borne_out = since_check_mm.max(self.metered_mm);
        if seen.is_denied() && !seen.on() {
            return false;
        }
        if seen.both_fast() {
            if self.expected_mm < EXPECTED_MM {
                return true;
            }
            return self.pass(borne_out * REFUTED_SHARE >= self.expected_mm, seen);
        }
        if !seen.is_quick() {
            return false;
        }
        let far = seen.gps_mm() >= SCATTER_MM && !seen.is_denied();
        if far || seen.any_fast() || seen.is_metered_quick() {
            return self.pass(true, seen);
        }
        if borne_out >= SCATTER_MM {
            return self.pass(!self.has_speed, seen);
        }
        !self.has_speed && self.since_check_s <= SPEEDLESS_S
    }

    /// Begins a new stretch to check, if this one was passed.
    fn pass(&mut self, passed: bool, seen: &Seen<'_>) -> bool {
        if passed {
            *self = Self { has_speed: self.has_speed, lost: self.lost, ..Self::at(seen) };
        }
        passed
    }
}
