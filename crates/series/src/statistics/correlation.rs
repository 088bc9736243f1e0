//! How alike series move: Pearson's correlation of each pair.

use crate::{SeriesError, number};

/// Most series of a matrix: 2 016 pairs, and 100 million multiplications at 50 000 windows.
pub const MAX_CORRELATED: usize = 64;

/// Fewest windows in which both series have a number; any two points lie on a line.
pub const MIN_COMMON_WINDOWS: usize = 3;

/// The correlation of each pair of series, over the windows in which both have a number: a
/// symmetric matrix. None where there are fewer than [`MIN_COMMON_WINDOWS`] of them, or where
/// one of the two does not change in them.
///
/// # Errors
///
/// If there are more than [`MAX_CORRELATED`] series.
pub fn correlations(series: &[Vec<Option<f64>>]) -> Result<Vec<Vec<Option<f64>>>, SeriesError> {
    if series.len() > MAX_CORRELATED {
        return Err(SeriesError::TooManySeries { given: series.len(), limit: MAX_CORRELATED });
    }
    let mut matrix = vec![vec![None; series.len()]; series.len()];
    for (row, a) in series.iter().enumerate() {
        for (column, b) in series.iter().enumerate().take(row + 1) {
            let value = correlation(a, b);
            matrix[row][column] = value;
            matrix[column][row] = value;
        }
    }
    Ok(matrix)
}

fn correlation(a: &[Option<f64>], b: &[Option<f64>]) -> Option<f64> {
    let both = || a.iter().zip(b).filter_map(|(a, b)| Some(((*a)?, (*b)?)));
    let count = both().count();
    if count < MIN_COMMON_WINDOWS {
        return None;
    }
    let sums = both().fold((0.0, 0.0), |sums, (a, b)| (sums.0 + a, sums.1 + b));
    let mean = (sums.0 / number::length(count), sums.1 / number::length(count));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in both() {
        let (a, b) = (a - mean.0, b - mean.1);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    number::finite(ab / (aa.sqrt() * bb.sqrt())).map(|value| value.clamp(-1.0, 1.0))
}
