//! Which of many fences a place may be in: a grid of cells, so that ten thousand fences cost as
//! much as those nearby.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::point::Point;
use super::shape::{Bounds, Fence};

/// Cells of a degree: at the equator one is 28 km wide.
const CELLS_A_DEGREE: f64 = 4.0;
/// Cells round the globe.
const ROUND: i32 = 1440;
/// A fence over more cells than this is a candidate for every place.
const MAX_CELLS: i64 = 1024;

/// Fences by number, found by place.
#[derive(Clone, Debug, Default)]
pub struct FenceIndex {
    fences: BTreeMap<u64, Arc<Fence>>,
    cells: HashMap<(i32, i32), Vec<u64>>,
    /// Those that are too large for cells.
    everywhere: BTreeSet<u64>,
}

impl FenceIndex {
    /// An index of fences by their numbers.
    pub fn new(fences: impl IntoIterator<Item = (u64, Arc<Fence>)>) -> Self {
        let mut index = Self::default();
        for (id, fence) in fences {
            index.insert(id, fence);
        }
        index
    }

    fn insert(&mut self, id: u64, fence: Arc<Fence>) {
        // What is beyond the margin is certainly outside.
        let cells = cells_of(fence.bounds().widened(fence.margin_m()));
        if cells.count() > MAX_CELLS {
            self.everywhere.insert(id);
        } else {
            for cell in cells.all() {
                self.cells.entry(cell).or_default().push(id);
            }
        }
        self.fences.insert(id, fence);
    }

    /// The fence of a number.
    pub fn get(&self, id: u64) -> Option<&Fence> {
        self.fences.get(&id).map(Arc::as_ref)
    }

    /// How many fences there are.
    pub fn len(&self) -> usize {
        self.fences.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fences.is_empty()
    }

    /// The fences that may contain the place or meet the way to it: neither of the two comes within the
    /// edge of any other fence, nor within the margin beyond it.
    pub fn near(&self, from: Option<Point>, place: Point) -> BTreeSet<u64> {
        let from = from.unwrap_or(place).beside(place.longitude);
        let low =
            Point::new(from.latitude.min(place.latitude), from.longitude.min(place.longitude));
        let high =
            Point::new(from.latitude.max(place.latitude), from.longitude.max(place.longitude));
        let cells = cells_of(Bounds { low, high });
        if cells.count() > MAX_CELLS {
            return self.fences.keys().copied().collect();
        }
        let of_cell = |cell| self.cells.get(&cell).into_iter().flatten().copied();
        self.everywhere.iter().copied().chain(cells.all().flat_map(of_cell)).collect()
    }
}

/// A box of cells.
#[derive(Clone, Copy)]
struct Cells {
    rows: (i32, i32),
    columns: (i32, i32),
}

impl Cells {
    fn count(self) -> i64 {
        let span = |(low, high): (i32, i32)| i64::from(high) - i64::from(low) + 1;
        span(self.rows) * span(self.columns).min(ROUND.into())
    }

    fn all(self) -> impl Iterator<Item = (i32, i32)> {
        let last = self.columns.1.min(self.columns.0 + ROUND - 1);
        let columns = self.columns.0..=last;
        (self.rows.0..=self.rows.1)
            .flat_map(move |row| columns.clone().map(move |column| (row, column.rem_euclid(ROUND))))
    }
}

fn cells_of(bounds: Bounds) -> Cells {
    Cells {
        rows: (cell(bounds.low.latitude), cell(bounds.high.latitude)),
        columns: (cell(bounds.low.longitude), cell(bounds.high.longitude)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "degrees of a box, some turns at most")]
fn cell(degrees: f64) -> i32 {
    (degrees * CELLS_A_DEGREE).floor().clamp(-1e6, 1e6) as i32
}
