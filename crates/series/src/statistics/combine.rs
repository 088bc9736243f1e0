//! Several series of one step as one: what a fleet used in all, or on average.

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    /// The sum.
    Sum,
    /// The mean of the series that count.
    Mean,
}

impl Combine {
    /// The name in APIs and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
        }
    }
}

/// One series of several. A window in which no series has a number is a gap. In others a series
/// without a number counts with its last one if `levels` (what a tank held an hour ago it holds),
/// and not at all otherwise (a window without kilometres adds none).
///
/// The result has as many windows as the longest series.
pub fn combined(series: &[&[Option<f64>]], by: Combine, levels: bool) -> Vec<Option<f64>> {
    let windows = series.iter().map(|one| one.len()).max().unwrap_or_default();
    let mut last: Vec<Option<f64>> = vec![None; series.len()];
    let mut window = |at: usize| {
        let mut any = false;
        for (one, last) in series.iter().zip(&mut last) {
            let number = one.get(at).copied().flatten();
            any |= number.is_some();
            *last = if levels { number.or(*last) } else { number };
        }
        let (sum, count) = last
            .iter()
            .flatten()
            .fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
        let number = if by == Combine::Mean { sum / count } else { sum };
        crate::number::finite(number).filter(|_| any)
    };
    (0..windows).map(&mut window).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: [Option<f64>; 4] = [Some(10.0), None, Some(30.0), None];
    const TWO: [Option<f64>; 4] = [None, Some(2.0), Some(4.0), None];

    #[test]
    fn levels_stand_and_changes_do_not() {
        let of = |by, levels| combined(&[&ONE, &TWO], by, levels);
        assert_eq!(of(Combine::Sum, true), [Some(10.0), Some(12.0), Some(34.0), None]);
        assert_eq!(of(Combine::Sum, false), [Some(10.0), Some(2.0), Some(34.0), None]);
        assert_eq!(of(Combine::Mean, true), [Some(10.0), Some(6.0), Some(17.0), None]);
        assert_eq!(of(Combine::Mean, false), [Some(10.0), Some(2.0), Some(17.0), None]);
        assert_eq!(combined(&[], Combine::Sum, true), []);
        assert_eq!(combined(&[&[Some(f64::MAX)], &[Some(f64::MAX)]], Combine::Sum, true), [None]);
    }

    proptest! {
        #[test]
        fn one_alone_is_itself_and_a_mean_lies_between(
            series in proptest::collection::vec(
                proptest::collection::vec(proptest::option::of(-1e6..1e6_f64), 5),
                1..5,
            ),
            levels: bool,
        ) {
            let all: Vec<&[Option<f64>]> = series.iter().map(Vec::as_slice).collect();
            for by in [Combine::Sum, Combine::Mean] {
                prop_assert_eq!(combined(&all[..1], by, levels), series[0].clone());
            }
            let (least, most) = series.iter().flatten().flatten().fold(
                (f64::INFINITY, f64::NEG_INFINITY),
                |(least, most), number| (least.min(*number), most.max(*number)),
            );
            for mean in combined(&all, Combine::Mean, levels).into_iter().flatten() {
                prop_assert!((least - 1e-6..=most + 1e-6).contains(&mean));
            }
        }
    }
}
