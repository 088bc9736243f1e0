//! The calls: a request becomes the parameters of the REST API and is answered by the same
//! functions.

use std::pin::Pin;

use futures_util::Stream;
use nemeses_export::Form;
use nemeses_protocol::{DeviceId, Identity};
use nemeses_telemetry::Format;
use tonic::{Request, Response, Status};

use super::asked::{self, Asked};
use super::deadline::Deadline;
use super::events::{Messages, events};
use super::status::refused;
use super::v1::telemetry_server::Telemetry;
use super::{messages, records, v1};
use crate::access::{Principal, Reach};
use crate::fleet::FleetState;
use crate::input;
use crate::problem::{Problem, fault};
use crate::routes::api_v1::channels::newest;
use crate::routes::api_v1::location::location;
use crate::routes::api_v1::series::{Series, SeriesQuery, collect};
use crate::routes::api_v1::stream::wanted;
use crate::routes::api_v1::telemetry::{Sent, good_key, store};
use crate::state::ApiState;
use crate::stream::{Follower, Holder};

/// The calls over a state.
pub(super) struct Methods {
    state: ApiState,
}

/// The caller, as the layer around the call has determined it.
struct Caller {
    principal: Principal,
    holder: Holder,
    deadline: Deadline,
}

impl Caller {
    fn of<T>(request: &Request<T>) -> Result<Self, Problem> {
        let found = request.extensions();
        let (principal, holder) = (found.get::<Principal>(), found.get::<Holder>());
        let (Some(principal), Some(holder), Some(deadline)) =
            (principal, holder, found.get::<Deadline>())
        else {
            return Err(fault(&"a call runs without a decision on access"));
        };
        Ok(Self { principal: principal.clone(), holder: holder.clone(), deadline: *deadline })
    }
}

impl Methods {
    pub(super) const fn new(state: ApiState) -> Self {
        Self { state }
    }

    /// A device that a call names.
    async fn device(&self, text: &str) -> Result<DeviceId, Problem> {
        self.learn(&[input::identity("device_id", text)?]).await?;
        self.state.backend.device("device_id", text)
    }

    /// Looks up names that this process does not know yet.
    async fn learn(&self, identities: &[Identity]) -> Result<(), Problem> {
        self.state.backend.learn(identities).await
    }

    /// The state for a report, whose reads share the limit of its credential.
    fn for_reports(&self, principal: &Principal) -> FleetState {
        self.state.fleet.clone().read_by(principal.credential())
    }

    async fn location(
        &self,
        request: Request<v1::GetLocationRequest>,
    ) -> Result<v1::Location, Problem> {
        let Caller { principal, .. } = Caller::of(&request)?;
        let device = self.device(&request.get_ref().device_id).await?;
        let found = location(&principal, &self.state.fleet, device).await?;
        let only_now = matches!(principal.reach(), Reach::Now { .. });
        Ok(messages::location(if only_now { found.without_totals() } else { found }))
    }

    async fn channels(
        &self,
        request: Request<v1::GetChannelsRequest>,
    ) -> Result<v1::GetChannelsAnswer, Problem> {
        let Caller { principal, .. } = Caller::of(&request)?;
        let v1::GetChannelsRequest { device_id, channel: names } = request.into_inner();
        let device = self.device(&device_id).await?;
        let state = self.for_reports(&principal);
        let mut channels = newest(&principal, &state, device).await?;
        if let Some(name) =
            names.iter().find(|name| !channels.iter().any(|(channel, _)| channel.name == **name))
        {
            let detail = format!("{} has no channel {name:?}.", state.written(device));
            return Err(Problem::parameter("channel", detail));
        }
        channels.retain(|(channel, _)| names.is_empty() || names.contains(&channel.name));
        let now_ms = state.clock.now_ms();
        let channels = channels.into_iter();
        Ok(v1::GetChannelsAnswer {
            device_id: state.written(device),
            channels: channels
                .map(|(channel, newest)| messages::channel(channel, newest.as_ref(), now_ms))
                .collect(),
        })
    }

    /// The series that a call asks for.
    async fn collected(
        &self,
        principal: &Principal,
        asked: Asked,
        channels: &[String],
    ) -> Result<Vec<Series>, Problem> {
        self.learn(&asked.identities).await?;
        let state = self.for_reports(principal);
        let query = SeriesQuery::read(asked.params(state.names.clone()), Form::Json)?;
        let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
        collect(principal, &state, &query, &channels).await
    }

    async fn series(
        &self,
        request: Request<v1::GetSeriesRequest>,
    ) -> Result<v1::GetSeriesAnswer, Problem> {
        let Caller { principal, .. } = Caller::of(&request)?;
        let request = request.into_inner();
        let asked = asked::series(&request)?;
        let found = self.collected(&principal, asked, &request.channel).await?;
        Ok(v1::GetSeriesAnswer { series: found.into_iter().map(messages::series).collect() })
    }

    async fn mean(&self, request: Request<v1::GetMeanRequest>) -> Result<v1::Mean, Problem> {
        let Caller { principal, .. } = Caller::of(&request)?;
        let request = request.into_inner();
        let asked = asked::mean(&request)?;
        let mut found = self.collected(&principal, asked, &[request.channel]).await?;
        match (found.pop(), found.is_empty()) {
            (Some(series), true) => {
                let values = series.t.len();
                let mean = messages::mean(series);
                if values > 0 && mean.count == 0 {
                    return Err(Problem::parameter("channel", "Its values are not numbers."));
                }
                Ok(mean)
            }
            _ => Err(Problem::parameter("channel", "Must be the name of one channel.")),
        }
    }

    async fn follow(
        &self,
        request: Request<v1::StreamRequest>,
    ) -> Result<impl Stream<Item = Result<v1::Event, Status>> + Send + use<>, Problem> {
        let Caller { principal, holder, deadline } = Caller::of(&request)?;
        let asked = asked::stream(request.get_ref())?;
        self.learn(&asked.identities).await?;
        let state = &self.state.streams;
        let params = asked.params(self.state.backend.names.clone());
        let wanted = wanted(state, params, &principal).await?;
        let follower = Follower::begin(state, holder, principal, wanted, Messages::new).await?;
        Ok(events(follower, deadline))
    }

    async fn store(
        &self,
        request: Request<v1::PublishRequest>,
    ) -> Result<v1::PublishAnswer, Problem> {
        let Caller { principal, .. } = Caller::of(&request)?;
        let v1::PublishRequest { device_id, records, idempotency_key: key } = request.into_inner();
        let identity = (!device_id.is_empty()).then(|| input::identity("device_id", &device_id));
        let key = (!key.is_empty()).then(|| good_key("idempotency_key", &key)).transpose()?;
        let sent = Sent {
            identity: identity.transpose()?,
            format: Format::Json,
            precision: String::new(),
            body: records::body(records)?.into(),
        };
        store(&principal, &self.state.backend, sent, key).await.map(messages::published)
    }
}

fn answered<T>(answer: Result<T, Problem>) -> Result<Response<T>, Status> {
    answer.map(Response::new).map_err(|problem| refused(&problem))
}

#[tonic::async_trait]
impl Telemetry for Methods {
    async fn get_location(
        &self,
        request: Request<v1::GetLocationRequest>,
    ) -> Result<Response<v1::Location>, Status> {
        answered(self.location(request).await)
    }

    async fn get_channels(
        &self,
        request: Request<v1::GetChannelsRequest>,
    ) -> Result<Response<v1::GetChannelsAnswer>, Status> {
        answered(self.channels(request).await)
    }

    async fn get_mean(
        &self,
        request: Request<v1::GetMeanRequest>,
    ) -> Result<Response<v1::Mean>, Status> {
        answered(self.mean(request).await)
    }

    async fn get_series(
        &self,
        request: Request<v1::GetSeriesRequest>,
    ) -> Result<Response<v1::GetSeriesAnswer>, Status> {
        answered(self.series(request).await)
    }

    type StreamStream = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<v1::StreamRequest>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let events = self.follow(request).await.map_err(|problem| refused(&problem))?;
        Ok(Response::new(Box::pin(events)))
    }

    async fn publish(
        &self,
        request: Request<v1::PublishRequest>,
    ) -> Result<Response<v1::PublishAnswer>, Status> {
        answered(self.store(request).await)
    }
}
