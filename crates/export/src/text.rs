//! A row of a report as text in formats that other programs read. Everything in
//! a row is a number, a time or hex digits, so escaping matters only where a
//! format has signs of its own; [`xml`] and [`csv_field`] are used all the same.

use std::borrow::Cow;
use std::fmt::Write as _;

use nemeses_reports::number::{degrees, time_s};

use super::lines::WayPoint;

/// A field of RFC 4180, quoted if it must be, with a comma or a semicolon between fields.
/// What a spreadsheet would take for a formula gets an apostrophe in front.
pub fn csv_field(text: &str) -> Cow<'_, str> {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !text.contains(['"', ',', ';', '\r', '\n']) {
        return Cow::Borrowed(text);
    }
    let apostrophe = if formula { "'" } else { "" };
    Cow::Owned(format!("\"{apostrophe}{}\"", text.replace('"', "\"\"")))
}

/// A device as people know it: `Truck 7 (0A3F73)`; without a name its id.
pub fn titled(device: impl std::fmt::Display, name: &str) -> String {
    if name.is_empty() { device.to_string() } else { format!("{name} ({device})") }
}

/// A point with its time in KML 2.2.
pub(crate) fn kml_point(point: &WayPoint) -> String {
    format!(
        "<Placemark><TimeStamp><when>{}</when></TimeStamp>\
         <Point><coordinates>{},{}</coordinates></Point></Placemark>\n",
        time_s(point.at),
        degrees(point.longitude_udeg),
        degrees(point.latitude_udeg),
    )
}

/// Text of an XML element or attribute. Characters that XML 1.0 cannot carry
/// become a question mark.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields() {
        for (text, field) in [
            ("0A3F73", "0A3F73"),
            ("a,b", "\"a,b\""),
            ("a;b", "\"a;b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=HYPERLINK(1)", "\"'=HYPERLINK(1)\""),
            ("@x", "\"'@x\""),
            ("", ""),
        ] {
            assert_eq!(csv_field(text), field);
        }
    }

    #[test]
    fn xml_text() {
        assert_eq!(xml("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&apos;");
        assert_eq!(xml("ü\n\u{0}\u{FFFE}"), "ü&#10;??");
    }
}
