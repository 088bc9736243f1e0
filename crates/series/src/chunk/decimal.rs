//! Floating-point numbers as the whole numbers that their decimals are: 21.5 is 215 tenths.
//!
//! A number belongs here only if it comes back with the same bits, so that nothing is ever
//! rounded: not NaN, not -0, and nothing with more digits than an f64 holds.

use super::ChunkError;
use crate::number;

/// Powers of ten that divide without a second rounding; beyond them f64 has no digits left.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Most decimal places.
const MOST_PLACES: u8 = 15;

/// Set in a scale's byte where numbers were single precision.
const SINGLE: u8 = 0x10;

/// 2^53: up to here whole numbers are exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// How whole numbers and decimals belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// Decimal places, 0 to [`MOST_PLACES`].
    pub(super) places: u8,
    /// Whether numbers were single precision (f32) before they were double: then 21.3 is
    /// 21.299999237060547, and still 213 tenths.
    pub(super) single: bool,
}

impl Scale {
    /// The places, and [`SINGLE`].
    pub(super) fn to_byte(self) -> u8 {
        self.places | if self.single { SINGLE } else { 0 }
    }

    pub(super) fn from_byte(byte: u8) -> Result<Self, ChunkError> {
        let scale = Self { places: byte & !SINGLE, single: byte & SINGLE != 0 };
        let known = scale.places <= MOST_PLACES;
        known
            .then_some(scale)
            .ok_or(ChunkError::Malformed("a column of numbers has an unknown form"))
    }

    /// The decimal of a whole number.
    pub(super) fn number(self, whole: i64) -> f64 {
        let number = number::float(whole) / POWERS[usize::from(self.places)];
        if self.single { f64::from(single(number)) } else { number }
    }

    /// The whole number of a decimal; none if it would not come back with the same bits.
    pub(super) fn whole(self, number: f64) -> Option<i64> {
        let scaled = number * POWERS[usize::from(self.places)];
        // NaN is not within the bounds either.
        if !(-EXACT..=EXACT).contains(&scaled) {
            return None;
        }
        let whole = nearest(scaled);
        (self.number(whole).to_bits() == number.to_bits()).then_some(whole)
    }

    /// The fewest places at which all but a few (a sixteenth) of the numbers are decimals; none
    /// if there is no such scale.
    pub(super) fn of(numbers: &[f64]) -> Option<Self> {
        let most_odd = numbers.len() / 16;
        [false, true].into_iter().find_map(|single| {
            let of_places = count_places(numbers, single, most_odd)?;
            let mut left = numbers.len();
            let enough = |(_, count): &(u8, usize)| {
                left -= count;
                left <= most_odd
            };
            let (places, _) = (0..).zip(of_places).find(enough)?;
            Some(Self { places, single })
        })
    }

    fn holds(self, number: f64) -> bool {
        self.whole(number).is_some()
    }
}

/// How many numbers have how many decimal places; none if more than `most_odd` are no decimals.
fn count_places(numbers: &[f64], single: bool, most_odd: usize) -> Option<[usize; POWERS.len()]> {
    let (mut of_places, mut odd, mut guess) = ([0; POWERS.len()], 0, 0);
    for number in numbers {
        if let Some(places) = places(*number, single, guess) {
            of_places[usize::from(places)] += 1;
            guess = places;
        } else {
            odd += 1;
        }
        if odd > most_odd {
            return None;
        }
    }
    Some(of_places)
}

/// How many decimal places a number has; none if it is no decimal. More places than it has are
/// right too, so the search begins at a guess.
fn places(number: f64, single: bool, guess: u8) -> Option<u8> {
    let holds = |places: &u8| Scale { places: *places, single }.holds(number);
    if holds(&guess) {
        return (0..guess).rev().take_while(holds).last().or(Some(guess));
    }
    (guess + 1..=MOST_PLACES).find(holds)
}

/// The nearest whole number; a call of `round` costs more than the rest together.
#[expect(clippy::cast_possible_truncation, reason = "within 2^53")]
fn nearest(scaled: f64) -> i64 {
    (scaled + 0.5_f64.copysign(scaled)) as i64
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is meant")]
fn single(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fewest_places_are_found() {
        let scale = |numbers: &[f64]| Scale::of(numbers).map(|scale| (scale.places, scale.single));
        assert_eq!(scale(&[1.0, -5.0]), Some((0, false)));
        assert_eq!(scale(&[21.5, 21.55]), Some((2, false)));
        assert_eq!(scale(&[f64::from(21.3_f32), 0.5]), Some((1, true)));
        assert_eq!(scale(&[-0.0]), None);
        assert_eq!(scale(&[f64::NAN]), None);
        assert_eq!(scale(&[0.1 + 0.2]), None);
        assert_eq!(scale(&[1e300]), None);
    }

    #[test]
    fn few_odd_numbers_change_no_scale() {
        let mut numbers = vec![0.5; 31];
        numbers.push(f64::NAN);
        numbers[3] = 0.123_456;
        assert_eq!(Scale::of(&numbers).map(|scale| scale.places), Some(1));
        numbers[4] = 0.123_456;
        assert_eq!(Scale::of(&numbers).map(|scale| scale.places), Some(6));
    }

    proptest! {
        #[test]
        fn decimals_as_written_are_found(whole in -999_999_999_i64..999_999_999, places in 0_u8..9) {
            let text = format!("{whole}e-{places}");
            let number: f64 = text.parse().unwrap();
            prop_assume!(number.to_bits() != (-0.0_f64).to_bits());
            let scale = Scale { places, single: false };
            prop_assert_eq!(scale.whole(number), Some(whole));
            prop_assert_eq!(scale.number(whole).to_bits(), number.to_bits());
        }

        #[test]
        fn what_is_found_comes_back(bits in any::<u64>(), places in 0..=MOST_PLACES, single: bool) {
            let (number, scale) = (f64::from_bits(bits), Scale { places, single });
            if let Some(whole) = scale.whole(number) {
                prop_assert_eq!(scale.number(whole).to_bits(), bits);
            }
        }
    }
}
