//! Starts what delivers traces, when they are wanted.

use nemeses_runtime::traces::Tracer;
use nemeses_runtime::{Registry, Tasks, host_name};

use crate::config::Traces;

/// The tracer of a station: off without settings. `instance` tells it from others of
/// its role; a worker's name, or nothing.
pub(crate) fn trace(
    tasks: &Tasks,
    settings: Option<&Traces>,
    role: &'static str,
    instance: Option<&str>,
    registry: &mut Registry,
) -> Tracer {
    let Some(settings) = settings else { return Tracer::off() };
    let name = settings.service_name.clone().unwrap_or_else(|| format!("nemeses-{role}"));
    let host = host_name();
    let instance = instance.map_or_else(|| format!("{host}-{}", std::process::id()), str::to_owned);
    let resource = vec![
        ("service.name", name),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", instance),
        ("host.name", host),
    ];
    let collector = settings.collector.clone();
    let (tracer, delivery) = Tracer::new(settings.ratio, collector, resource, registry);
    tasks.spawn_rest("traces", delivery.run(tasks.stop().all));
    tracing::info!(collector = settings.endpoint, "some frames and requests are traced");
    tracer
}
