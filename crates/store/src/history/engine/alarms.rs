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
    Acknowledgement, Alarm, AlarmChange, AlarmCount, AlarmFilter, AlarmKey, AlarmStep, Alarms,
    AlarmsMark, CountedBy, MAX_LISTED_ALARMS, Silence,
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
const NEWEST: &str = "SELECT CAST(COALESCE(MAX(id), 0) AS UNSIGNED) FROM alarms";
const OPEN_SUMS: &str = "SELECT COUNT(*), CAST(COALESCE(SUM(id), 0) AS UNSIGNED), \
    CAST(COALESCE(SUM(late), 0) AS UNSIGNED), \
    CAST(COALESCE(SUM(COALESCE(acknowledged_at_ms, 0)), 0) AS UNSIGNED), \
    CAST(COALESCE(SUM(COALESCE(silenced_until_ms, 0)), 0) AS UNSIGNED) \
    FROM alarms WHERE cleared_at_ms IS NULL";
const DEVICES: &str = "SELECT DISTINCT device FROM alarms ORDER BY device";
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

    async fn mark(&self) -> Result<AlarmsMark, StoreError> {
        self.read_mark().await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        let rows = self.product.rows(fixed(DEVICES), &[]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.need(0).map(DeviceId::new)).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn counts(
        &self,
        filter: &AlarmFilter,
        by: CountedBy,
    ) -> Result<Vec<AlarmCount>, StoreError> {
        let (conditions, mut values) = conditions(filter);
        values.push(filter.limit.clamp(1, MAX_LISTED_ALARMS).into());
        let (of, rule_name, order) = match by {
            CountedBy::Rule => ("rule_id", "MAX(rule_name)", "3 DESC, 1"),
            CountedBy::Device => ("device", "''", "3 DESC, 1"),
            CountedBy::Day => ("opened_at_ms - opened_at_ms % 86400000", "''", "1"),
        };
        let text = format!(
            "SELECT {of}, {rule_name}, COUNT(*) FROM alarms{conditions} GROUP BY 1 \
             ORDER BY {order} LIMIT ?"
        );
        let count = |row: &P::Row| {
            Ok(AlarmCount { of: row.need(0)?, rule_name: row.text(1)?, opened: row.need(2)? })
        };
        let rows = self.product.rows(sql(text), &values).await;
        rows.and_then(|rows| rows.iter().map(count).collect())
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

impl<P: Product> Engine<P> {
    async fn read_mark(&self) -> Result<AlarmsMark, Fault> {
        let newest = self.product.rows(fixed(NEWEST), &[]).await?;
        let newest = newest.first().map_or(Ok(0), |row| row.need(0))?;
        let mut open = [0; 5];
        if let Some(row) = self.product.rows(fixed(OPEN_SUMS), &[]).await?.first() {
            for (column, sum) in open.iter_mut().enumerate() {
                *sum = row.need(column)?;
            }
        }
        Ok(AlarmsMark { newest, open })
    }
}

fn conditions(filter: &AlarmFilter) -> (String, Vec<Value<'_>>) {
    let AlarmFilter {
        devices,
        rules_of,
        rule,
        open,
        late,
        acknowledged,
        severity,
        opened_from_ms,
        opened_to_ms,
        ids,
        after,
        before,
        limit: _,
    } = filter;
    let possible = [
        ("(owner IS NULL OR owner = ?)", rules_of.map(Value::from)),
        ("rule_id = ?", rule.map(Value::from)),
        ("late = ?", late.map(Value::from)),
        ("severity = ?", severity.as_deref().map(Value::from)),
        ("opened_at_ms >= ?", opened_from_ms.map(Value::from)),
        ("opened_at_ms <= ?", opened_to_ms.map(Value::from)),
        ("id > ?", after.map(Value::from)),
        ("id < ?", before.map(Value::from)),
    ];
    let (mut texts, mut values): (Vec<_>, Vec<_>) =
        possible.into_iter().filter_map(|(text, value)| Some((text.to_owned(), value?))).unzip();
    let is_null = |column: &str, is_null: bool| {
        format!("{column} IS {}", if is_null { "NULL" } else { "NOT NULL" })
    };
    texts.extend(open.map(|open| is_null("cleared_at_ms", open)));
    texts.extend(acknowledged.map(|is| is_null("acknowledged_at_ms", !is)));
    let lists = [("device", devices.as_deref().map(among)), ("id", ids.as_deref().map(among))];
    for (column, list) in lists {
        let Some((text, listed)) = list else { continue };
        texts.push(text.map_or_else(|| "1 = 0".to_owned(), |text| format!("{column} {text}")));
        values.extend(listed);
    }
    let joined = texts.join(" AND ");
    (if joined.is_empty() { joined } else { format!(" WHERE {joined}") }, values)
}

/// One of these; `None` if there are none. The last is repeated up to a power of two, so that lists of
/// all lengths are few texts for the database to prepare.
fn among<T: Copy + Into<Value<'static>>>(wanted: &[T]) -> (Option<String>, Vec<Value<'static>>) {
    let Some(last) = wanted.last() else { return (None, Vec::new()) };
    let count = wanted.len().next_power_of_two();
    let repeated = wanted.iter().chain(std::iter::repeat(last)).take(count);
    let values = repeated.map(|one| (*one).into()).collect();
    (Some(format!("IN ({})", placeholders(count))), values)
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
