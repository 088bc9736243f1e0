//! Sparkplug B, the host's side: births, data, deaths, and what is asked of edges.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test program")]

mod common;

use nemeses_telemetry::{Decoded, SparkplugHost, rebirth};
use proptest::prelude::*;

const NDEATH: &str = "0880d095ffbc3112120a0562645365711880d095ffbc3120085800";
const NBIRTH: &str = "0880d095ffbc3112120a0562645365711880d095ffbc312008580012210a144e6f646520436f6e74726f6c2f526562697274681880d095ffbc31200b70001800";
const DBIRTH: &str = "08e8d795ffbc3112210a0b54656d7065726174757265100118e8d795ffbc31200a69000000000080354012180a05436f756e74100218e8d795ffbc31200350fbffffff0f1801";
const DDATA: &str =
    "08d0df95ffbc311212100118d0df95ffbc31690000000000403640120b100218d0df95ffbc3138011802";
const HISTORICAL: &str = "08b8e795ffbc311214100118a0fb91ffbc3128016900000000000034401803";
const NOW: u64 = common::NOW + 100_000;

fn take_at(
    host: &mut SparkplugHost,
    topic: &str,
    hex: &str,
    now: u64,
) -> (Decoded, Option<String>) {
    let payload = hex::decode(hex).unwrap();
    let taken = host.take(topic, &payload, now);
    common::check(&payload, &taken.decoded);
    (taken.decoded, taken.rebirth)
}

/// What a message comes to: records, reasons, and whether the edge is asked.
fn take(
    host: &mut SparkplugHost,
    topic: &str,
    hex: &str,
) -> (Vec<String>, Vec<&'static str>, bool) {
    let (decoded, rebirth) = take_at(host, topic, hex, NOW);
    let reasons = decoded.rejected.iter().map(|it| it.reason.code()).collect();
    (common::records(&decoded), reasons, rebirth.is_some())
}

fn born() -> SparkplugHost {
    let mut host = SparkplugHost::default();
    take(&mut host, "spBv1.0/G/NBIRTH/E", NBIRTH);
    take(&mut host, "spBv1.0/G/DBIRTH/E/D 1", DBIRTH);
    host
}

#[test]
fn an_edge_lives() {
    let mut host = SparkplugHost::default();
    assert_eq!(
        take(&mut host, "spBv1.0/G/NBIRTH/E", NBIRTH),
        (vec!["1700000000000 id:G/E\nonline = true".to_owned()], vec![], false)
    );
    assert_eq!(
        take(&mut host, "spBv1.0/G/DBIRTH/E/D 1", DBIRTH),
        (
            vec![
                "1700000001000 id:G/E/D%201\nCount = -5\nTemperature = 21.5\nonline = true"
                    .to_owned()
            ],
            vec![],
            false
        )
    );
    let data = take(&mut host, "spBv1.0/G/DDATA/E/D 1", DDATA);
    assert_eq!(
        data,
        (vec!["1700000002000 id:G/E/D%201\nTemperature = 22.25".to_owned()], vec![], false)
    );
    let late = take(&mut host, "spBv1.0/G/DDATA/E/D 1", HISTORICAL);
    assert_eq!(
        late,
        (vec!["1699999940000 id:G/E/D%201\nTemperature = 20.0".to_owned()], vec![], false)
    );
    let (records, _, asked) = take(&mut host, "spBv1.0/G/NDEATH/E", NDEATH);
    assert_eq!(
        records,
        [format!("{NOW} id:G/E/D%201\nonline = false"), format!("{NOW} id:G/E\nonline = false")]
    );
    assert!(!asked);
}

#[test]
fn what_no_birth_named_is_rejected_and_asked_for_once() {
    let mut host = SparkplugHost::default();
    let (records, reasons, asked) = take(&mut host, "spBv1.0/G/DDATA/E/D", DDATA);
    assert_eq!((records.len(), reasons, asked), (0, vec!["unknown_alias"], true));
    let (_, reasons, asked) = take(&mut host, "spBv1.0/G/DDATA/E/D", DDATA);
    assert_eq!((reasons, asked), (vec!["unknown_alias"], false), "it was asked just now");
    let (_, again) = take_at(&mut host, "spBv1.0/G/DDATA/E/D", DDATA, NOW + 10_000);
    assert_eq!(again.as_deref(), Some("spBv1.0/G/NCMD/E"));
    let command = rebirth(1_700_000_000_000);
    assert_eq!(
        hex::encode(command),
        "0880d095ffbc3112210a144e6f646520436f6e74726f6c2f526562697274681880d095ffbc31200b7001"
    );
}

#[test]
fn a_gap_is_asked_for_and_its_data_are_kept() {
    let mut host = born();
    // Number 3 comes before number 2.
    let (records, reasons, asked) = take(&mut host, "spBv1.0/G/DDATA/E/D 1", HISTORICAL);
    assert_eq!((records.len(), reasons.len(), asked), (1, 0, true));
    // A device that was not born, of an edge that was.
    let mut host = born();
    let (records, _, asked) = take(&mut host, "spBv1.0/G/DDATA/E/other", DDATA);
    assert_eq!((records.len(), asked), (1, true));
}

#[test]
fn a_death_of_another_life_is_passed_over() {
    let mut host = born();
    let other = NDEATH.replace("20085800", "20085801");
    assert_eq!(take(&mut host, "spBv1.0/G/NDEATH/E", &other), (vec![], vec![], false));
    assert_eq!(take(&mut host, "spBv1.0/G/NDEATH/E", NDEATH).0.len(), 2);
    // Its data are of no life: it is asked to be born.
    assert!(take(&mut host, "spBv1.0/G/DDATA/E/D 1", DDATA).2);
}

#[test]
fn storms_are_bounded() {
    let mut host = SparkplugHost::default();
    let asked =
        (0..200).filter(|number| take(&mut host, &format!("spBv1.0/G/DDATA/E{number}/D"), DDATA).2);
    assert_eq!(asked.count(), 50);
    for number in 0..10_000 {
        take_at(&mut host, &format!("spBv1.0/G/NBIRTH/F{number}"), NBIRTH, NOW);
    }
}

#[test]
fn what_is_no_message_says_why() {
    let mut host = born();
    for (topic, payload, reason) in [
        ("spBv1.0/G/NDATA/E", "ff", "bad_payload"),
        ("spBv1.0//NDATA/E", DDATA, "bad_device"),
        ("spBv1.0/G/NDATA/E/D/x", DDATA, "bad_device"),
        ("spBv1.0/G/DDATA/E", DDATA, "bad_device"),
    ] {
        let (records, reasons, asked) = take(&mut host, topic, payload);
        assert_eq!((records.len(), reasons, asked), (0, vec![reason], false), "{topic}");
    }
    // An array of ints, alias 1 known as Double: no value of its type is there.
    let (records, reasons, _) = take(&mut host, "spBv1.0/G/DDATA/E/D 1", "12061001820101001802");
    assert_eq!((records.len(), reasons), (0, vec!["unsupported"]));
}

/// A birth with so many metrics of one moment.
fn large_birth(metrics: u32) -> Vec<u8> {
    let mut payload = hex::decode("0880d095ffbc31").unwrap();
    for number in 0..metrics {
        let name = format!("m{number:05}");
        let alias = [0x80 | number & 0x7F, 0x80 | number >> 7 & 0x7F, number >> 14];
        let alias = alias.map(|byte| u8::try_from(byte).unwrap());
        let metric =
            [&[0x0A, 6][..], name.as_bytes(), &[0x10], &alias, &[0x20, 3, 0x50, 7]].concat();
        payload.extend([0x12, u8::try_from(metric.len()).unwrap()]);
        payload.extend(metric);
    }
    payload.extend([0x18, 0]);
    payload
}

#[test]
fn a_large_birth_is_several_records() {
    let mut host = SparkplugHost::default();
    let payload = large_birth(3000);
    let taken = host.take("spBv1.0/G/NBIRTH/E", &payload, NOW);
    common::check(&payload, &taken.decoded);
    let values: usize = taken.decoded.records.iter().map(|record| record.readings.len()).sum();
    assert_eq!((values, taken.decoded.rejected.len()), (3001, 0));
    assert!(taken.decoded.records.len() >= 3);
}

#[test]
fn what_is_remembered_of_all_edges_is_bounded() {
    let mut host = SparkplugHost::default();
    let payload = large_birth(16_000);
    for number in 0..17 {
        host.take(&format!("spBv1.0/G/NBIRTH/E{number}"), &payload, NOW);
    }
    // Alias 15 999 of the first and of the last.
    let data = "0880d095ffbc311206".to_owned() + "10ff7c5007" + "1801";
    let data = data.replace("1206", "1205");
    assert_eq!(take(&mut host, "spBv1.0/G/NDATA/E0", &data).1.len(), 0);
    assert_eq!(take(&mut host, "spBv1.0/G/NDATA/E16", &data).1, ["unknown_alias"]);
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        kind in "(NBIRTH|NDATA|NDEATH)",
        at in 0_usize..80,
        byte: u8,
    ) {
        let mut host = born();
        let topic = format!("spBv1.0/G/{kind}/E");
        let taken = host.take(&topic, &bytes, NOW);
        common::check(&bytes, &taken.decoded);
        let mut damaged = hex::decode(DBIRTH).unwrap();
        let at = at % damaged.len();
        damaged[at] = byte;
        let taken = host.take("spBv1.0/G/DBIRTH/E/D", &damaged, NOW);
        common::check(&damaged, &taken.decoded);
    }
}
