//! Which series are meant: the devices that the caller may see, and their channels of the
//! names asked for.

use nemeses_protocol::{DeviceId, Value as Measured};
use nemeses_series::{Kind as SeriesKind, Value};
use nemeses_store::history::{Channel, ChannelKind};

use super::MAX_SERIES;
use super::positions::PositionChannel;
use super::query::Whose;
use crate::access::Principal;
use crate::fleet::{Filter, FleetState, fleet, keep};
use crate::problem::Problem;
use crate::routes::api_v1::devices::must_see_group;

/// Where a series' values come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Readings of a channel of the device's own.
    Own(Channel),
    /// Its positions.
    Position(PositionChannel),
}

/// A channel of a device that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    pub(super) name: String,
    pub(super) source: Source,
}

/// A device and its channels that were asked for, at least one.
#[derive(Clone, Debug)]
pub(super) struct OfDevice {
    pub(super) device: DeviceId,
    /// As it is written in answers.
    pub(super) device_id: String,
    pub(super) channels: Vec<Selected>,
}

impl Selected {
    pub(super) fn unit(&self) -> Option<String> {
        match &self.source {
            Source::Own(channel) => channel.unit.clone(),
            Source::Position(channel) => channel.unit.map(str::to_owned),
        }
    }

    pub(super) fn kind(&self) -> SeriesKind {
        match &self.source {
            Source::Own(channel) => kind(channel.kind),
            Source::Position(channel) => channel.kind,
        }
    }

    pub(super) fn label(&self) -> Option<String> {
        match &self.source {
            Source::Own(channel) => channel.label.clone(),
            Source::Position(_) => None,
        }
    }

    pub(super) fn decimals(&self) -> Option<u8> {
        match &self.source {
            Source::Own(channel) => channel.decimals,
            Source::Position(_) => None,
        }
    }
}

/// The series, by device, and how many.
pub(super) async fn select(
    state: &FleetState,
    principal: &Principal,
    whose: &Whose,
    channels: &[&str],
) -> Result<Vec<OfDevice>, Problem> {
    let devices = devices(state, principal, whose).await?;
    let mut of_devices = Vec::with_capacity(devices.len());
    for device in devices {
        let own = state.history.ask(state.stores.channels.channels(device)).await?;
        of_devices.push((device, own));
    }
    if of_devices.is_empty() {
        return Ok(Vec::new());
    }
    let known = |name: &str| {
        of_devices.iter().any(|(_, own)| own.iter().any(|channel| channel.name == name))
    };
    let names = match channels {
        [text] if !known(text) => listed(text),
        names => names.to_vec(),
    };
    for name in &names {
        if let Some(Err(names)) = PositionChannel::of(name) {
            let detail = format!("There is no {name}; of positions there are {names}.");
            return Err(Problem::parameter("channel", detail));
        }
        if PositionChannel::of(name).is_none() && !known(name) {
            return Err(no_channel(state, &of_devices, name));
        }
    }
    let series = |(device, own): (DeviceId, Vec<Channel>)| {
        let channels = names.iter().filter_map(|name| selected(name, &own)).collect();
        OfDevice { device, device_id: state.written(device), channels }
    };
    let mut series: Vec<OfDevice> = of_devices.into_iter().map(series).collect();
    series.retain(|of| !of.channels.is_empty());
    bounded(series.iter().map(|of| of.channels.len()).sum())?;
    Ok(series)
}

fn no_channel(state: &FleetState, of: &[(DeviceId, Vec<Channel>)], name: &str) -> Problem {
    let whose = match of {
        [(device, _)] => state.written(*device),
        _ => return Problem::parameter("channel", format!("No device has a channel {name:?}.")),
    };
    Problem::parameter("channel", format!("{whose} has no channel {name:?}."))
}

fn bounded(series: usize) -> Result<(), Problem> {
    if series <= MAX_SERIES {
        return Ok(());
    }
    let detail = format!(
        "These are {series} series where {MAX_SERIES} are allowed: choose fewer devices or channels."
    );
    Err(Problem::parameter("device_id", detail))
}

fn selected(name: &str, own: &[Channel]) -> Option<Selected> {
    let source = match PositionChannel::of(name) {
        Some(channel) => Source::Position(channel.ok()?),
        None => Source::Own(own.iter().find(|channel| channel.name == name)?.clone()),
    };
    Some(Selected { name: name.to_owned(), source })
}

/// The names in a list, each once. A comma in braces is part of a name.
fn listed(text: &str) -> Vec<&str> {
    let (mut names, mut begins, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, sign) in text.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                names.push(text[begins..at].trim());
                begins = at + 1;
            }
            _ => {}
        }
    }
    names.push(text[begins..].trim());
    let mut once: Vec<&str> = Vec::with_capacity(names.len());
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

async fn devices(
    state: &FleetState,
    principal: &Principal,
    whose: &Whose,
) -> Result<Vec<DeviceId>, Problem> {
    let devices = match whose {
        Whose::Devices(devices) => {
            for device in devices {
                principal.must_see(*device)?;
            }
            devices.clone()
        }
        Whose::Group(group) => {
            must_see_group(state, principal, *group).await?;
            let devices = state.history.ask(state.stores.groups.devices(*group)).await?;
            devices.into_iter().filter(|device| principal.sees(*device)).collect()
        }
        Whose::Tag(tag) => {
            let filter = Filter { tag: Some(tag.clone()), ..Filter::default() };
            let seen = fleet(state, principal, None).await?;
            let meant = seen.iter().filter(|member| keep(&filter, member, &state.names));
            meant.map(|member| member.known.device).collect()
        }
    };
    bounded(devices.len())?;
    Ok(devices)
}

pub(super) const fn kind(kind: ChannelKind) -> SeriesKind {
    match kind {
        ChannelKind::Gauge => SeriesKind::Gauge,
        ChannelKind::Counter => SeriesKind::Counter,
        ChannelKind::Total => SeriesKind::Total,
        ChannelKind::State => SeriesKind::State,
        ChannelKind::Text => SeriesKind::Text,
        ChannelKind::Event => SeriesKind::Event,
    }
}

pub(super) fn value(measured: &Measured) -> Value {
    match measured {
        Measured::Flag(flag) => Value::Bool(*flag),
        Measured::Integer(number) => Value::whole(*number),
        Measured::Number(number) => Value::Number(*number),
        Measured::Text(text) => Value::Text((&**text).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_divide_names_outside_of_braces() {
        for (text, names) in [
            ("a", vec!["a"]),
            ("a, b,a", vec!["a", "b"]),
            ("cpu.usage{core=0,host=x},m", vec!["cpu.usage{core=0,host=x}", "m"]),
            ("a{b,c", vec!["a{b,c"]),
            ("a},b", vec!["a}", "b"]),
            ("ä,ö", vec!["ä", "ö"]),
        ] {
            assert_eq!(listed(text), names, "{text}");
        }
    }
}
