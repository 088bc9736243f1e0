//! What is written for one client and not yet sent, in the form in which the
//! client reads.

use nemeses_protocol::DeviceNames;
use nemeses_store::live::LiveValue;

use super::event::Event;
use super::id::EventId;
use super::service::{self, Hello};
use super::status::Status;
use super::values::values_json;
use super::writer::EventWriter;
use crate::output::without_totals;

/// One text holds at most this and one event more: 150 positions.
const TEXT_BYTES: usize = 64 * 1024;

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A JSON array of events.
    Array,
    /// One event after the other, as `text/event-stream` has them.
    EventStream,
}

/// What is written and not yet sent.
pub(crate) struct Text {
    form: Form,
    /// Whether positions bear odometer and hour meter, which tell of the past.
    totals: bool,
    written: String,
}

impl Text {
    pub(crate) const fn new(form: Form, totals: bool) -> Self {
        Self { form, totals, written: String::new() }
    }

    fn push(&mut self, id: Option<&str>, json: &str) {
        self.push_with(id, |to| to.push_str(json));
    }

    fn push_with(&mut self, id: Option<&str>, whole: impl FnOnce(&mut String)) {
        let totals = self.totals;
        let json = |to: &mut String| {
            let begins = to.len();
            whole(to);
            if !totals {
                without_totals(to, begins);
            }
        };
        match self.form {
            Form::Array => {
                self.written.push(if self.written.is_empty() { '[' } else { ',' });
                json(&mut self.written);
            }
            Form::EventStream => {
                if let Some(id) = id {
                    self.written.push_str("id: ");
                    self.written.push_str(id);
                    self.written.push('\n');
                }
                self.written.push_str("data: ");
                json(&mut self.written);
                self.written.push_str("\n\n");
            }
        }
    }
}

impl EventWriter for Text {
    type Sent = String;

    fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    fn has_room(&self) -> bool {
        self.written.len() < TEXT_BYTES
    }

    fn take(&mut self) -> Option<String> {
        if self.written.is_empty() {
            return None;
        }
        if self.form == Form::Array {
            self.written.push(']');
        }
        let next = String::with_capacity(self.written.len().min(TEXT_BYTES));
        Some(std::mem::replace(&mut self.written, next))
    }

    fn hello(&mut self, id: EventId, hello: Hello) {
        let id = id.to_string();
        self.push(Some(&id), &service::hello(&id, hello));
    }

    fn heartbeat(&mut self, id: EventId, at_ms: u64) {
        let id = id.to_string();
        self.push(Some(&id), &service::heartbeat(&id, at_ms));
    }

    fn thinned(&mut self, dropped: u64) {
        self.push(None, &service::thinned(dropped));
    }

    fn end(&mut self, reason: &'static str) {
        self.push(None, &service::end(reason));
    }

    fn event(&mut self, names: &DeviceNames, id: EventId, event: &Event) {
        if id == event.id {
            return self.push(Some(event.id_text(names)), event.json(names));
        }
        let id = id.to_string();
        self.push_with(Some(&id), |to| event.push_under(names, &id, to));
    }

    fn standing(&mut self, names: &DeviceNames, id: EventId, event: &Event, status: Status) {
        let id = id.to_string();
        self.push_with(Some(&id), |to| event.push_as_it_stands(names, &id, status, to));
    }

    fn values(&mut self, id: EventId, device_id: String, values: Vec<&LiveValue>) {
        let id = id.to_string();
        self.push(Some(&id), &values_json(&id, device_id, values));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_closed_when_it_is_taken() {
        let mut text = Text::new(Form::Array, true);
        assert_eq!(text.take(), None);
        text.push(Some("7"), r#"{"a":1}"#);
        text.push(None, r#"{"b":2}"#);
        assert_eq!(text.take().as_deref(), Some(r#"[{"a":1},{"b":2}]"#));
        assert!(text.is_empty());
    }

    #[test]
    fn who_sees_no_past_sees_no_totals_of_it() {
        let mut text = Text::new(Form::Array, false);
        let position =
            r#"{"type":"position","odometer_m":25000,"hour_meter_min":7,"status":"online"}"#;
        for _ in 0..2 {
            text.push(None, position);
        }
        let one =
            r#"{"type":"position","odometer_m":null,"hour_meter_min":null,"status":"online"}"#;
        assert_eq!(text.take(), Some(format!("[{one},{one}]")));
    }

    #[test]
    fn an_event_stream_names_the_place_to_resume_from() {
        let mut text = Text::new(Form::EventStream, true);
        text.push(Some("7"), "{}");
        text.push(None, "{}");
        assert_eq!(text.take().as_deref(), Some("id: 7\ndata: {}\n\ndata: {}\n\n"));
    }

    #[test]
    fn a_full_text_has_no_room_and_is_sent_whole() {
        let mut text = Text::new(Form::Array, true);
        let event = "x".repeat(TEXT_BYTES - 1);
        text.push(None, &event);
        assert!(!text.has_room());
        assert_eq!(text.take().map(|sent| sent.len()), Some(event.len() + 2));
        assert!(text.has_room());
    }
}
