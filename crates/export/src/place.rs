//! Where the things of a report are, for GeoJSON, GPX and KML. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::form::Form;
use super::lines::gpx_point;
use super::text::{titled, xml};

/// How a kind of things has places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere.
    None,
    /// At `at`.
    At,
    /// From `from` to `to`, by a way that is written point after point where it is known.
    FromTo,
}

impl Place {
    /// Longitude and latitude of each end that is known.
    fn points(self, thing: &Value) -> Vec<[f64; 2]> {
        let ends: &[&str] = match self {
            Self::None => &[],
            Self::At => &["at"],
            Self::FromTo => &["from", "to"],
        };
        let point = |end: &&str| {
            let place = thing.get(*end)?;
            Some([place.get("longitude")?.as_f64()?, place.get("latitude")?.as_f64()?])
        };
        ends.iter().filter_map(point).collect()
    }

    /// A thing without a way, whole; nothing in GPX and KML for what has no place.
    pub(super) fn whole(self, form: Form, thing: &Value) -> String {
        match form {
            Form::Gpx => self.gpx(thing),
            Form::Kml => self.kml(thing),
            _ => self.feature(thing).to_string(),
        }
    }

    /// A feature (RFC 7946). Without all of its places its geometry is `null`; between two
    /// whose way nobody knows there is no line.
    fn feature(self, thing: &Value) -> Value {
        let points = self.points(thing);
        let geometry = match (self, &points[..]) {
            (Self::At, [point]) => json!({"type": "Point", "coordinates": point}),
            (Self::FromTo, [_, _]) => json!({"type": "MultiPoint", "coordinates": points}),
            _ => Value::Null,
        };
        json!({"type": "Feature", "geometry": geometry, "properties": thing})
    }

    /// A waypoint, or a track of two segments.
    fn gpx(self, thing: &Value) -> String {
        let name = title(thing);
        let time = |name: &str| match text(thing, name) {
            "" => String::new(),
            time => format!("<time>{}</time>", utc(time)),
        };
        match (self, &self.points(thing)[..]) {
            (Self::At, [[longitude, latitude]]) => {
                let inner = format!("{}<name>{name}</name>", time("start"));
                gpx_point("wpt", *latitude, *longitude, &inner)
            }
            (Self::FromTo, [from, to]) => {
                let segment = |[longitude, latitude]: &[f64; 2], when: &str| {
                    let point = gpx_point("trkpt", *latitude, *longitude, &time(when));
                    format!("<trkseg>\n{point}</trkseg>\n")
                };
                format!(
                    "<trk><name>{name}</name>\n{}{}</trk>\n",
                    segment(from, "start"),
                    segment(to, "end")
                )
            }
            _ => String::new(),
        }
    }

    /// A placemark with its time.
    fn kml(self, thing: &Value) -> String {
        let point = |[longitude, latitude]: &[f64; 2]| {
            format!("<Point><coordinates>{longitude},{latitude}</coordinates></Point>")
        };
        let places = match (self, &self.points(thing)[..]) {
            (Self::At, [at]) => point(at),
            (Self::FromTo, [from, to]) => {
                format!("<MultiGeometry>{}{}</MultiGeometry>", point(from), point(to))
            }
            _ => return String::new(),
        };
        format!("{}{places}</Placemark>\n", placemark(thing))
    }
}

/// What comes before the lines of a thing's way.
pub(super) fn begin_way(form: Form, thing: &Value) -> String {
    match form {
        Form::Gpx => format!("<trk><name>{}</name>\n", title(thing)),
        Form::Kml => format!("{}<MultiGeometry>\n", placemark(thing)),
        _ => format!(
            r#"{{"type":"Feature","properties":{thing},"geometry":{{"type":"MultiLineString","coordinates":["#
        ),
    }
}

/// What comes behind them.
pub(super) const fn end_way(form: Form) -> &'static str {
    match form {
        Form::Gpx => "</trk>\n",
        Form::Kml => "</MultiGeometry></Placemark>\n",
        _ => "]}}",
    }
}

/// How a placemark begins.
fn placemark(thing: &Value) -> String {
    let when = |tag: &str, name: &str| match text(thing, name) {
        "" => String::new(),
        time => format!("<{tag}>{}</{tag}>", xml(time)),
    };
    format!(
        "<Placemark><name>{}</name><TimeSpan>{}{}</TimeSpan>",
        title(thing),
        when("begin", "start"),
        when("end", "end"),
    )
}

/// A time as GPX has it.
fn utc(time: &str) -> String {
    time.parse::<Timestamp>().map_or_else(|_| xml(time), |time| time.to_string())
}

fn text<'a>(thing: &'a Value, name: &str) -> &'a str {
    thing.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The device, and what happened if the thing says so, as text of XML.
fn title(thing: &Value) -> String {
    let device = titled(text(thing, "device_id"), text(thing, "device_name"));
    let event = text(thing, "event");
    xml(&if event.is_empty() { device } else { format!("{device} {event}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_nothing() {
        let place = |latitude: f64| json!({"latitude": latitude, "longitude": 180.0});
        let (start, end) = ("2020-07-01T18:00:00-03:00", "2020-07-01T18:30:00-03:00");
        let trip = json!({"device_id": "0A3F73", "start": start, "end": end, "from": place(1.0), "to": place(2.0)});
        let event = json!({"device_id": "0A3F73", "device_name": "A & B", "event": "overspeed", "start": start, "end": null, "at": place(1.0)});
        let unobserved = Place::FromTo.feature(&trip);
        assert_eq!(
            unobserved["geometry"],
            json!({"type": "MultiPoint", "coordinates": [[180.0, 1.0], [180.0, 2.0]]})
        );
        assert_eq!(Place::At.feature(&event)["geometry"]["coordinates"], json!([180.0, 1.0]));
        let track = Place::FromTo.whole(Form::Gpx, &trip);
        assert_eq!(track.matches("<trkseg>").count(), 2);
        assert!(
            track.contains(
                "<trkpt lat=\"2\" lon=\"-180\"><time>2020-07-01T21:30:00Z</time></trkpt>"
            )
        );
        assert_eq!(
            Place::At.whole(Form::Gpx, &event),
            "<wpt lat=\"1\" lon=\"-180\"><time>2020-07-01T21:00:00Z</time><name>A &amp; B (0A3F73) overspeed</name></wpt>\n"
        );
        let placemark = Place::FromTo.whole(Form::Kml, &trip);
        assert!(placemark.contains(&format!("<begin>{start}</begin><end>{end}</end>")));
        assert_eq!(placemark.matches("<Point>").count(), 2);
        assert!(Place::At.whole(Form::Kml, &event).contains("</begin></TimeSpan><Point>"));
        let lost = json!({"device_id": "0A3F73", "from": null, "to": place(1.0)});
        assert_eq!(Place::FromTo.feature(&lost)["geometry"], json!(null));
        for form in [Form::Gpx, Form::Kml] {
            assert_eq!(Place::FromTo.whole(form, &lost), "");
        }
    }

    #[test]
    fn a_way_is_one_thing() {
        let trip = json!({"device_id": "0A3F73", "device_name": "A & B", "start": "S", "end": "E"});
        for (form, parts) in [
            (Form::Gpx, ["<trk><name>A &amp; B (0A3F73)</name>\n", "</trk>\n"]),
            (
                Form::Kml,
                [
                    "<Placemark><name>A &amp; B (0A3F73)</name><TimeSpan><begin>S</begin><end>E</end></TimeSpan><MultiGeometry>\n",
                    "</MultiGeometry></Placemark>\n",
                ],
            ),
        ] {
            assert_eq!([begin_way(form, &trip).as_str(), end_way(form)], parts);
        }
        let feature = begin_way(Form::GeoJson, &trip) + "[[1,2],[3,4]]" + end_way(Form::GeoJson);
        let feature: Value = serde_json::from_str(&feature).unwrap();
        assert_eq!(feature["geometry"]["coordinates"][0][1], json!([3, 4]));
        assert_eq!(feature["properties"], trip);
    }
}
