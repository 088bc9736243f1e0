//! Transitions as they are stored: changes of alarms, with who is to be notified.

use nemeses_protocol::{DeviceId, DeviceNames};
use nemeses_rules::{Change, Transition};
use nemeses_store::history::{AlarmChange, AlarmKey, AlarmStep, NewNotification};

use crate::definitions::Definitions;
use crate::notification::{Event, body};

/// Characters of a value.
const MAX_VALUE: usize = 64;

/// The changes of alarms of a turn, and their notifications.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) alarms: Vec<AlarmChange>,
    pub(crate) notifications: Vec<NewNotification>,
}

impl Changes {
    pub(crate) fn add(
        &mut self,
        device: DeviceId,
        transition: &Transition,
        definitions: &Definitions,
        names: &DeviceNames,
        now_ms: u64,
    ) {
        let change = change_of(device, transition, definitions, now_ms);
        if transition.notify {
            self.notify(&change, definitions, names, now_ms);
        }
        self.alarms.push(change);
    }

    fn notify(
        &mut self,
        change: &AlarmChange,
        definitions: &Definitions,
        names: &DeviceNames,
        now_ms: u64,
    ) {
        let Some(defined) = definitions.rules.get(&change.key.rule) else { return };
        for receiver in &defined.stored.rule.receivers {
            let event = Event { receiver: *receiver, change, names };
            self.notifications.push(NewNotification {
                body: body(&event),
                alarm: change.key,
                transition: change.step.word(),
                receiver: *receiver,
                suppressed: None,
                created_at_ms: now_ms,
            });
        }
    }
}

fn change_of(
    device: DeviceId,
    transition: &Transition,
    definitions: &Definitions,
    now_ms: u64,
) -> AlarmChange {
    let stored = definitions.rules.get(&transition.rule).map(|defined| &defined.stored);
    let text = |part: fn(&nemeses_store::history::NewRule) -> &String| {
        stored.map_or_else(String::new, |stored| part(&stored.rule).clone())
    };
    AlarmChange {
        key: AlarmKey {
            rule: transition.rule,
            version: transition.version,
            device,
            episode: transition.episode,
        },
        step: match transition.change {
            Change::Opened => AlarmStep::Opened,
            Change::Confirmed => AlarmStep::Confirmed,
            Change::Cleared => AlarmStep::Cleared,
            Change::Withdrawn => AlarmStep::Withdrawn,
        },
        at_ms: transition.at_ms,
        raised_at_ms: now_ms,
        late: transition.late,
        notified: transition.notify,
        value: transition.value.map(|value| format!("{value}").chars().take(MAX_VALUE).collect()),
        place: transition.place.map(|place| (udeg(place.latitude), udeg(place.longitude))),
        rule_name: text(|rule| &rule.name),
        owner: stored.and_then(|stored| stored.owner),
        severity: text(|rule| &rule.severity),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "180 degrees are 180 000 000")]
fn udeg(degrees: f64) -> i32 {
    (degrees * 1e6).round().clamp(-180e6, 180e6) as i32
}
