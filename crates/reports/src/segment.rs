//! What a trip or a stop is.

use super::Tally;

/// Driving or standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// Driving, until the device stands for [`Settings::stop_s`](super::Settings::stop_s).
    Trip,
    /// Standing for at least [`Settings::stop_s`](super::Settings::stop_s).
    Stop,
}

/// One trip or stop.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Which of the two it is.
    pub kind: SegmentKind,
    /// Its two ends, and the sums between them.
    pub tally: Tally,
    /// Whether it began at its first row. Else it began there or earlier.
    pub start_known: bool,
    /// It had not ended with the last row read.
    pub open: bool,
    /// A trip of which only the two ends are known: silence between two places.
    pub unobserved: bool,
}
