//! Cuts many rows into statements of few different sizes, so that each size is
//! prepared once a connection and used for ever.

/// Rows of one multi-row INSERT. 1000 rows of 14 values are 14 000 placeholders:
/// under SQLite's 32 766 and MySQL's 65 535. Each rung is about 1.6 times the
/// next, since every statement costs a round trip within the transaction: a batch
/// of some hundred rows takes 4 of them (with rungs four to five times apart it
/// took 10). All of them prepared are 2718 rows, under three times the largest. Four
/// tables by these rungs stay below the 100 statements that sqlx keeps prepared.
pub(in crate::history) const WIDE: &[usize] =
    &[1000, 640, 400, 250, 160, 100, 64, 40, 25, 16, 10, 6, 4, 2, 1];
/// Rows of one INSERT of rows that are taken to be new. What is left goes with the
/// COMMIT as text (`script.rs`), 15 rows of 120 bytes at most. Twice ten statements
/// (with and without the columns that are mostly empty) are prepared at most.
const BULK: &[usize] = &[1000, 640, 400, 250, 160, 100, 64, 40, 25, 16];
/// A batch of fewer rows is all text: one request costs less than several.
const BULK_FROM: usize = 100;

/// The rungs for a batch of so many rows that are taken to be new.
pub(in crate::history) const fn bulk(rows: usize) -> &'static [usize] {
    if rows < BULK_FROM { &[] } else { BULK }
}
/// Keys of one look-up, an OR of 50 terms at most: servers compare each row they
/// find with each term, so that twice the keys are four times the work. (SQLite's
/// expressions are at most 1000 deep.) Also the rows of wide statements.
pub(in crate::history) const NARROW: &[usize] = &[50, 10, 1];

/// Slices of `rows` in order, each as long as some rung; what is less than the
/// last rung is left out.
pub(in crate::history) fn rungs<'a, T>(
    rows: &'a [T],
    ladder: &'static [usize],
) -> impl Iterator<Item = &'a [T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let rung = ladder.iter().copied().find(|rung| *rung <= rest.len())?;
        let (slice, behind) = rest.split_at(rung);
        rest = behind;
        Some(slice)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_needs_no_statement() {
        assert_eq!(rungs::<u8>(&[], WIDE).count(), 0);
    }

    /// What the comment on [`WIDE`] says.
    #[test]
    fn a_batch_takes_few_statements() {
        let lengths = 100..1000_usize;
        let statements = lengths.clone().map(|length| {
            let rows = vec![(); length];
            rungs(&rows, WIDE).count()
        });
        let (sum, most) =
            statements.fold((0, 0), |(sum, most), count| (sum + count, most.max(count)));
        assert!(sum < 5 * lengths.len() && most <= 7, "{sum} for {}, {most}", lengths.len());
        assert_eq!(WIDE.iter().sum::<usize>(), 2718);
    }

    #[test]
    fn little_of_a_batch_is_text_unless_all_is() {
        for length in 0..3000_usize {
            let rows = vec![(); length];
            let slices: Vec<&[()]> = rungs(&rows, bulk(length)).collect();
            let bound = slices.concat().len();
            assert!(if length < BULK_FROM { bound == 0 } else { length - bound < 16 });
            assert!(slices.len() <= length / 1000 + 5, "{length}");
        }
    }

    proptest! {
        #[test]
        fn every_row_is_in_exactly_one_slice_in_order(length in 0_usize..5000) {
            let rows: Vec<usize> = (0..length).collect();
            for ladder in [WIDE, NARROW] {
                let slices: Vec<&[usize]> = rungs(&rows, ladder).collect();
                prop_assert_eq!(slices.concat(), rows.clone());
                prop_assert!(slices.iter().all(|slice| ladder.contains(&slice.len())));
            }
        }
    }
}
