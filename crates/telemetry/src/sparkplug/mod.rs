//! Sparkplug B, the host application's side: births, data and deaths of edges and their devices
//! become records. `docs/protocols/sparkplug.md` describes it.
//!
//! Data name their metrics by the aliases of the last birth, so an edge has state. Data that cannot
//! be decoded without a birth are rejected, and a rebirth of the edge is requested.

mod edge;
mod message;
mod value;

use std::collections::HashMap;

use nemeses_protocol::{Identity, Reading, is_channel_name, is_unit};
use prost::Message as _;

use self::edge::{Edge, Known};
use self::message::{Metric, Payload};
use crate::TelemetryError::{self, BadDevice, BadPayload, UnknownAlias, Unsupported};
use crate::item::Item;
use crate::mapping::in_a_name;
use crate::output::{Decoded, Output, quoted};
use crate::plain::bad_channel;
use crate::time::Moment;

/// Edges whose state is held. Of further ones, metrics with names are read and those with aliases alone are not.
const MOST_EDGES: usize = 4096;
/// Metrics of all edges whose definitions are held: about 200 bytes each with names of 60, 50 MB at the
/// worst. Data of further ones are rejected.
const MOST_METRICS: usize = 262_144;
/// Rebirths that are requested in one second: after a restart no edge is known, and all are requested.
const MOST_ASKED: u32 = 50;
/// The prefix of the edge's own switches, which are not stored.
const CONTROL: &str = "Node Control/";
const BIRTH_NUMBER: &str = "bdSeq";
/// The channel that holds whether an edge or a device is online.
const ONLINE: &str = "online";

/// The filters of what edges publish.
pub const SPARKPLUG_FILTERS: [&str; 6] = [
    "spBv1.0/+/NBIRTH/+",
    "spBv1.0/+/NDEATH/+",
    "spBv1.0/+/NDATA/+",
    "spBv1.0/+/DBIRTH/+/+",
    "spBv1.0/+/DDEATH/+/+",
    "spBv1.0/+/DDATA/+/+",
];

/// The result of a message.
#[derive(Debug, Default)]
pub struct SparkplugTaken {
    /// Its records, and what was rejected.
    pub decoded: Decoded,
    /// The topic on which a rebirth of the edge is to be requested ([`rebirth`]).
    pub rebirth: Option<String>,
}

/// A host application: the state of the edges.
#[derive(Debug, Default)]
pub struct SparkplugHost {
    edges: HashMap<(String, String), Edge>,
    /// The current second, and how many rebirths were requested in it.
    asked: (u64, u32),
}

/// The message that requests a rebirth of an edge.
pub fn rebirth(now_ms: u64) -> Vec<u8> {
    message::rebirth(now_ms)
}

/// A topic of Sparkplug.
struct Address<'t> {
    group: &'t str,
    kind: &'t str,
    edge: &'t str,
    device: Option<&'t str>,
}

impl<'t> Address<'t> {
    fn of(topic: &'t str) -> Option<Self> {
        let mut levels = topic.strip_prefix("spBv1.0/")?.split('/');
        let (group, kind, edge) = (levels.next()?, levels.next()?, levels.next()?);
        let device = levels.next();
        let whole = levels.next().is_none() && ![group, edge].contains(&"") && device != Some("");
        whole.then_some(Self { group, kind, edge, device })
    }

    fn identity(&self, device: Option<&str>) -> Result<String, String> {
        let mut name = format!("id:{}/{}", in_a_name(self.group), in_a_name(self.edge));
        if let Some(device) = device {
            name = format!("{name}/{}", in_a_name(device));
        }
        let identity = name.parse::<Identity>();
        identity.map(|identity| identity.to_string()).map_err(|error| error.to_string())
    }
}

impl SparkplugHost {
    /// Decodes a message of an edge that arrived at `received_at_ms` (Unix milliseconds).
    pub fn take(&mut self, topic: &str, payload: &[u8], received_at_ms: u64) -> SparkplugTaken {
        let mut output = Output::new(payload, received_at_ms);
        let mut asks = false;
        match Address::of(topic) {
            None => output.reject_all(BadDevice, "the topic names no edge of a group".into()),
            Some(address) => match Payload::decode(payload) {
                Ok(read) => asks = self.read(&address, &read, &mut output),
                Err(error) => {
                    let detail = format!("the payload is not Sparkplug B: {error}");
                    output.reject_all(BadPayload, detail);
                }
            },
        }
        let rebirth = asks.then(|| self.ask(topic, received_at_ms)).flatten();
        SparkplugTaken { decoded: output.finish(), rebirth }
    }

    /// Returns whether a rebirth should be requested.
    fn read(&mut self, address: &Address<'_>, read: &Payload, output: &mut Output<'_>) -> bool {
        let key = (address.group.to_owned(), address.edge.to_owned());
        if self.edges.len() >= MOST_EDGES && !self.edges.contains_key(&key) {
            self.edges.retain(|_, edge| edge.is_born);
        }
        let is_birth = address.kind.ends_with("BIRTH");
        let room = if is_birth { MOST_METRICS.saturating_sub(self.known_count(&key)) } else { 0 };
        let is_full = self.edges.len() >= MOST_EDGES && !self.edges.contains_key(&key);
        let mut stranger = Edge::default();
        let edge = if is_full { &mut stranger } else { self.edges.entry(key).or_default() };
        let mut turn = Turn { address, read, room, output };
        let asks = match (address.kind, address.device) {
            ("NBIRTH", None) => turn.birth_of_edge(edge),
            ("DBIRTH", Some(device)) => turn.birth_of_device(edge, device),
            ("NDATA", None) | ("DDATA", Some(_)) => turn.data(edge),
            ("NDEATH", None) => turn.death_of_edge(edge),
            ("DDEATH", Some(device)) => turn.death_of_device(edge, device),
            _ => Err((BadDevice, "the topic is none of an edge or a device".to_owned())),
        };
        asks.unwrap_or_else(|(reason, detail)| {
            output.reject_all(reason, detail);
            false
        }) && !is_full
    }

    /// Metrics that other edges than this one have.
    fn known_count(&self, key: &(String, String)) -> usize {
        let all: usize = self.edges.values().map(Edge::known_count).sum();
        all - self.edges.get(key).map_or(0, Edge::known_count)
    }

    /// The topic of the request, unless this edge got one lately, or too many edges did.
    fn ask(&mut self, topic: &str, now_ms: u64) -> Option<String> {
        let address = Address::of(topic)?;
        let second = now_ms / 1000;
        if self.asked.0 != second {
            self.asked = (second, 0);
        }
        let key = (address.group.to_owned(), address.edge.to_owned());
        let has_room = self.asked.1 < MOST_ASKED;
        let may = has_room && self.edges.get_mut(&key)?.may_be_asked(now_ms);
        self.asked.1 += u32::from(may);
        may.then(|| format!("spBv1.0/{}/NCMD/{}", address.group, address.edge))
    }
}

/// One message.
struct Turn<'t, 'o, 'p> {
    address: &'t Address<'t>,
    read: &'t Payload,
    /// How many metrics of this edge may be remembered.
    room: usize,
    output: &'o mut Output<'p>,
}

type Refused = (TelemetryError, String);
/// Whether a rebirth should be requested.
type Asks = Result<bool, Refused>;

impl Turn<'_, '_, '_> {
    fn birth_of_edge(&mut self, edge: &mut Edge) -> Asks {
        edge.born(self.birth_number(), self.read.seq);
        self.remember(edge, None);
        self.metrics(edge, None)?;
        self.online(None, true, self.read.timestamp)?;
        Ok(false)
    }

    fn birth_of_device(&mut self, edge: &mut Edge, device: &str) -> Asks {
        let follows = edge.is_next(self.read.seq);
        self.remember(edge, Some(device));
        if edge.is_born {
            edge.devices.insert(device.to_owned());
        }
        self.metrics(edge, Some(device))?;
        self.online(Some(device), true, self.read.timestamp)?;
        Ok(!edge.is_born || !follows)
    }

    fn data(&mut self, edge: &mut Edge) -> Asks {
        let follows = edge.is_next(self.read.seq);
        let device = self.address.device;
        let is_there = edge.is_born && device.is_none_or(|it| edge.devices.contains(it));
        let understood = self.metrics(edge, device)?;
        Ok(!is_there || !follows || !understood)
    }

    /// The edge and its devices are offline from now on. The time is that of the server, since a will was written when the edge connected.
    fn death_of_edge(&mut self, edge: &mut Edge) -> Asks {
        if edge.dies(self.birth_number()) {
            for device in std::mem::take(&mut edge.devices) {
                self.online(Some(&device), false, None)?;
            }
            self.online(None, false, None)?;
        }
        Ok(false)
    }

    fn death_of_device(&mut self, edge: &mut Edge, device: &str) -> Asks {
        let follows = edge.is_next(self.read.seq);
        edge.devices.remove(device);
        self.online(Some(device), false, self.read.timestamp)?;
        Ok(!edge.is_born || !follows)
    }

    fn birth_number(&self) -> Option<u64> {
        let number = |metric: &&Metric| metric.name.as_deref() == Some(BIRTH_NUMBER);
        let metric = self.read.metrics.iter().find(number)?;
        metric.long.or(metric.int.map(u64::from))
    }

    fn remember(&mut self, edge: &mut Edge, device: Option<&str>) {
        for metric in &self.read.metrics {
            let Some(name) = metric.name.as_deref() else { continue };
            if edge.known_count() >= self.room {
                return;
            }
            let unit = unit(metric).filter(|unit| is_unit(unit)).map(Into::into);
            edge.remember(
                device,
                metric,
                Known { name: name.into(), datatype: metric.datatype, unit },
            );
        }
    }

    /// Stores the values of all metrics; returns whether all of them were known.
    fn metrics(&mut self, edge: &Edge, device: Option<&str>) -> Result<bool, Refused> {
        let name = self.name(device)?;
        let (mut unknown, mut unsupported, mut refused) = (0_usize, Vec::new(), None);
        for metric in &self.read.metrics {
            let known = edge.known(device, metric);
            let metric_name = metric.name.as_deref().or(known.map(|known| &*known.name));
            let Some(metric_name) = metric_name else {
                unknown += 1;
                continue;
            };
            let is_own = metric_name == BIRTH_NUMBER || metric_name.starts_with(CONTROL);
            if is_own || metric.is_null == Some(true) {
                continue;
            }
            let datatype = metric.datatype.or(known.and_then(|known| known.datatype));
            match value::value(metric, datatype) {
                Some(item) => {
                    let unit = known.and_then(|known| known.unit.clone());
                    let put = self.put(&name, metric.timestamp, metric_name, unit, item);
                    refused = refused.or(put.err());
                }
                None => unsupported.push(quoted(metric_name)),
            }
        }
        if let Some((reason, detail)) = refused {
            self.output.reject_all(reason, detail);
        }
        if let Some(first) = unsupported.first() {
            let detail = format!(
                "{} metrics have types that a channel cannot have (arrays, data sets, templates, bytes), \
                 the first is {first}",
                unsupported.len()
            );
            self.output.reject_all(Unsupported, detail);
        }
        if unknown > 0 {
            let detail = format!(
                "{unknown} metrics have aliases that no birth defined; a rebirth of the edge is requested"
            );
            self.output.reject_all(UnknownAlias, detail);
        }
        Ok(unknown == 0)
    }

    fn put(
        &mut self,
        name: &str,
        timestamp: Option<u64>,
        channel: &str,
        unit: Option<Box<str>>,
        item: Item<'_>,
    ) -> Result<(), Refused> {
        if !is_channel_name(channel) {
            return Err(bad_channel(channel));
        }
        let value = item.value().map_err(|why| {
            (TelemetryError::BadValue, format!("the value of {} {why}", quoted(channel)))
        })?;
        let moment = self.moment(timestamp.or(self.read.timestamp))?;
        let span = 0..self.output.payload.len();
        self.output.put_at(name, moment, Reading { channel: channel.into(), unit, value }, span);
        Ok(())
    }

    fn online(
        &mut self,
        device: Option<&str>,
        is_online: bool,
        timestamp: Option<u64>,
    ) -> Result<(), Refused> {
        let name = self.name(device)?;
        let moment = self.moment(timestamp)?;
        let value = nemeses_protocol::Value::Flag(is_online);
        let span = 0..self.output.payload.len();
        self.output.put_at(
            &name,
            moment,
            Reading { channel: ONLINE.into(), unit: None, value },
            span,
        );
        Ok(())
    }

    fn moment(&self, timestamp: Option<u64>) -> Result<Moment, Refused> {
        match timestamp {
            None => Ok(Moment::arrival(self.output.received_at_ms)),
            Some(ms) => Moment::of_number(&Item::of_i128(ms.into()), 1_000_000).ok_or_else(|| {
                (TelemetryError::BadTime, format!("the time {ms} is after the year 9999"))
            }),
        }
    }

    fn name(&self, device: Option<&str>) -> Result<String, Refused> {
        self.address.identity(device).map_err(|why| (BadDevice, why))
    }
}

/// The engineering unit in a birth.
fn unit(metric: &Metric) -> Option<&str> {
    let properties = metric.properties.as_ref()?;
    let is_unit = |key: &String| key.eq_ignore_ascii_case("engUnit");
    let at = properties.keys.iter().position(is_unit)?;
    properties.values.get(at)?.string.as_deref()
}
