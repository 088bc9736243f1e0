//! The keys of a chunk's records: what all channels of the device share, and how a record that
//! is sent again is recognised after its row is gone.

use super::bytes::{Reader, write_count};
use super::{ChunkError, MAX_RECORDS, VERSION, integers};

/// The key of a record within its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Milliseconds since 1970 (UTC).
    pub at_ms: i64,
    /// 32 bits of the record's content hash.
    pub hash: u32,
}

/// The keys of a chunk's records, in order and each once.
///
/// As bytes: the version, the number of keys, their times as whole numbers and their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Keys that are in order.
    ///
    /// # Errors
    ///
    /// If they are not, if one is there twice, or if there are more than [`MAX_RECORDS`].
    pub fn new(keys: Vec<Key>) -> Result<Self, ChunkError> {
        if keys.len() > MAX_RECORDS {
            return Err(ChunkError::TooMany);
        }
        let in_order = keys.is_sorted_by(|a, b| a < b);
        in_order.then_some(Self(keys)).ok_or(ChunkError::Disorder)
    }

    /// The keys.
    pub fn as_slice(&self) -> &[Key] {
        &self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a record is in the chunk.
    pub fn contains(&self, key: Key) -> bool {
        self.0.binary_search(&key).is_ok()
    }

    /// The keys as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        write_count(&mut out, self.len());
        let times: Vec<i64> = self.0.iter().map(|key| key.at_ms).collect();
        integers::encode(&times, &mut out);
        out.extend(self.0.iter().flat_map(|key| key.hash.to_le_bytes()));
        out
    }

    /// Reads what [`Keys::encode`] wrote.
    ///
    /// # Errors
    ///
    /// If the bytes are something else. Memory is bounded by [`MAX_RECORDS`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes);
        super::check_version(&mut reader)?;
        let count = reader.count(MAX_RECORDS)?;
        let times = integers::decode(&mut reader, count)?;
        let hashes = times.into_iter().map(|at_ms| {
            let hash = reader.array().map(u32::from_le_bytes)?;
            Ok(Key { at_ms, hash })
        });
        let keys = hashes.collect::<Result<_, _>>()?;
        reader.finish()?;
        Self::new(keys)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(at_ms: i64, hash: u32) -> Key {
        Key { at_ms, hash }
    }

    #[test]
    fn disorder_is_refused() {
        assert_eq!(Keys::new(vec![key(1, 5), key(1, 5)]), Err(ChunkError::Disorder));
        assert_eq!(Keys::new(vec![key(1, 5), key(1, 4)]), Err(ChunkError::Disorder));
        let many = (0..).take(MAX_RECORDS + 1).map(|at_ms| key(at_ms, 0)).collect();
        assert_eq!(Keys::new(many), Err(ChunkError::TooMany));
    }

    #[test]
    fn a_version_of_the_future_is_refused() {
        let mut bytes = Keys::default().encode();
        bytes[0] = 2;
        assert_eq!(Keys::decode(&bytes), Err(ChunkError::Version(2)));
    }

    proptest! {
        #[test]
        fn keys_are_read_back_and_found(
            keys in prop::collection::btree_set((-50_i64..50, 0_u32..3), 0..200),
            asked in (-50_i64..50, 0_u32..3),
        ) {
            let list = keys.iter().map(|(at_ms, hash)| key(*at_ms, *hash)).collect();
            let read = Keys::decode(&Keys::new(list).unwrap().encode()).unwrap();
            prop_assert!(read.as_slice().iter().map(|key| (key.at_ms, key.hash)).eq(keys.iter().copied()));
            prop_assert_eq!(read.contains(key(asked.0, asked.1)), keys.contains(&asked));
        }

        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Keys::decode(&bytes);
            if let Some(version) = bytes.first_mut() {
                *version = VERSION;
            }
            let _ = Keys::decode(&bytes);
        }
    }
}
