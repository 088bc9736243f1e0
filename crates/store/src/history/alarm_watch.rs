//! What changes among the alarms, for a process that shows them: the table is looked at, so that it
//! does not matter which process evaluates rules or answers who acknowledges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nemeses_protocol::DeviceId;

use super::alarms::{Alarm, AlarmFilter, Alarms, AlarmsMark, MAX_LISTED_ALARMS};
use crate::StoreError;

/// Open alarms that are remembered, the newest: 4 MB. Of older ones it is not noticed what becomes of
/// them.
pub const MAX_WATCHED_ALARMS: usize = 10_000;
/// Alarms that are looked up by their numbers at once.
const FOUND_AT_ONCE: usize = 512;

/// What happened to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmEvent {
    /// It opened.
    Opened,
    /// It was too old to notify anybody, and stands now.
    Confirmed,
    /// Somebody has seen it.
    Acknowledged,
    /// Nobody is to be notified of it for a while, or that has ended.
    Silenced,
    /// It is over.
    Cleared,
    /// Its rule was changed, removed or switched off.
    Withdrawn,
}

impl AlarmEvent {
    /// The word in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Confirmed => "confirmed",
            Self::Acknowledged => "acknowledged",
            Self::Silenced => "silenced",
            Self::Cleared => "cleared",
            Self::Withdrawn => "withdrawn",
        }
    }

    const fn end_of(alarm: &Alarm) -> Self {
        if alarm.withdrawn { Self::Withdrawn } else { Self::Cleared }
    }
}

/// An alarm as it is, and what happened to it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmNews {
    /// What happened.
    pub event: AlarmEvent,
    /// The alarm after all that happened to it.
    pub alarm: Arc<Alarm>,
}

/// The open alarms as they were when they were last looked at.
pub struct AlarmWatch {
    alarms: Arc<dyn Alarms>,
    mark: Option<AlarmsMark>,
    open: BTreeMap<u64, Arc<Alarm>>,
}

impl AlarmWatch {
    /// Knows of nothing yet.
    pub fn new(alarms: Arc<dyn Alarms>) -> Self {
        Self { alarms, mark: None, open: BTreeMap::new() }
    }

    /// What has happened since it was last looked; nothing the first time. What happened to an alarm that is over
    /// is not noticed, but for its end.
    ///
    /// # Errors
    /// What the database reports; then the next look finds it.
    pub async fn look(&mut self) -> Result<Vec<AlarmNews>, StoreError> {
        let mark = self.alarms.mark().await?;
        if self.mark == Some(mark) {
            return Ok(Vec::new());
        }
        let open = self.read_open().await?;
        let Some(before) = self.mark else {
            (self.mark, self.open) = (Some(mark), open);
            return Ok(Vec::new());
        };
        let ended = self.read_ended(&open, before.newest).await?;
        let news = compared(&self.open, before.newest, &open, ended);
        // What opened after the mark was read is found, too.
        let newest = open.keys().next_back().copied().unwrap_or_default().max(mark.newest);
        (self.mark, self.open) = (Some(AlarmsMark { newest, ..mark }), open);
        Ok(news)
    }

    /// The open alarms, the newest [`MAX_WATCHED_ALARMS`], by number.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Alarm>> {
        self.open.values()
    }

    /// The devices that have an open alarm.
    pub fn devices(&self) -> BTreeSet<DeviceId> {
        self.open.values().map(|alarm| alarm.key.device).collect()
    }

    async fn read_open(&self) -> Result<BTreeMap<u64, Arc<Alarm>>, StoreError> {
        let mut open = BTreeMap::new();
        let mut filter =
            AlarmFilter { open: Some(true), limit: MAX_LISTED_ALARMS, ..AlarmFilter::default() };
        loop {
            let page = self.alarms.list(&filter).await?;
            filter.before = page.last().map(|last| last.id);
            let is_last = page.len() < MAX_LISTED_ALARMS as usize;
            open.extend(page.into_iter().map(|alarm| (alarm.id, Arc::new(alarm))));
            if is_last || open.len() >= MAX_WATCHED_ALARMS {
                return Ok(open);
            }
        }
    }

    /// Those that were open before, and those that have opened since, that are over now.
    async fn read_ended(
        &self,
        open: &BTreeMap<u64, Arc<Alarm>>,
        newest: u64,
    ) -> Result<Vec<Alarm>, StoreError> {
        let gone: Vec<u64> =
            self.open.keys().filter(|id| !open.contains_key(id)).copied().collect();
        let mut ended = Vec::new();
        for ids in gone.chunks(FOUND_AT_ONCE) {
            let filter = AlarmFilter {
                ids: Some(ids.to_vec()),
                open: Some(false),
                limit: MAX_LISTED_ALARMS,
                ..AlarmFilter::default()
            };
            ended.extend(self.alarms.list(&filter).await?);
        }
        let filter = AlarmFilter {
            after: Some(newest),
            open: Some(false),
            limit: MAX_LISTED_ALARMS,
            ..AlarmFilter::default()
        };
        ended.extend(self.alarms.list(&filter).await?);
        ended.sort_by_key(|alarm| alarm.id);
        Ok(ended)
    }
}

/// What happened between two looks, by number of the alarm.
fn compared(
    before: &BTreeMap<u64, Arc<Alarm>>,
    newest: u64,
    open: &BTreeMap<u64, Arc<Alarm>>,
    ended: Vec<Alarm>,
) -> Vec<AlarmNews> {
    let mut news = Vec::new();
    let mut add = |event, alarm: &Arc<Alarm>| {
        news.push(AlarmNews { event, alarm: Arc::clone(alarm) });
    };
    for alarm in ended.into_iter().map(Arc::new) {
        if alarm.id > newest {
            add(AlarmEvent::Opened, &alarm);
        }
        add(AlarmEvent::end_of(&alarm), &alarm);
    }
    for alarm in open.values() {
        match before.get(&alarm.id) {
            Some(was) => {
                for event in changes(was, alarm) {
                    add(event, alarm);
                }
            }
            None if alarm.id > newest => add(AlarmEvent::Opened, alarm),
            // Others made room for it among those that are remembered.
            None => {}
        }
    }
    news.sort_by_key(|one| one.alarm.id);
    news
}

fn changes(was: &Alarm, is: &Alarm) -> Vec<AlarmEvent> {
    let changes = [
        (was.late && !is.late, AlarmEvent::Confirmed),
        (was.acknowledged != is.acknowledged, AlarmEvent::Acknowledged),
        (was.silence != is.silence, AlarmEvent::Silenced),
    ];
    changes.into_iter().filter(|(changed, _)| *changed).map(|(_, event)| event).collect()
}
