use proptest::prelude::*;

use super::*;

fn encoded(values: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(values, &mut out);
    out
}

fn read_back(values: &[i64]) -> usize {
    let out = encoded(values);
    let mut reader = Reader::new(&out);
    assert_eq!(decode(&mut reader, values.len()), Ok(values.to_vec()));
    assert_eq!(reader.finish(), Ok(()));
    out.len()
}

#[test]
fn each_form_is_chosen_where_it_is_the_shortest() {
    let form = |values: &[i64]| (read_back(values), encoded(values)[0]).1;
    let noise = |number: i64| (number * 7_919).rem_euclid(101);
    assert_eq!(form(&[5; 1_000]), CONSTANT);
    assert_eq!(form(&(0..1_000).map(|number| number / 400).collect::<Vec<_>>()), RUNS);
    assert_eq!(form(&(0..1_000).map(noise).collect::<Vec<_>>()), PACKED);
    let walk = (0..1_000).map(|number| number * 1_000 + noise(number)).collect::<Vec<_>>();
    assert_eq!(form(&walk), PACKED + 1);
    let bend = (0..1_000).map(|number| number * number / 3).collect::<Vec<_>>();
    assert_eq!(form(&bend), PACKED + 2);
    assert_eq!(form(&(0..1_000).map(|number| noise(number) * 4_096).collect::<Vec<_>>()), SCALED);
}

#[test]
fn a_regular_clock_costs_next_to_nothing() {
    let times: Vec<i64> = (0..1_000).map(|number| 1_796_077_914_303 + number * 10_000).collect();
    assert!(read_back(&times) < 48, "{}", read_back(&times));
}

#[test]
fn extremes_are_read_back() {
    read_back(&[]);
    read_back(&[i64::MIN]);
    read_back(&[i64::MIN, i64::MAX]);
    read_back(&[i64::MIN, i64::MAX, 0, -1, i64::MIN]);
    read_back(&[i64::MIN, 0, i64::MIN + 2, i64::MAX - 1]);
}

#[test]
fn columns_that_no_writer_makes_are_refused() {
    let decode = |bytes: &[u8], count| decode(&mut Reader::new(bytes), count);
    assert!(decode(&[RUNS, 5, 2], 5).is_err());
    assert!(
        decode(&[RUNS, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0], 5).is_err()
    );
    assert!(decode(&[SCALED, 0, 2, SCALED, 0, 2, CONSTANT, 0], 5).is_err());
    assert!(decode(&[PACKED, 0, 65, 0], 1).is_err());
    assert!(decode(&[PACKED, 0, 0, 1, 1, 1], 1).is_err());
    assert!(decode(&[9], 1).is_err());
    assert!(decode(&[], 1).is_err());
}

fn column() -> impl Strategy<Value = Vec<i64>> {
    let steps = prop_oneof![
        Just(vec![0_i64]),
        prop::collection::vec(-5_i64..5, 1..4),
        prop::collection::vec(any::<i64>(), 1..4),
        prop::collection::vec((-100_i64..100).prop_map(|value| value * 1_024), 1..40),
    ];
    (any::<i64>(), steps, 0_usize..400).prop_map(|(first, steps, count)| {
        let sums = steps.into_iter().cycle().scan(first, |sum, step| {
            *sum = sum.wrapping_add(step);
            Some(*sum)
        });
        sums.take(count).collect()
    })
}

proptest! {
    #[test]
    fn every_column_is_read_back(values in column()) {
        read_back(&values);
    }

    #[test]
    fn any_numbers_are_read_back(values in prop::collection::vec(any::<i64>(), 0..300)) {
        read_back(&values);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), count in 0_usize..2_000) {
        if let Ok(values) = decode(&mut Reader::new(&bytes), count) {
            prop_assert_eq!(values.len(), count);
        }
    }
}
