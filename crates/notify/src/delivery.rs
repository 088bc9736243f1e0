//! When a receiver wants to be notified, and in which words: quiet hours, digests, language and time zone. Pure.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// What is wrong with these settings, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryError(String);

impl std::fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DeliveryError {}

/// The settings of a receiver, as they are stored and as the API has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// When nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// Whether what comes is sent together, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The language of texts.
    #[serde(default)]
    pub language: Language,
    /// The time zone of texts, UTC without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Portuguese as in Brazil.
    #[serde(rename = "pt-BR")]
    Portuguese,
}

/// Hours of the day in which nothing is sent. They may lead over midnight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// `22:00`.
    pub from: String,
    /// `07:00`.
    pub to: String,
    /// `Europe/Berlin`.
    pub zone: String,
    /// Whether what is critical comes nevertheless.
    #[serde(default)]
    pub except_critical: bool,
}

/// When what came is sent together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Digest {
    /// `"hourly"`.
    Hourly(Hourly),
    /// Once a day.
    Daily {
        /// `07:00`.
        daily_at: String,
        /// `Europe/Berlin`.
        zone: String,
    },
}

/// `"hourly"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hourly {
    /// At each full hour.
    Hourly,
}

impl Delivery {
    /// Checks names of zones and times of the day.
    ///
    /// # Errors
    /// In words, what is wrong.
    pub fn check(&self) -> Result<(), DeliveryError> {
        if let Some(zone) = &self.zone {
            zone_of(zone)?;
        }
        if let Some(quiet) = &self.quiet {
            let (from, to) = (time_of(&quiet.from)?, time_of(&quiet.to)?);
            zone_of(&quiet.zone)?;
            if from == to {
                return Err(DeliveryError("quiet: from and to are the same".to_owned()));
            }
        }
        if let Some(Digest::Daily { daily_at, zone }) = &self.digest {
            time_of(daily_at)?;
            zone_of(zone)?;
        }
        Ok(())
    }

    /// Until when nothing is sent, if that is so now. Unix milliseconds.
    pub(crate) fn quiet_until_ms(&self, now_ms: u64, is_critical: bool) -> Option<u64> {
        let quiet = self.quiet.as_ref().filter(|quiet| !(quiet.except_critical && is_critical))?;
        let (from, to) = (time_of(&quiet.from).ok()?, time_of(&quiet.to).ok()?);
        let zone = zone_of(&quiet.zone).ok()?;
        let now = moment(now_ms).to_zoned(zone.clone());
        let time = now.time();
        let is_quiet =
            if from < to { from <= time && time < to } else { from <= time || time < to };
        let end_tomorrow = is_quiet && time >= to;
        let day = if end_tomorrow { now.date().tomorrow().ok()? } else { now.date() };
        if is_quiet { at(day, to, &zone) } else { None }
    }

    /// When what was raised at a time is sent, if it is not sent at once. Unix milliseconds.
    pub(crate) fn digest_at_ms(&self, raised_at_ms: u64) -> Option<u64> {
        match self.digest.as_ref()? {
            Digest::Hourly(Hourly::Hourly) => Some((raised_at_ms / 3_600_000 + 1) * 3_600_000),
            Digest::Daily { daily_at, zone } => {
                let (time, zone) = (time_of(daily_at).ok()?, zone_of(zone).ok()?);
                let raised = moment(raised_at_ms).to_zoned(zone.clone());
                let today = at(raised.date(), time, &zone)?;
                if today > raised_at_ms {
                    return Some(today);
                }
                at(raised.date().checked_add(1.day()).ok()?, time, &zone)
            }
        }
    }

    /// A moment as the receiver reads it: `2026-12-01 15:04:05 Europe/Berlin`.
    pub(crate) fn written(&self, at_ms: u64) -> String {
        let name = self.zone.as_deref().unwrap_or("UTC");
        let zone = zone_of(name).unwrap_or(TimeZone::UTC);
        let local = moment(at_ms).to_zoned(zone);
        format!("{} {name}", local.strftime("%Y-%m-%d %H:%M:%S"))
    }
}

fn moment(at_ms: u64) -> Timestamp {
    let ms = i64::try_from(at_ms).unwrap_or_default();
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A time of a day in a zone; one that a change of clocks leaves out, as jiff moves it.
fn at(date: Date, time: Time, zone: &TimeZone) -> Option<u64> {
    let zoned = date.to_datetime(time).to_zoned(zone.clone()).ok()?;
    u64::try_from(zoned.timestamp().as_millisecond()).ok()
}

fn time_of(text: &str) -> Result<Time, DeliveryError> {
    let wrong = || DeliveryError(format!("{text} is no time of day, such as 07:00"));
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let two = |part: &str| (part.len() == 2).then(|| part.parse::<i8>().ok()).flatten();
    let (hour, minute) = (two(hour).ok_or_else(wrong)?, two(minute).ok_or_else(wrong)?);
    Time::new(hour, minute, 0, 0).map_err(|_| wrong())
}

fn zone_of(name: &str) -> Result<TimeZone, DeliveryError> {
    TimeZone::get(name)
        .map_err(|_| DeliveryError(format!("{name} is no time zone, such as Europe/Berlin")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn read(text: &str) -> Delivery {
        let read: Delivery = serde_json::from_str(text).unwrap();
        read.check().unwrap();
        assert_eq!(
            serde_json::from_str::<Delivery>(&serde_json::to_string(&read).unwrap()).unwrap(),
            read
        );
        read
    }

    #[test]
    fn quiet_hours_lead_over_midnight() {
        let quiet = read(
            r#"{"quiet":{"from":"22:00","to":"07:00","zone":"Europe/Berlin","except_critical":true}}"#,
        );
        let until = |now: &str| quiet.quiet_until_ms(ms(now), false);
        assert_eq!(until("2026-12-01T20:59:59Z"), None);
        assert_eq!(until("2026-12-01T21:00:00Z"), Some(ms("2026-12-02T06:00:00Z")));
        assert_eq!(until("2026-12-02T05:59:59Z"), Some(ms("2026-12-02T06:00:00Z")));
        assert_eq!(until("2026-12-02T06:00:00Z"), None);
        assert_eq!(quiet.quiet_until_ms(ms("2026-12-01T22:00:00Z"), true), None);
        let noon = read(r#"{"quiet":{"from":"12:00","to":"13:30","zone":"UTC"}}"#);
        let end = noon.quiet_until_ms(ms("2026-12-01T12:00:00Z"), true);
        assert_eq!(end, Some(ms("2026-12-01T13:30:00Z")));
        assert_eq!(noon.quiet_until_ms(ms("2026-12-01T13:30:00Z"), true), None);
    }

    #[test]
    fn digests() {
        let hourly = read(r#"{"digest":"hourly"}"#);
        let at = |raised: &str| hourly.digest_at_ms(ms(raised));
        assert_eq!(at("2026-12-01T12:00:00Z"), Some(ms("2026-12-01T13:00:00Z")));
        let daily = read(r#"{"digest":{"daily_at":"07:00","zone":"America/Sao_Paulo"}}"#);
        let at = |raised: &str| daily.digest_at_ms(ms(raised));
        assert_eq!(at("2026-12-01T09:59:00Z"), Some(ms("2026-12-01T10:00:00Z")));
        assert_eq!(at("2026-12-01T10:00:00Z"), Some(ms("2026-12-02T10:00:00Z")));
        assert_eq!(Delivery::default().digest_at_ms(1), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (wrong, why) in [
            (r#"{"zone":"Mars/Base"}"#, "no time zone"),
            (r#"{"quiet":{"from":"25:00","to":"07:00","zone":"UTC"}}"#, "no time of day"),
            (r#"{"quiet":{"from":"7:00","to":"08:00","zone":"UTC"}}"#, "no time of day"),
            (r#"{"quiet":{"from":"07:00","to":"07:00","zone":"UTC"}}"#, "the same"),
            (r#"{"digest":{"daily_at":"noon","zone":"UTC"}}"#, "no time of day"),
        ] {
            let read: Delivery = serde_json::from_str(wrong).unwrap();
            assert!(read.check().unwrap_err().to_string().contains(why), "{wrong}");
        }
        for wrong in [r#"{"digest":"weekly"}"#, r#"{"language":"xx"}"#, r#"{"quite":1}"#] {
            assert!(serde_json::from_str::<Delivery>(wrong).is_err(), "{wrong}");
        }
        let berlin = read(r#"{"zone":"Europe/Berlin","language":"pt-BR"}"#);
        assert_eq!(berlin.written(0), "1970-01-01 01:00:00 Europe/Berlin");
    }
}
