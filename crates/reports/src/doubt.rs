//! Which rows not to believe: places and speeds that contradict the rows before.
//!
//! A row is judged once, by the rows before it alone, so that it has one verdict in
//! every report and file. Verdicts are computed and never stored: a better rule
//! needs no change of the database. Odometer and ignition are not judged here.

use schemars::JsonSchema;
use serde::Serialize;

use super::place::Place;
use super::row::Row;

/// Beyond what speeds explain, metres that fixes of one place may lie apart.
const SCATTER_M: f64 = 100.0;
/// Mean speed that a vehicle may reach between two rows whatever it reports at
/// them, in m/s: so much at once, and a sixth of a metre per second more each second.
const UNSEEN_M_S: f64 = 15.0;
const UNSEEN_GAIN_M_S2: f64 = 1.0 / 6.0;
/// What a speed explains that the device does not report: with the above, 180 km/h at once.
const UNREPORTED_M_S: f64 = 35.0;
/// Mean speed allowed per speed reported.
const REPORTED_SHARE: f64 = 1.5;
/// No vehicle on land is faster (360 km/h).
const FASTEST_M_S: f64 = 100.0;
/// The field ends at 255 km/h: from this speed on the device may be an aircraft.
const SATURATED_KMH: u8 = 250;
/// After so long a silence as well.
const SILENCE_S: u32 = 3600;
const FASTEST_IN_THE_AIR_M_S: f64 = 300.0;
/// A device this close to 0/0 may really be there.
const ZERO_ISLAND_M: f64 = 10_000.0;
/// A place that contradicts the trusted one replaces it when so many rows in a row,
/// over so many seconds, agree with each other.
const AGREEING_ROWS: u8 = 3;
const AGREEING_S: u32 = 20;
/// A place repeated to the micro-degree at speed is no new fix, for so long.
const REPEATED_S: u32 = 300;
/// A speed up to this needs no explanation, in km/h.
const USUAL_KMH: f64 = 60.0;
/// A higher one may exceed what was seen before it by this factor.
const EXCESS: f64 = 2.5;
/// The speed before says something about this one for so long.
const SPEED_HOLDS_S: u32 = 60;
/// Rows before a row that suffice to judge it.
pub const ROWS_TO_JUDGE: u32 = 32;

/// Why a row is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Latitude and longitude are 0: the receiver had none.
    ZeroPlace,
    /// Too far from the place before: reflected signals, or an old fix.
    Jump,
    /// The place is believed, the speed is not: nothing before led up to it.
    Speed,
}

impl Doubt {
    /// As it stands in answers and files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ZeroPlace => "zero_place",
            Self::Jump => "jump",
            Self::Speed => "speed",
        }
    }

    /// Whether the place is in doubt, and with it the row's speed.
    pub const fn is_of_place(self) -> bool {
        matches!(self, Self::ZeroPlace | Self::Jump)
    }
}

/// A fix with the speed reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fix {
    pub(super) place: Place,
    /// `None` where the device does not report it.
    pub(super) kmh: Option<u8>,
}

/// Rows that agree with each other and not with the trusted place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rival {
    pub(super) last: Fix,
    pub(super) since: u32,
    pub(super) rows: u8,
}

/// Judges a device's rows in time order. A few dozen bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubts {
    pub(super) trusted: Option<Fix>,
    /// For how long its place had been repeated at speed: the fix itself is older by so much.
    pub(super) repeated_s: u32,
    /// The newest speed that was believed, km/h, and when.
    pub(super) speed: Option<(u8, u32)>,
    pub(super) rival: Option<Rival>,
}

/// What is said of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) doubt: Option<Doubt>,
    /// The place is believed again after rows that were not: how it got here from
    /// the last place believed is unknown.
    pub(crate) relocated: bool,
}

impl Doubts {
    /// The next row. Rows without a fix are not judged: they claim nothing.
    pub(crate) fn judge(&mut self, row: &impl Row) -> Verdict {
        if !row.position().composition.gps_fix() {
            return Verdict::default();
        }
        let fix = Fix::of(row);
        if fix.is_zero() && !self.trusted.is_some_and(|near| near.metres_to(fix) < ZERO_ISLAND_M) {
            return Verdict { doubt: Some(Doubt::ZeroPlace), relocated: false };
        }
        let Some(trusted) = self.trusted else {
            self.speed = fix.kmh.map(|kmh| (kmh, fix.at()));
            return self.trust(fix, Verdict::default());
        };
        let metres = trusted.metres_to(fix);
        if metres > trusted.reach_m(fix, self.repeated_s) {
            return self.contradicted(fix);
        }
        let seconds = fix.at() - trusted.at();
        let doubt = self.judge_speed(fix, metres, seconds);
        let repeats = metres == 0.0 && fix.kmh.is_some_and(|kmh| kmh > 0);
        let repeated_s = self.repeated_s.saturating_add(seconds).min(REPEATED_S);
        let verdict = self.trust(fix, Verdict { doubt, relocated: false });
        self.repeated_s = if repeats { repeated_s } else { 0 };
        verdict
    }

    fn trust(&mut self, fix: Fix, verdict: Verdict) -> Verdict {
        (self.trusted, self.repeated_s, self.rival) = (Some(fix), 0, None);
        verdict
    }

    /// Too far away to be believed, unless enough rows say the same.
    fn contradicted(&mut self, fix: Fix) -> Verdict {
        let near = |rival: &Rival| rival.last.metres_to(fix) <= rival.last.reach_m(fix, 0);
        let (since, rows) = match self.rival.filter(near) {
            Some(rival) => (rival.since, rival.rows.saturating_add(1)),
            None => (fix.at(), 1),
        };
        if rows >= AGREEING_ROWS && fix.at() - since >= AGREEING_S {
            self.speed = None;
            return self.trust(fix, Verdict { doubt: None, relocated: true });
        }
        self.rival = Some(Rival { last: fix, since, rows });
        Verdict { doubt: Some(Doubt::Jump), relocated: false }
    }

    /// A speed is explained by the way since the last place or by the speed before.
    fn judge_speed(&mut self, fix: Fix, metres: f64, seconds: u32) -> Option<Doubt> {
        let kmh = fix.kmh?;
        let mean_kmh = if seconds > 0 { metres * 3.6 / f64::from(seconds) } else { 0.0 };
        let before = self.speed.filter(|(_, at)| fix.at() - at <= SPEED_HOLDS_S);
        let before_kmh = before.map_or(0.0, |(kmh, _)| f64::from(kmh));
        let most_kmh = USUAL_KMH + EXCESS * mean_kmh.max(before_kmh);
        if f64::from(kmh) > most_kmh {
            return Some(Doubt::Speed);
        }
        self.speed = Some((kmh, fix.at()));
        None
    }
}

impl Fix {
    fn of(row: &impl Row) -> Self {
        Self { place: Place::of(row.position()), kmh: row.speed_kmh() }
    }

    const fn at(self) -> u32 {
        self.place.fixed_at
    }

    const fn is_zero(self) -> bool {
        self.place.latitude_udeg == 0 && self.place.longitude_udeg == 0
    }

    fn metres_to(self, other: Self) -> f64 {
        self.place.metres_to(other.place)
    }

    /// How far away a later fix may be, if this one was made so many seconds earlier.
    fn reach_m(self, later: Self, older_s: u32) -> f64 {
        let seconds = (later.at() - self.at()).saturating_add(older_s);
        let kmh = self.kmh.max(later.kmh).unwrap_or(0);
        if kmh >= SATURATED_KMH || seconds > SILENCE_S {
            return FASTEST_IN_THE_AIR_M_S * f64::from(seconds) + SCATTER_M;
        }
        let seconds = f64::from(seconds);
        let reported = f64::from(kmh) / 3.6 * REPORTED_SHARE;
        let is_reported = self.kmh.is_some() && later.kmh.is_some();
        let explained = if is_reported { reported } else { reported.max(UNREPORTED_M_S) };
        let mean = UNSEEN_M_S + explained + seconds * UNSEEN_GAIN_M_S2;
        mean.min(FASTEST_M_S) * seconds + SCATTER_M
    }
}

#[cfg(test)]
#[path = "doubt_tests.rs"]
mod tests;
