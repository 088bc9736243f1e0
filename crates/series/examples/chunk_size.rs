//! Bytes a value and values a second of sealed chunks, on recorded series:
//!
//!     cargo run --release -p nemeses-series --example chunk_size [FILE.gpx ...]
//!
//! The first series are of a host that compiled this project for ten minutes, one sample a
//! second (`fixtures/host.csv`, from /proc). GPX files add positions and altitudes as receivers
//! recorded them.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people")]

use nemeses_series::chunk::{Block, Chunk, Key, Record};
use nemeses_series::{Accumulator, Aggregate, Kind, Value};

const HOST: &str = include_str!("../fixtures/host.csv");

/// A device's records with the names of their channels.
struct Series {
    name: String,
    channels: Vec<String>,
    records: Vec<Record>,
}

fn main() {
    println!(
        "{:<38} {:>7} {:>9} {:>8} {:>9} {:>9}",
        "series", "values", "bytes", "B/value", "enc M/s", "dec M/s"
    );
    report(&host());
    for path in std::env::args().skip(1) {
        report(&track(&path, &std::fs::read_to_string(&path).unwrap()));
    }
}

fn report(series: &Series) {
    let block = Block::of(series.records.clone()).unwrap();
    let encoded = block.encode().unwrap();
    let keys = block.keys.len();
    let (mut values, mut bytes) = (0, encoded.keys.len());
    for (channel, chunk) in &block.channels {
        let name =
            format!("{} {}", series.name, series.channels[usize::try_from(*channel).unwrap()]);
        let stored = &encoded.channels[channel];
        let count = chunk.column().len();
        let encode = rate(count, || chunk.encode(&block.keys).unwrap());
        let decode = rate(count, || Chunk::decode(stored).unwrap());
        line(&name, count, stored.len(), &format!("{encode:>9.1} {decode:>9.1}"));
        values += count;
        bytes += stored.len();
    }
    line(&format!("{} keys, B/record", series.name), keys, encoded.keys.len(), "");
    line(&format!("{} all, keys counted", series.name), values, bytes, "");
    let sums = rate(values, || {
        block.channels.values().map(|chunk| mean(chunk, &block)).collect::<Vec<_>>()
    });
    let seal = rate(values, || Block::of(series.records.clone()).unwrap().encode().unwrap());
    println!("  aggregated {sums:.1} M values/s, sealed from records {seal:.1} M values/s\n");
}

fn line(name: &str, count: usize, bytes: usize, rates: &str) {
    println!("{name:<38} {count:>7} {bytes:>9} {:>8.3} {rates}", float(bytes) / float(count));
}

fn mean(chunk: &Chunk, block: &Block) -> Vec<Option<Value>> {
    let mut accumulator = Accumulator::new(Kind::Gauge, &[Aggregate::Mean], None);
    for (at_ms, value) in chunk.samples(&block.keys).unwrap() {
        accumulator.push(at_ms, &value).unwrap();
    }
    accumulator.finish(&[Aggregate::Mean])
}

/// Millions of values in a second of this thread's processor time.
fn rate<T>(values: usize, work: impl Fn() -> T) -> f64 {
    let (begin, mut rounds) = (processor_s(), 0);
    let mut spent = 0.0;
    while spent < 0.2 {
        for _ in 0..20 {
            std::hint::black_box(work());
        }
        rounds += 20;
        spent = processor_s() - begin;
    }
    float(values * rounds) / spent / 1e6
}

/// The time that this thread was on a processor: other work on the machine does not count.
fn processor_s() -> f64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    statistics.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn float(count: usize) -> f64 {
    count as f64
}

fn host() -> Series {
    let mut lines = HOST.lines();
    let channels = lines.next().unwrap().split(',').skip(1).map(str::to_owned).collect();
    let records = (0_u32..).zip(lines).map(|(number, line)| {
        let mut fields = line.split(',');
        let key = Key { at_ms: fields.next().unwrap().parse().unwrap(), hash: hash(number) };
        let values = (0..)
            .zip(fields)
            .map(|(channel, field)| (channel, Value::Number(field.parse().unwrap())));
        Record { key, values: values.collect() }
    });
    Series { name: "host".to_owned(), channels, records: records.collect() }
}

/// Latitude, longitude and altitude of the track's points that have a time.
fn track(path: &str, text: &str) -> Series {
    let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".gpx").to_owned();
    let channels = ["latitude", "longitude", "altitude_m"].map(str::to_owned).to_vec();
    let points = (0_u32..).zip(text.split("<trkpt").skip(1));
    let records = points.filter_map(|(number, point)| {
        let time = between(point, "<time>", "</time>")?.parse::<jiff::Timestamp>().ok()?;
        let fields = [
            between(point, "lat=\"", "\""),
            between(point, "lon=\"", "\""),
            between(point, "<ele>", "</ele>"),
        ];
        let values = (0..)
            .zip(fields)
            .filter_map(|(channel, field)| Some((channel, Value::Number(field?.parse().ok()?))));
        let key = Key { at_ms: time.as_millisecond(), hash: hash(number) };
        Some(Record { key, values: values.collect() })
    });
    Series { name, channels, records: records.collect() }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inside, _)| inside)
}

/// Bits like those of a content hash.
fn hash(number: u32) -> u32 {
    number
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B1)
        .rotate_left(number % 32)
        .wrapping_mul(0x85EB_CA6B)
}
