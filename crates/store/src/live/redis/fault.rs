//! What an error of Redis means to a caller. Pure.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::StoreError;

const REDIS: &str = "Redis";

pub(super) fn unavailable(detail: impl Into<String>) -> StoreError {
    StoreError::Unavailable { store: REDIS, detail: detail.into() }
}

/// Nearly everything passes with time: a Redis that is down, silent, loading,
/// read-only after a failover or out of memory. A wrong login does not, nor a cluster
/// whose URL does not say so.
pub(super) fn store_error(error: &RedisError, answer_within: Duration) -> StoreError {
    if error.is_timeout() {
        return unavailable(format!("no answer within {} ms", answer_within.as_millis()));
    }
    match (error.kind(), code(error).as_deref()) {
        (ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm), _)
        | (_, Some("NOAUTH" | "WRONGPASS")) => StoreError::Configuration(format!(
            "Redis refuses the login or lacks a right for it ({error}); check user and password in the Redis URL"
        )),
        (
            ErrorKind::Server(
                ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot,
            ),
            _,
        ) => StoreError::Configuration(format!(
            "this Redis is a node of a cluster ({error}); write redis+cluster:// in its URL, with some of its nodes"
        )),
        (ErrorKind::InvalidClientConfig, _) => {
            StoreError::Configuration(format!("the Redis URL cannot be used: {error}"))
        }
        _ => unavailable(error.to_string()),
    }
}

/// The server's own code, also of the first refusal of a pipeline.
fn code(error: &RedisError) -> Option<String> {
    let alone = || error.code().map(str::to_owned);
    alone().or_else(|| Some(error.clone().into_server_errors()?.first()?.1.code().to_owned()))
}

/// Whether another connection may fare better: this one is cut, silent, or
/// leads to a server that has become a replica or has lost its own, whose name may
/// lead elsewhere by now; or a cluster is no longer as this one knows it.
pub(super) fn spoils_connection(error: &RedisError) -> bool {
    error.is_timeout()
        || error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::ClusterConnectionNotFound
                | ErrorKind::Server(
                    ServerErrorKind::ReadOnly
                        | ServerErrorKind::ClusterDown
                        | ServerErrorKind::MasterDown
                        | ServerErrorKind::Moved
                        | ServerErrorKind::Ask
                )
        )
        || ["READONLY", "NOREPLICAS"].iter().any(|code| error.to_string().contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_millis(500);

    fn kind(kind: ErrorKind) -> StoreError {
        store_error(&RedisError::from((kind, "as the server says")), WITHIN)
    }

    #[test]
    fn what_passes_with_time_is_unavailable() {
        for passing in [
            ErrorKind::Io,
            ErrorKind::Extension,
            ErrorKind::Server(ServerErrorKind::BusyLoading),
            ErrorKind::Server(ServerErrorKind::ReadOnly),
            ErrorKind::Server(ServerErrorKind::ResponseError),
        ] {
            assert!(kind(passing).is_transient(), "{passing:?}");
        }
    }

    #[test]
    fn what_a_person_must_mend_says_so() {
        let login = kind(ErrorKind::AuthenticationFailed).to_string();
        assert!(login.contains("user and password"), "{login}");
        let cluster = kind(ErrorKind::Server(ServerErrorKind::Moved)).to_string();
        assert!(cluster.contains("cluster"), "{cluster}");
        assert!(!kind(ErrorKind::InvalidClientConfig).is_transient());
    }

    #[test]
    fn silence_is_said_with_its_time_and_spoils_the_connection() {
        let error = RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        assert_eq!(
            store_error(&error, WITHIN).to_string(),
            "Redis is not available: no answer within 500 ms"
        );
        assert!(spoils_connection(&error));
        let refused = RedisError::from((ErrorKind::Server(ServerErrorKind::NoScript), "none"));
        assert!(!spoils_connection(&refused));
    }
}
