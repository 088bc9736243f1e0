//! Hands a message to its receiver, by whatever the receiver's kind takes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::confirm::Code;
use crate::delivery::Delivery;
use crate::guard::Networks;
use crate::http::Client;
use crate::mail::MailServer;
use crate::message::{Parcel, confirmation, test_parcel, text};
use crate::requests::{cloud_event, post};
use crate::schedule::Answer;
use crate::target::{Kind, Target};

/// Between two tests of a receiver.
const TESTS_MS: u64 = 5_000;

/// What publishes on MQTT.
#[async_trait]
pub trait Publish: Send + Sync {
    /// Publishes a message, at least once.
    ///
    /// # Errors
    /// In words, why that did not succeed.
    async fn publish(&self, topic: &str, payload: String) -> Result<(), String>;
}

/// How messages leave this process.
#[derive(Clone, Default)]
pub struct Settings {
    /// Private networks that are allowed.
    pub networks: Networks,
    /// The mail server.
    pub mail: Option<MailServer>,
    /// The address of the page, for links.
    pub page: Option<String>,
    /// What publishes on MQTT.
    pub publish: Option<Arc<dyn Publish>>,
}

/// Without what it publishes by.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { networks, mail, page, publish: _ } = self;
        f.debug_struct("Settings")
            .field("networks", networks)
            .field("mail", mail)
            .field("page", page)
            .finish_non_exhaustive()
    }
}

/// Why a kind cannot be sent from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable(pub &'static str);

/// The ways out of this process; shared by the sender and by whoever tries a receiver.
pub struct Outlets {
    client: Client,
    mail: Option<MailServer>,
    page: Option<String>,
    publish: Option<Arc<dyn Publish>>,
    /// When each receiver was tried last, lately.
    tests: Mutex<BTreeMap<u64, u64>>,
}

impl Outlets {
    /// The ways out.
    pub fn new(settings: Settings) -> Self {
        let Settings { networks, mail, page, publish } = settings;
        let page = page.map(|page| page.trim_end_matches('/').to_owned());
        Self { client: Client::new(networks), mail, page, publish, tests: Mutex::default() }
    }

    /// Whether a kind can be sent from here.
    ///
    /// # Errors
    /// Why not.
    pub fn available(&self, kind: Kind) -> Result<(), Unavailable> {
        match kind {
            Kind::Mail if self.mail.is_none() => {
                Err(Unavailable("no mail server is set: --smtp-url"))
            }
            Kind::Mqtt if self.publish.is_none() => {
                Err(Unavailable("this process publishes nothing on MQTT; a node (nemeses up) does"))
            }
            _ => Ok(()),
        }
    }

    /// Sends a test message.
    ///
    /// # Errors
    /// In words, why it was not accepted.
    pub async fn test(
        &self,
        receiver: u64,
        target: &Target,
        delivery: &Delivery,
        now_ms: u64,
    ) -> Result<(), String> {
        self.available(target.kind()).map_err(|Unavailable(why)| why.to_owned())?;
        if !self.may_test(receiver, now_ms) {
            return Err("it was tried just now; try again in some seconds".to_owned());
        }
        let parcel = test_parcel(receiver, now_ms);
        accepted(self.deliver(receiver, target, delivery, &parcel, now_ms).await)
    }

    fn may_test(&self, receiver: u64, now_ms: u64) -> bool {
        let mut tests = self.tests.lock().unwrap_or_else(PoisonError::into_inner);
        tests.retain(|_, at_ms| at_ms.saturating_add(TESTS_MS) > now_ms);
        let may = !tests.contains_key(&receiver);
        tests.entry(receiver).or_insert(now_ms);
        may
    }

    /// Sends the code that confirms an address; nothing is sent to receivers of other kinds.
    ///
    /// # Errors
    /// In words, why it was not accepted.
    pub async fn send_code(
        &self,
        target: &Target,
        delivery: &Delivery,
        code: &Code,
    ) -> Result<(), String> {
        let Target::Mail { address, .. } = target else { return Ok(()) };
        let Some(mail) = &self.mail else {
            return Err("no mail server is set: --smtp-url".to_owned());
        };
        accepted(mail.send_text(address, &confirmation(code.as_str(), delivery)).await)
    }

    pub(crate) async fn deliver(
        &self,
        receiver: u64,
        target: &Target,
        delivery: &Delivery,
        parcel: &Parcel,
        now_ms: u64,
    ) -> Answer {
        let page = self.page.as_deref();
        if let Some(post) = post(target, parcel, delivery, page, now_ms / 1000) {
            return self.client.post(&post).await;
        }
        match target {
            Target::Mail { address, unsubscribe } => {
                let Some(mail) = &self.mail else {
                    return Answer::Unwell("no mail server is set: --smtp-url".to_owned(), None);
                };
                let link = page.map(|page| format!("{page}/unsubscribe/{receiver}/{unsubscribe}"));
                let text = text(parcel, delivery, page);
                mail.send(address, parcel, &text, delivery, link.as_deref()).await
            }
            Target::Mqtt { topic } => match &self.publish {
                Some(publish) => match publish.publish(topic, cloud_event(parcel)).await {
                    Ok(()) => Answer::Accepted,
                    Err(why) => Answer::Unwell(why, None),
                },
                None => Answer::Unwell("nothing is published on MQTT from here".to_owned(), None),
            },
            _ => Answer::Refused("nothing can be sent to it".to_owned()),
        }
    }
}

fn accepted(answer: Answer) -> Result<(), String> {
    match answer {
        Answer::Accepted => Ok(()),
        Answer::Gone(why) | Answer::Refused(why) | Answer::Unwell(why, _) => Err(why),
    }
}
