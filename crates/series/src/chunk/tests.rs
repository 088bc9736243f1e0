use proptest::prelude::*;

use super::*;

/// Every type of value, and of numbers those that are hard to keep.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (-9_999_i32..9_999, 0_i32..4)
            .prop_map(|(whole, places)| Value::Number(format!("{whole}e-{places}").parse().unwrap())),
        2 => any::<u64>().prop_map(|bits| Value::Number(f64::from_bits(bits))),
        1 => prop::sample::select(vec![f64::NAN, -0.0, 0.0, f64::INFINITY, f64::MIN_POSITIVE / 4.0, -9.3e18])
            .prop_map(Value::Number),
        1 => any::<f32>().prop_map(|single| Value::Number(f64::from(single))),
        2 => prop::sample::select(vec![i64::MIN, i64::MAX, (1 << 53) + 1, -(1 << 60)]).prop_map(Value::whole),
        2 => any::<bool>().prop_map(Value::Bool),
        2 => prop::sample::select(vec!["", "open", "closed", "stuck \u{1F512}"]).prop_map(Value::from),
    ]
}

/// Channels of one type are the rule, mixed ones the exception.
fn channel() -> impl Strategy<Value = Vec<Value>> {
    let decimals = (-500_i32..500).prop_map(|whole| Value::Number(f64::from(whole) / 10.0));
    prop_oneof![
        prop::collection::vec(decimals, 1..8),
        prop::collection::vec(any::<f64>().prop_map(Value::Number), 1..8),
        prop::collection::vec(any::<bool>().prop_map(Value::Bool), 1..8),
        prop::collection::vec("[a-c]{0,2}".prop_map(|text| Value::from(text.as_str())), 1..8),
        prop::collection::vec(any::<i64>().prop_map(Value::Integer), 1..8),
        prop::collection::vec(value(), 1..30),
    ]
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let row = ((0_i64..200, 0_u32..3), prop::collection::vec(prop::bool::weighted(0.7), 4));
    (prop::collection::vec(channel(), 4), prop::collection::vec(row, 0..150)).prop_map(
        |(channels, rows)| {
            let record = |(number, ((at_ms, hash), has)): (usize, ((i64, u32), Vec<bool>))| {
                let present = channels.iter().zip(0..).zip(has).filter(|(_, has)| *has);
                let values = present
                    .map(|((values, channel), _)| (channel, values[number % values.len()].clone()));
                Record { key: Key { at_ms: at_ms * 1_000, hash }, values: values.collect() }
            };
            rows.into_iter().enumerate().map(record).collect()
        },
    )
}

fn encoded(block: &Block) -> EncodedBlock {
    block.encode().unwrap()
}

#[test]
fn hard_values_come_back_with_their_bits() {
    let hard = [f64::NAN, -f64::NAN, f64::from_bits(0x7FF0_0000_0000_0001), -0.0, f64::MIN, 5e-324];
    let column: Column = hard.into_iter().map(Value::Number).collect();
    let chunk = Chunk::new(6, (0..6).collect(), column).unwrap();
    let keys = Keys::new((0..6).map(|at_ms| Key { at_ms, hash: 7 }).collect()).unwrap();
    let (head, read) = Chunk::decode(&chunk.encode(&keys).unwrap()).unwrap();
    assert_eq!(read, chunk);
    assert_eq!(head.nulls(), 0);
    assert!(read.column().as_numbers().is_some());
}

#[test]
fn the_version_is_the_first_byte() {
    let keys = Keys::new(vec![Key { at_ms: 0, hash: 0 }]).unwrap();
    let chunk = Chunk::new(1, vec![0], Column::from(vec![1.0])).unwrap();
    let mut bytes = chunk.encode(&keys).unwrap();
    bytes[0] = 9;
    assert_eq!(Chunk::decode(&bytes).map(|_| ()), Err(ChunkError::Version(9)));
    assert_eq!(Chunk::decode_head(&bytes), Err(ChunkError::Version(9)));
    assert_eq!(Chunk::decode(&[]).map(|_| ()), Err(ChunkError::Truncated));
}

#[test]
fn a_chunk_of_other_records_is_refused() {
    let chunk = Chunk::new(1, vec![0], Column::from(vec![1.0])).unwrap();
    assert!(chunk.encode(&Keys::default()).is_err());
    assert!(Chunk::new(2, vec![2], Column::from(vec![1.0])).is_err());
    assert!(Chunk::new(2, vec![1, 1], Column::from(vec![1.0, 2.0])).is_err());
    assert!(Chunk::new(2, vec![1], Column::from(vec![1.0, 2.0])).is_err());
    assert!(Chunk::new(MAX_RECORDS + 1, vec![0], Column::from(vec![1.0])).is_err());
}

#[test]
fn few_bytes_cannot_ask_for_much_memory() {
    let mut bytes = vec![VERSION];
    bytes::write_unsigned(&mut bytes, 1 << 40);
    assert_eq!(Chunk::decode_head(&bytes), Err(ChunkError::TooMany));
    assert_eq!(Keys::decode(&bytes), Err(ChunkError::TooMany));
}

/// The format is on disks: a change of these bytes needs a new version.
#[test]
fn the_format_stays_what_it_is() {
    let record = |at_ms, hash, values: &[(u32, Value)]| Record {
        key: Key { at_ms, hash },
        values: values.to_vec(),
    };
    let block = Block::of(vec![
        record(1_796_077_720_000, 0x0102_0304, &[(0, 21.5.into()), (1, "open".into())]),
        record(1_796_077_730_000, 0xFFFF_FFFF, &[(0, 21.7.into()), (2, true.into())]),
        record(1_796_077_740_000, 7, &[(0, 21.6.into()), (1, "closed".into()), (2, false.into())]),
        record(1_796_077_750_000, 8, &[(0, (-0.0).into()), (1, Value::whole(i64::MIN))]),
    ]);
    let bytes = encoded(&block.unwrap());
    let hex = |bytes: &[u8]| format!("{bytes:02x?}").replace(", ", "");
    let written: Vec<String> = bytes.channels.values().map(|bytes| hex(bytes)).collect();
    assert_eq!(
        hex(&bytes.keys),
        "[01040580c798e9c568904e02000200e404030201ffffffff0700000008000000]"
    );
    assert_eq!(
        written.join(" "),
        "[01040480c798e9c568b0ea010001ae03002000000000000000800320000000000000008001b2032034333333333350400d82c0eadef1abb70c01b40300300000000000803540cb7666666666662e55555555551df8cdcccccccccc1a60] \
         [01040380c798e9c568b0ea0103046f70656e01ffffffffffffffffff010520000000000000e0c320000000000000e0c320000000000000e0c3000001b0ea0120000000000000e0c3b0ea0120000000000000e0c302000200380405060201010000010100ffffffffffffffffff010302046f70656e06636c6f736564040002] \
         [010402a0e399e9c568904e0201020003000000020002010a000004020202040201]"
    );
}

/// Bytes a value of a host's twelve channels, keys counted; the example `chunk_size` lists them.
#[test]
fn a_recorded_host_takes_less_than_two_bytes_a_value() {
    let lines = include_str!("../../fixtures/host.csv").lines().skip(1);
    let records = (0_u32..).zip(lines).map(|(number, line)| {
        let mut fields = line.split(',');
        let at_ms = fields.next().unwrap().parse().unwrap();
        let hash = number.wrapping_mul(0x9E37_79B1);
        let values = (0..).zip(fields.map(|field| Value::Number(field.parse().unwrap())));
        Record { key: Key { at_ms, hash }, values: values.collect() }
    });
    let block = Block::of(records.collect()).unwrap();
    let bytes = encoded(&block);
    assert_eq!(Block::decode(&bytes).as_ref(), Ok(&block));
    let stored = bytes.keys.len() + bytes.channels.values().map(Vec::len).sum::<usize>();
    assert!(stored * 10 < 600 * 12 * 17, "{stored} bytes");
}

proptest! {
    #[test]
    fn blocks_are_read_back(records in records()) {
        let block = Block::of(records).unwrap();
        let bytes = encoded(&block);
        prop_assert_eq!(&Block::decode(&bytes).unwrap(), &block);
        prop_assert_eq!(&Block::of(block.records()).unwrap(), &block);
        for (channel, chunk) in &block.channels {
            let head = Chunk::decode_head(&bytes.channels[channel]).unwrap();
            prop_assert_eq!(head.summary.count, bytes::wide(chunk.column().len()));
            prop_assert_eq!(&format!("{head:?}"), &format!("{:?}", chunk.head(&block.keys).unwrap()));
        }
    }

    #[test]
    fn late_records_give_the_bytes_of_all_sorted(records in records(), cut in 0_usize..150) {
        let cut = cut.min(records.len());
        let (early, late) = records.split_at(cut);
        let merged = Block::of(early.to_vec()).unwrap().merge(&Block::of(late.to_vec()).unwrap());
        prop_assert_eq!(encoded(&merged.unwrap()), encoded(&Block::of(records).unwrap()));
    }

    #[test]
    fn merging_again_changes_nothing(records in records(), cut in 0_usize..150) {
        let block = Block::of(records.clone()).unwrap();
        let again = Block::of(records[cut.min(records.len())..].to_vec()).unwrap();
        prop_assert_eq!(&block.merge(&block).unwrap(), &block);
        let merged = block.merge(&again).unwrap();
        prop_assert_eq!(merged, block);
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Chunk::decode(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = VERSION;
        }
        let _ = Chunk::decode(&bytes);
    }

    #[test]
    fn no_change_of_a_chunk_panics(
        records in records(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
    ) {
        let block = Block::of(records).unwrap();
        for mut bytes in encoded(&block).channels.into_values() {
            prop_assert!(Chunk::decode(&bytes[..end.index(bytes.len())]).is_err());
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            // What decodes all the same can be summarised and written.
            if let Ok((_, chunk)) = Chunk::decode(&bytes)
                && chunk.check(&block.keys).is_ok()
            {
                chunk.encode(&block.keys).unwrap();
            }
        }
    }
}
