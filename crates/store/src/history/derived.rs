//! Channels that are computed when they are read: another channel's numbers by a
//! calibration, such as a tank's litres by its sensor's volts. The other channel's values stay
//! as they are.

use std::fmt;
use std::str::FromStr;

use nemeses_protocol::Value;

/// Derived channels that a device may have.
pub const MAX_DERIVED: usize = 64;
/// Points of a table.
pub const MAX_CALIBRATION_POINTS: usize = 100;

/// How a number becomes another.
#[derive(Clone, Debug, PartialEq)]
pub enum Calibration {
    /// `factor * raw + offset`.
    Linear {
        /// What the raw number is multiplied by.
        factor: f64,
        /// What is added then.
        offset: f64,
    },
    /// By straight lines between points, and as the nearest point beyond them; the raw numbers
    /// rise.
    Table(Vec<(f64, f64)>),
}

/// The numbers make no calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCalibration {
    /// NaN or infinite.
    #[error("every number must be finite")]
    NotFinite,
    /// Too few or too many points.
    #[error("a table has 2 to {MAX_CALIBRATION_POINTS} points")]
    Points,
    /// Two points for one raw number, or one that is less than the one before.
    #[error("the raw numbers of a table must rise from point to point")]
    Order,
    /// The text in the database is none that was written there.
    #[error("the text is no calibration")]
    Text,
}

impl Calibration {
    /// The same if its numbers make sense.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn checked(self) -> Result<Self, BadCalibration> {
        let pairs: &[(f64, f64)] = match &self {
            Self::Linear { factor, offset } => &[(*factor, *offset)],
            Self::Table(points) if !(2..=MAX_CALIBRATION_POINTS).contains(&points.len()) => {
                return Err(BadCalibration::Points);
            }
            Self::Table(points) => points,
        };
        if !pairs.iter().all(|(one, other)| one.is_finite() && other.is_finite()) {
            return Err(BadCalibration::NotFinite);
        }
        if !pairs.is_sorted_by(|one, next| one.0 < next.0) {
            return Err(BadCalibration::Order);
        }
        Ok(self)
    }

    /// What a raw number becomes; none where the result is not finite.
    pub fn apply(&self, raw: f64) -> Option<f64> {
        let read = match self {
            Self::Linear { factor, offset } => factor * raw + offset,
            Self::Table(points) => {
                let behind = points.partition_point(|point| point.0 < raw);
                match (behind.checked_sub(1).map(|before| points[before]), points.get(behind)) {
                    (None, Some((_, first))) => *first,
                    (Some((_, last)), None) => last,
                    (Some((x0, y0)), Some((x1, y1))) => y0 + (raw - x0) / (x1 - x0) * (y1 - y0),
                    (None, None) => return None,
                }
            }
        };
        (raw.is_finite() && read.is_finite()).then_some(read)
    }
}

/// As it stands in the database: `linear 2.5 -1`, or `table 0:0 1.2:10`.
impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear { factor, offset } => write!(f, "linear {factor} {offset}"),
            Self::Table(points) => {
                f.write_str("table")?;
                points.iter().try_for_each(|(raw, read)| write!(f, " {raw}:{read}"))
            }
        }
    }
}

impl FromStr for Calibration {
    type Err = BadCalibration;

    fn from_str(text: &str) -> Result<Self, BadCalibration> {
        let number = |text: &str| text.parse::<f64>().map_err(|_| BadCalibration::Text);
        let point = |text: &str| {
            let (raw, read) = text.split_once(':').ok_or(BadCalibration::Text)?;
            Ok((number(raw)?, number(read)?))
        };
        let mut words = text.split(' ');
        match (words.next(), text.matches(' ').count()) {
            (Some("linear"), 2) => {
                let mut next = || number(words.next().unwrap_or_default());
                Self::Linear { factor: next()?, offset: next()? }.checked()
            }
            (Some("table"), _) => {
                Self::Table(words.map(point).collect::<Result<_, _>>()?).checked()
            }
            _ => Err(BadCalibration::Text),
        }
    }
}

/// What a derived channel is computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivation {
    /// The name of the device's own channel.
    pub source: String,
    /// How.
    pub calibration: Calibration,
}

impl Derivation {
    /// What a value of the source becomes; only numbers become anything.
    pub fn read(&self, raw: &Value) -> Option<Value> {
        let number = match raw {
            Value::Integer(_) | Value::Number(_) => raw.as_number()?,
            Value::Flag(_) | Value::Text(_) => return None,
        };
        self.calibration.apply(number).map(Value::Number)
    }
}

/// What became of a derived channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// There is one more.
    Made,
    /// It took the place of the one of that name.
    Replaced,
    /// A channel of the device's own has the name.
    NameTaken,
    /// The device has no channel of its own that is named as the source.
    NoSource,
    /// [`MAX_DERIVED`] are there.
    TooMany,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_becomes_another() {
        let linear = Calibration::Linear { factor: 2.5, offset: -1.0 };
        assert_eq!((linear.apply(2.0), linear.apply(f64::MAX)), (Some(4.0), None));
        let tank: Calibration = "table 0:0 1:10 3:90".parse().unwrap();
        for (raw, read) in
            [(-1.0, 0.0), (0.0, 0.0), (0.5, 5.0), (1.0, 10.0), (2.0, 50.0), (9.0, 90.0)]
        {
            assert_eq!(tank.apply(raw), Some(read), "{raw}");
        }
        assert_eq!(tank.apply(f64::NAN), None);
        let derivation = Derivation { source: "volts".to_owned(), calibration: tank };
        assert_eq!(derivation.read(&Value::Integer(2)), Some(Value::Number(50.0)));
        assert_eq!(derivation.read(&Value::Text("2".into())), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, error) in [
            ("linear 1", BadCalibration::Text),
            ("linear 1 inf", BadCalibration::NotFinite),
            ("table 0:1", BadCalibration::Points),
            ("table 1:1 1:2", BadCalibration::Order),
            ("table 2:1 1:2", BadCalibration::Order),
            ("table 0:1 1;2", BadCalibration::Text),
            ("spline 1:1", BadCalibration::Text),
            ("", BadCalibration::Text),
        ] {
            assert_eq!(text.parse::<Calibration>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(factor in any::<f64>(), offset in -1e9..1e9) {
            let points = vec![(offset, factor), (offset + 1.0, 0.5)];
            for calibration in [Calibration::Linear { factor, offset }, Calibration::Table(points)] {
                let Ok(calibration) = calibration.checked() else { continue };
                prop_assert_eq!(calibration.to_string().parse(), Ok(calibration));
            }
        }
    }
}
