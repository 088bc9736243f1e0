//! Feeds a finder the rows that a range needs: those before it, until what is
//! under way at its beginning is certain; its own; and those behind it, until
//! what is under way at its end is over. So each thing found is the same in
//! every range that it touches.

use futures_util::TryStreamExt as _;
use nemeses_protocol::PositionRecord;
use nemeses_store::history::RangeQuery;

use super::pages::Pages;
use super::span::Span;
use crate::problem::Problem;
use crate::reports::Finder;
use crate::state::ApiState;

/// Looks back from the last row before the range, one after the other until one
/// suffices: 6 hours, 2 days, 14 days. With a frame each 10 s the longest reads
/// 120 000 rows.
const LOOK_BACK_S: [u32; 3] = [6 * 3600, 2 * 86_400, 14 * 86_400];
/// How long behind the range the end of what began in it is looked for.
const LOOK_AHEAD_S: u32 = 14 * 86_400;

/// A finder on its way through a range.
pub(super) struct Scan<F: Finder> {
    state: ApiState,
    pages: Pages,
    finder: Option<F>,
    from: u32,
    to: u32,
    rows: u64,
}

impl<F: Finder> Scan<F> {
    /// Looks back, and stands before the first row of the range. `make` makes a
    /// finder; it is told whether no row comes before those it will see.
    pub(super) async fn begin(
        state: &ApiState,
        span: &Span,
        make: impl Fn(bool) -> F,
    ) -> Result<Self, Problem> {
        let last_before = row_before(state, span, span.from).await?;
        let rows = u64::from(last_before.is_some());
        let finder = match last_before {
            None => make(true),
            Some(last) => look_back(state, span, last.position.recorded_at, make).await?,
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
            finder.push(&row.position, &mut found);
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
        let nothing_left = pending_since.is_none_or(|since| since > self.to);
        at > self.to && (nothing_left || at - self.to > LOOK_AHEAD_S)
    }
}

async fn look_back<F: Finder>(
    state: &ApiState,
    span: &Span,
    last_before: u32,
    make: impl Fn(bool) -> F,
) -> Result<F, Problem> {
    let mut finder = make(false);
    for seconds in LOOK_BACK_S {
        let start = last_before.saturating_sub(seconds);
        finder = make(row_before(state, span, start).await?.is_none());
        let mut pages = Pages::new(state.clone(), range(span, start, span.from - 1), u64::MAX);
        let mut found = Vec::new();
        loop {
            let page = pages.next().await?;
            for row in &page.rows {
                finder.push(&row.position, &mut found);
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

/// The newest row recorded before a second.
pub(super) async fn row_before(
    state: &ApiState,
    span: &Span,
    second: u32,
) -> Result<Option<PositionRecord>, Problem> {
    let Some(to) = second.checked_sub(1) else { return Ok(None) };
    let query = RangeQuery { descending: true, limit: Some(1), ..range(span, 0, to) };
    let rows = state.stores.history.positions(query).try_collect::<Vec<_>>();
    Ok(state.history.ask(rows).await?.pop())
}

pub(super) fn range(span: &Span, from: u32, to: u32) -> RangeQuery {
    RangeQuery { device: span.device, from, to, descending: false, after: None, limit: None }
}
