//! The tracks of a report of positions as GPX and KML: a track or a folder a device, whose
//! lines end where nobody knows the way. KML has a point with its time for each row besides.

use nemeses_protocol::DeviceId;

use super::form::Form;
use super::lines::{Lines, WayPoint};
use super::text::{kml_point, xml};

/// Points of a line of KML, which is held back until its end: 25 bytes each. A longer one
/// goes on as another.
const KML_POINTS: usize = 5000;

/// What has been written so far.
pub struct Tracks {
    form: Form,
    descending: bool,
    /// Whose track or folder is open.
    device: Option<DeviceId>,
    lines: Lines,
    /// KML's lines, which follow the points they are of.
    held: String,
    /// How many points those have.
    points: usize,
    /// Of rows in descending order: the way from the one before in time to the last one
    /// written is unknown.
    broken: bool,
}

impl Tracks {
    /// Tracks as GPX, or as KML for any other form. `descending` says in which order of time rows
    /// come.
    pub fn new(form: Form, descending: bool) -> Self {
        let (lines, held) = (Lines::new(form), String::new());
        Self { form, descending, device: None, lines, held, points: 0, broken: false }
    }

    /// The next row of a device of this title, which may be on no line.
    pub fn row(
        &mut self,
        out: &mut String,
        (device, title): (DeviceId, &str),
        point: Option<WayPoint>,
    ) {
        if self.device != Some(device) {
            self.end(out);
            self.device = Some(device);
            let title = xml(title);
            let element = if self.form == Form::Gpx { "trk" } else { "Folder" };
            out.extend(["<", element, "><name>", &title, "</name>\n"]);
        }
        let Some(mut point) = point else { return };
        if self.descending {
            point.begins = std::mem::replace(&mut self.broken, point.begins);
        }
        if self.form == Form::Gpx {
            self.lines.push(out, point);
            return;
        }
        *out += &kml_point(&point);
        self.lines.push(&mut self.held, point);
        self.points += 1;
        if self.points == KML_POINTS {
            self.end_lines(out);
            self.lines.push(&mut self.held, point);
        }
    }

    /// Ends the track or folder that is open.
    pub fn end(&mut self, out: &mut String) {
        self.end_lines(out);
        self.broken = false;
        if self.device.take().is_some() {
            *out += if self.form == Form::Gpx { "</trk>\n" } else { "</Folder>\n" };
        }
    }

    fn end_lines(&mut self, out: &mut String) {
        if self.form == Form::Gpx {
            self.lines.end(out);
            return;
        }
        self.lines.end(&mut self.held);
        if !self.held.is_empty() {
            out.extend([
                "<Placemark><MultiGeometry>\n",
                &self.held,
                "</MultiGeometry></Placemark>\n",
            ]);
        }
        self.held.clear();
        self.points = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fixes 0.001 degrees apart, of which some begin a line.
    fn written(form: Form, descending: bool, begins: &[bool]) -> String {
        let mut writer = Tracks::new(form, descending);
        let mut out = String::new();
        for (longitude, &begins) in (0..).zip(begins) {
            let longitude_udeg = longitude * 1_000;
            let point = WayPoint { latitude_udeg: 0, longitude_udeg, at: 0, begins };
            writer.row(&mut out, (DeviceId::new(1), "A & B"), Some(point));
        }
        writer.row(&mut out, (DeviceId::new(1), "A & B"), None);
        writer.end(&mut out);
        out
    }

    #[test]
    fn a_segment_ends_where_the_way_is_unknown_in_either_order() {
        // In time: three fixes, silence, two fixes.
        let forwards = written(Form::Gpx, false, &[true, false, false, true, false]);
        assert!(forwards.starts_with("<trk><name>A &amp; B</name>\n<trkseg>\n"), "{forwards}");
        let sizes = |text: &str| -> Vec<usize> {
            text.split("<trkseg>").skip(1).map(|part| part.matches("<trkpt").count()).collect()
        };
        assert_eq!(sizes(&forwards), [3, 2]);
        let backwards = written(Form::Gpx, true, &[false, true, false, false, true]);
        assert_eq!(sizes(&backwards), [2, 3]);
        assert!(backwards.ends_with("</trkseg>\n</trk>\n"), "{backwards}");
    }

    #[test]
    fn kml_has_points_and_lines_of_bounded_length() {
        let mut begins = vec![false; KML_POINTS + 10];
        begins[100] = true;
        let text = written(Form::Kml, false, &begins);
        assert_eq!(text.matches("<Point>").count(), begins.len());
        let lines: Vec<usize> = text
            .split("<LineString><coordinates>")
            .skip(1)
            .map(|line| line.split('<').next().unwrap().split(' ').count())
            .collect();
        // The line that goes on begins with the last point of the one before.
        assert_eq!(lines, [100, KML_POINTS - 100, 11]);
        assert_eq!(text.matches("<MultiGeometry>").count(), 2);
    }
}
