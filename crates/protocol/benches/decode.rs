//! How fast frames are decoded, beside a plain copy of the same bytes, and what
//! the other steps of a frame's path through this crate cost.
//!
//! `cargo bench -p nemeses-protocol` prints frames per second on one core.
#![allow(missing_docs, reason = "criterion's macros declare the entry point")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nemeses_protocol::{
    BatchKey, BatchMessage, Frame, Item, PositionRecord, Record, frame_hash, frames, normalise,
};

const SHORT: &str = include_str!("../fixtures/short_live.hex");
const LONG: &str = include_str!("../fixtures/long_historical.hex");
const OUTAGE: &str = include_str!("../fixtures/memory_of_an_outage.hex");

/// Few enough to stay in the first cache, as a payload does that just came in.
const FRAMES: usize = 500;

fn bytes_of(text: &str) -> Vec<u8> {
    normalise(text.as_bytes()).bytes.into_owned()
}

/// Touches every frame, so that none is optimised away.
fn decode(bytes: &[u8]) -> u64 {
    frames(bytes).fold(0, |sum, item| match item {
        Item::Frame { frame: Frame::Location(position), .. } => {
            black_box(&position);
            sum + 1
        }
        Item::Frame { frame, .. } => {
            black_box(&frame);
            sum + 1
        }
        Item::Skipped { .. } => sum,
    })
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(FRAMES as u64));
    for (name, text) in [("short", SHORT), ("long", LONG)] {
        let payload = bytes_of(text).repeat(FRAMES);
        group.bench_function(name, |bencher| bencher.iter(|| decode(black_box(&payload))));
        let mut copy = vec![0; payload.len()];
        group.bench_function(format!("{name}, copy only"), |bencher| {
            bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&payload)));
        });
        let singly = bytes_of(text);
        group.bench_function(format!("{name}, one a payload"), |bencher| {
            bencher.iter(|| (0..FRAMES).map(|_| decode(black_box(&singly))).sum::<u64>());
        });
    }
    let mixed = bytes_of(OUTAGE).repeat(FRAMES / 4);
    group.bench_function("three locations and a ping", |bencher| {
        bencher.iter(|| decode(black_box(&mixed)));
    });
    group.finish();
}

fn other_steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("other");
    group.throughput(Throughput::Elements(FRAMES as u64));
    let frame = bytes_of(SHORT);
    group.bench_function("frame_hash", |bencher| {
        bencher.iter(|| (0..FRAMES).fold(0, |sum, _| sum ^ frame_hash(black_box(&frame))));
    });
    let text = SHORT.trim().repeat(FRAMES);
    group.bench_function("hex text", |bencher| {
        bencher.iter(|| normalise(black_box(text.as_bytes())));
    });
    let batch = batch(&frame);
    let message = batch.encode();
    group.bench_function("/DB encode", |bencher| bencher.iter(|| black_box(&batch).encode()));
    group.bench_function("/DB decode", |bencher| {
        bencher.iter(|| BatchMessage::decode(black_box(&message)));
    });
    group.finish();
}

fn rubbish(criterion: &mut Criterion) {
    let headers = [0x50, 0xF7].repeat(128 * 1024);
    let heads = b"\x50\xF7\x00\x00\x01\x01\x73".repeat(256 * 1024 / 7);
    let mut group = criterion.benchmark_group("rubbish");
    for (name, payload) in [("headers", headers), ("ping heads", heads)] {
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| frames(black_box(&payload)).count());
        });
    }
    group.finish();
}

fn batch(frame: &[u8]) -> BatchMessage {
    let position = frames(frame).find_map(|item| match item {
        Item::Frame { frame: Frame::Location(position), .. } => Some(position),
        _ => None,
    });
    let record = Record::Position(PositionRecord {
        position: position.expect("the fixture is a location"),
        frame_hash: frame_hash(frame),
        received_at_ms: 1_593_637_201_234,
        packed: None,
    });
    BatchMessage {
        key: BatchKey { worker: "parser-0".to_owned(), run: 1, sequence: 1 },
        tallies: Vec::new(),
        records: vec![record; FRAMES],
        traces: Vec::new(),
        canaries: Vec::new(),
    }
}

criterion_group!(benches, decoding, other_steps, rubbish);
criterion_main!(benches);
