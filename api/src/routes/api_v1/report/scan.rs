//! Feeds a finder the rows that a range needs: those before it, until what is
//! under way at its beginning is certain; its own; and those behind it, until
//! what is under way at its end is over. So each thing found is the same in
//! every range that it touches.

use nemeses_reports::{Finder, Walker};
use nemeses_store::history::RangeQuery;

use super::pages::Pages;
use super::span::Span;
use crate::daily::{LOOK_BACK_S, Starts};
use crate::fleet::FleetState;
use crate::problem::Problem;

const DAY_S: u32 = 86_400;
/// More rows than this are not read behind the sums of a day.
const LONGEST_S: u32 = LOOK_BACK_S[LOOK_BACK_S.len() - 1];

/// A finder on its way through a range.
pub(super) struct Scan<F: Finder> {
    state: FleetState,
    pages: Pages,
    finder: Option<F>,
    from: u32,
    to: u32,
    rows: u64,
}

impl<F: Finder> Scan<F> {
    /// Looks back, and stands before the first row of the range. `make` makes a
    /// finder that goes on behind what a walk has seen; it is told whether no row comes
    /// before those it will see.
    pub(super) async fn begin(
        state: &FleetState,
        span: &Span,
        make: impl Fn(Walker, bool) -> F,
    ) -> Result<Self, Problem> {
        let last_before = last_before(state, span, span.from).await?;
        let rows = u64::from(last_before.is_some());
        let finder = match last_before {
            None => make(Walker::new(span.settings, true), true),
            Some(last) => look_back(state, span, last, make).await?,
        };
        let range = range(span, span.from, u32::MAX);
        let pages = Pages::new(state.clone(), range, u64::MAX);
        Ok(Self {
            state: state.clone(),
            pages,
            finder: Some(finder),
            from: span.from,
            to: span.to,
            rows,
        })
    }

    /// Whether any row was seen, before the range or in what was read of it.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What the next chunk of rows brings; `None` when nothing follows. `when`
    /// says from when to when a thing lasted.
    pub(super) async fn next(
        &mut self,
        when: impl Fn(&F::Found) -> (u32, u32),
    ) -> Result<Option<Vec<F::Found>>, Problem> {
        let Some(mut finder) = self.finder.take() else { return Ok(None) };
        let page = self.pages.next().await?;
        let mut found = Vec::new();
        let mut over = false;
        for row in &page.rows {
            self.rows += 1;
            finder.push(row, &mut found);
            over = self.is_over(row.position.recorded_at, finder.pending_since());
            if over {
                break;
            }
        }
        if over || page.last {
            let silent_until = if over { 0 } else { self.state.clock.now_s() };
            finder.finish(silent_until, &mut found);
        } else {
            self.finder = Some(finder);
        }
        let touches = |(first, last): (u32, u32)| first <= self.to && last >= self.from;
        found.retain(|thing| touches(when(thing)));
        Ok(Some(found))
    }

    fn is_over(&self, at: u32, pending_since: Option<u32>) -> bool {
        at > self.to && pending_since.is_none_or(|since| since > self.to)
    }
}

/// Reads rows before the range until what is under way there is certain: those of some
/// hours, then behind what the sums of days hold.
async fn look_back<F: Finder>(
    state: &FleetState,
    span: &Span,
    last_before: u32,
    make: impl Fn(Walker, bool) -> F,
) -> Result<F, Problem> {
    let mut finder = make(Walker::new(span.settings, false), false);
    let attempts = LOOK_BACK_S.iter().map(|seconds| (*seconds, true));
    for (seconds, by_sums) in [(LOOK_BACK_S[0], false)].into_iter().chain(attempts) {
        let mut start = last_before.saturating_sub(seconds);
        let starts = starts(state, span);
        let known =
            if by_sums { state.history.ask(starts.of_day(start / DAY_S)).await? } else { None };
        finder = if let Some(known) = known.filter(|known| start - known.from <= LONGEST_S) {
            start = known.from;
            make(known.walker, false)
        } else {
            if by_sums && seconds == LOOK_BACK_S[0] {
                // This is what was read just now.
                continue;
            }
            let first = self::last_before(state, span, start).await?.is_none();
            make(Walker::new(span.settings, first), first)
        };
        let mut pages = Pages::new(state.clone(), range(span, start, span.from - 1), u64::MAX);
        let mut found = Vec::new();
        loop {
            let page = pages.next().await?;
            for row in &page.rows {
                finder.push(row, &mut found);
            }
            // All of it ended before the range: what is under way is pending.
            found.clear();
            if page.last {
                break;
            }
        }
        if finder.is_certain() {
            break;
        }
    }
    Ok(finder)
}

/// Where walks through a device's rows begin.
pub(super) fn starts<'a>(state: &'a FleetState, span: &Span) -> Starts<'a> {
    Starts {
        history: state.stores.history.as_ref(),
        daily: state.stores.daily.as_ref(),
        device: span.device,
        settings: span.settings,
    }
}

/// When the newest row before a second was recorded.
pub(super) async fn last_before(
    state: &FleetState,
    span: &Span,
    second: u32,
) -> Result<Option<u32>, Problem> {
    state.ask_in_turn(starts(state, span).last_before(second)).await
}

pub(super) fn range(span: &Span, from: u32, to: u32) -> RangeQuery {
    RangeQuery { device: span.device, from, to, descending: false, after: None, limit: None }
}
