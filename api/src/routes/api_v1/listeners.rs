//! `GET /api/v1/listeners`: where devices reach this system, by protocol: what a device is set to.
//! For those who look after devices.

use axum::extract::State;
use axum::response::Response;
use nemeses_store::live::Alive;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::backend::Backend;
use crate::input::Params;
use crate::openapi::{Answer, Doc, Tag};
use crate::output;
use crate::problem::{Kind, Problem};

/// Where devices of a protocol reach a process.
#[derive(Serialize, JsonSchema)]
struct Listener<'a> {
    /// `sft9001`, `telemetry`, `teltonika`, `owntracks` and so on, or the name of a mapping.
    protocol: &'a str,
    /// `mqtt`, `mqtts`, `ws`, `tcp`, `tls`, `udp`, `http` or `https`.
    transport: &'a str,
    /// Address and port as the process listens on them; of an MQTT broker, where the process
    /// reaches it. Devices may have to use another one, such as that of a load balancer.
    address: &'a str,
    /// The MQTT topics, separated by commas, or the HTTP path.
    path: Option<&'a str>,
    /// The process, by its name among the workers.
    worker: &'a str,
    /// Messages received since the process started, where they are counted by protocol: over
    /// TCP, TLS and UDP together.
    received: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListenersAnswer")]
struct Listeners<'a> {
    /// In order of their processes.
    listeners: Vec<Listener<'a>>,
    count: usize,
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "listeners": [{
            "protocol": "teltonika", "transport": "tcp", "address": "0.0.0.0:5027", "path": null,
            "worker": "node@host:1883", "received": 360.0,
        }],
        "count": 1,
    });
    Doc::new("listListeners", Tag::Devices, "Where devices reach this system, by protocol")
        .about(
            "What a device is set to: the address and port, and the topic or path. Processes that are \
             alive are asked; without Redis, a node knows of itself alone.",
        )
        .answers(Answer::json::<Listeners<'_>>("The listeners.", example))
        .problems(&[Kind::LiveUnavailable])
}

fn of_worker(alive: &Alive) -> impl Iterator<Item = Listener<'_>> {
    alive.worker.listeners.iter().map(|listener| Listener {
        protocol: &listener.protocol,
        transport: &listener.transport,
        address: &listener.address,
        path: listener.path.as_deref(),
        worker: &alive.worker.name,
        received: listener.received,
    })
}

pub(crate) async fn get(State(state): State<Backend>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let alive = state.live.ask(state.stores.live.workers()).await?;
    let listeners: Vec<_> = alive.iter().flat_map(of_worker).collect();
    output::json(&Listeners { count: listeners.len(), listeners })
}
