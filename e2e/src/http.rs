//! A user of the REST API.

use std::time::Duration;

use anyhow::Context as _;
use nemeses_protocol::DeviceId;
use rand::Rng as _;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Every user's.
const PASSWORD: &str = "correct horse battery staple";

/// The picture with which a stream begins comes within this.
const PICTURE_WITHIN: Duration = Duration::from_secs(3);

/// A registered user with a token.
#[derive(Clone, Debug)]
pub struct User {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl User {
    /// Registers a user with an address of its own, which it returns.
    ///
    /// # Errors
    /// The API refuses or does not answer.
    pub async fn register(base: &str) -> anyhow::Result<String> {
        let client = reqwest::Client::new();
        let email = format!("user{}@example.com", rand::rng().random::<u64>());
        let registration = json!({ "email": email, "password": PASSWORD, "name": "A User" });
        post(&client, &format!("{base}/register/user"), &registration).await?;
        Ok(email)
    }

    /// Signs a registered user in.
    ///
    /// # Errors
    /// The API refuses or does not answer.
    pub async fn sign_in(base: &str, email: &str) -> anyhow::Result<Self> {
        Self::sign_in_with(base, email, PASSWORD).await
    }

    /// The same with another password.
    ///
    /// # Errors
    /// The API refuses or does not answer.
    pub async fn sign_in_with(base: &str, email: &str, password: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::new();
        let login = json!({ "email": email, "password": password });
        let answer = post(&client, &format!("{base}/login"), &login).await?;
        let token = answer["token"].as_str().context("the login's answer has no token")?.to_owned();
        Ok(Self { client, base: base.to_owned(), token })
    }

    /// The token, for programs that make requests of their own.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The same user with the same token at another instance.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// Asks for a path; returns status and body (`Null` if it is no JSON).
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<(StatusCode, Value)> {
        let url = format!("{}{path}", self.base);
        let response = self.client.get(url).bearer_auth(&self.token).send().await?;
        let (status, body) = (response.status(), response.bytes().await?);
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// Posts a body to a path; returns status and body (`Null` if it is no JSON).
    ///
    /// # Errors
    /// No answer.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        let url = format!("{}{path}", self.base);
        let request = self.client.post(url).bearer_auth(&self.token).json(body);
        let response = request.send().await?;
        let (status, body) = (response.status(), response.bytes().await?);
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// Posts a text with headers; returns status and body (`Null` if it is no JSON).
    ///
    /// # Errors
    /// No answer.
    pub async fn post_text(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<(u16, Value)> {
        let mut request = self.client.post(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.bearer_auth(&self.token).body(body.to_owned()).send().await?;
        let (status, body) = (response.status(), response.bytes().await?);
        Ok((status.as_u16(), serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// Puts a body at a path.
    ///
    /// # Errors
    /// No answer, or none of success.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let request = self.client.put(url).bearer_auth(&self.token).json(body);
        let response = request.send().await?;
        let (status, said) = (response.status(), response.text().await?);
        anyhow::ensure!(status.is_success(), "{path} answers {status}: {said}");
        Ok(serde_json::from_str(&said).unwrap_or(Value::Null))
    }

    /// Deletes; the status of the answer.
    ///
    /// # Errors
    /// No answer.
    pub async fn delete(&self, path: &str) -> anyhow::Result<StatusCode> {
        let url = format!("{}{path}", self.base);
        let answer = self.client.delete(url).bearer_auth(&self.token).send().await?;
        Ok(answer.status())
    }

    /// The device's location.
    ///
    /// # Errors
    /// No answer, or another status than 200.
    pub async fn location(&self, device: DeviceId) -> anyhow::Result<Value> {
        self.get_ok(&format!("/api/v1/location/?device_id={device}")).await
    }

    /// The rows of the device's report, with further parameters such as `&limit=5`.
    ///
    /// # Errors
    /// No answer, or another status than 200.
    pub async fn report(&self, device: DeviceId, parameters: &str) -> anyhow::Result<Vec<Value>> {
        let path = format!("/api/v1/report/?device_id={device}{parameters}");
        let answer = self.get_ok(&path).await?;
        let rows = answer.get("rows").and_then(Value::as_array);
        Ok(rows.with_context(|| format!("no rows in {answer}"))?.clone())
    }

    /// The device's position in the picture with which the live stream begins.
    ///
    /// # Errors
    /// No answer, or none with the device in time.
    pub async fn standing(&self, device: DeviceId) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1/stream/?snapshot=true&device_ids={device}", self.base);
        let mut response = self.client.get(url).bearer_auth(&self.token).send().await?;
        let mut text = String::new();
        let position = async {
            while let Some(chunk) = response.chunk().await? {
                text.push_str(&String::from_utf8_lossy(&chunk));
                let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
                let events = whole.filter_map(|line| line.trim_end().strip_prefix("data: "));
                for event in events {
                    let event: Value = serde_json::from_str(event)?;
                    if event["type"] == "position" {
                        return Ok(event);
                    }
                }
            }
            anyhow::bail!("the stream has ended: {text}")
        };
        tokio::time::timeout(PICTURE_WITHIN, position)
            .await
            .with_context(|| format!("{device} is not in the picture"))?
    }

    /// Server-sent events of a path, without end.
    ///
    /// # Errors
    /// No answer, or another status than 200.
    pub async fn stream(&self, path: &str) -> anyhow::Result<Events> {
        let url = format!("{}{path}", self.base);
        let answer = self.client.get(url).bearer_auth(&self.token).send().await?;
        Ok(Events { answer: answer.error_for_status()?, heard: String::new() })
    }

    async fn get_ok(&self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.get(path).await?;
        anyhow::ensure!(status == StatusCode::OK, "{path} answers {status}: {body}");
        Ok(body)
    }
}

/// What a stream of events has sent so far.
#[derive(Debug)]
pub struct Events {
    answer: reqwest::Response,
    heard: String,
}

impl Events {
    /// Whether a text was among it, with what comes within a moment.
    ///
    /// # Errors
    /// It was not, or the stream has ended.
    pub async fn has(&mut self, text: &str) -> anyhow::Result<()> {
        const MOMENT: std::time::Duration = std::time::Duration::from_millis(500);
        let listening = async {
            while !self.heard.contains(text) {
                let chunk = self.answer.chunk().await?.context("the stream has ended")?;
                self.heard += &String::from_utf8_lossy(&chunk);
            }
            anyhow::Ok(())
        };
        let heard = tokio::time::timeout(MOMENT, listening).await;
        heard.with_context(|| format!("no {text} in {}", self.heard))?
    }
}

async fn post(client: &reqwest::Client, url: &str, body: &Value) -> anyhow::Result<Value> {
    let response = client.post(url).json(body).send().await?;
    let (status, body) = (response.status(), response.text().await?);
    anyhow::ensure!(status.is_success(), "{url} answers {status}: {body}");
    Ok(serde_json::from_str(&body).unwrap_or(Value::Null))
}
