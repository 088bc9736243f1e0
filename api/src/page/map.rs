//! Another server's map in place of the bundled one: where browsers find it, and the
//! one origin that the page's policy opens for it.

use serde_json::{Value, json};

/// Whose map the page draws, when it is not the bundled one alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSource {
    kind: MapKind,
    url: String,
    /// Scheme and host, for the page's policy.
    origin: String,
    /// Whose map it is, shown on it.
    credit: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MapKind {
    /// Raster tiles above the bundled map.
    Tiles,
    /// A `MapLibre` style document in place of the bundled map.
    Style,
}

impl MapSource {
    /// Raster tiles, drawn above the bundled map.
    ///
    /// # Errors
    /// In words, what is wrong with the URL.
    pub fn tiles(url: &str, credit: &str) -> Result<Self, String> {
        let source = Self::new(MapKind::Tiles, url, credit)?;
        if !["{z}", "{x}", "{y}"].iter().all(|part| url.contains(part)) {
            return Err("it must have {z}, {x} and {y} where zoom, column and row go".to_owned());
        }
        Ok(source)
    }

    /// A style document; what it names (tiles, glyphs, sprites) has to be on its own host.
    ///
    /// # Errors
    /// In words, what is wrong with the URL.
    pub fn style(url: &str, credit: &str) -> Result<Self, String> {
        if url.contains('{') {
            return Err(
                "it must name one document, the style; tiles are for --map-tiles".to_owned()
            );
        }
        Self::new(MapKind::Style, url, credit)
    }

    fn new(kind: MapKind, url: &str, credit: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))
            .ok_or("it must begin with https:// or http://")?;
        let host = rest.split('/').next().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err("its host must be a name or an address, with a port if need be".to_owned());
        }
        let origin = url[..url.len() - rest.len() + host.len()].to_owned();
        Ok(Self { kind, url: url.to_owned(), origin, credit: credit.to_owned() })
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }
}

/// What the page has to know before it draws a map.
pub(super) fn told(source: Option<&MapSource>) -> Value {
    let url = |kind| source.filter(|map| map.kind == kind).map(|map| &map.url);
    json!({
        "tiles": url(MapKind::Tiles),
        "style": url(MapKind::Style),
        "credit": source.map(|map| &map.credit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_an_origin() {
        let tiles = MapSource::tiles("https://tiles.example.org:8443/a/{z}/{x}/{y}.png", "A");
        assert_eq!(tiles.unwrap().origin(), "https://tiles.example.org:8443");
        let style = MapSource::style("http://[::1]:8080/styles/streets.json?key=1", "").unwrap();
        assert_eq!(style.origin(), "http://[::1]:8080");
    }

    #[test]
    fn the_page_is_told_which_kind_it_is() {
        let style = MapSource::style("https://example.org/style.json", "Example").unwrap();
        let expected =
            json!({"tiles": null, "style": "https://example.org/style.json", "credit": "Example"});
        assert_eq!(told(Some(&style)), expected);
        assert_eq!(told(None), json!({"tiles": null, "style": null, "credit": null}));
    }

    #[test]
    fn wrong_tiles_are_refused_in_words() {
        for (url, what) in [
            ("ftp://example.org/{z}/{x}/{y}", "must begin with"),
            ("https:///{z}/{x}/{y}", "host"),
            ("https://example.org; script-src */{z}/{x}/{y}", "host"),
            ("https://{s}.example.org/{z}/{x}/{y}", "host"),
            ("https://example.org/tiles/{z}/{x}.png", "{y}"),
        ] {
            let refusal = MapSource::tiles(url, "").unwrap_err();
            assert!(refusal.contains(what), "{refusal}");
        }
    }

    #[test]
    fn wrong_styles_are_refused_in_words() {
        for (url, what) in [
            ("style.json", "must begin with"),
            ("https://example.org; script-src */style.json", "host"),
            ("https://example.org/{z}/{x}/{y}.png", "--map-tiles"),
        ] {
            let refusal = MapSource::style(url, "").unwrap_err();
            assert!(refusal.contains(what), "{refusal}");
        }
    }
}
