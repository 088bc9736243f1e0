//! Where a receiver is: the kinds, what each needs, and which of it is secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Characters of a URL, a topic or an address.
const MAX_TEXT: usize = 1_000;
/// Bytes of a webhook's key: what the specification of standard webhooks allows.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What the topics of receivers begin with.
const TOPICS: &str = "/alert-message/";
/// Where Telegram and PagerDuty are unless a target says otherwise: both can be elsewhere (a bot server of one's own,
/// another region).
const TELEGRAM: &str = "https://api.telegram.org";
const PAGERDUTY: &str = "https://events.pagerduty.com";

/// What is wrong with a target, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError(String);

impl std::fmt::Display for TargetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TargetError {}

fn wrong<T>(text: impl Into<String>) -> Result<T, TargetError> {
    Err(TargetError(text.into()))
}

/// The kinds of receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An HTTP endpoint, by the specification of standard webhooks.
    Webhook,
    /// A mail address.
    Mail,
    /// A topic of an ntfy server.
    Ntfy,
    /// A chat in Telegram.
    Telegram,
    /// A service in PagerDuty.
    Pagerduty,
    /// Prometheus' Alertmanager.
    Alertmanager,
    /// A topic of MQTT.
    Mqtt,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Webhook,
        Self::Mail,
        Self::Ntfy,
        Self::Telegram,
        Self::Pagerduty,
        Self::Alertmanager,
        Self::Mqtt,
    ];

    /// The word in bodies and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
            Self::Ntfy => "ntfy",
            Self::Telegram => "telegram",
            Self::Pagerduty => "pagerduty",
            Self::Alertmanager => "alertmanager",
            Self::Mqtt => "mqtt",
        }
    }

    /// The kind of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether people read what it gets: quiet hours and digests are for them.
    pub const fn is_read_by_people(self) -> bool {
        matches!(self, Self::Mail | Self::Ntfy | Self::Telegram)
    }

    /// Notifications that one message may hold; 1 where each has to come alone.
    pub const fn most_in_a_message(self) -> usize {
        match self {
            Self::Mail | Self::Ntfy | Self::Telegram => 1000,
            // Bodies stay below 20 KB.
            Self::Webhook => 40,
            Self::Alertmanager => 100,
            Self::Pagerduty | Self::Mqtt => 1,
        }
    }

    /// The members of its target that are never shown.
    const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Webhook => &["secret"],
            Self::Mail => &["unsubscribe"],
            Self::Ntfy => &["token"],
            Self::Telegram => &["bot_token"],
            Self::Pagerduty => &["routing_key"],
            Self::Alertmanager | Self::Mqtt => &[],
        }
    }
}

/// Where a receiver is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// See [`Kind::Webhook`].
    Webhook {
        /// `https://...`
        url: String,
        /// `whsec_` and the key in base64.
        secret: String,
    },
    /// See [`Kind::Mail`].
    Mail {
        /// The address.
        address: String,
        /// What a link to unsubscribe bears.
        unsubscribe: String,
    },
    /// See [`Kind::Ntfy`].
    Ntfy {
        /// The server.
        url: String,
        /// The topic.
        topic: String,
        /// The token, where the server wants one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// See [`Kind::Telegram`].
    Telegram {
        /// The bot's token.
        bot_token: String,
        /// The chat.
        chat_id: String,
        /// The server.
        #[serde(default = "telegram")]
        url: String,
    },
    /// See [`Kind::Pagerduty`].
    Pagerduty {
        /// The service's key.
        routing_key: String,
        /// The server.
        #[serde(default = "pagerduty")]
        url: String,
    },
    /// See [`Kind::Alertmanager`].
    Alertmanager {
        /// Its address, without `/api/v2/alerts`.
        url: String,
    },
    /// See [`Kind::Mqtt`].
    Mqtt {
        /// The topic.
        topic: String,
    },
}

fn telegram() -> String {
    TELEGRAM.to_owned()
}

fn pagerduty() -> String {
    PAGERDUTY.to_owned()
}

/// Without secrets.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind().word(), self.shown())
    }
}

impl Target {
    /// Reads a target as it is given. Secrets that are left out are taken from `before`, where the kind is the same, or made.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn read(kind: Kind, given: &Value, before: Option<&Self>) -> Result<Self, TargetError> {
        let Value::Object(members) = given else {
            return wrong("target: it must be an object");
        };
        let mut members = members.clone();
        if let Some(extra) = members.keys().find(|key| key.as_str() == "kind") {
            return wrong(format!("target: {extra} belongs beside it"));
        }
        let before = before.filter(|before| before.kind() == kind).map(Self::members);
        for secret in kind.secrets() {
            let kept = before.as_ref().and_then(|before| before.get(*secret));
            let missing = members.get(*secret).is_none_or(Value::is_null);
            match (missing, kept, kind) {
                (false, ..) if kind != Kind::Mail => {}
                (_, Some(kept), _) => drop(members.insert((*secret).to_owned(), kept.clone())),
                (_, None, Kind::Webhook) => {
                    members.insert((*secret).to_owned(), new_secret().into());
                }
                (_, None, Kind::Mail) => {
                    members.insert((*secret).to_owned(), random_text().into());
                }
                (true, None, _) => drop(members.remove(*secret)),
                (false, None, _) => {}
            }
            members.remove(&format!("{secret}_set"));
        }
        if let Some(Value::Number(chat)) = members.get("chat_id") {
            let chat = chat.to_string();
            members.insert("chat_id".to_owned(), chat.into());
        }
        members.insert("kind".to_owned(), kind.word().into());
        let target: Self = serde_json::from_value(Value::Object(members))
            .map_err(|error| TargetError(format!("target: {error}")))?;
        target.check()?;
        Ok(target)
    }

    /// Reads what [`Self::stored`] wrote.
    ///
    /// # Errors
    /// What is wrong with it: written by a later version, or by hand.
    pub fn of_stored(text: &str) -> Result<Self, TargetError> {
        serde_json::from_str(text).map_err(|error| TargetError(format!("target: {error}")))
    }

    /// As it is stored, with secrets.
    pub fn stored(&self) -> String {
        let mut members = self.members();
        members.insert("kind".to_owned(), self.kind().word().into());
        Value::Object(members).to_string()
    }

    /// The kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Webhook { .. } => Kind::Webhook,
            Self::Mail { .. } => Kind::Mail,
            Self::Ntfy { .. } => Kind::Ntfy,
            Self::Telegram { .. } => Kind::Telegram,
            Self::Pagerduty { .. } => Kind::Pagerduty,
            Self::Alertmanager { .. } => Kind::Alertmanager,
            Self::Mqtt { .. } => Kind::Mqtt,
        }
    }

    /// What may be shown: `secret_set` instead of `secret`.
    pub fn shown(&self) -> Value {
        let (mut members, kind) = (self.members(), self.kind());
        for secret in kind.secrets() {
            let is_set = members.remove(*secret).is_some_and(|value| !value.is_null());
            if kind != Kind::Mail {
                members.insert(format!("{secret}_set"), is_set.into());
            }
        }
        Value::Object(members)
    }

    fn members(&self) -> Map<String, Value> {
        let Ok(Value::Object(mut members)) = serde_json::to_value(self) else {
            return Map::new();
        };
        members.remove("kind");
        members
    }

    fn check(&self) -> Result<(), TargetError> {
        match self {
            Self::Webhook { url, secret } => {
                check_url(url)?;
                key_of(secret).map(drop)
            }
            Self::Mail { address, .. } => check_address(address),
            Self::Ntfy { url, topic, token } => {
                check_url(url)?;
                check_word("topic", topic)?;
                token.as_deref().map_or(Ok(()), |token| check_word("token", token))
            }
            Self::Telegram { bot_token, chat_id, url } => {
                check_url(url)?;
                check_word("bot_token", bot_token)?;
                if bot_token.contains('/') {
                    return wrong("target: bot_token holds no slash");
                }
                check_word("chat_id", chat_id)
            }
            Self::Pagerduty { routing_key, url } => {
                check_url(url)?;
                check_word("routing_key", routing_key)
            }
            Self::Alertmanager { url } => check_url(url),
            Self::Mqtt { topic } => check_topic(topic),
        }
    }
}

/// The key of a webhook's secret.
pub(crate) fn key_of(secret: &str) -> Result<Vec<u8>, TargetError> {
    let bytes = secret.strip_prefix("whsec_").and_then(|text| BASE64.decode(text).ok());
    match bytes {
        Some(bytes) if KEY_BYTES.contains(&bytes.len()) => Ok(bytes),
        _ => wrong("target: secret must be whsec_ and 24 to 64 bytes in base64"),
    }
}

fn new_secret() -> String {
    format!("whsec_{}", BASE64.encode(rand::random::<[u8; 32]>()))
}

fn random_text() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

fn check_url(url: &str) -> Result<(), TargetError> {
    let parsed = url.parse::<axum::http::Uri>().ok();
    let host = parsed.as_ref().and_then(axum::http::Uri::host).unwrap_or_default();
    let scheme = parsed.as_ref().and_then(axum::http::Uri::scheme_str);
    let plain = parsed.as_ref().and_then(axum::http::Uri::authority);
    if url.len() > MAX_TEXT || host.is_empty() || !matches!(scheme, Some("http" | "https")) {
        return wrong("target: url must begin with https:// or http:// and name a host");
    }
    if plain.is_some_and(|authority| authority.as_str().contains('@')) {
        return wrong("target: url holds a login; logins in URLs are not used");
    }
    Ok(())
}

fn check_word(name: &str, text: &str) -> Result<(), TargetError> {
    let fits = !text.is_empty() && text.len() <= MAX_TEXT;
    if fits && text.chars().all(|character| character.is_ascii_graphic()) {
        return Ok(());
    }
    wrong(format!("target: {name} must be 1 to {MAX_TEXT} characters without blanks"))
}

fn check_address(address: &str) -> Result<(), TargetError> {
    if address.len() <= 254 && address.parse::<lettre::Address>().is_ok() {
        return Ok(());
    }
    wrong("target: address is no mail address")
}

fn check_topic(topic: &str) -> Result<(), TargetError> {
    let below = topic.strip_prefix(TOPICS).unwrap_or_default();
    let wild = topic.contains(['+', '#', '\0']);
    if below.is_empty() || wild || topic.len() > MAX_TEXT {
        return wrong(format!("target: topic must begin with {TOPICS} and hold no wildcard"));
    }
    Ok(())
}

/// The secrets that were made, to be shown once.
pub(crate) fn made(target: &Target) -> Value {
    match target {
        Target::Webhook { secret, .. } => json!({ "secret": secret }),
        _ => json!({}),
    }
}

impl Target {
    /// What is shown of it when it was made: with a webhook's secret.
    pub fn shown_once(&self) -> Value {
        let (mut shown, made) = (self.shown(), made(self));
        if let (Value::Object(shown), Value::Object(made)) = (&mut shown, made) {
            shown.extend(made);
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn read(kind: Kind, given: Value) -> Result<Target, String> {
        Target::read(kind, &given, None).map_err(|error| error.to_string())
    }

    #[test]
    fn secrets_are_made_kept_and_not_shown() {
        let url = "https://example.org/hook";
        let made = read(Kind::Webhook, json!({ "url": url })).unwrap();
        assert_eq!(made.shown(), json!({ "url": url, "secret_set": true }));
        assert!(made.shown_once()["secret"].as_str().unwrap().starts_with("whsec_"));
        assert!(!format!("{made:?}").contains("whsec"));
        assert_eq!(Target::of_stored(&made.stored()).unwrap(), made);
        // What was shown can be put back.
        let again = Target::read(Kind::Webhook, &made.shown(), Some(&made)).unwrap();
        assert_eq!(again, made);
        let other = Target::read(Kind::Ntfy, &json!({ "url": url, "topic": "t" }), Some(&made));
        assert_eq!(other.unwrap().shown(), json!({ "url": url, "topic": "t", "token_set": false }));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (kind, given, why) in [
            (Kind::Webhook, json!({}), "url"),
            (Kind::Webhook, json!({ "url": "ftp://a" }), "https://"),
            (Kind::Webhook, json!({ "url": "http://a:b@c" }), "login"),
            (Kind::Webhook, json!({ "url": "http://a", "secret": "whsec_AAAA" }), "24 to 64"),
            (Kind::Webhook, json!({ "url": "http://a", "colour": 1 }), "colour"),
            (Kind::Mail, json!({ "address": "nobody" }), "no mail address"),
            (Kind::Mail, json!({ "address": "a@b.org\r\nBcc: c@d.org" }), "no mail address"),
            (Kind::Telegram, json!({ "chat_id": 1 }), "bot_token"),
            (Kind::Mqtt, json!({ "topic": "/DB" }), "/alert-message/"),
            (Kind::Mqtt, json!({ "topic": "/alert-message/#" }), "wildcard"),
            (Kind::Mqtt, json!([]), "object"),
        ] {
            let refusal = read(kind, given.clone()).unwrap_err();
            assert!(refusal.contains(why), "{given}: {refusal}");
        }
        let chat = read(Kind::Telegram, json!({ "bot_token": "1:a", "chat_id": -100 })).unwrap();
        assert_eq!(chat.shown()["chat_id"], "-100");
    }
}
