//! What went wrong in a statement, sorted by what helps against it.

use crate::StoreError;

/// What helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::history) enum Kind {
    /// Trying again later.
    Unavailable,
    /// Trying the transaction again at once: it lost against another.
    Conflict,
    /// Another value: a unique key is taken.
    Taken,
    /// Nothing, for these values.
    Refused,
    /// Nothing: what is meant is not there.
    Missing,
    /// Nothing: a bound of ours is reached.
    Full,
    /// Migrating.
    Schema,
    /// Another URL, other rights.
    Configuration,
}

/// A failed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::history) struct Fault {
    pub(in crate::history) kind: Kind,
    pub(in crate::history) detail: String,
}

impl Fault {
    pub(in crate::history) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// A column that is not what this program writes.
    pub(in crate::history) fn column(column: usize, what: &str) -> Self {
        Self::new(Kind::Schema, format!("column {column} of the answer {what}"))
    }

    /// A key that is taken when nobody had it a moment ago was taken by another
    /// transaction: start over and see it.
    pub(in crate::history) fn lost_race(self) -> Self {
        let kind = if self.kind == Kind::Taken { Kind::Conflict } else { self.kind };
        Self { kind, ..self }
    }

    /// As the callers of the store see it.
    pub(in crate::history) fn into_error(self, store: &'static str) -> StoreError {
        match self.kind {
            Kind::Unavailable | Kind::Conflict => {
                StoreError::Unavailable { store, detail: self.detail }
            }
            Kind::Taken | Kind::Refused => StoreError::Refused { store, detail: self.detail },
            Kind::Missing => StoreError::Missing(self.detail),
            Kind::Full => StoreError::Full(self.detail),
            Kind::Schema => StoreError::Schema(format!(
                "{store}: the tables are not the ones this program needs; \
                 run `nemeses migrate` ({})",
                self.detail
            )),
            Kind::Configuration => StoreError::Configuration(format!("{store}: {}", self.detail)),
        }
    }
}

/// Sorts the errors that sqlx raises on its own; `database` sorts those of the server.
pub(in crate::history) fn sort_error(
    error: &sqlx::Error,
    endpoint: &str,
    database: impl Fn(&dyn sqlx::error::DatabaseError) -> Kind,
) -> Fault {
    use sqlx::Error;
    let kind = match error {
        Error::Database(error) => database(error.as_ref()),
        Error::PoolTimedOut => {
            let detail = format!("no connection to {endpoint} in time: down, or all are in use");
            return Fault::new(Kind::Unavailable, detail);
        }
        Error::Configuration(_) => Kind::Configuration,
        Error::Encode(_) => Kind::Refused,
        Error::Decode(_)
        | Error::ColumnDecode { .. }
        | Error::ColumnNotFound(_)
        | Error::ColumnIndexOutOfBounds { .. }
        | Error::TypeNotFound { .. } => Kind::Schema,
        // Io, TLS, a crashed worker, a protocol out of step: a new connection may help.
        _ => Kind::Unavailable,
    };
    Fault::new(kind, format!("{endpoint}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unavailable_and_conflict_are_worth_repeating() {
        for (kind, transient) in [
            (Kind::Unavailable, true),
            (Kind::Conflict, true),
            (Kind::Taken, false),
            (Kind::Refused, false),
            (Kind::Schema, false),
            (Kind::Configuration, false),
        ] {
            assert_eq!(Fault::new(kind, "x").into_error("S").is_transient(), transient, "{kind:?}");
        }
    }

    #[test]
    fn errors_of_the_client_are_sorted() {
        let sort = |error: sqlx::Error| sort_error(&error, "there", |_| Kind::Refused).kind;
        assert_eq!(sort(sqlx::Error::PoolTimedOut), Kind::Unavailable);
        assert_eq!(sort(sqlx::Error::WorkerCrashed), Kind::Unavailable);
        assert_eq!(sort(std::io::Error::other("cut").into()), Kind::Unavailable);
        assert_eq!(sort(sqlx::Error::Encode("no".into())), Kind::Refused);
        assert_eq!(sort(sqlx::Error::Configuration("no".into())), Kind::Configuration);
        assert_eq!(sort(sqlx::Error::ColumnNotFound("x".into())), Kind::Schema);
    }

    #[test]
    fn a_database_that_is_down_is_named() {
        let fault = sort_error(&sqlx::Error::PoolTimedOut, "db.example:3306", |_| Kind::Refused);
        assert!(fault.detail.contains("db.example:3306"));
    }
}
