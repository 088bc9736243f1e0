//! Mappings, from the settings that name them: the file of the user first, then what is built in.

use std::path::Path;

use nemeses_parser::Edges;
use nemeses_protocol::{Topics, filters_meet};
use nemeses_telemetry::{BUILT_IN, Mappings, SPARKPLUG_FILTERS, built_in};

use super::{Reads, Wrong};
use crate::args::MappingArgs;

/// Phones over MQTT, which are no mapping.
pub(crate) const OWNTRACKS: &str = "owntracks";
/// Edges and their devices, which are none either.
pub(crate) const SPARKPLUG: &str = "sparkplug";

/// Adds the topics of mappings to ours.
pub(crate) fn mapped(args: &MappingArgs, topics: Topics) -> Result<(Topics, Reads), Wrong> {
    let mut mappings = Mappings::default();
    if let Some(path) = &args.mappings {
        mappings =
            read_mappings(path).map_err(|why| Wrong::new("mappings", path.display(), why))?;
        for filter in mappings.filters() {
            if let Some(ours) = ours(&topics).iter().find(|ours| filters_meet(ours, &filter)) {
                let why = format!(
                    "the topics {filter} of a mapping meet {ours}, which is ours; choose others"
                );
                return Err(Wrong::new("mappings", path.display(), why));
            }
        }
    }
    for name in &args.mqtt_protocols {
        mappings.and(&built(name));
    }
    // Over HTTP a path names the mapping, so that all that is built in can be there.
    for (name, _) in BUILT_IN {
        mappings.and_posts(&built(name));
    }
    let owntracks = args.mqtt_protocols.iter().any(|name| name == OWNTRACKS);
    let mut mapped = mappings.filters();
    let sparkplug = is_for_edges(args).then(Edges::default);
    if sparkplug.is_some() {
        mapped.extend(SPARKPLUG_FILTERS.map(ToOwned::to_owned));
    }
    Ok((Topics { mapped, owntracks, ..topics }, Reads { mappings, sparkplug }))
}

fn is_for_edges(args: &MappingArgs) -> bool {
    args.mqtt_protocols.iter().any(|name| name == SPARKPLUG)
}

/// Parsers share the messages of a broker, and those of an edge must stay together.
pub(crate) fn at_a_node_alone(args: &MappingArgs) -> Result<(), Wrong> {
    let why = "parsers share the messages, and those of an edge belong together; use nemeses up";
    if is_for_edges(args) { Err(Wrong::new("mqtt-protocols", SPARKPLUG, why)) } else { Ok(()) }
}

/// The mappings of a file.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn read_mappings(path: &Path) -> Result<Mappings, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the file cannot be read: {error}"))?;
    Mappings::read(&text).map_err(|error| error.to_string())
}

fn built(name: &str) -> Mappings {
    built_in(name).and_then(Result::ok).unwrap_or_default()
}

fn ours(topics: &Topics) -> Vec<String> {
    let Topics { messenger, ping, db, command, telemetry, .. } = topics;
    [messenger, ping, db, command, telemetry].map(|topic| format!("{topic}/#")).to_vec()
}

#[cfg(test)]
mod tests {
    use nemeses_telemetry::Mapping;

    use super::*;

    fn args(protocols: &[&str], text: Option<&str>) -> (MappingArgs, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mappings.toml");
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let mqtt_protocols = protocols.iter().map(ToString::to_string).collect();
        (MappingArgs { mqtt_protocols, mappings: text.map(|_| path) }, folder)
    }

    #[test]
    fn a_user_s_mappings_go_before_those_that_are_built_in() {
        let own = "[[mapping]]\nname = \"own\"\ntopic = \"tele/{d}/SENSOR\"\ndevice = \"id:own\"\n\
                   [[mapping.channels]]\nbelow = \"\"\n";
        let (args, _folder) = args(&["owntracks", "tasmota"], Some(own));
        let (topics, Reads { mappings, sparkplug }) = mapped(&args, Topics::default()).unwrap();
        assert!(topics.owntracks && sparkplug.is_none());
        assert_eq!(topics.mapped, ["tele/+/LWT", "tele/+/SENSOR", "tele/+/STATE"]);
        assert_eq!(mappings.of_topic("tele/a/SENSOR").map(Mapping::name), Some("own"));
        assert!(mappings.of_post("chirpstack").is_some());
    }

    #[test]
    fn edges_belong_to_a_node() {
        let (args, _folder) = args(&["sparkplug"], None);
        let (topics, reads) = mapped(&args, Topics::default()).unwrap();
        assert!(reads.sparkplug.is_some());
        assert_eq!(topics.mapped, SPARKPLUG_FILTERS);
        assert!(at_a_node_alone(&args).unwrap_err().to_string().contains("nemeses up"));
    }

    #[test]
    fn a_file_that_cannot_be_says_where() {
        for (text, why) in [
            ("[[mapping]]\nname = \"a\"\n", "line 1, mapping \"a\", topic"),
            (
                "[[mapping]]\nname = \"a\"\ntopic = \"+/{d...}\"\ndevice = \"id:{d}\"\n\
                 [[mapping.channels]]\nat = \"/t\"\n",
                "meet /messenger/#, which is ours",
            ),
        ] {
            let (args, _folder) = args(&[], Some(text));
            let refused = mapped(&args, Topics::default()).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let missing = MappingArgs { mappings: Some("/nowhere.toml".into()), ..Default::default() };
        let refused = mapped(&missing, Topics::default()).unwrap_err().to_string();
        assert!(refused.contains("/nowhere.toml") && refused.contains("cannot be read"));
    }
}
