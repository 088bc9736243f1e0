//! Mappings that come with the program: one file each, in `crates/telemetry/mappings/`.

use super::{MappingError, Mappings};

/// Their names and their texts.
pub static BUILT_IN: [(&str, &str); 9] = [
    ("thingsboard", include_str!("../../mappings/thingsboard.toml")),
    ("telegraf", include_str!("../../mappings/telegraf.toml")),
    ("glances", include_str!("../../mappings/glances.toml")),
    ("tasmota", include_str!("../../mappings/tasmota.toml")),
    ("zigbee2mqtt", include_str!("../../mappings/zigbee2mqtt.toml")),
    ("chirpstack", include_str!("../../mappings/chirpstack.toml")),
    ("chirpstack-cayenne", include_str!("../../mappings/chirpstack-cayenne.toml")),
    ("ttn", include_str!("../../mappings/ttn.toml")),
    ("ttn-cayenne", include_str!("../../mappings/ttn-cayenne.toml")),
];

/// The built-in mappings of a name.
///
/// # Errors
/// Of the file, which a test rules out. `None` when there is no such name.
pub fn built_in(name: &str) -> Option<Result<Mappings, MappingError>> {
    let (_, text) = BUILT_IN.into_iter().find(|(known, _)| *known == name)?;
    Some(Mappings::read(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_right() {
        for (name, _) in BUILT_IN {
            let mappings = built_in(name).expect("it is in the list").expect(name);
            assert!(!mappings.filters().is_empty(), "{name}");
        }
        assert!(built_in("nothing").is_none());
    }
}
