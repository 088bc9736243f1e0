//! Mail, by SMTP. The only file that knows lettre's transport.

use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::delivery::Delivery;
use crate::message::{Parcel, Text, unsubscribe_line};
use crate::schedule::Answer;

/// An attempt in all.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What is wrong with the settings of mail, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServerError(String);

impl std::fmt::Display for MailServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MailServerError {}

/// A server that takes our mails, and from whom they are.
#[derive(Clone)]
pub struct MailServer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Without the login.
impl std::fmt::Debug for MailServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mail server, from {}", self.from)
    }
}

impl MailServer {
    /// A server by its URL: `smtp://user:password@host:587` with STARTTLS, which is demanded but of this machine,
    /// or `smtps://host` with TLS from the start. `?tls=none` and `?tls=opportunistic` demand less.
    ///
    /// # Errors
    /// In words, without the URL: it may hold a password.
    pub fn new(url: &str, from: &str) -> Result<Self, MailServerError> {
        let wrong = |text: &str| MailServerError(text.to_owned());
        let from: Mailbox = from.parse().map_err(|_| {
            wrong("--mail-from is no mail address; write nemeses@example.org or Nemeses <nemeses@example.org>")
        })?;
        let url = url_for_lettre(url)?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url).map_err(|_| {
            wrong("--smtp-url is no address of a mail server; write smtp://user:password@host:587 or smtps://host")
        })?;
        Ok(Self { transport: transport.timeout(Some(TIMEOUT)).build(), from })
    }

    /// Sends a message about alarms. `unsubscribe` is the address of the page that ends them.
    pub(crate) async fn send(
        &self,
        address: &str,
        parcel: &Parcel,
        text: &Text,
        delivery: &Delivery,
        unsubscribe: Option<&str>,
    ) -> Answer {
        let domain = self.from.email.domain();
        let mut builder = self.builder(text).message_id(Some(format!("<{}@{domain}>", parcel.id)));
        if let Some(first) = thread(parcel) {
            let first = format!("<{first}@{domain}>");
            builder = builder.in_reply_to(first.clone()).references(first);
        }
        let mut body = text.body.clone();
        if let Some(link) = unsubscribe {
            builder = builder
                .raw_header(on_one_line("List-Unsubscribe", format!("<{link}>")))
                .raw_header(on_one_line(
                    "List-Unsubscribe-Post",
                    "List-Unsubscribe=One-Click".to_owned(),
                ));
            body.push_str(&unsubscribe_line(link, delivery));
        }
        self.post(builder, address, body).await
    }

    /// Sends a text that is about no alarm.
    pub(crate) async fn send_text(&self, address: &str, text: &Text) -> Answer {
        self.post(self.builder(text), address, text.body.clone()).await
    }

    fn builder(&self, text: &Text) -> MessageBuilder {
        Message::builder()
            .from(self.from.clone())
            .subject(text.title.clone())
            .header(ContentType::TEXT_PLAIN)
            .raw_header(on_one_line("Auto-Submitted", "auto-generated".to_owned()))
    }

    async fn post(&self, builder: MessageBuilder, address: &str, body: String) -> Answer {
        let Ok(address) = address.parse() else {
            return Answer::Refused("its address is no mail address".to_owned());
        };
        let message = match builder.to(Mailbox::new(None, address)).body(body) {
            Ok(message) => message,
            Err(error) => return Answer::Refused(format!("no mail can be made of it: {error}")),
        };
        match tokio::time::timeout(TIMEOUT, self.transport.send(message)).await {
            Ok(Ok(_)) => Answer::Accepted,
            Ok(Err(error)) => Answer::Unwell(in_full(&error), None),
            Err(_) => {
                let seconds = TIMEOUT.as_secs();
                Answer::Unwell(format!("the mail server did not answer within {seconds} s"), None)
            }
        }
    }
}

/// The id of the message that this one belongs to: the one that reported the alarm.
fn thread(parcel: &Parcel) -> Option<String> {
    match parcel.notices.as_slice() {
        [notice] if !parcel.gathered && notice.event.step() != "opened" => {
            Some(format!("{}.opened.{}", notice.alarm_key, notice.receiver))
        }
        _ => None,
    }
}

/// A header that is not folded: some signatures break when it is.
fn on_one_line(name: &'static str, value: String) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str(name);
    HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value)
}

fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// lettre sends in the clear what is not marked; here that is for this machine alone.
fn url_for_lettre(url: &str) -> Result<String, MailServerError> {
    let wrong = || {
        MailServerError("--smtp-url must begin with smtp:// or smtps:// and name a host".to_owned())
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (place, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
    let host = place.rsplit('@').next().unwrap_or_default();
    let near = ["localhost", "127.0.0.1", "[::1]"].iter().any(|near| {
        host.strip_prefix(near).is_some_and(|port| port.is_empty() || port.starts_with(':'))
    });
    if host.is_empty() {
        return Err(wrong());
    }
    match (scheme, query) {
        ("smtp", None) if !near => Ok(format!("{url}?tls=required")),
        ("smtps" | "smtp", None) | ("smtp", Some("tls=opportunistic" | "tls=required")) => {
            Ok(url.to_owned())
        }
        ("smtp", Some("tls=none")) => Ok(format!("smtp://{place}")),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_far_away_is_spoken_to_by_tls() {
        let read = |url| url_for_lettre(url).map_err(|error| error.to_string());
        assert_eq!(
            read("smtp://u:p@mail.example:587").unwrap(),
            "smtp://u:p@mail.example:587?tls=required"
        );
        assert_eq!(read("smtp://127.0.0.1:1025").unwrap(), "smtp://127.0.0.1:1025");
        assert_eq!(read("smtp://mail.example?tls=none").unwrap(), "smtp://mail.example");
        assert_eq!(read("smtps://mail.example").unwrap(), "smtps://mail.example");
        assert_eq!(read("smtp://[::1]:25").unwrap(), "smtp://[::1]:25");
        for far in ["smtp://[2001:db8::1]:25", "smtp://localhost.example"] {
            assert_eq!(read(far).unwrap(), format!("{far}?tls=required"));
        }
        for wrong in ["mail.example", "http://mail.example", "smtp://", "smtp://a?tls=maybe"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let secret = MailServer::new("smtp://u:hush@mail.example:99999", "a@b.example");
        assert!(!secret.unwrap_err().to_string().contains("hush"));
        assert!(MailServer::new("smtp://127.0.0.1", "nobody").is_err());
        assert!(MailServer::new("smtp://127.0.0.1", "Nemeses <a@b.example>").is_ok());
    }
}
