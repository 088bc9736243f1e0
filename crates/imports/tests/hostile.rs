//! Files that are not what they should be: a reason each, and no panic.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use jiff::tz::TimeZone;
use nemeses_imports::{Format, Mapping, Points};
use proptest::prelude::*;

const GPX: &str = r#"<gpx><trk><trkseg>
<trkpt lat="1" lon="2"><time>2026-06-01T08:00:00Z</time></trkpt>
<trkpt lat="x" lon="2"><time>2026-06-01T08:00:01Z</time></trkpt>
<trkpt lon="2"><time>2026-06-01T08:00:01Z</time></trkpt>
<trkpt lat="1" lon="2"><ele>high</ele><time>2026-06-01T08:00:02Z</time></trkpt>
</trkseg></trk></gpx>"#;

/// The points, the reasons with their lines, and why the rest could not be read.
fn read(format: Format, bytes: &[u8]) -> (usize, Vec<String>, Option<String>) {
    let mapping = "time = 't'\nlatitude = 'a'\nlongitude = 'b'\n[channels]\nv = 'v'";
    let mapping = (format == Format::Csv).then(|| Mapping::parse(mapping).unwrap());
    let points = match Points::read(format, mapping, TimeZone::UTC, bytes) {
        Ok(points) => points,
        Err(error) => return (0, Vec::new(), Some(error.to_string())),
    };
    let (mut count, mut refused, mut fatal) = (0, Vec::new(), None);
    for item in points {
        match item {
            Ok(Ok(_)) => count += 1,
            Ok(Err(place)) => refused.push(format!("{}: {}", place.line, place.why)),
            Err(error) => fatal = Some(error.to_string()),
        }
    }
    (count, refused, fatal)
}

#[test]
fn a_bad_point_leaves_the_others_alone() {
    let (count, refused, fatal) = read(Format::Gpx, GPX.as_bytes());
    let reasons = [
        "3: lat: 'x' is no number",
        "4: the point has no attribute lat",
        "5: ele: 'high' is no number",
    ];
    assert_eq!((count, refused, fatal), (1, reasons.map(str::to_owned).to_vec(), None));
}

#[test]
fn a_file_that_breaks_off_gives_what_came_before() {
    let (count, _, fatal) = read(Format::Gpx, &GPX.as_bytes()[..100]);
    assert_eq!(count, 1);
    assert!(fatal.unwrap().starts_with("line 3: "));
    let (count, _, fatal) = read(Format::Gpx, b"");
    assert_eq!((count, fatal.as_deref()), (0, Some("line 1: the file has no element")));
    let entities = br#"<!DOCTYPE gpx [<!ENTITY a "b">]><gpx>&a;</gpx>"#;
    assert_eq!(read(Format::Gpx, entities).2.unwrap(), "line 1: the entity 'a' is not known");
    let deep = "<a>".repeat(1000);
    assert!(read(Format::Kml, deep.as_bytes()).2.unwrap().contains("within each other"));
}

#[test]
fn rows_of_a_csv_are_judged_one_by_one() {
    let rows = b"\xEF\xBB\xBFt,a,b,v\n1780300800,1,2,3\n1780300800,1\n,1,2,3\n1780300801,,,4\n\
        1780300802,,,\n1780300803,1,2,\xFF\n1780300804,1e400,2,3\n";
    let (count, refused, fatal) = read(Format::Csv, rows);
    let reasons = [
        "3: it has 2 cells, the first line has 4",
        "4: it has no time",
        "6: it has neither a place nor a value",
        "7: the line is not written in UTF-8",
        "8: '1e400' is no number",
    ];
    assert_eq!((count, refused, fatal), (2, reasons.map(str::to_owned).to_vec(), None));
    let unknown = read(Format::Csv, b"x,y\n1,2\n").2.unwrap();
    assert_eq!(unknown, "there is no column 't'; there are x, y");
    assert_eq!(read(Format::Csv, b"").2.unwrap(), "the file is empty");
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..400), format in 0..3_usize) {
        read(Format::ALL[format].1, &bytes);
    }

    #[test]
    fn a_mutated_file_ends(at in 0..GPX.len(), byte in any::<u8>()) {
        let mut bytes = GPX.as_bytes().to_vec();
        bytes[at] = byte;
        let (count, refused, _) = read(Format::Gpx, &bytes);
        prop_assert!(count + refused.len() <= 4);
    }
}
