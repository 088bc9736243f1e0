//! What each kind of receiver wants to be sent over HTTP. Pure.

use serde_json::{Value, json};

use crate::delivery::Delivery;
use crate::message::{Event, Notice, Parcel, Text, text};
use crate::signature::sign;
use crate::target::{Target, key_of};

/// Characters of a summary: PagerDuty's bound.
const MAX_SUMMARY: usize = 1024;
/// Characters of a message in Telegram, and of one in ntfy (bytes there).
const MAX_TELEGRAM: usize = 4096;
const MAX_NTFY: usize = 3800;

/// A request that is to be made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// The request for a message; `None` for kinds that are not reached by HTTP.
pub(crate) fn post(
    target: &Target,
    parcel: &Parcel,
    delivery: &Delivery,
    page: Option<&str>,
    now_s: u64,
) -> Option<Post> {
    let say = || text(parcel, delivery, page);
    match target {
        Target::Webhook { url, secret } => Some(webhook(url, secret, parcel, now_s)),
        Target::Ntfy { url, topic, token } => {
            Some(ntfy(url, topic, token.as_deref(), parcel, &say()))
        }
        Target::Telegram { bot_token, chat_id, url } => {
            Some(telegram(url, bot_token, chat_id, &say()))
        }
        Target::Pagerduty { routing_key, url } => {
            let notice = parcel.notices.first()?;
            Some(pagerduty(url, routing_key, notice, &say()))
        }
        Target::Alertmanager { url } => Some(alertmanager(url, parcel, delivery, page)),
        Target::Mail { .. } | Target::Mqtt { .. } => None,
    }
}

fn json_post(url: String, body: &Value) -> Post {
    let headers = vec![("content-type", "application/json".to_owned())];
    Post { url, headers, body: body.to_string() }
}

fn base(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// Headers of standard webhooks around a CloudEvent.
fn webhook(url: &str, secret: &str, parcel: &Parcel, now_s: u64) -> Post {
    let body = cloud_event(parcel);
    // Checked when the target was saved.
    let key = key_of(secret).unwrap_or_default();
    let headers = vec![
        ("content-type", "application/cloudevents+json".to_owned()),
        ("webhook-id", parcel.id.clone()),
        ("webhook-timestamp", now_s.to_string()),
        ("webhook-signature", sign(&key, &parcel.id, now_s, body.as_bytes())),
    ];
    Post { url: url.to_owned(), headers, body }
}

/// A notification as it was raised; several in one event of their own.
pub(crate) fn cloud_event(parcel: &Parcel) -> String {
    match parcel.notices.as_slice() {
        [notice] if !parcel.gathered => notice.body.clone(),
        notices => {
            let events: Vec<Value> = notices
                .iter()
                .filter_map(|notice| serde_json::from_str(&notice.body).ok())
                .collect();
            json!({
                "specversion": "1.0",
                "id": parcel.id,
                "source": "nemeses/rules",
                "type": "nemeses.alarms",
                "time": notices.first().map(|notice| &notice.event.time),
                "datacontenttype": "application/json",
                "data": { "count": events.len(), "events": events },
            })
            .to_string()
        }
    }
}

fn ntfy(url: &str, topic: &str, token: Option<&str>, parcel: &Parcel, text: &Text) -> Post {
    let first = parcel.notices.first().map(|notice| &notice.event);
    let over = parcel.notices.iter().all(|notice| notice.event.is_over());
    let critical = parcel.notices.iter().any(|notice| notice.event.is_critical());
    let priority = if over {
        2
    } else if critical {
        5
    } else {
        3
    };
    let tag = if over { "white_check_mark" } else { "rotating_light" };
    let mut body = json!({
        "topic": topic,
        "title": text.title,
        "message": cut(&text.body, MAX_NTFY),
        "priority": priority,
        "tags": [tag, first.map_or("info", |event| event.data.severity.as_str())],
    });
    if let (Some(link), Value::Object(members)) = (&text.link, &mut body) {
        members.insert("click".to_owned(), link.clone().into());
    }
    let mut post = json_post(format!("{}/", base(url)), &body);
    if let Some(token) = token {
        post.headers.push(("authorization", format!("Bearer {token}")));
    }
    post
}

fn telegram(url: &str, bot_token: &str, chat_id: &str, text: &Text) -> Post {
    let message = format!("{}\n\n{}", text.title, text.body);
    let body = json!({
        "chat_id": chat_id,
        "text": cut(&message, MAX_TELEGRAM),
        "link_preview_options": { "is_disabled": true },
    });
    json_post(format!("{}/bot{bot_token}/sendMessage", base(url)), &body)
}

/// Events API v2.
fn pagerduty(url: &str, routing_key: &str, notice: &Notice, text: &Text) -> Post {
    let event = &notice.event;
    let mut body = json!({
        "routing_key": routing_key,
        "event_action": if event.is_over() { "resolve" } else { "trigger" },
        // One incident for an alarm, whatever happens to it.
        "dedup_key": format!("nemeses.{}.{}", notice.alarm_key, notice.receiver),
        "payload": {
            "summary": cut(&text.title, MAX_SUMMARY),
            "source": event.data.device_id,
            "severity": event.data.severity,
            "timestamp": event.data.at,
            "class": event.data.rule_name,
            "custom_details": {
                "value": event.data.value,
                "latitude": event.data.latitude,
                "longitude": event.data.longitude,
            },
        },
    });
    if let (Some(link), Value::Object(members)) = (&text.link, &mut body) {
        members.insert("client".to_owned(), "Nemeses".into());
        members.insert("client_url".to_owned(), link.clone().into());
    }
    json_post(format!("{}/v2/enqueue", base(url)), &body)
}

/// Alertmanager's API v2. Alerts that are open end by themselves there unless they are sent again: this one is
/// sent once, so it bears an end that is far away.
fn alertmanager(url: &str, parcel: &Parcel, delivery: &Delivery, page: Option<&str>) -> Post {
    let alerts: Vec<Value> = parcel
        .notices
        .iter()
        .map(|notice| {
            let alone =
                Parcel { id: String::new(), notices: vec![notice.clone()], gathered: false };
            alert(notice, &text(&alone, delivery, page))
        })
        .collect();
    json_post(format!("{}/api/v2/alerts", base(url)), &Value::Array(alerts))
}

/// For how long an alert that is not resolved stays: 30 days.
const ALERT_LASTS_S: i64 = 30 * 86_400;

fn alert(notice: &Notice, text: &Text) -> Value {
    let Event { data, .. } = &notice.event;
    let mut alert = json!({
        // What makes an alert the same: nothing that differs between opening and end.
        "labels": {
            "alertname": data.rule_name,
            "rule_id": data.rule_id.to_string(),
            "device": data.device_id,
            "severity": data.severity,
            "alarm": notice.alarm_key,
            "source": "nemeses",
        },
        "annotations": { "summary": text.title, "description": text.body },
    });
    if let Value::Object(members) = &mut alert {
        let at: Option<jiff::Timestamp> = data.at.parse().ok();
        let (name, time) = if notice.event.is_over() {
            ("endsAt", at)
        } else {
            members.insert("startsAt".to_owned(), data.at.clone().into());
            let lasts = jiff::SignedDuration::from_secs(ALERT_LASTS_S);
            ("endsAt", at.and_then(|at| at.checked_add(lasts).ok()))
        };
        if let Some(time) = time {
            members.insert(name.to_owned(), time.to_string().into());
        }
        if let Some(link) = &text.link {
            members.insert("generatorURL".to_owned(), link.clone().into());
        }
    }
    alert
}

/// A text of so many bytes at most, cut between characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::notice;
    use crate::target::Kind;

    fn parcel(steps: &[&str]) -> Parcel {
        let notices: Vec<Notice> = steps.iter().map(|step| notice("0A3F73", step)).collect();
        Parcel { id: "1.1.0A3F73.1.opened.7".into(), gathered: notices.len() > 1, notices }
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn made(kind: Kind, given: Value, steps: &[&str]) -> (Post, Value) {
        let target = Target::read(kind, &given, None).unwrap();
        let page = Some("https://n.example");
        let post =
            post(&target, &parcel(steps), &Delivery::default(), page, 1_700_000_000).unwrap();
        let body = serde_json::from_str(&post.body).unwrap();
        (post, body)
    }

    #[test]
    fn a_webhook_is_signed_and_its_id_is_the_notification_s() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let given = json!({ "url": "https://h.example/x", "secret": secret });
        let (post, body) = made(Kind::Webhook, given.clone(), &["opened"]);
        let header = |name| &post.headers.iter().find(|(n, _)| *n == name).unwrap().1;
        assert_eq!(header("webhook-id"), "1.1.0A3F73.1.opened.7");
        assert!(header("webhook-signature").starts_with("v1,"));
        assert_eq!(body["specversion"], "1.0");
        let (_, several) = made(Kind::Webhook, given, &["opened", "cleared"]);
        assert_eq!(
            (&several["type"], &several["data"]["count"]),
            (&json!("nemeses.alarms"), &json!(2))
        );
    }

    #[test]
    fn ntfy_telegram_pagerduty() {
        let given = json!({ "url": "https://ntfy.example/", "topic": "cars", "token": "tk_1" });
        let (post, body) = made(Kind::Ntfy, given, &["opened"]);
        assert_eq!(post.url, "https://ntfy.example/");
        assert!(post.headers.contains(&("authorization", "Bearer tk_1".into())));
        assert_eq!((&body["topic"], &body["priority"]), (&json!("cars"), &json!(5)));
        assert_eq!(body["click"], "https://n.example/#/alarms/5");

        let given = json!({ "bot_token": "1:a", "chat_id": -7 });
        let (post, body) = made(Kind::Telegram, given, &["cleared"]);
        assert_eq!(post.url, "https://api.telegram.org/bot1:a/sendMessage");
        assert!(body["text"].as_str().unwrap().contains("(over)"), "{body}");

        let given = json!({ "routing_key": "R" });
        let (post, opened) = made(Kind::Pagerduty, given.clone(), &["opened"]);
        let (_, cleared) = made(Kind::Pagerduty, given, &["cleared"]);
        assert_eq!(post.url, "https://events.pagerduty.com/v2/enqueue");
        assert_eq!(
            (&opened["event_action"], &cleared["event_action"]),
            (&json!("trigger"), &json!("resolve"))
        );
        assert_eq!(opened["dedup_key"], cleared["dedup_key"]);
        assert_eq!(opened["payload"]["severity"], "critical");
    }

    #[test]
    fn an_alert_ends_where_it_began() {
        let given = json!({ "url": "http://am:9093" });
        let (post, alerts) = made(Kind::Alertmanager, given, &["opened", "cleared"]);
        assert_eq!(post.url, "http://am:9093/api/v2/alerts");
        assert_eq!(alerts[0]["labels"], alerts[1]["labels"]);
        assert_eq!(alerts[0]["startsAt"], "2023-11-14T22:13:20Z");
        assert_eq!(alerts[0]["endsAt"], "2023-12-14T22:13:20Z");
        assert_eq!(alerts[1]["endsAt"], "2023-11-14T22:13:20Z");
        assert_eq!(cut("añb", 2), "a");
    }
}
