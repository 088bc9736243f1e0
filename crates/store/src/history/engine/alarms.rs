//! The alarms, in SQL.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::channels::{optional_text, text_or_null};
use super::fault::Fault;
use super::rules::number_or_null;
use super::seam::{Product, Session, fixed, sql};
use super::sql::placeholders;
use super::value::{Fields, Value};
use crate::StoreError;
use crate::history::alarms::{
    Acknowledgement, Alarm, AlarmChange, AlarmFilter, AlarmKey, AlarmStep, Alarms,
    MAX_LISTED_ALARMS, Silence,
};

const SELECT: &str = "SELECT id, rule_id, rule_version, device, episode, rule_name, owner, \
    severity, late, notified, opened_at_ms, raised_at_ms, cleared_at_ms, withdrawn, value_text, \
    latitude_udeg IS NOT NULL, COALESCE(latitude_udeg, 0), COALESCE(longitude_udeg, 0), \
    acknowledged_at_ms, acknowledged_by, note, silenced_until_ms, silenced_by, silence_reason \
    FROM alarms";
const OPEN: &str = "INSERT INTO alarms (rule_id, rule_version, device, episode, rule_name, owner, \
    severity, late, notified, opened_at_ms, raised_at_ms, withdrawn, value_text, latitude_udeg, \
    longitude_udeg) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)";
const CONFIRM: &str = "UPDATE alarms SET late = 0, notified = 1 \
    WHERE rule_id = ? AND rule_version = ? AND device = ? AND episode = ?";
const CLEAR: &str = "UPDATE alarms SET cleared_at_ms = ?, withdrawn = ? \
    WHERE rule_id = ? AND rule_version = ? AND device = ? AND episode = ?";
const ACKNOWLEDGE: &str = "UPDATE alarms SET acknowledged_at_ms = ?, acknowledged_by = ?, note = ? \
    WHERE id = ? AND acknowledged_at_ms IS NULL";
const SILENCE: &str = "UPDATE alarms SET silenced_until_ms = ?, silenced_by = ?, \
    silence_reason = ? WHERE id = ?";
const EXISTS: &str = "SELECT id FROM alarms WHERE id = ?";

#[async_trait]
impl<P: Product> Alarms for Engine<P> {
    async fn list(&self, filter: &AlarmFilter) -> Result<Vec<Alarm>, StoreError> {
        let (conditions, mut values) = conditions(filter);
        values.push(filter.limit.clamp(1, MAX_LISTED_ALARMS).into());
        let text = format!("{SELECT}{conditions} ORDER BY id DESC LIMIT ?");
        let rows = self.product.rows(sql(text), &values).await;
        rows.and_then(|rows| rows.iter().map(alarm_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn find(&self, id: u64) -> Result<Option<Alarm>, StoreError> {
        let text = format!("{SELECT} WHERE id = ?");
        let rows = self.product.rows(sql(text), &[id.into()]).await;
        rows.and_then(|rows| rows.first().map(alarm_of).transpose())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn acknowledge(&self, id: u64, by: &Acknowledgement) -> Result<bool, StoreError> {
        let Acknowledgement { at_ms, by, note } = by;
        let values =
            [(*at_ms).into(), by.as_str().into(), text_or_null(note.as_deref()), id.into()];
        if self.update(ACKNOWLEDGE, &values).await? {
            return Ok(true);
        }
        let rows = self.product.rows(fixed(EXISTS), &[id.into()]).await;
        rows.map(|rows| !rows.is_empty()).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn silence(&self, id: u64, silence: &Silence) -> Result<bool, StoreError> {
        let Silence { until_ms, by, reason } = silence;
        let values = [(*until_ms).into(), by.as_str().into(), reason.as_str().into(), id.into()];
        self.update(SILENCE, &values).await
    }
}

fn conditions(filter: &AlarmFilter) -> (String, Vec<Value<'_>>) {
    let AlarmFilter { devices, rules_of, rule, open, late, severity, before, limit: _ } = filter;
    let possible = [
        ("(owner IS NULL OR owner = ?)", rules_of.map(Value::from)),
        ("rule_id = ?", rule.map(Value::from)),
        ("late = ?", late.map(Value::from)),
        ("severity = ?", severity.as_deref().map(Value::from)),
        ("id < ?", before.map(Value::from)),
    ];
    let (mut texts, mut values): (Vec<_>, Vec<_>) =
        possible.into_iter().filter_map(|(text, value)| Some((text.to_owned(), value?))).unzip();
    texts.extend(open.map(|open| {
        let cleared = if open { "cleared_at_ms IS NULL" } else { "cleared_at_ms IS NOT NULL" };
        cleared.to_owned()
    }));
    if let Some(devices) = devices {
        let (text, of_devices) = among(devices);
        texts.push(text);
        values.extend(of_devices);
    }
    let joined = texts.join(" AND ");
    (if joined.is_empty() { joined } else { format!(" WHERE {joined}") }, values)
}

/// One of these devices. The last is repeated up to a power of two, so that lists of all lengths
/// are few texts for the database to prepare.
fn among(devices: &[DeviceId]) -> (String, Vec<Value<'static>>) {
    let Some(last) = devices.last() else { return ("1 = 0".to_owned(), Vec::new()) };
    let count = devices.len().next_power_of_two();
    let repeated = devices.iter().chain(std::iter::repeat(last)).take(count);
    let values = repeated.map(|device| Value::from(*device)).collect();
    (format!("device IN ({})", placeholders(count)), values)
}

fn alarm_of(row: &impl Fields) -> Result<Alarm, Fault> {
    let key = AlarmKey {
        rule: row.need(1)?,
        version: row.need(2)?,
        device: DeviceId::new(row.need(3)?),
        episode: row.need(4)?,
    };
    let has_place = row.need::<u8>(15)? == 1;
    let place = (row.need_signed(16)?, row.need_signed(17)?);
    Ok(Alarm {
        id: row.need(0)?,
        key,
        rule_name: row.text(5)?,
        owner: row.maybe(6)?,
        severity: row.text(7)?,
        late: row.need::<u8>(8)? == 1,
        notified: row.need::<u8>(9)? == 1,
        opened_at_ms: row.need(10)?,
        raised_at_ms: row.need(11)?,
        cleared_at_ms: row.maybe(12)?,
        withdrawn: row.need::<u8>(13)? == 1,
        value: optional_text(row, 14)?,
        place: has_place.then_some(place),
        acknowledged: acknowledged_of(row)?,
        silence: silence_of(row)?,
    })
}

fn acknowledged_of(row: &impl Fields) -> Result<Option<Acknowledgement>, Fault> {
    let Some(at_ms) = row.maybe(18)? else { return Ok(None) };
    let by = optional_text(row, 19)?.unwrap_or_default();
    Ok(Some(Acknowledgement { at_ms, by, note: optional_text(row, 20)? }))
}

fn silence_of(row: &impl Fields) -> Result<Option<Silence>, Fault> {
    let Some(until_ms) = row.maybe(21)? else { return Ok(None) };
    let text = |column| optional_text(row, column).map(Option::unwrap_or_default);
    Ok(Some(Silence { until_ms, by: text(22)?, reason: text(23)? }))
}

fn key_values(key: &AlarmKey) -> [Value<'static>; 4] {
    [key.rule.into(), key.version.into(), key.device.into(), key.episode.into()]
}

/// Writes a change of an alarm in a transaction.
pub(super) async fn write_change<S: Session>(
    session: &mut S,
    change: &AlarmChange,
) -> Result<(), Fault> {
    let [rule, version, device, episode] = key_values(&change.key);
    match change.step {
        AlarmStep::Opened => {
            let (latitude, longitude) = match change.place {
                Some((latitude, longitude)) => (latitude.into(), longitude.into()),
                None => (Value::NoNumber, Value::NoNumber),
            };
            let values = [
                rule,
                version,
                device,
                episode,
                change.rule_name.as_str().into(),
                number_or_null(change.owner),
                change.severity.as_str().into(),
                change.late.into(),
                change.notified.into(),
                change.at_ms.into(),
                change.raised_at_ms.into(),
                text_or_null(change.value.as_deref()),
                latitude,
                longitude,
            ];
            session.execute(fixed(OPEN), &values).await.map(drop)
        }
        AlarmStep::Confirmed => {
            session.execute(fixed(CONFIRM), &[rule, version, device, episode]).await.map(drop)
        }
        AlarmStep::Cleared | AlarmStep::Withdrawn => {
            let withdrawn = change.step == AlarmStep::Withdrawn;
            let values = [change.at_ms.into(), withdrawn.into(), rule, version, device, episode];
            session.execute(fixed(CLEAR), &values).await.map(drop)
        }
    }
}
