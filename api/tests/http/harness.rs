//! Starts the API on a free port and talks to it.

use std::sync::Arc;
use std::time::Duration;

use nemeses_api::{ApiConfig, ApiState, Credential, Stores, TokenSecret, serve};
use nemeses_protocol::{Composition, DeviceId, Position, PositionRecord};
use nemeses_runtime::Clock;
use nemeses_store::history::testing::{FakeHistory, INNER_TEXT};
use nemeses_store::history::{Database, Options, Role, open};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fakes::{FakeBooks, FakeLive, FakeSessions, FakeTokens, FakeUsers};

/// 2020-07-01T21:00:00Z, when the founding example was recorded.
pub(crate) const RECORDED: u32 = 1_593_637_200;
/// A minute later.
pub(crate) const NOW_MS: u64 = 1_593_637_260_000;
pub(crate) const DEVICE: DeviceId = DeviceId::new(0x0A_3F73);
pub(crate) const USER_ID: u64 = 7;
pub(crate) const SECRET: &str = "a secret of at least thirty-two bytes";

/// The founding example's position with other times.
pub(crate) fn record(recorded_at: u32, frame_hash: u64) -> PositionRecord {
    let position = Position {
        device: DEVICE,
        recorded_at,
        direction_cdeg: 5487,
        odometer_m: 25_000_000,
        hour_meter_min: 36_000,
        composition: Composition(0xB800),
        extension: None,
        speed_kmh: 60,
        latitude_udeg: -19_932_833,
        longitude_udeg: -43_938_493,
    };
    PositionRecord {
        position,
        frame_hash,
        received_at_ms: u64::from(recorded_at) * 1000 + 250,
        packed: None,
    }
}

/// An empty database of a node's own sort.
pub(crate) async fn embedded_database() -> (tempfile::TempDir, Database) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("history.db").display());
    let database = open(&url, Options::default()).await.unwrap();
    database.history().migrate().await.unwrap();
    (dir, database)
}

/// An API over stores that tests can fill and switch off.
pub(crate) struct Api {
    pub(crate) live: Arc<FakeLive>,
    pub(crate) history: Arc<FakeHistory>,
    pub(crate) books: Arc<FakeBooks>,
    pub(crate) users: Arc<FakeUsers>,
    pub(crate) clock: Clock,
    pub(crate) served: Served,
    /// What is not faked.
    pub(crate) database: Database,
    _dir: tempfile::TempDir,
}

/// A running API.
pub(crate) struct Served {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) state: ApiState,
    pub(crate) token: String,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<anyhow::Result<()>>,
    client: Client,
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::start_with(ApiConfig::default()).await
    }

    pub(crate) async fn start_with(config: ApiConfig) -> Self {
        let (live, history) = (Arc::new(FakeLive::default()), Arc::new(FakeHistory::default()));
        let books = Arc::new(FakeBooks::default());
        let users = Arc::new(FakeUsers::new(Arc::clone(&history)));
        users.set_access(USER_ID, Role::Admin, &[]);
        let clock = Clock::held(NOW_MS);
        let (dir, database) = embedded_database().await;
        let stores = Stores {
            live: live.clone(),
            history: history.clone(),
            health: history.clone(),
            users: users.clone(),
            books: books.clone(),
            devices: database.devices(),
            channels: database.channels(),
            identities: database.identities(),
            named: database.named(),
            groups: database.groups(),
            sessions: Arc::new(FakeSessions),
            tokens: Arc::new(FakeTokens),
            daily: database.daily(),
            rules: database.rules(),
            receivers: database.receivers(),
            alarms: database.alarms(),
            letters: database.dead_letters(),
            second_chance: None,
            commits_fail: None,
            commands: None,
            telemetry: None,
            kept_commands: database.commands(),
            logins: database.logins(),
            retention: database.retention(),
        };
        let served = Served::start(stores, clock.clone(), config).await;
        Self { live, history, books, users, clock, served, database, _dir: dir }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.served.get(path).await
    }
}

impl Served {
    pub(crate) async fn start(stores: Stores, clock: Clock, config: ApiConfig) -> Self {
        let secret = TokenSecret::from_text(SECRET).unwrap();
        let state = ApiState::new(stores, &secret.into(), clock, config).unwrap();
        let token = token_of(&state, USER_ID, USER_ID);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, state.clone(), stop.clone()));
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { address, state, token, stop, task, client }
    }

    /// A token of another user's session that the database need not have.
    pub(crate) fn token_of(&self, user_id: u64) -> String {
        token_of(&self.state, user_id, user_id)
    }

    /// A GET with another user's token.
    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        let request = self.request(Method::GET, path).bearer_auth(token);
        Answer::of(request.send().await.unwrap()).await
    }

    /// A request without a token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // One id for all: answers can be compared as they are.
        let request = self.client.request(method, format!("http://{}{path}", self.address));
        request.header("X-Request-Id", "of-a-test")
    }

    /// A GET with a token, not yet sent.
    pub(crate) fn signed(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.signed(path).send().await.unwrap()).await
    }

    /// A request with a body and another user's token.
    pub(crate) async fn send_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let request = self.request(method, path).bearer_auth(token).json(body);
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }
}

impl Served {
    /// A request with a body and the token.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path).bearer_auth(&self.token).json(body);
        Answer::of(request.send().await.unwrap()).await
    }
}

fn token_of(state: &ApiState, user_id: u64, session: u64) -> String {
    let now_s = NOW_MS / 1000;
    state.tokens().issue(user_id, Credential::Session(session), now_s, now_s + 900).unwrap()
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let headers = response.headers().clone();
        let content_type =
            headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Self { status, content_type: content_type.unwrap_or_default(), headers, text }
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.content_type, "application/json", "{self:?}");
        serde_json::from_str(&self.text).unwrap()
    }

    /// Checks that this is a whole problem of this status and code, about this parameter.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str, parameter: Option<&str>) {
        assert_eq!(
            (self.status, self.content_type.as_str()),
            (status, "application/problem+json"),
            "{self:?}"
        );
        let body: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(body["type"], format!("urn:nemeses:problem:{code}"), "{self:?}");
        assert_eq!(body["status"], status, "{self:?}");
        assert_eq!(body["parameter"].as_str(), parameter, "{self:?}");
        assert!(!body["title"].as_str().unwrap().is_empty(), "{self:?}");
        assert!(!body["detail"].as_str().unwrap().is_empty(), "{self:?}");
        for secret in [INNER_TEXT, "panicked", "src/"] {
            assert!(!self.text.contains(secret), "{self:?}");
        }
        assert_eq!(self.headers["cache-control"], "no-store", "{self:?}");
    }
}
