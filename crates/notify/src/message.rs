//! What a message says: the event of a notification, and its text in the receiver's language. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

use crate::delivery::{Delivery, Language};

/// Notifications that a text names one by one.
const NAMED: usize = 20;

/// A notification that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// The event as it was raised: its JSON is what a webhook gets.
    pub(crate) body: String,
    pub(crate) event: Event,
    /// The alarm's key.
    pub(crate) alarm_key: String,
    pub(crate) alarm: Option<u64>,
    pub(crate) receiver: u64,
}

/// What a notification's body says (`alarms/src/notification.rs` writes it).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) time: String,
    pub(crate) data: Data,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Data {
    pub(crate) rule_id: u64,
    pub(crate) rule_name: String,
    pub(crate) device_id: String,
    pub(crate) severity: String,
    pub(crate) at: String,
    #[serde(default)]
    pub(crate) value: Option<Value>,
    #[serde(default)]
    pub(crate) latitude: Option<f64>,
    #[serde(default)]
    pub(crate) longitude: Option<f64>,
}

impl Event {
    /// What happened to the alarm.
    pub(crate) fn step(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or_default()
    }

    /// Whether the alarm is over.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.step(), "cleared" | "withdrawn")
    }

    pub(crate) fn is_critical(&self) -> bool {
        self.data.severity == "critical"
    }

    /// When it happened, by the device's clock.
    fn at_ms(&self) -> Option<u64> {
        let at: jiff::Timestamp = self.data.at.parse().ok()?;
        u64::try_from(at.as_millisecond()).ok()
    }
}

/// One message: a notification, or several.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// The same however often it is sent.
    pub(crate) id: String,
    pub(crate) notices: Vec<Notice>,
    /// Whether it was gathered, be it of one alone.
    pub(crate) gathered: bool,
}

/// The words of a language.
struct Words {
    opened: &'static str,
    confirmed: &'static str,
    cleared: &'static str,
    withdrawn: &'static str,
    tested: &'static str,
    severities: [(&'static str, &'static str); 3],
    rule: &'static str,
    device: &'static str,
    time: &'static str,
    value: &'static str,
    place: &'static str,
    link: &'static str,
    devices: &'static str,
    alarms: &'static str,
    more: &'static str,
    unsubscribe: &'static str,
    code: &'static str,
    code_text: &'static str,
    test: &'static str,
}

const ENGLISH: Words = Words {
    opened: "alarm",
    confirmed: "alarm, still open",
    cleared: "over",
    withdrawn: "withdrawn",
    tested: "test",
    severities: [("info", "Info"), ("warning", "Warning"), ("critical", "Critical")],
    rule: "Rule",
    device: "Device",
    time: "Time",
    value: "Value",
    place: "Place",
    link: "Link",
    devices: "devices",
    alarms: "notifications",
    more: "more",
    unsubscribe: "No more of these",
    code: "Your code",
    code_text: "Somebody wants notifications of alarms sent to this address. If that is you, enter this code; \
        otherwise nothing needs to be done.",
    test: "This is a test message. Notifications of alarms will come like this one.",
};

const PORTUGUESE: Words = Words {
    opened: "alarme",
    confirmed: "alarme, ainda aberto",
    cleared: "encerrado",
    withdrawn: "retirado",
    tested: "teste",
    severities: [("info", "Informação"), ("warning", "Aviso"), ("critical", "Crítico")],
    rule: "Regra",
    device: "Dispositivo",
    time: "Hora",
    value: "Valor",
    place: "Local",
    link: "Link",
    devices: "dispositivos",
    alarms: "notificações",
    more: "mais",
    unsubscribe: "Não receber mais",
    code: "Seu código",
    code_text: "Alguém deseja que notificações de alarmes sejam enviadas a este endereço. Se foi você, informe este \
        código; caso contrário, não é preciso fazer nada.",
    test: "Esta é uma mensagem de teste. As notificações de alarmes chegarão assim.",
};

const fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::Portuguese => &PORTUGUESE,
    }
}

/// A text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) title: String,
    pub(crate) body: String,
    /// A page that shows it.
    pub(crate) link: Option<String>,
}

impl Words {
    fn step(&self, step: &str) -> &'static str {
        match step {
            "confirmed" => self.confirmed,
            "cleared" => self.cleared,
            "withdrawn" => self.withdrawn,
            "tested" => self.tested,
            _ => self.opened,
        }
    }

    fn severity(&self, word: &str) -> &'static str {
        let found = self.severities.iter().find(|(name, _)| *name == word);
        found.map_or(self.severities[0].1, |(_, shown)| shown)
    }
}

/// The text of a message. `page` is the address of the page, where it is known.
pub(crate) fn text(parcel: &Parcel, delivery: &Delivery, page: Option<&str>) -> Text {
    match parcel.notices.as_slice() {
        [notice] if !parcel.gathered => one(notice, delivery, page),
        notices => several(notices, delivery, page),
    }
}

fn one(notice: &Notice, delivery: &Delivery, page: Option<&str>) -> Text {
    let (words, event) = (words(delivery.language), &notice.event);
    let link = page.map(|page| match notice.alarm {
        Some(alarm) => format!("{page}/#/alarms/{alarm}"),
        None => format!("{page}/#/alarms"),
    });
    let mut lines = vec![
        (words.rule, event.data.rule_name.clone()),
        (words.device, event.data.device_id.clone()),
        (words.time, when(event, delivery)),
    ];
    if let Some(value) = &event.data.value {
        lines.push((words.value, value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    if let (Some(latitude), Some(longitude)) = (event.data.latitude, event.data.longitude) {
        lines.push((words.place, format!("{latitude:.5}, {longitude:.5}")));
    }
    if let Some(link) = &link {
        lines.push((words.link, link.clone()));
    }
    let mut body = String::new();
    if event.step() == "tested" {
        body.push_str(words.test);
        body.push_str("\n\n");
    }
    for (name, value) in lines {
        line(&mut body, format_args!("{name}: {value}\n"));
    }
    Text { title: title(event, words), body, link }
}

fn title(event: &Event, words: &Words) -> String {
    let Data { severity, rule_name, device_id, .. } = &event.data;
    let (severity, step) = (words.severity(severity), words.step(event.step()));
    one_line(&format!("{severity}: {rule_name}, {device_id} ({step})"))
}

fn when(event: &Event, delivery: &Delivery) -> String {
    event.at_ms().map_or_else(|| event.data.at.clone(), |at_ms| delivery.written(at_ms))
}

fn several(notices: &[Notice], delivery: &Delivery, page: Option<&str>) -> Text {
    let words = words(delivery.language);
    let mut rules: BTreeMap<(&str, &str), std::collections::BTreeSet<&str>> = BTreeMap::new();
    for notice in notices {
        let Data { rule_name, device_id, .. } = &notice.event.data;
        let key = (rule_name.as_str(), notice.event.step());
        rules.entry(key).or_default().insert(device_id);
    }
    let counted: Vec<String> = rules
        .iter()
        .map(|((rule, step), devices)| {
            format!("{} {}: {rule} ({})", devices.len(), words.devices, words.step(step))
        })
        .collect();
    let title = match counted.as_slice() {
        [one] => one_line(one),
        _ => format!("{} {}", notices.len(), words.alarms),
    };
    let mut body = String::new();
    for counted in counted.iter().take(NAMED) {
        line(&mut body, format_args!("{counted}\n"));
    }
    body.push('\n');
    for notice in notices.iter().take(NAMED) {
        let event = &notice.event;
        line(&mut body, format_args!("{}  {}\n", when(event, delivery), self::title(event, words)));
    }
    if let Some(rest) = notices.len().checked_sub(NAMED).filter(|rest| *rest > 0) {
        line(&mut body, format_args!("... {rest} {}\n", words.more));
    }
    let link = page.map(|page| format!("{page}/#/alarms"));
    if let Some(link) = &link {
        line(&mut body, format_args!("\n{}: {link}\n", words.link));
    }
    Text { title, body, link }
}

/// The text of a mail that confirms an address.
pub(crate) fn confirmation(code: &str, delivery: &Delivery) -> Text {
    let words = words(delivery.language);
    Text {
        title: format!("{}: {code}", words.code),
        body: format!("{}\n\n{}: {code}\n", words.code_text, words.code),
        link: None,
    }
}

/// The line of a mail that leads to its end.
pub(crate) fn unsubscribe_line(link: &str, delivery: &Delivery) -> String {
    format!("\n-- \n{}: {link}\n", words(delivery.language).unsubscribe)
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A string takes whatever is written to it.
    let _infallible = text.write_fmt(line);
}

/// A text without line ends: a name may hold some.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// A notification that nobody raised, to try a receiver.
pub(crate) fn test_parcel(receiver: u64, now_ms: u64) -> Parcel {
    let at = i64::try_from(now_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let at = at.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string();
    let key = format!("test.{now_ms}");
    let id = format!("{key}.tested.{receiver}");
    let body = serde_json::json!({
        "specversion": "1.0",
        "id": id,
        "source": "nemeses/rules",
        "type": "nemeses.alarm.tested",
        "subject": "000000",
        "time": at,
        "datacontenttype": "application/json",
        "data": {
            "rule_id": 0, "rule_name": "Test", "rule_version": 0, "device_id": "000000",
            "episode": 0, "severity": "info", "at": at, "value": null, "latitude": null,
            "longitude": null,
        },
    });
    let event = serde_json::from_value(body.clone()).expect("the event above is one");
    let notice = Notice { body: body.to_string(), event, alarm_key: key, alarm: None, receiver };
    Parcel { id, notices: vec![notice], gathered: false }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn notice(device: &str, step: &str) -> Notice {
        let mut parcel = test_parcel(7, 1_700_000_000_000);
        let mut notice = parcel.notices.remove(0);
        notice.event.kind = format!("nemeses.alarm.{step}");
        notice.event.id = format!("1.1.{device}.1.{step}.7");
        notice.alarm_key = format!("1.1.{device}.1");
        notice.alarm = Some(5);
        notice.event.data = Data {
            device_id: device.to_owned(),
            rule_name: "Zu schnell\nBcc: x@y".to_owned(),
            severity: "critical".to_owned(),
            value: Some(Value::from("97.5")),
            latitude: Some(52.5),
            longitude: Some(-13.25),
            ..notice.event.data
        };
        notice
    }

    fn parcel(notices: Vec<Notice>) -> Parcel {
        Parcel { id: "x".into(), gathered: notices.len() > 1, notices }
    }

    #[test]
    fn one_notification() {
        let delivery = Delivery { zone: Some("Europe/Berlin".into()), ..Delivery::default() };
        let text =
            text(&parcel(vec![notice("0A3F73", "opened")]), &delivery, Some("https://n.example"));
        assert_eq!(text.title, "Critical: Zu schnell Bcc: x@y, 0A3F73 (alarm)");
        for part in ["97.5", "52.50000, -13.25000", "2023-11-14 23:13:20 Europe/Berlin"] {
            assert!(text.body.contains(part), "{}", text.body);
        }
        assert_eq!(text.link.as_deref(), Some("https://n.example/#/alarms/5"));
    }

    #[test]
    fn many_devices_are_one_line() {
        let many = (0..83).map(|device| notice(&format!("{device:06}"), "opened")).collect();
        let delivery = Delivery { language: Language::Portuguese, ..Delivery::default() };
        let text = text(&parcel(many), &delivery, None);
        assert_eq!(text.title, "83 dispositivos: Zu schnell Bcc: x@y (alarme)");
        assert!(text.body.contains("... 63 mais") && text.body.len() < 4096, "{}", text.body);
    }
}
