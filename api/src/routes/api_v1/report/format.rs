//! The forms a report comes in, and which one a request asks for.

use axum::http::{HeaderMap, header};

use nemeses_protocol::DeviceId;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One object with all rows.
    Json,
    /// One row a line; when rows are left, a last line with the cursor.
    Ndjson,
    /// RFC 4180, with a head.
    Csv,
    /// RFC 7946: a point a row.
    GeoJson,
    /// GPX 1.1: one track of the rows with a fix.
    Gpx,
    /// KML 2.2: a point with its time for each row with a fix.
    Kml,
}

/// Each with its word in `format=`; the first is the default.
pub(super) const FORMATS: [(&str, Format); 6] = [
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("csv", Format::Csv),
    ("geojson", Format::GeoJson),
    ("gpx", Format::Gpx),
    ("kml", Format::Kml),
];

impl Format {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::GeoJson => "application/geo+json",
            Self::Gpx => "application/gpx+xml",
            Self::Kml => "application/vnd.google-earth.kml+xml",
        }
    }

    fn word(self) -> &'static str {
        FORMATS.iter().find(|(_, format)| *format == self).map_or("json", |(word, _)| word)
    }

    /// Has no place to say that it was cut, so it never is: it is the whole range.
    pub(super) const fn is_whole(self) -> bool {
        matches!(self, Self::Csv | Self::Gpx | Self::Kml)
    }

    /// The header that names the file, for those that people keep as files. Hex
    /// digits and a suffix need no escaping.
    pub(super) fn disposition(self, device: DeviceId) -> Option<String> {
        let file = !matches!(self, Self::Json | Self::Ndjson);
        file.then(|| format!("attachment; filename=\"positions-{device}.{}\"", self.word()))
    }

    /// The form that `Accept` asks for, where `format=` does not say (RFC 9110,
    /// section 12.5.1): the one with the highest weight, the first among equals.
    /// JSON where there is none of ours: better than nothing.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let mut best: Option<(u16, Self)> = None;
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let (name, weight) = weighed(range);
            let Some(format) = Self::of_media_range(&name) else { continue };
            if weight > 0 && best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, format));
            }
        }
        best.map_or(Self::Json, |(_, format)| format)
    }

    fn of_media_range(name: &str) -> Option<Self> {
        if matches!(name, "*/*" | "application/*") {
            return Some(Self::Json);
        }
        if name == "text/*" {
            return Some(Self::Csv);
        }
        let essence = |format: Self| format.content_type().split(';').next().unwrap_or_default();
        FORMATS.iter().map(|(_, format)| *format).find(|format| essence(*format) == name)
    }
}

/// A media range in lower case and its weight in thousandths.
fn weighed(range: &str) -> (String, u16) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |text| text.parse::<f32>().ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let thousandths = weight
        .filter(|weight| !weight.is_nan())
        .map_or(0, |weight| (weight.clamp(0.0, 1.0) * 1000.0) as u16);
    (name, thousandths)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accepted(text: &'static str) -> Format {
        let value = (header::ACCEPT, HeaderValue::from_static(text));
        Format::accepted(&HeaderMap::from_iter([value]))
    }

    #[test]
    fn what_is_accepted() {
        for (text, format) in [
            ("", Format::Json),
            ("*/*", Format::Json),
            ("text/csv", Format::Csv),
            ("TEXT/CSV; charset=utf-8", Format::Csv),
            ("text/html, text/*;q=0.5, */*;q=0.1", Format::Csv),
            ("application/json;q=0.2, application/gpx+xml", Format::Gpx),
            ("application/vnd.google-earth.kml+xml", Format::Kml),
            ("application/geo+json;q=0.9, text/csv;q=0.8", Format::GeoJson),
            ("application/x-ndjson", Format::Ndjson),
            ("text/csv;q=0, */*;q=0.001", Format::Json),
        ] {
            assert_eq!(accepted(text), format, "{text}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Json);
        for text in ["text/html", "text/csv;q=0", "image/*, text/csv;q=nan", ",;=,;q"] {
            assert_eq!(accepted(text), Format::Json, "{text}");
        }
    }

    #[test]
    fn files_have_names() {
        let device = DeviceId::new(0x0A_3F73);
        let named = Format::Gpx.disposition(device).unwrap();
        assert_eq!(named, "attachment; filename=\"positions-0A3F73.gpx\"");
        assert_eq!(Format::Json.disposition(device), None);
    }
}
