//! Where the things of a report are, for GeoJSON, GPX and KML. Pure.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::output::{titled, xml};

/// How a kind of things has places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere.
    None,
    /// At `at`.
    At,
    /// From `from` to `to`: a straight line.
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

    /// A feature (RFC 7946). Without all of its places its geometry is `null`.
    pub(super) fn feature(self, thing: &Value) -> Value {
        let points = self.points(thing);
        let geometry = match (self, &points[..]) {
            (Self::At, [point]) => json!({"type": "Point", "coordinates": point}),
            (Self::FromTo, [_, _]) => json!({"type": "LineString", "coordinates": points}),
            _ => Value::Null,
        };
        json!({"type": "Feature", "geometry": geometry, "properties": thing})
    }

    /// A waypoint, or a route of two points; nothing for what has no place.
    pub(super) fn gpx(self, thing: &Value) -> String {
        let points = self.points(thing);
        let (start, end) = (xml(text(thing, "start")), xml(text(thing, "end")));
        let name = title(thing);
        let point = |tag: &str, [longitude, latitude]: [f64; 2], time: &str, rest: &str| {
            let time = if time.is_empty() { String::new() } else { format!("<time>{time}</time>") };
            format!("<{tag} lat=\"{latitude}\" lon=\"{longitude}\">{time}{rest}</{tag}>\n")
        };
        match (self, &points[..]) {
            (Self::At, [at]) => point("wpt", *at, &start, &format!("<name>{name}</name>")),
            (Self::FromTo, [from, to]) => format!(
                "<rte><name>{name}</name>\n{}{}</rte>\n",
                point("rtept", *from, &start, ""),
                point("rtept", *to, &end, "")
            ),
            _ => String::new(),
        }
    }

    /// A placemark with its time; nothing for what has no place.
    pub(super) fn kml(self, thing: &Value) -> String {
        let points = self.points(thing);
        let form = match (self, &points[..]) {
            (Self::At, [_]) => "Point",
            (Self::FromTo, [_, _]) => "LineString",
            _ => return String::new(),
        };
        let mut coordinates = String::new();
        for [longitude, latitude] in points {
            let _ = write!(coordinates, "{longitude},{latitude} ");
        }
        let when = |tag: &str, name: &str| match text(thing, name) {
            "" => String::new(),
            time => format!("<{tag}>{}</{tag}>", xml(time)),
        };
        format!(
            "<Placemark><name>{}</name><TimeSpan>{}{}</TimeSpan>\
             <{form}><coordinates>{}</coordinates></{form}></Placemark>\n",
            title(thing),
            when("begin", "start"),
            when("end", "end"),
            coordinates.trim_end(),
        )
    }
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
    fn points_lines_and_nothing() {
        let place = |latitude: f64| json!({"latitude": latitude, "longitude": 7.5});
        let trip = json!({"device_id": "0A3F73", "start": "S", "end": "E", "from": place(1.0), "to": place(2.0)});
        let event = json!({"device_id": "0A3F73", "device_name": "A & B", "event": "overspeed", "start": "S", "end": null, "at": place(1.0)});
        let line = Place::FromTo.feature(&trip);
        assert_eq!(
            line["geometry"],
            json!({"type": "LineString", "coordinates": [[7.5, 1.0], [7.5, 2.0]]})
        );
        assert_eq!(Place::At.feature(&event)["geometry"]["coordinates"], json!([7.5, 1.0]));
        assert!(
            Place::FromTo
                .gpx(&trip)
                .contains("<rtept lat=\"2\" lon=\"7.5\"><time>E</time></rtept>")
        );
        assert_eq!(
            Place::At.gpx(&event),
            "<wpt lat=\"1\" lon=\"7.5\"><time>S</time><name>A &amp; B (0A3F73) overspeed</name></wpt>\n"
        );
        assert!(Place::FromTo.kml(&trip).contains(
            "<TimeSpan><begin>S</begin><end>E</end></TimeSpan><LineString><coordinates>7.5,1 7.5,2<"
        ));
        assert!(Place::At.kml(&event).contains("<begin>S</begin></TimeSpan><Point>"));
        let lost = json!({"device_id": "0A3F73", "from": null, "to": place(1.0)});
        assert_eq!(Place::FromTo.feature(&lost)["geometry"], json!(null));
        assert_eq!(
            (Place::FromTo.gpx(&lost), Place::At.kml(&lost)),
            (String::new(), String::new())
        );
    }
}
