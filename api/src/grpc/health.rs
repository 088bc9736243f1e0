//! The service `grpc.health.v1`: serving while `/readyz` answers 200.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::state::ApiState;

/// How often the status is checked for clients that watch it.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// What may be asked for: the server as a whole, and its service.
const SERVICES: [&str; 2] = ["", "nemeses.v1.Telemetry"];

/// Whether calls can be answered now.
#[derive(Clone)]
pub(super) struct Readiness {
    state: ApiState,
}

impl Readiness {
    pub(super) const fn new(state: ApiState) -> Self {
        Self { state }
    }

    async fn of(&self, service: &str) -> ServingStatus {
        if !SERVICES.contains(&service) {
            return ServingStatus::ServiceUnknown;
        }
        if self.state.streams.hub.closing.is_cancelled() || self.state.ready().await.is_err() {
            return ServingStatus::NotServing;
        }
        ServingStatus::Serving
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for Readiness {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.of(&request.into_inner().service).await {
            ServingStatus::ServiceUnknown => Err(Status::not_found("There is no such service.")),
            status => Ok(Response::new(answer(status))),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// Sends the status at once and after every change, until the server stops.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (this, service) = (self.clone(), request.into_inner().service);
        let sent: Option<ServingStatus> = None;
        let changes = stream::unfold((this, service, sent), |(this, service, sent)| async move {
            let closing = this.state.streams.hub.closing.clone();
            loop {
                let now = this.of(&service).await;
                if sent != Some(now) {
                    return Some((Ok(answer(now)), (this, service, Some(now))));
                }
                if closing.is_cancelled() {
                    return None;
                }
                tokio::select! {
                    () = closing.cancelled() => {}
                    () = tokio::time::sleep(WATCH_EVERY) => {}
                }
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}
