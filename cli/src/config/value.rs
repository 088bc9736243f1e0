//! The kinds of values that settings have: each is read once, here, into a type
//! that cannot hold a wrong one. Pure; a refusal says what is allowed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use nemeses_broker::DeviceListen;
use nemeses_parser::{OVER_TCP, OVER_UDP, UnknownDevices};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An address to listen on: `127.0.0.1:1883`, `[::1]:1883`, `localhost:1883`.
/// Port 0 takes any free one.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => {
            port.parse().ok().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
        }
        None => text.parse().ok(),
    };
    address.ok_or_else(|| "write ADDRESS:PORT, for example 127.0.0.1:1883 or [::1]:1883".to_owned())
}

/// A protocol of devices and where they are listened for, over TCP.
pub(crate) fn tcp_listen(text: &str) -> Result<DeviceListen, String> {
    device_listen(text, &OVER_TCP, "teltonika=127.0.0.1:5027")
}

/// The same over UDP.
pub(crate) fn udp_listen(text: &str) -> Result<DeviceListen, String> {
    let udp = device_listen(text, &OVER_UDP, "teltonika=127.0.0.1:5027")?;
    if udp.tls { Err("there is no TLS over UDP; use --tcp-listen".to_owned()) } else { Ok(udp) }
}

fn device_listen(
    text: &str,
    protocols: &'static [&'static str],
    example: &str,
) -> Result<DeviceListen, String> {
    let (name, address) = text
        .trim()
        .split_once('=')
        .ok_or_else(|| format!("write PROTOCOL=ADDRESS:PORT, for example {example}"))?;
    let (name, tls) = match name.strip_suffix("+tls") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let protocol = protocols.iter().find(|protocol| **protocol == name).ok_or_else(|| {
        format!("there is no protocol {name} here; choose one of {}", protocols.join(", "))
    })?;
    Ok(DeviceListen { protocol, tls, listen: listen(address)? })
}

/// What is accepted over MQTT: phones, or a mapping that is built in.
pub(crate) fn mqtt_protocol(text: &str) -> Result<String, String> {
    let name = text.trim();
    let names: Vec<&str> = [super::mappings::OWNTRACKS, super::mappings::SPARKPLUG]
        .into_iter()
        .chain(nemeses_telemetry::BUILT_IN.into_iter().map(|(name, _)| name))
        .collect();
    if names.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "choose from {}; mappings of your own are a file (--mappings)",
            names.join(", ")
        ))
    }
}

/// An address or a network, of a proxy.
pub(crate) fn network(text: &str) -> Result<nemeses_api::Network, String> {
    text.trim().parse().map_err(|error: nemeses_api::NetworkError| error.to_string())
}

/// The address under which people reach the API.
pub(crate) fn public_url(text: &str) -> Result<nemeses_api::PublicUrl, String> {
    text.trim().parse().map_err(|error: nemeses_api::PublicUrlError| error.to_string())
}

/// An origin as browsers send it: scheme, host and port, in lower case.
pub(crate) fn origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:[]".contains(c);
    match host {
        Some(host) if !host.is_empty() && host.chars().all(good) => Ok(text.to_owned()),
        _ => Err("write an origin without a path, for example https://map.example.org".to_owned()),
    }
}

/// Where metrics are served, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminListen {
    /// Not at all.
    Off,
    /// Here.
    At(SocketAddr),
}

/// `off`, or an address to listen on.
pub(crate) fn admin_listen(text: &str) -> Result<AdminListen, String> {
    if text == "off" {
        return Ok(AdminListen::Off);
    }
    listen(text).map(AdminListen::At).map_err(|allowed| format!("{allowed}, or off"))
}

/// A duration between two bounds, both allowed.
fn duration_within(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    humantime::parse_duration(text).ok().filter(|read| (least..=most).contains(read)).ok_or_else(
        || {
            format!(
                "write a duration with its unit from {} to {}, for example 300s, 5m or 1h 30m",
                humantime::format_duration(least),
                humantime::format_duration(most)
            )
        },
    )
}

/// How long a silent device stays on the live map.
pub(crate) fn live_ttl(text: &str) -> Result<Duration, String> {
    duration_within(text, Duration::from_secs(1), 30 * DAY)
}

/// How long records wait for others to be committed with.
pub(crate) fn flush_after(text: &str) -> Result<Duration, String> {
    duration_within(text, Duration::ZERO, Duration::from_secs(1))
}

/// How far ahead of its arrival a frame may be recorded.
pub(crate) fn future_limit(text: &str) -> Result<Duration, String> {
    duration_within(text, Duration::from_secs(60), 3650 * DAY)
}

/// The number of a station among its equals.
pub(crate) fn worker(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|number| *number <= 999).ok_or_else(|| {
        "write a number from 0 to 999: the first parser is 0, the second 1".to_owned()
    })
}

/// How long a simulation runs.
pub(crate) fn run_time(text: &str) -> Result<Duration, String> {
    duration_within(text, Duration::from_millis(1), 3650 * DAY)
}

/// What is done with unknown devices.
pub(crate) fn unknown_devices(text: &str) -> Result<UnknownDevices, String> {
    match text {
        "accept" => Ok(UnknownDevices::Accept),
        "quarantine" => Ok(UnknownDevices::Quarantine),
        "reject" => Ok(UnknownDevices::Reject),
        _ => Err("write accept, quarantine or reject".to_owned()),
    }
}

/// Simulated seconds between two frames of a device.
pub(crate) fn frame_interval(text: &str) -> Result<Duration, String> {
    let read = duration_within(text, Duration::from_secs(1), DAY)?;
    if read.subsec_nanos() == 0 {
        Ok(read)
    } else {
        Err("write whole seconds: a frame's clock has no finer unit".to_owned())
    }
}

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing is ever taken away.
    ForEver,
    /// At least this long.
    For(Duration),
}

impl Keep {
    /// `None` is for ever.
    pub(crate) fn period(self) -> Option<Duration> {
        match self {
            Self::ForEver => None,
            Self::For(period) => Some(period),
        }
    }
}

/// `forever`, or a duration; not so short that what is on its way would be lost.
pub(crate) fn keep(text: &str) -> Result<Keep, String> {
    if text == "forever" {
        return Ok(Keep::ForEver);
    }
    duration_within(text, 2 * DAY, Duration::from_secs(100 * 31_557_600))
        .map(Keep::For)
        .map_err(|allowed| format!("{allowed}, or forever"))
}

/// After how long readings are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// They stay rows.
    Never,
    /// By the device's clock.
    After(Duration),
}

impl Seal {
    /// `None` is never.
    pub(crate) const fn after(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::After(after) => Some(after),
        }
    }
}

/// `never`, or a duration from a second on.
pub(crate) fn seal(text: &str) -> Result<Seal, String> {
    if text == "never" {
        return Ok(Seal::Never);
    }
    duration_within(text, Duration::from_secs(1), Duration::from_secs(100 * 31_557_600))
        .map(Seal::After)
        .map_err(|allowed| format!("{allowed}, or never"))
}

/// Classes of devices with how long the positions of each are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(pub(crate) Vec<(String, Keep)>);

/// `short=30days,long=5years`: at most eight, each once; `default` is `keep-positions`.
pub(crate) fn classes(text: &str) -> Result<Classes, String> {
    const MOST: usize = 8;
    let mut read: Vec<(String, Keep)> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((name, period)) = part.split_once('=') else {
            return Err(format!(
                "'{part}' has no period; write for example short=30days,long=5years"
            ));
        };
        let (name, period) = (name.trim(), period.trim());
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(format!("'{name}' is no name of a class: write 1 to 32 of a-z, 0-9 and -"));
        }
        if name == nemeses_store::history::DEFAULT_RETENTION {
            return Err("the period of the class default is keep-positions".to_owned());
        }
        if read.iter().any(|(known, _)| known == name) {
            return Err(format!("the class {name} is there twice"));
        }
        let period = keep(period).map_err(|allowed| format!("the period of {name}: {allowed}"))?;
        read.push((name.to_owned(), period));
    }
    if read.len() > MOST {
        return Err(format!("there are {} classes; {MOST} is the most", read.len()));
    }
    Ok(Classes(read))
}

/// The name of a topic that others are built below.
pub(crate) fn topic(text: &str) -> Result<String, String> {
    const LONGEST: usize = 128;
    let fits = (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"+#".contains(&byte))
        && !text.starts_with('$')
        && !text.ends_with('/');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "write 1 to {LONGEST} visible ASCII characters without + or #, not beginning with $ and not ending with /, for example /messenger"
        ))
    }
}

/// A moment: RFC 3339, or Unix seconds. Unix milliseconds.
pub(crate) fn moment_ms(text: &str) -> Result<u64, String> {
    let seconds = text.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000));
    seconds
        .or_else(|| {
            let moment = text.parse::<jiff::Timestamp>().ok()?;
            u64::try_from(moment.as_millisecond()).ok()
        })
        .ok_or_else(|| {
            "write RFC 3339 with its zone, for example 2026-07-01T18:00:00Z, or Unix seconds"
                .to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_a_name_and_a_period_each() {
        let short = ("short".to_owned(), Keep::For(30 * DAY));
        let long = ("long-1".to_owned(), Keep::ForEver);
        assert_eq!(classes("short=30days, long-1 = forever"), Ok(Classes(vec![short, long])));
        assert_eq!(classes(""), Ok(Classes::default()));
        for (text, said) in [
            ("short", "has no period"),
            ("Short=30days", "no name of a class"),
            ("default=30days", "is keep-positions"),
            ("a=3days,a=4days", "there twice"),
            ("a=1h", "the period of a: write"),
            ("a=3d,b=3d,c=3d,d=3d,e=3d,f=3d,g=3d,h=3d,i=3d", "8 is the most"),
        ] {
            assert!(classes(text).unwrap_err().contains(said), "{text}");
        }
    }

    #[test]
    fn addresses_to_listen_on() {
        for (text, expected) in [
            ("127.0.0.1:1883", "127.0.0.1:1883"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:80", "[::1]:80"),
            ("0.0.0.0:1883", "0.0.0.0:1883"),
        ] {
            assert_eq!(listen(text).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "1883", ":1883", "127.0.0.1", "example.org:1883", "127.0.0.1:70000"] {
            assert!(listen(text).unwrap_err().contains("ADDRESS:PORT"), "{text}");
        }
        assert_eq!(admin_listen("off"), Ok(AdminListen::Off));
        assert!(admin_listen("on").unwrap_err().contains("or off"));
    }

    #[test]
    fn durations_have_a_unit_and_bounds() {
        assert_eq!(live_ttl("300s"), Ok(Duration::from_secs(300)));
        assert_eq!(live_ttl("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(live_ttl("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(flush_after("0s"), Ok(Duration::ZERO));
        for text in ["300", "", "-5m", "0s", "31days", "5 apples"] {
            assert!(live_ttl(text).unwrap_err().contains("from 1s to 30days"), "{text}");
        }
        assert!(frame_interval("1500ms").unwrap_err().contains("whole seconds"));
    }

    #[test]
    fn periods() {
        assert_eq!(keep("forever"), Ok(Keep::ForEver));
        assert_eq!(keep("90days").map(Keep::period), Ok(Some(90 * DAY)));
        for text in ["", "0", "1day", "never"] {
            assert!(keep(text).unwrap_err().contains("or forever"), "{text}");
        }
    }

    #[test]
    fn topics() {
        for text in ["/messenger", "/DB", "fleet/up", "/a/b"] {
            assert_eq!(topic(text).as_deref(), Ok(text));
        }
        for text in ["", "/a/+", "#", "$share/x", "/über", "/a/", "/a b", &"x".repeat(129)] {
            assert!(topic(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments() {
        assert_eq!(moment_ms("1593637200"), Ok(1_593_637_200_000));
        assert_eq!(moment_ms("2020-07-01T21:00:00Z"), Ok(1_593_637_200_000));
        assert_eq!(moment_ms("2020-07-01T18:00:00-03:00"), Ok(1_593_637_200_000));
        for text in ["", "yesterday", "2020-07-01", "-5", "1969-01-01T00:00:00Z"] {
            assert!(moment_ms(text).is_err(), "{text}");
        }
    }
}
