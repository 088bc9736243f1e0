//! gRPC: the calls of docs/nemeses.proto, answered by the functions behind the REST API. A call is an
//! HTTP/2 request, so the HTTP server of the runtime serves it, and a table declares the right that
//! each needs. Health needs none; reflection, whose calls have no end of their own, needs a
//! login.

mod around;
mod asked;
mod deadline;
mod events;
mod health;
mod messages;
mod methods;
mod records;
mod status;

use axum::Router;
use axum::middleware;
use axum::routing::{MethodRouter, post_service};
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder;

use self::around::{Call, call, unknown};
use self::health::Readiness;
use self::methods::Methods;
use self::v1::telemetry_server::TelemetryServer;
use crate::access::Right;
use crate::posting::MAX_BODY;
use crate::state::ApiState;

/// The messages and calls of docs/nemeses.proto, for servers and clients.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("nemeses.v1");

    /// The file itself, compiled, for reflection.
    pub const DESCRIPTOR: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/nemeses.v1.descriptor"));
}

/// Bytes of a request's message. The same records are larger as a body of the REST API.
const MAX_MESSAGE: usize = MAX_BODY;

/// The service of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Telemetry,
    Health,
    Reflection,
    OlderReflection,
}

/// Every call with its right, and whether it counts towards the concurrent reports of its credential,
/// because it may read millions of rows or stay open.
const CALLS: [(Service, &str, Right, bool); 10] = [
    (Service::Telemetry, "/nemeses.v1.Telemetry/GetLocation", Right::Devices, false),
    (Service::Telemetry, "/nemeses.v1.Telemetry/GetChannels", Right::History, false),
    (Service::Telemetry, "/nemeses.v1.Telemetry/GetMean", Right::History, true),
    (Service::Telemetry, "/nemeses.v1.Telemetry/GetSeries", Right::History, true),
    // The hub counts streams.
    (Service::Telemetry, "/nemeses.v1.Telemetry/Stream", Right::Stream, false),
    (Service::Telemetry, "/nemeses.v1.Telemetry/Publish", Right::Send, false),
    (Service::Health, "/grpc.health.v1.Health/Check", Right::Open, false),
    (Service::Health, "/grpc.health.v1.Health/Watch", Right::SignedIn, true),
    (
        Service::Reflection,
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Right::SignedIn,
        true,
    ),
    (
        Service::OlderReflection,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Right::SignedIn,
        true,
    ),
];

/// The calls over a state.
///
/// # Errors
/// The compiled descriptors are damaged, which a build excludes.
pub(crate) fn router(state: &ApiState) -> anyhow::Result<Router> {
    let telemetry =
        TelemetryServer::new(Methods::new(state.clone())).max_decoding_message_size(MAX_MESSAGE);
    let health = HealthServer::new(Readiness::new(state.clone()));
    let reflected = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(v1::DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (reflection, older) = (reflected().build_v1()?, reflected().build_v1alpha()?);
    let mut routes = Router::new();
    for (service, path, right, counted) in CALLS {
        let served: MethodRouter = match service {
            Service::Telemetry => post_service(telemetry.clone()),
            Service::Health => post_service(health.clone()),
            Service::Reflection => post_service(reflection.clone()),
            Service::OlderReflection => post_service(older.clone()),
        };
        let of = (state.clone(), Call { path, right, counted });
        routes = routes.route(path, served.layer(middleware::from_fn_with_state(of, call)));
    }
    Ok(routes.fallback(unknown))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn every_call_of_the_document_is_served() {
        let set = DescriptorSet::decode(v1::DESCRIPTOR).unwrap();
        let file = &set.files[0];
        let mut documented: Vec<String> = Vec::new();
        for service in &file.services {
            let whole = |call: &Named| format!("/{}.{}/{}", file.package, service.name, call.name);
            documented.extend(service.calls.iter().map(whole));
        }
        let served = CALLS.iter().filter(|(service, ..)| *service == Service::Telemetry);
        let served: Vec<&str> = served.map(|(_, path, ..)| *path).collect();
        assert_eq!(served, documented);
    }

    /// As much of google/protobuf/descriptor.proto as the test reads.
    #[derive(Clone, PartialEq, prost::Message)]
    struct DescriptorSet {
        #[prost(message, repeated, tag = "1")]
        files: Vec<File>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct File {
        #[prost(string, tag = "2")]
        package: String,
        #[prost(message, repeated, tag = "6")]
        services: Vec<ServiceOf>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct ServiceOf {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, repeated, tag = "2")]
        calls: Vec<Named>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Named {
        #[prost(string, tag = "1")]
        name: String,
    }
}
