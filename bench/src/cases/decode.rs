//! Bare decode on one core, against a plain copy of the same bytes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use nemeses_protocol::{Frame, Item, frames};

use crate::cases::Effort;
use crate::load::as_f64;
use crate::mqtt::{FRAME_BYTES, PUBLISH_BYTES, publish};
use crate::report::{Measure, Report, Target};

const KIND: Measure = Measure {
    id: "decode_short",
    unit: "frames/s",
    against: "memory copy of the same bytes",
    target: Target::AtLeast(25e6),
};
/// Few enough to stay in the first cache, as a payload does that just came in.
const FRAMES: u32 = 500;
const LENGTH: Duration = Duration::from_millis(500);

/// Frames of a payload of 500, end to end.
pub(crate) fn decode(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let frame = |number| publish(1, number, 1_700_000_000)[PUBLISH_BYTES - FRAME_BYTES..].to_vec();
    let payload: Vec<u8> = (0..FRAMES).flat_map(frame).collect();
    anyhow::ensure!(decoded(&payload) == u64::from(FRAMES), "a frame does not decode");
    let mut copy = vec![0; payload.len()];
    for _ in 0..effort.runs {
        let ceiling = rate(|| black_box(&mut copy).copy_from_slice(black_box(&payload)));
        let figure = rate(|| {
            black_box(decoded(black_box(&payload)));
        });
        report.add(KIND, figure, Some(ceiling));
    }
    Ok(())
}

/// Frames a second of what works through the payload once a call.
fn rate(mut once: impl FnMut()) -> f64 {
    let (mut rounds, started) = (0_u64, Instant::now());
    while started.elapsed() < LENGTH {
        for _ in 0..100 {
            once();
        }
        rounds += 100;
    }
    as_f64(rounds * u64::from(FRAMES)) / started.elapsed().as_secs_f64()
}

/// Touches every position, so that none is left out by the compiler.
fn decoded(payload: &[u8]) -> u64 {
    frames(payload).fold(0, |count, item| match item {
        Item::Frame { frame: Frame::Location(position), .. } => {
            black_box(&position);
            count + 1
        }
        _ => count,
    })
}
