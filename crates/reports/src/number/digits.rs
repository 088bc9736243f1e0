//! Numbers and times as text, written to where they belong: a report has millions of
//! them, and a text of its own for each costs more than its digits.

/// Seconds of a day.
const DAY_S: i64 = 86_400;
/// What follows the last moment of the year 9999.
const YEAR_10000_MS: i64 = 253_402_300_800_000;

/// Appends a whole number.
pub fn push_whole(out: &mut Vec<u8>, number: u32) {
    let mut digits = [0; 10];
    let (mut rest, mut begin) = (number, digits.len());
    loop {
        begin -= 1;
        digits[begin] = digit(rest % 10);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[begin..]);
}

/// Appends so many digits of a number, zeros in front.
fn push_padded<const DIGITS: usize>(out: &mut Vec<u8>, number: u32) {
    let mut digits = [b'0'; DIGITS];
    let mut rest = number;
    for place in digits.iter_mut().rev() {
        *place = digit(rest % 10);
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

fn digit(value: u32) -> u8 {
    b'0' + u8::try_from(value % 10).unwrap_or_default()
}

/// Appends a number of ten-to-the-power-of-minus-`PLACES`, without zeros at its end.
pub fn push_decimal<const PLACES: usize>(out: &mut Vec<u8>, number: i32) {
    if number < 0 {
        out.push(b'-');
    }
    let (size, unit) =
        (number.unsigned_abs(), 10_u32.pow(u32::try_from(PLACES).unwrap_or_default()));
    push_whole(out, size / unit);
    if size % unit == 0 {
        return;
    }
    out.push(b'.');
    push_padded::<PLACES>(out, size % unit);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Appends Unix milliseconds as RFC 3339 shows them at an offset of whole minutes
/// from UTC; `None` writes `Z`. A whole second has no fraction. Tells whether it did:
/// years before 1970 or of five digits are left to who knows calendars.
pub fn push_time(out: &mut Vec<u8>, ms: i64, offset_min: Option<i32>) -> bool {
    let local = ms.saturating_add(i64::from(offset_min.unwrap_or(0)) * 60_000);
    if !(0..YEAR_10000_MS).contains(&local) {
        return false;
    }
    let part = |value: i64| u32::try_from(value).unwrap_or_default();
    let (seconds, fraction) = (local / 1000, part(local % 1000));
    let (year, month, day) = date(part(seconds / DAY_S));
    let second = part(seconds % DAY_S);
    push_padded::<4>(out, year);
    for (before, value) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(before);
        push_padded::<2>(out, value);
    }
    if fraction > 0 {
        out.push(b'.');
        push_padded::<3>(out, fraction);
    }
    let Some(offset) = offset_min else {
        out.push(b'Z');
        return true;
    };
    out.push(if offset < 0 { b'-' } else { b'+' });
    push_padded::<2>(out, offset.unsigned_abs() / 60);
    out.push(b':');
    push_padded::<2>(out, offset.unsigned_abs() % 60);
    true
}

/// Year, month and day of a day since 1970-01-01, by eras of 400 years that begin in
/// March, so that the leap day is a year's last.
fn date(day: u32) -> (u32, u32, u32) {
    const ERA: u32 = 146_097;
    let day = day + 719_468;
    let (era, of_era) = (day / ERA, day % ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + u32::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_ever(whole: u32, micro: i32, centi: u16) {
            prop_assert_eq!(text(|out| push_whole(out, whole)), whole.to_string());
            let degrees = f64::from(micro) / 1e6;
            prop_assert_eq!(text(|out| push_decimal::<6>(out, micro)), degrees.to_string());
            let direction = f64::from(centi) / 1e2;
            prop_assert_eq!(text(|out| push_decimal::<2>(out, centi.into())), direction.to_string());
        }

        #[test]
        fn times_are_those_of_the_calendar(ms in 0..YEAR_10000_MS, whole: bool, offset in -840..=840) {
            let ms = if whole { ms / 1000 * 1000 } else { ms };
            let time = Timestamp::from_millisecond(ms).unwrap();
            let places = usize::from(ms % 1000 > 0) * 3;
            prop_assert_eq!(text(|out| assert!(push_time(out, ms, None))), format!("{time:.places$}"));
            let local = time.display_with_offset(Offset::from_seconds(offset * 60).unwrap());
            let mut out = Vec::new();
            if push_time(&mut out, ms, Some(offset)) {
                prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{local:.places$}"));
            } else {
                prop_assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn first_and_last_moments() {
        assert_eq!(text(|out| assert!(push_time(out, 0, None))), "1970-01-01T00:00:00Z");
        let last = text(|out| assert!(push_time(out, YEAR_10000_MS - 1, None)));
        assert_eq!(last, "9999-12-31T23:59:59.999Z");
        let mut out = Vec::new();
        assert!(!push_time(&mut out, YEAR_10000_MS, None) && !push_time(&mut out, 0, Some(-1)));
        assert_eq!(text(|out| push_decimal::<6>(out, i32::MIN)), "-2147.483648");
        assert_eq!(text(|out| push_decimal::<6>(out, 0)), "0");
    }
}
