//! The forms a report comes in, and which one a request asks for. Pure.

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One object with all rows.
    Json,
    /// One row a line; when rows are left, a last line with the cursor.
    Ndjson,
    /// RFC 4180, with a head.
    Csv(Csv),
    /// RFC 7946: a point a row.
    GeoJson,
    /// GPX 1.1: one track of the rows with a fix.
    Gpx,
    /// KML 2.2: a point with its time for each row with a fix.
    Kml,
    /// A workbook of Office Open XML.
    Xlsx,
    /// Apache Parquet.
    Parquet,
}

/// Whom a CSV file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Csv {
    /// Programs: commas, times as in JSON.
    Plain,
    /// Excel and its like where a decimal point is written: a byte order mark, without
    /// which they take UTF-8 for another encoding, and times as they recognise them.
    Excel,
    /// The same where a decimal comma is written (Portuguese, German, French): there
    /// they expect semicolons between fields.
    Semicolon,
}

/// Each with its word in `format=`; the first is the default.
pub const FORMS: [(&str, Form); 10] = [
    ("json", Form::Json),
    ("ndjson", Form::Ndjson),
    ("csv", Form::Csv(Csv::Plain)),
    ("csv-excel", Form::Csv(Csv::Excel)),
    ("csv-semicolon", Form::Csv(Csv::Semicolon)),
    ("geojson", Form::GeoJson),
    ("gpx", Form::Gpx),
    ("kml", Form::Kml),
    ("xlsx", Form::Xlsx),
    ("parquet", Form::Parquet),
];

impl Form {
    /// The media type of a file of this form.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv(_) => "text/csv; charset=utf-8",
            Self::GeoJson => "application/geo+json",
            Self::Gpx => "application/gpx+xml",
            Self::Kml => "application/vnd.google-earth.kml+xml",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    fn suffix(self) -> &'static str {
        if matches!(self, Self::Csv(_)) {
            return "csv";
        }
        FORMS.iter().find(|(_, form)| *form == self).map_or("json", |(word, _)| word)
    }

    /// Has no place to say that it was cut, so it never is: it is the whole range.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Csv(_) | Self::Gpx | Self::Kml | Self::Xlsx | Self::Parquet)
    }

    /// A table, whose rows bear the names of their devices.
    pub const fn is_table(self) -> bool {
        matches!(self, Self::Csv(_) | Self::Xlsx | Self::Parquet)
    }

    /// Shows places.
    pub const fn is_map(self) -> bool {
        matches!(self, Self::GeoJson | Self::Gpx | Self::Kml)
    }

    /// The header that names the file, for those that people keep as files. The
    /// name is of letters, digits and hyphens, which need no escaping.
    pub fn disposition(self, name: &str) -> Option<String> {
        let file = !matches!(self, Self::Json | Self::Ndjson);
        file.then(|| format!("attachment; filename=\"{name}.{}\"", self.suffix()))
    }

    /// The form that `Accept` asks for, where `format=` does not say (RFC 9110,
    /// section 12.5.1): the one with the highest weight, the first among equals.
    /// JSON where there is none of ours: better than nothing. `values` are those of the
    /// headers of this name.
    pub fn accepted<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut best: Option<(u16, Self)> = None;
        for range in values.into_iter().flat_map(|value| value.split(',')) {
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
            return Some(Self::Csv(Csv::Plain));
        }
        let essence = |format: Self| format.content_type().split(';').next().unwrap_or_default();
        FORMS.iter().map(|(_, form)| *form).find(|format| essence(*format) == name)
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
    use super::*;

    #[test]
    fn what_is_accepted() {
        for (text, format) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("text/csv", Form::Csv(Csv::Plain)),
            ("TEXT/CSV; charset=utf-8", Form::Csv(Csv::Plain)),
            ("text/html, text/*;q=0.5, */*;q=0.1", Form::Csv(Csv::Plain)),
            ("application/json;q=0.2, application/gpx+xml", Form::Gpx),
            ("application/vnd.google-earth.kml+xml", Form::Kml),
            ("application/geo+json;q=0.9, text/csv;q=0.8", Form::GeoJson),
            ("application/x-ndjson", Form::Ndjson),
            ("text/csv;q=0, */*;q=0.001", Form::Json),
        ] {
            assert_eq!(Form::accepted([text]), format, "{text}");
        }
        assert_eq!(Form::accepted([]), Form::Json);
        for text in ["text/html", "text/csv;q=0", "image/*, text/csv;q=nan", ",;=,;q"] {
            assert_eq!(Form::accepted([text]), Form::Json, "{text}");
        }
    }

    #[test]
    fn files_have_names() {
        let named = Form::Gpx.disposition("positions-0A3F73").unwrap();
        assert_eq!(named, "attachment; filename=\"positions-0A3F73.gpx\"");
        assert_eq!(Form::Json.disposition("trips-0A3F73"), None);
        let named = Form::Csv(Csv::Excel).disposition("trips-0A3F73").unwrap();
        assert_eq!(named, "attachment; filename=\"trips-0A3F73.csv\"");
    }
}
