//! Problems of the REST API as gRPC statuses, by one rule over the problem's HTTP status. Pure.

use axum::http::StatusCode;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::problem::{Kind, Problem};
use crate::stream::Reason;

/// Holds the problem's stable code, by which a client distinguishes cases.
const PROBLEM: &str = "nemeses-problem";

/// The status; its text is for people.
pub(super) fn refused(problem: &Problem) -> Status {
    let mut status = Status::new(code(problem.kind()), problem.to_string());
    let kind = MetadataValue::from_static(problem.kind().code());
    status.metadata_mut().insert(PROBLEM, kind);
    status
}

fn code(kind: Kind) -> Code {
    match (kind, kind.status()) {
        (Kind::Slow, _) => Code::DeadlineExceeded,
        // The key belongs to another request, so a retry cannot succeed.
        (Kind::KeyReused, _) | (_, StatusCode::CONFLICT) => Code::FailedPrecondition,
        (_, StatusCode::UNAUTHORIZED) => Code::Unauthenticated,
        (_, StatusCode::FORBIDDEN) => Code::PermissionDenied,
        (_, StatusCode::NOT_FOUND) => Code::NotFound,
        (_, StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE) => {
            Code::ResourceExhausted
        }
        (_, StatusCode::SERVICE_UNAVAILABLE) => Code::Unavailable,
        (_, status) if status.is_client_error() => Code::InvalidArgument,
        _ => Code::Internal,
    }
}

/// Why the server ended a stream.
pub(super) fn ended(reason: Reason) -> Status {
    match reason {
        Reason::Revoked => Status::permission_denied("The token may not stream any more."),
        Reason::Expired => {
            Status::unauthenticated("The token has expired. Begin again with a new one.")
        }
        Reason::SlowClient => Status::resource_exhausted(
            "Too many events wait for this client. Begin again, or ask for less.",
        ),
        Reason::ShuttingDown => {
            Status::unavailable("The server stops. Begin again behind the last event.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_meaning() {
        for (kind, expected) in [
            (Kind::InvalidParameter, Code::InvalidArgument),
            (Kind::InvalidField, Code::InvalidArgument),
            (Kind::InvalidTelemetry, Code::InvalidArgument),
            (Kind::KeyReused, Code::FailedPrecondition),
            (Kind::Unauthorized, Code::Unauthenticated),
            (Kind::Forbidden, Code::PermissionDenied),
            (Kind::UnknownDevice, Code::NotFound),
            (Kind::UnknownGroup, Code::NotFound),
            (Kind::TooManyAtOnce, Code::ResourceExhausted),
            (Kind::BodyTooLarge, Code::ResourceExhausted),
            (Kind::HistoryUnavailable, Code::Unavailable),
            (Kind::Busy, Code::Unavailable),
            (Kind::Slow, Code::DeadlineExceeded),
            (Kind::Internal, Code::Internal),
        ] {
            let status = refused(&Problem::new(kind, "why").blaming("device_id"));
            assert_eq!((status.code(), status.message()), (expected, "device_id: why"));
            assert_eq!(status.metadata().get(PROBLEM).unwrap(), kind.code());
        }
    }
}
