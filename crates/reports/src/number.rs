//! Exact integers of the wire as decimals and times.

mod digits;

use jiff::Timestamp;

pub use digits::{push_decimal, push_time, push_whole};

/// Degrees of micro-degrees. An integer over a power of ten, rounded once, is
/// the double nearest to the decimal, so it prints as that decimal.
pub fn degrees(udeg: i32) -> f64 {
    f64::from(udeg) / 1e6
}

/// Degrees of hundredths.
pub fn direction(cdeg: u16) -> f64 {
    f64::from(cdeg) / 1e2
}

/// `2020-07-01T21:00:00Z`.
pub fn time_s(second: u32) -> String {
    Timestamp::from_second(i64::from(second)).unwrap_or(Timestamp::MAX).to_string()
}

/// `2020-07-01T21:00:00.250Z`; a whole second has no fraction.
pub fn time_ms(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let time = time.unwrap_or(Timestamp::MAX);
    if time.subsec_nanosecond() == 0 { time.to_string() } else { format!("{time:.3}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_printed() {
        let printed = |value: f64| serde_json::to_string(&value).unwrap();
        assert_eq!(printed(degrees(-19_932_833)), "-19.932833");
        assert_eq!(printed(degrees(-43_938_493)), "-43.938493");
        assert_eq!(printed(degrees(0)), "0.0");
        assert_eq!(printed(degrees(180_000_000)), "180.0");
        assert_eq!(printed(direction(5487)), "54.87");
        assert_eq!(time_s(1_593_637_200), "2020-07-01T21:00:00Z");
        assert_eq!(time_s(0), "1970-01-01T00:00:00Z");
        assert_eq!(time_s(u32::MAX), "2106-02-07T06:28:15Z");
        assert_eq!(time_ms(1_593_637_200_000), "2020-07-01T21:00:00Z");
        assert_eq!(time_ms(1_593_637_200_050), "2020-07-01T21:00:00.050Z");
        assert!(!time_ms(u64::MAX).is_empty());
    }

    proptest! {
        #[test]
        fn no_digit_is_lost(udeg in -180_000_000_i32..=180_000_000) {
            let text = serde_json::to_string(&degrees(udeg)).unwrap();
            let exact = format!("{}{}.{:06}", if udeg < 0 { "-" } else { "" }, udeg.abs() / 1_000_000, udeg.abs() % 1_000_000);
            let exact = exact.trim_end_matches('0');
            let exact = if exact.ends_with('.') { format!("{exact}0") } else { exact.to_owned() };
            // Below 1e-5 JSON writes an exponent; the value is the same.
            if text.contains('e') {
                let bits = |text: &str| text.parse::<f64>().unwrap().to_bits();
                prop_assert_eq!(bits(&text), bits(&exact));
            } else {
                prop_assert_eq!(text, exact);
            }
        }
    }
}
