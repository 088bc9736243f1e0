use std::collections::HashSet;

use nemeses_protocol::{Composition, DeadLetter, DeviceId, Position, PositionRecord, Reason};
use nemeses_store::history::testing::{FakeHistory, REFUSED_TOPIC};
use nemeses_store::live::{LiveStore as _, MemoryLive};
use tokio::sync::mpsc;

use super::*;

struct Told(u64, mpsc::UnboundedSender<u64>);

impl Acknowledge for Told {
    fn committed(self, _: &Committed) {
        self.1.send(self.0).expect("the test listens");
    }
}

fn position(device: u32, recorded_at: u32) -> Record {
    Record::Position(PositionRecord {
        position: Position {
            device: DeviceId::new(device),
            recorded_at,
            direction_cdeg: 0,
            odometer_m: 0,
            hour_meter_min: 0,
            composition: Composition(0),
            extension: None,
            speed_kmh: 0,
            latitude_udeg: 0,
            longitude_udeg: 0,
        },
        frame_hash: u64::from(recorded_at),
        received_at_ms: 0,
        packed: None,
    })
}

fn config() -> Config {
    let (retry_first, retry_longest) = (Duration::from_millis(1), Duration::from_millis(2));
    Config { retry_first, retry_longest, ..Config::named("test") }
}

/// Submits `count` single rows (device = number), runs two lanes until all are
/// acknowledged, and returns what was acknowledged.
async fn export(history: Arc<FakeHistory>, count: u32) -> Vec<u64> {
    let exporter = Exporter::new(config(), &mut Registry::default());
    let (told, mut heard) = mpsc::unbounded_channel();
    for number in 0..count {
        exporter.submit(Submission {
            work: Work::Records {
                records: vec![position(number, number)],
                tallies: vec![Tally { minute: 1, pings: 1 }],
            },
            receipt: Told(u64::from(number), told.clone()),
        });
    }
    let stop = Stop::default();
    let lanes: Vec<_> = (0..2)
        .map(|_| tokio::spawn(exporter.clone().run_lane(Arc::clone(&history) as _, stop.clone())))
        .collect();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < count as usize {
        acknowledged.push(heard.recv().await.expect("a receipt"));
    }
    stop.all.cancel();
    for lane in lanes {
        lane.await.unwrap().unwrap();
    }
    acknowledged
}

#[tokio::test]
async fn everything_is_committed_once_before_it_is_acknowledged() {
    let history = Arc::new(FakeHistory::default());
    let acknowledged = export(Arc::clone(&history), 5000).await;
    assert_eq!(acknowledged.iter().collect::<HashSet<_>>().len(), 5000);
    assert_eq!(history.records().len(), 5000);
    let parts = history.parts();
    assert!(parts.iter().all(|part| part.records.len() <= 1000));
    let pings: u32 = parts.iter().flat_map(|part| &part.tallies).map(|tally| tally.pings).sum();
    assert_eq!(pings, 5000);
}

#[tokio::test]
async fn a_history_that_is_down_is_tried_until_it_is_back() {
    let history = Arc::new(FakeHistory::default().failing(20));
    export(Arc::clone(&history), 100).await;
    assert_eq!(history.records().len(), 100);
}

#[tokio::test]
async fn a_doubtful_commit_is_repeated_under_the_same_key() {
    let history = Arc::new(FakeHistory::default().failing(3).in_doubt());
    export(Arc::clone(&history), 100).await;
    assert_eq!(history.records().len(), 100);
}

#[tokio::test]
async fn a_refused_row_becomes_a_dead_letter_and_the_others_are_stored() {
    let guilty = DeviceId::new(637);
    let history = Arc::new(FakeHistory::default().refusing(guilty));
    let acknowledged = export(Arc::clone(&history), 1000).await;
    assert_eq!(acknowledged.len(), 1000);
    let records = history.records();
    let letters: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::DeadLetter(letter) => Some(letter),
            Record::Position(_) | Record::Readings(_) => None,
        })
        .collect();
    assert_eq!((records.len(), letters.len()), (1000, 1));
    assert_eq!(letters[0].reason.code(), "refused");
    assert_eq!(letters[0].device, Some(guilty));
    assert_eq!(letters[0].bytes.len(), 33);
}

fn letter(topic: &str, reason: Reason) -> Record {
    Record::DeadLetter(Box::new(DeadLetter {
        topic: topic.to_owned(),
        offset: 7,
        reason,
        device: Some(DeviceId::new(1)),
        received_at_ms: 60_000,
        bytes: b"rubbish".to_vec(),
    }))
}

/// Exports these records as one part and returns what was written.
async fn written(history: FakeHistory, records: Vec<Record>) -> Vec<Record> {
    let history = Arc::new(history);
    let exporter = Exporter::new(config(), &mut Registry::default());
    let (told, mut heard) = mpsc::unbounded_channel();
    let work = Work::Records { records, tallies: Vec::new() };
    exporter.submit(Submission { work, receipt: Told(1, told) });
    let stop = Stop::default();
    let lane = tokio::spawn(exporter.run_lane(Arc::clone(&history) as _, stop.clone()));
    heard.recv().await.expect("a receipt");
    stop.all.cancel();
    lane.await.unwrap().unwrap();
    history.records()
}

#[tokio::test]
async fn a_refused_dead_letter_is_kept_with_less_of_it_and_does_not_block_the_line() {
    let records = vec![position(1, 1), letter(REFUSED_TOPIC, Reason::BadBatch), position(2, 2)];
    let written = written(FakeHistory::default(), records).await;
    assert_eq!((&written[0], &written[2]), (&position(1, 1), &position(2, 2)));
    assert_eq!(written[1], letter("", Reason::Refused));
}

#[tokio::test]
async fn a_dead_letter_whose_bytes_are_refused_is_kept_without_them() {
    let history = FakeHistory::default().refusing_bytes();
    let written = written(history, vec![letter("/messenger", Reason::BadBatch)]).await;
    let [Record::DeadLetter(letter)] = written.as_slice() else { panic!("{written:?}") };
    assert_eq!((letter.bytes.len(), letter.received_at_ms), (0, 60_000));
}

#[test]
fn dead_letters_are_counted_by_reason_and_once() {
    let stats = Stats::register(&mut Registry::default());
    let part = |sequence, records| Part {
        key: BatchKey { worker: "test".to_owned(), run: 1, sequence },
        tallies: Vec::new(),
        records,
    };
    let parts = [
        part(1, vec![letter("/a", Reason::BadBatch), position(1, 1)]),
        part(2, vec![letter("/a", Reason::BadBatch), letter("/a", Reason::Refused)]),
        part(3, vec![letter("/a", Reason::Refused)]),
    ];
    let fresh = Committed::default();
    stats.committed(&parts, &[fresh, fresh, Committed { repeated: true, ..fresh }], Duration::ZERO);
    assert_eq!(stats.told.letters.due().unwrap().to_string(), "bad_batch 2, refused 1");
    // A flood is told in a line a minute.
    for _ in 0..1000 {
        stats.committed(&parts[..1], &[fresh], Duration::ZERO);
        assert_eq!(stats.told.letters.due(), None);
    }
    assert_eq!(stats.told.letters.rest().unwrap().to_string(), "bad_batch 1000");
}

#[tokio::test]
async fn nothing_is_acknowledged_when_asked_to_end_while_the_history_is_down() {
    let history = Arc::new(FakeHistory::default().failing(u64::MAX));
    let exporter = Exporter::new(config(), &mut Registry::default());
    let (told, mut heard) = mpsc::unbounded_channel();
    exporter.submit(Submission {
        work: Work::Records { records: vec![position(1, 1)], tallies: Vec::new() },
        receipt: Told(1, told),
    });
    let stop = Stop::default();
    let lane = tokio::spawn(exporter.clone().run_lane(Arc::clone(&history) as _, stop.clone()));
    while !exporter.is_down() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.all.cancel();
    lane.await.unwrap().unwrap();
    drop(exporter);
    assert_eq!(heard.recv().await, None, "the receipt is dropped untold");
    assert!(history.records().is_empty());
}

#[tokio::test]
async fn only_what_was_committed_late_is_offered_to_the_live_store_again() {
    let clock = Clock::held(100_000);
    let live = Arc::new(MemoryLive::new(60_000, clock.clone()));
    let writer = LiveWriter::new(Arc::clone(&live) as _, clock.clone());
    let exporter =
        Exporter::new(config(), &mut Registry::default()).with_live(writer.clone(), clock.clone());
    let (told, mut heard) = mpsc::unbounded_channel();
    let records = [(1, 90_000), (2, 99_000)].map(|(device, received_at_ms)| {
        let Record::Position(record) = position(device, 1) else { unreachable!() };
        Record::Position(PositionRecord { received_at_ms, ..record })
    });
    exporter.submit(Submission {
        work: Work::Records { records: records.to_vec(), tallies: Vec::new() },
        receipt: Told(1, told),
    });
    let stop = Stop::default();
    let lane = exporter.clone().run_lane(Arc::new(FakeHistory::default()), stop.clone());
    let tasks = (tokio::spawn(lane), tokio::spawn(writer.clone().run(stop.all.clone())));
    heard.recv().await.expect("a receipt");
    writer.flushed().await;
    let entries = live.get(&[DeviceId::new(1), DeviceId::new(2)]).await.unwrap();
    assert_eq!(entries.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
    stop.all.cancel();
    tasks.0.await.unwrap().unwrap();
    tasks.1.await.unwrap();
}
