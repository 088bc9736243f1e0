//! Where a walk through a device's rows begins: with what the sums of the day before
//! hold, where they are up to date, so that no older row has to be read; else with
//! rows before, until what is known of the device is the same wherever reading began.

use futures_util::TryStreamExt as _;
use nemeses_protocol::DeviceId;
use nemeses_reports::{Settings, Walker};
use nemeses_store::StoreError;
use nemeses_store::history::{Daily, Positions, RangeQuery};

use super::day::walker_behind;

const DAY_SECONDS: u32 = 86_400;
/// Looks back from the last row before, one after the other until one suffices: 6
/// hours, 2 days, 14 days. With a frame each 10 s the longest reads 120 000 rows.
pub(crate) const LOOK_BACK_S: [u32; 3] = [6 * 3600, 2 * DAY_SECONDS, 14 * DAY_SECONDS];

/// A walk on its way to where it is needed.
pub(crate) struct Start {
    pub(crate) walker: Walker,
    /// The first second whose rows it has not seen.
    pub(crate) from: u32,
}

/// Where walks through the rows of one device begin.
pub(crate) struct Starts<'a> {
    pub(crate) history: &'a dyn Positions,
    pub(crate) daily: &'a dyn Daily,
    pub(crate) device: DeviceId,
    pub(crate) settings: Settings,
}

impl Starts<'_> {
    /// A walk that has seen all rows recorded before a second, or as many as it takes.
    pub(crate) async fn before(&self, second: u32) -> Result<Walker, StoreError> {
        let longest = LOOK_BACK_S[LOOK_BACK_S.len() - 1];
        let start = self.of_day(second / DAY_SECONDS).await?;
        if let Some(start) = start.filter(|start| second - start.from <= longest) {
            return self.walk(start, second).await;
        }
        self.look_back(second).await
    }

    /// The walk that the sums of the last day before a day hold, if nothing recorded
    /// before that day waits to be added up.
    pub(crate) async fn of_day(&self, day: u32) -> Result<Option<Start>, StoreError> {
        // Days from the first marked one on may not be what the sums say.
        let marked = self.daily.first_marked(self.device).await?;
        let day = marked.map_or(day, |marked| day.min(marked));
        let Some(sums) = self.daily.day_before(self.device, day).await? else { return Ok(None) };
        let from = (sums.day + 1).saturating_mul(DAY_SECONDS);
        Ok(walker_behind(self.settings, &sums).map(|walker| Start { walker, from }))
    }

    /// The same by rows alone.
    pub(crate) async fn look_back(&self, second: u32) -> Result<Walker, StoreError> {
        let Some(last) = self.last_before(second).await? else {
            return Ok(Walker::new(self.settings, true));
        };
        let mut walker = Walker::new(self.settings, false);
        for seconds in LOOK_BACK_S {
            let from = last.saturating_sub(seconds);
            let first = self.last_before(from).await?.is_none();
            let start = Start { walker: Walker::new(self.settings, first), from };
            walker = self.walk(start, second).await?;
            if walker.is_certain() {
                break;
            }
        }
        Ok(walker)
    }

    async fn walk(&self, start: Start, second: u32) -> Result<Walker, StoreError> {
        let Start { mut walker, from } = start;
        let Some(to) = second.checked_sub(1).filter(|to| *to >= from) else { return Ok(walker) };
        let (device, descending) = (self.device, false);
        let query = RangeQuery { device, from, to, descending, after: None, limit: None };
        let mut rows = self.history.positions(query);
        while let Some(row) = rows.try_next().await? {
            walker.step(&row);
        }
        Ok(walker)
    }

    /// When the newest row before a second was recorded.
    pub(crate) async fn last_before(&self, second: u32) -> Result<Option<u32>, StoreError> {
        let Some(to) = second.checked_sub(1) else { return Ok(None) };
        let row = self.history.last_position(self.device, to, false).await?;
        Ok(row.map(|row| row.position.recorded_at))
    }
}
