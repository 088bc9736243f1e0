//! Odometer and hour meter are sums over a device's past: who may look at nothing of it
//! gets null in their place. Written JSON is changed, so that no answer can forget it.

const TOTALS: [&str; 2] = ["\"odometer_m\":", "\"hour_meter_min\":"];

/// Puts null for the totals in the JSON that begins at this byte of the text.
pub(crate) fn without_totals(text: &mut String, begins: usize) {
    for name in TOTALS {
        let mut from = begins;
        while let Some(found) = text.get(from..).and_then(|rest| rest.find(name)) {
            let value = from + found + name.len();
            let digits = text[value..].bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                text.replace_range(value..value + digits, "null");
            }
            from = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_become_null_wherever_they_are_and_nothing_else_does() {
        let mut text =
            r#"{"a":1,"odometer_m":25,"hour_meter_min":7,"b":[{"odometer_m":0}]}"#.to_owned();
        without_totals(&mut text, 0);
        let expected =
            r#"{"a":1,"odometer_m":null,"hour_meter_min":null,"b":[{"odometer_m":null}]}"#;
        assert_eq!(text, expected);
        without_totals(&mut text, 0);
        assert_eq!(text, expected);
        // A name that somebody has given.
        let mut text = r#"{"name":"\"odometer_m\":12"}"#.to_owned();
        without_totals(&mut text, 0);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
