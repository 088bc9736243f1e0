//! Why bytes are no chunk, and why values cannot be one.

use super::MAX_RECORDS;

/// Why bytes are no chunk, or values cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bytes end before the chunk does.
    #[error("the chunk ends too early")]
    Truncated,
    /// Bytes follow the chunk.
    #[error("bytes follow the end of the chunk")]
    Trailing,
    /// The version is not known here.
    #[error("version {0} of chunks is not known")]
    Version(u8),
    /// More records than a chunk can have, or more of something than there are records.
    #[error("more than {MAX_RECORDS} records, or more values than records")]
    TooMany,
    /// The keys are not in order, or one is there twice.
    #[error("keys are not in order")]
    Disorder,
    /// Something else that no writer makes.
    #[error("{0}")]
    Malformed(&'static str),
}
