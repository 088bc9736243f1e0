//! How the records of a block arrived: what a row said beside its key and its values.

use super::bytes::Reader;
use super::{ChunkError, Keys, VERSION, integers};

/// How a record arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Milliseconds since 1970 (UTC).
    pub received_at_ms: i64,
    /// Whether the device said no time, so that the record has that of its arrival.
    pub timeless: bool,
    /// How many values it has.
    pub value_count: u32,
}

/// How the records of a block arrived, in the order of its keys.
///
/// As bytes: the version, then as whole numbers the milliseconds from each record's time to its
/// arrival, whether it is without a time of its own, and how many values it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrivals(Vec<Arrival>);

impl Arrivals {
    /// Those of records in the order of their keys.
    pub const fn new(arrivals: Vec<Arrival>) -> Self {
        Self(arrivals)
    }

    /// The arrivals.
    pub fn as_slice(&self) -> &[Arrival] {
        &self.0
    }

    /// The arrivals as bytes.
    ///
    /// # Errors
    ///
    /// If the keys are of other records.
    pub fn encode(&self, keys: &Keys) -> Result<Vec<u8>, ChunkError> {
        if keys.len() != self.0.len() {
            return Err(ChunkError::Malformed("the keys are of other records"));
        }
        let mut out = vec![VERSION];
        let pairs = self.0.iter().zip(keys.as_slice());
        let delays: Vec<i64> =
            pairs.map(|(arrival, key)| arrival.received_at_ms.wrapping_sub(key.at_ms)).collect();
        let timeless: Vec<i64> = self.0.iter().map(|it| i64::from(it.timeless)).collect();
        let counts: Vec<i64> = self.0.iter().map(|it| i64::from(it.value_count)).collect();
        for column in [delays, timeless, counts] {
            integers::encode(&column, &mut out);
        }
        Ok(out)
    }

    /// Reads what [`Arrivals::encode`] wrote with the same keys.
    ///
    /// # Errors
    ///
    /// If the bytes are something else.
    pub fn decode(bytes: &[u8], keys: &Keys) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes);
        super::check_version(&mut reader)?;
        let delays = integers::decode(&mut reader, keys.len())?;
        let timeless = integers::decode(&mut reader, keys.len())?;
        let counts = integers::decode(&mut reader, keys.len())?;
        reader.finish()?;
        let rows = keys.as_slice().iter().zip(delays).zip(timeless.into_iter().zip(counts));
        let arrival = |((key, delay), (timeless, count)): ((&super::Key, i64), (i64, i64))| {
            Ok(Arrival {
                received_at_ms: key.at_ms.wrapping_add(delay),
                timeless: timeless != 0,
                value_count: u32::try_from(count).map_err(|_| ChunkError::TooMany)?,
            })
        };
        rows.map(arrival).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Key;
    use super::*;

    proptest! {
        #[test]
        fn arrivals_are_read_back(
            rows in prop::collection::vec((any::<i64>(), any::<bool>(), any::<u32>()), 0..200),
        ) {
            let keys = (0..).take(rows.len()).map(|at_ms| Key { at_ms, hash: 7 }).collect();
            let keys = Keys::new(keys).unwrap();
            let arrival = |(received_at_ms, timeless, value_count)| {
                Arrival { received_at_ms, timeless, value_count }
            };
            let arrivals = Arrivals::new(rows.into_iter().map(arrival).collect());
            let bytes = arrivals.encode(&keys).unwrap();
            prop_assert_eq!(Arrivals::decode(&bytes, &keys), Ok(arrivals));
        }

        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 1..100), count in 0..50_i64) {
            bytes[0] = VERSION;
            let keys = Keys::new((0..count).map(|at_ms| Key { at_ms, hash: 0 }).collect()).unwrap();
            let _ = Arrivals::decode(&bytes, &keys);
        }
    }

    #[test]
    fn keys_of_other_records_are_refused() {
        let keys = Keys::new(vec![Key { at_ms: 1, hash: 1 }]).unwrap();
        assert!(Arrivals::default().encode(&keys).is_err());
    }
}
