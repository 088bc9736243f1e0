//! Trips alone, or stops alone: what a report asks for. Trips need a much
//! shorter look back than stops, which begin where the last trip ended.

use super::{Finder, Row, Segment, SegmentKind, Segments, Walker};

/// Segments of one kind.
#[derive(Clone, Debug)]
pub struct OneKind {
    kind: SegmentKind,
    segments: Segments,
}

impl OneKind {
    /// Finds segments of one kind; see [`Segments::new`] for the rest.
    pub fn new(kind: SegmentKind, walker: Walker, from_the_first: bool) -> Self {
        Self { kind, segments: Segments::new(walker, from_the_first) }
    }
}

impl Finder for OneKind {
    type Found = Segment;

    fn push(&mut self, row: &impl Row, out: &mut Vec<Segment>) {
        let known = out.len();
        self.segments.push(row, out);
        keep(self.kind, known, out);
    }

    fn is_certain(&self) -> bool {
        self.segments.is_certain(self.kind)
    }

    fn pending_since(&self) -> Option<u32> {
        self.segments.pending_since(self.kind)
    }

    fn finish(self, _silent_until: u32, out: &mut Vec<Segment>) {
        let known = out.len();
        self.segments.finish(out);
        keep(self.kind, known, out);
    }
}

/// Keeps those of a kind among the new ones.
fn keep(kind: SegmentKind, known: usize, out: &mut Vec<Segment>) {
    let mut at = 0;
    out.retain(|segment| {
        at += 1;
        at <= known || segment.kind == kind
    });
}
