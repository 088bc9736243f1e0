//! What people write of a rule, and what is made of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::RuleError;
use crate::language::{Comparison, Expression, parse};
use crate::machine::Timing;
use crate::memory::Needs;
use crate::name::Name;

/// The longest duration of a rule: thirty days.
pub const MAX_SECONDS: u32 = 30 * 86_400;
/// For how long a row stands by default, and at least.
const HOLD_S: u32 = 3600;
const MIN_HOLD_S: u32 = 60;
/// How old what an alarm is about may be for anybody to be notified of it, by default.
const YOUNG_S: u32 = 900;
/// The least time of silence that is worth an alarm.
const MIN_SILENCE_S: u32 = 10;
/// A speed this far below the limit ends an overspeed, by default.
const OVERSPEED_MARGIN_KMH: f64 = 5.0;

const HYSTERESIS_KMH: &str = "a number from 0 to the limit";

/// A rule as it is written and stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// What raises an alarm.
    pub test: Test,
    /// For how many seconds it must be so before an alarm opens.
    #[serde(default)]
    pub for_s: u32,
    /// For how many seconds it must not be so any more before the alarm is cleared.
    #[serde(default)]
    pub keep_for_s: u32,
    /// For how many seconds a value holds when no newer one comes, 60 or more.
    #[serde(default = "hold_s")]
    pub hold_s: u32,
    /// What happened longer ago than these seconds is recorded, and nobody is notified of it.
    #[serde(default = "young_s")]
    pub notify_if_younger_s: u32,
}

const fn hold_s() -> u32 {
    HOLD_S
}

const fn young_s() -> u32 {
    YOUNG_S
}

/// What raises an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "RuleTest")]
pub enum Test {
    /// A condition holds (docs/rules.md, "Conditions").
    Condition {
        /// The condition to enter.
        when: String,
        /// The condition to leave; without it, that `when` does not hold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// The device comes into a geofence; being in it from the first row on is not coming into it.
    Entered {
        /// The geofence's number.
        geofence: u64,
    },
    /// The device goes out of a geofence.
    Left {
        /// The geofence's number.
        geofence: u64,
    },
    /// The device is in a geofence.
    Inside {
        /// The geofence's number.
        geofence: u64,
    },
    /// The device is not in a geofence.
    Outside {
        /// The geofence's number.
        geofence: u64,
    },
    /// The device is too fast.
    Overspeed {
        /// Faster than this, km/h.
        limit_kmh: f64,
        /// Until it is no faster than this; by default 5 km/h below the limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until_kmh: Option<f64>,
    },
    /// The ignition is on, or off.
    Ignition {
        /// Which of the two raises the alarm.
        on: bool,
    },
    /// The device moves (from 5 km/h on), or stands (below 2 km/h).
    Motion {
        /// Which of the two raises the alarm.
        moving: bool,
    },
    /// The ignition is on and the device stands.
    Idling {},
    /// Nothing came from the device.
    Silent {
        /// For longer than these seconds.
        after_s: u32,
    },
    /// The odometer has advanced, as between services.
    Odometer {
        /// What it showed at the last service, kilometres.
        since_km: f64,
        /// By how much it may advance, kilometres.
        every_km: f64,
    },
    /// The hour meter has advanced, as between services.
    EngineHours {
        /// What it showed at the last service, hours.
        since_h: f64,
        /// By how much it may advance, hours.
        every_h: f64,
    },
}

/// A rule that can be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its number.
    pub id: u64,
    /// Which version of it; a changed rule begins anew.
    pub version: u32,
    pub(crate) check: Check,
    pub(crate) timing: Timing,
    pub(crate) young_ms: u64,
}

/// How a row is judged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Check {
    Condition { enter: Expression, leave: Option<Expression> },
    Fence { id: u64, inside: bool },
    Silence { after_ms: u64 },
}

impl Rule {
    /// Compiles and checks a rule. `is_fence` tells whether there is a geofence of a number.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(
        id: u64,
        version: u32,
        spec: &RuleSpec,
        is_fence: impl Fn(u64) -> bool,
    ) -> Result<Self, RuleError> {
        check_durations(spec)?;
        let check = check_of(&spec.test, is_fence)?;
        let needs_opposite = matches!(spec.test, Test::Entered { .. } | Test::Left { .. });
        let timing = Timing {
            for_ms: ms(spec.for_s),
            keep_for_ms: ms(spec.keep_for_s),
            hold_ms: ms(spec.hold_s),
            needs_opposite,
        };
        Ok(Self { id, version, check, timing, young_ms: ms(spec.notify_if_younger_s) })
    }

    /// Of a silence: it begins and ends at once, and holds as long as it lasts.
    pub(crate) const fn silence_timing() -> Timing {
        Timing { for_ms: 0, keep_for_ms: 0, hold_ms: u64::MAX, needs_opposite: false }
    }

    /// The fences that the rule asks for.
    pub fn fences(&self) -> Vec<u64> {
        let mut fences = Vec::new();
        if let Check::Fence { id, .. } = self.check {
            fences.push(id);
        }
        self.each(|part| {
            if let Expression::Inside(id) = part {
                fences.push(*id);
            }
        });
        fences.sort_unstable();
        fences.dedup();
        fences
    }

    /// The field or channel whose value an alarm shows.
    pub(crate) fn watched(&self) -> Option<&Name> {
        match &self.check {
            Check::Condition { enter, .. } => enter.watched(),
            Check::Fence { .. } | Check::Silence { .. } => None,
        }
    }

    /// Adds what the rule asks for.
    pub(crate) fn add_needs(&self, needs: &mut Needs) {
        self.each(|part| match part {
            Expression::Newest(name) | Expression::Rate(name) | Expression::Age(Some(name)) => {
                needs.names.insert(name.clone());
            }
            Expression::Mean(name, window_ms) => {
                needs.names.insert(name.clone());
                needs.windows.insert((name.clone(), *window_ms));
            }
            _ => {}
        });
    }

    fn each<'a>(&'a self, mut visit: impl FnMut(&'a Expression)) {
        if let Check::Condition { enter, leave } = &self.check {
            enter.each(&mut visit);
            if let Some(leave) = leave {
                leave.each(&mut visit);
            }
        }
    }
}

fn ms(seconds: u32) -> u64 {
    u64::from(seconds) * 1000
}

fn check_durations(spec: &RuleSpec) -> Result<(), RuleError> {
    let within = |part, value: u32, least: u32, bounds| {
        let fits = (least..=MAX_SECONDS).contains(&value);
        if fits { Ok(()) } else { Err(RuleError::Bounds { part, bounds }) }
    };
    within("for_s", spec.for_s, 0, "0 to 2592000")?;
    within("keep_for_s", spec.keep_for_s, 0, "0 to 2592000")?;
    within("hold_s", spec.hold_s, MIN_HOLD_S, "60 to 2592000")?;
    within("notify_if_younger_s", spec.notify_if_younger_s, 0, "0 to 2592000")?;
    if let Test::Silent { after_s } = spec.test {
        within("after_s", after_s, MIN_SILENCE_S, "10 to 2592000")?;
    }
    // Longer, and the row would be forgotten before the time is over.
    within(
        "hold_s",
        spec.hold_s,
        spec.for_s.max(spec.keep_for_s).max(MIN_HOLD_S),
        "at least for_s and keep_for_s",
    )
}

fn check_of(test: &Test, is_fence: impl Fn(u64) -> bool) -> Result<Check, RuleError> {
    match test {
        Test::Condition { when, until } => condition(when, until.as_deref(), is_fence),
        Test::Entered { geofence } | Test::Inside { geofence } => fence(*geofence, true, is_fence),
        Test::Left { geofence } | Test::Outside { geofence } => fence(*geofence, false, is_fence),
        Test::Overspeed { limit_kmh, until_kmh } => {
            let limit = bounded("limit_kmh", *limit_kmh, 1.0, 100_000.0, "1 to 100000")?;
            let until = until_kmh.unwrap_or((limit - OVERSPEED_MARGIN_KMH).max(0.0));
            let until = bounded("until_kmh", until, 0.0, limit, HYSTERESIS_KMH)?;
            fixed(&format!("speed_kmh > {limit}"), &format!("speed_kmh <= {until}"))
        }
        Test::Ignition { on: true } => fixed("ignition", "not ignition"),
        Test::Ignition { on: false } => fixed("not ignition", "ignition"),
        Test::Motion { moving: true } => fixed("speed_kmh >= 5", "speed_kmh < 2"),
        Test::Motion { moving: false } => fixed("speed_kmh < 2", "speed_kmh >= 5"),
        Test::Idling {} => fixed("ignition and speed_kmh < 2", "not ignition or speed_kmh >= 5"),
        Test::Silent { after_s } => Ok(Check::Silence { after_ms: ms(*after_s) }),
        Test::Odometer { since_km, every_km } => advanced(
            "odometer_km",
            bounded("since_km", *since_km, 0.0, 1e8, "0 to 100000000")?,
            bounded("every_km", *every_km, 1.0, 1e8, "1 to 100000000")?,
        ),
        Test::EngineHours { since_h, every_h } => advanced(
            "engine_hours",
            bounded("since_h", *since_h, 0.0, 1e8, "0 to 100000000")?,
            bounded("every_h", *every_h, 0.1, 1e8, "0.1 to 100000000")?,
        ),
    }
}

fn bounded(
    part: &'static str,
    value: f64,
    least: f64,
    most: f64,
    bounds: &'static str,
) -> Result<f64, RuleError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(RuleError::Bounds { part, bounds })
    }
}

fn fence(id: u64, inside: bool, is_fence: impl Fn(u64) -> bool) -> Result<Check, RuleError> {
    if is_fence(id) { Ok(Check::Fence { id, inside }) } else { Err(RuleError::NoFence(id)) }
}

fn advanced(field: &str, since: f64, every: f64) -> Result<Check, RuleError> {
    let due = since + every;
    fixed(&format!("{field} >= {due}"), &format!("{field} < {due}"))
}

/// A condition of ours.
fn fixed(when: &str, until: &str) -> Result<Check, RuleError> {
    condition(when, Some(until), |_| false)
}

fn condition(
    when: &str,
    until: Option<&str>,
    is_fence: impl Fn(u64) -> bool,
) -> Result<Check, RuleError> {
    let part = |part, text| {
        let parsed = parse(text).map_err(|error| RuleError::Condition { part, error })?;
        match parsed.fences.iter().find(|(id, _)| !is_fence(*id)) {
            Some((id, _)) => Err(RuleError::NoFence(*id)),
            None => Ok(parsed.expression),
        }
    };
    let enter = part("when", when)?;
    let leave = until.map(|until| part("until", until)).transpose()?;
    if leave.as_ref().is_some_and(|leave| contradicts(&enter, leave)) {
        return Err(RuleError::Hysteresis);
    }
    Ok(Check::Condition { enter, leave })
}

/// Whether both may hold at once, where that is plain to see: the same value compared to two
/// numbers. Else an alarm would clear while its cause is there.
fn contradicts(enter: &Expression, leave: &Expression) -> bool {
    let (Some((name, above, enter)), Some((other, leave_above, leave))) =
        (threshold(enter), threshold(leave))
    else {
        return false;
    };
    name == other && (above == leave_above || (above && leave > enter) || (!above && leave < enter))
}

/// A name, whether it is to be above, and the number.
fn threshold(expression: &Expression) -> Option<(&Name, bool, f64)> {
    let Expression::Compare(by, one, other) = expression else { return None };
    let above = match by {
        Comparison::Greater | Comparison::AtLeast => true,
        Comparison::Less | Comparison::AtMost => false,
        Comparison::Equal | Comparison::Unequal => return None,
    };
    match (&**one, &**other) {
        (Expression::Newest(name), Expression::Number(number)) => Some((name, above, *number)),
        (Expression::Number(number), Expression::Newest(name)) => Some((name, !above, *number)),
        _ => None,
    }
}
