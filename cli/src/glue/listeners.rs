//! Where devices reach this process, for people who set one up: what the process announces
//! beside its figures.

use std::net::SocketAddr;

use nemeses_broker::Door;
use nemeses_parser::Policy;
use nemeses_protocol::{OsmAnd, OwnTracks, Protocol as _, Topics};
use nemeses_runtime::Listener;
use nemeses_telemetry::SPARKPLUG_FILTERS;

use crate::config::Devices;

/// Those of MQTT at an address: our own topics, and what is read beside them.
pub(crate) fn over_mqtt(policy: &Policy, transport: &str, address: &str) -> Vec<Listener> {
    let Topics { messenger, telemetry, owntracks, .. } = &policy.topics;
    let at = |protocol: &str, path: String| Listener {
        path: Some(path),
        ..Listener::new(protocol, transport, address)
    };
    let ours = [
        at("sft9001", format!("{messenger}/{{device}}")),
        at("telemetry", format!("{telemetry}/{{device}}")),
    ];
    let phones = owntracks.then(|| at(OwnTracks::NAME, "owntracks/{user}/{device}".to_owned()));
    let edges = policy.sparkplug.is_some().then(|| at("sparkplug", SPARKPLUG_FILTERS.join(", ")));
    let mapped = policy.mappings.topics().into_iter();
    let mapped = mapped.map(|(name, filters)| at(name, filters.join(", ")));
    ours.into_iter().chain(phones).chain(edges).chain(mapped).collect()
}

/// All of a node; `phones` is where those that speak HTTP are served.
pub(crate) fn of_node(
    policy: &Policy,
    devices: &Devices,
    door: &Door,
    phones: Option<SocketAddr>,
) -> Vec<Listener> {
    let mut all = of_door(policy, door);
    all.extend(of_devices(devices, door));
    all.extend(phones.into_iter().flat_map(|bound| over_http(policy, devices, bound)));
    all
}

/// Those of MQTT at our own listeners.
fn of_door(policy: &Policy, door: &Door) -> Vec<Listener> {
    let places =
        [("mqtt", door.local_addr()), ("mqtts", door.tls_addr()), ("ws", door.websocket_addr())];
    let there = places.into_iter().filter_map(|(transport, address)| Some((transport, address?)));
    there
        .flat_map(|(transport, address)| over_mqtt(policy, transport, &address.to_string()))
        .collect()
}

/// Those of devices that speak a protocol of their own, at the addresses that were bound.
pub(crate) fn of_devices(devices: &Devices, door: &Door) -> Vec<Listener> {
    let (tcp, udp) = door.device_addrs();
    let tcp = devices.tcp.iter().zip(tcp).map(|(asked, bound)| {
        of_protocol(asked.protocol, if asked.tls { "tls" } else { "tcp" }, bound)
    });
    let udp = devices.udp.iter().zip(udp);
    tcp.chain(udp.map(|(asked, bound)| of_protocol(asked.protocol, "udp", bound))).collect()
}

fn of_protocol(protocol: &str, transport: &str, bound: SocketAddr) -> Listener {
    let label = format!("protocol=\"{protocol}\"");
    Listener {
        counter: Some(("nemeses_door_device_frames_total", label)),
        ..Listener::new(protocol, transport, bound.to_string())
    }
}

/// Those of devices that speak HTTP, at the address that was bound.
pub(crate) fn over_http(policy: &Policy, devices: &Devices, bound: SocketAddr) -> Vec<Listener> {
    let transport = if devices.tls.is_some() { "https" } else { "http" };
    let at = |protocol: &str, path: String, label: &str| Listener {
        path: Some(path),
        counter: Some(("nemeses_http_devices_requests_total", format!("protocol=\"{label}\""))),
        ..Listener::new(protocol, transport, bound.to_string())
    };
    let phones = [OsmAnd::NAME, OwnTracks::NAME].map(|name| at(name, "/".to_owned(), name));
    let mapped = policy
        .mappings
        .posts()
        .map(|name| Listener { counter: None, ..at(name, format!("/devices/{name}"), "") });
    phones.into_iter().chain(mapped).collect()
}

#[cfg(test)]
mod tests {
    use nemeses_telemetry::{Mappings, built_in};

    use super::*;

    fn policy() -> Policy {
        let mut mappings = Mappings::default();
        for name in ["tasmota", "chirpstack"] {
            mappings.and(&built_in(name).unwrap().unwrap());
        }
        let topics = Topics { owntracks: true, ..Topics::default() };
        Policy { topics, mappings, ..Policy::default() }
    }

    fn shown(listeners: &[Listener]) -> Vec<(String, String)> {
        let path = |it: &Listener| it.path.clone().unwrap_or_default();
        listeners.iter().map(|it| (it.protocol.clone(), path(it))).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, path)| (name.to_owned(), path.to_owned())).collect()
    }

    #[test]
    fn what_is_read_over_mqtt_has_its_topics() {
        let listeners = over_mqtt(&policy(), "mqtts", "broker.example.org:8883");
        assert!(listeners.iter().all(|it| it.transport == "mqtts"));
        assert_eq!(
            shown(&listeners),
            owned(&[
                ("sft9001", "/messenger/{device}"),
                ("telemetry", "/telemetry/{device}"),
                ("owntracks", "owntracks/{user}/{device}"),
                ("tasmota-sensor", "tele/+/SENSOR"),
                ("tasmota-state", "tele/+/STATE"),
                ("tasmota-presence", "tele/+/LWT"),
                ("chirpstack", "application/+/device/+/event/+"),
            ])
        );
    }

    #[test]
    fn over_http_a_path_names_the_mapping() {
        let bound = "127.0.0.1:5055".parse().unwrap();
        let listeners = over_http(&policy(), &Devices::default(), bound);
        assert!(listeners.iter().all(|it| it.transport == "http"));
        let shown = shown(&listeners);
        let expected =
            owned(&[("osmand", "/"), ("owntracks", "/"), ("chirpstack", "/devices/chirpstack")]);
        assert_eq!(shown, expected);
    }
}
