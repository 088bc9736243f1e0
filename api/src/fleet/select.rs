//! Which devices of those that one may see are meant.

use std::collections::HashSet;

use nemeses_protocol::{DeviceId, DeviceNames};

use super::Member;
use crate::input::Shard;

/// What is looked for; what is not said excludes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// A part of the id, the name or the vehicle, in any case.
    pub(crate) text: Option<String>,
    /// A whole tag, in any case.
    pub(crate) tag: Option<String>,
    /// A group.
    pub(crate) group: Option<u64>,
    /// Only these.
    pub(crate) ids: Option<HashSet<DeviceId>>,
    /// Only this share of them.
    pub(crate) shard: Shard,
}

/// Whether the device is meant.
pub(crate) fn keep(filter: &Filter, member: &Member, names: &DeviceNames) -> bool {
    let device = member.known.device;
    filter.shard.has(device)
        && filter.ids.as_ref().is_none_or(|ids| ids.contains(&device))
        && filter.group.is_none_or(|group| member.groups.contains(&group))
        && filter.tag.as_ref().is_none_or(|tag| has_tag(member, tag))
        && filter.text.as_ref().is_none_or(|text| bears(member, text, names))
}

fn has_tag(member: &Member, wanted: &str) -> bool {
    let tags = member.known.profile.iter().flat_map(|profile| &profile.tags);
    tags.into_iter().any(|tag| tag.to_lowercase() == wanted.to_lowercase())
}

fn bears(member: &Member, text: &str, names: &DeviceNames) -> bool {
    let wanted = text.to_lowercase();
    let bears = |held: &str| held.to_lowercase().contains(&wanted);
    let profile = member.known.profile.as_ref();
    bears(&names.identity(member.known.device).to_string())
        || profile.is_some_and(|profile| bears(&profile.name) || bears(&profile.vehicle))
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::{KnownDevice, Profile, Rhythm};

    use super::*;

    fn member(number: u32, name: &str, tags: &[&str], groups: &[u64]) -> Member {
        let device = DeviceId::new(number);
        let profile = Profile {
            name: name.into(),
            vehicle: "Actros".into(),
            tags: tags.iter().map(ToString::to_string).collect(),
            ..Profile::new(device, 0)
        };
        let profile = (!name.is_empty()).then_some(profile);
        let known = KnownDevice { device, profile, has_rows: true, rhythm: Rhythm::default() };
        Member { known, groups: groups.to_vec() }
    }

    #[test]
    fn all_that_is_said_must_hold() {
        let truck = member(0x0A_3F73, "Lörry 7", &["Cold", "north"], &[3]);
        let bare = member(5, "", &[], &[]);
        let text = |text: &str| Filter { text: Some(text.into()), ..Filter::default() };
        for (filter, meant) in [
            (Filter::default(), [true, true]),
            (text("a3f"), [true, false]),
            (text("LÖRRY"), [true, false]),
            (text("actros"), [true, false]),
            (text("00000"), [false, true]),
            (text("%"), [false, false]),
            (Filter { tag: Some("cold".into()), ..Filter::default() }, [true, false]),
            (Filter { tag: Some("col".into()), ..Filter::default() }, [false, false]),
            (Filter { group: Some(3), ..Filter::default() }, [true, false]),
            (Filter { group: Some(4), ..text("a3f") }, [false, false]),
            (Filter { ids: Some([DeviceId::new(5)].into()), ..Filter::default() }, [false, true]),
        ] {
            assert_eq!(
                [&truck, &bare].map(|one| keep(&filter, one, &DeviceNames::default())),
                meant,
                "{filter:?}"
            );
        }
    }
}
