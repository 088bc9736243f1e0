//! The history for any relational product: all that is decided and all SQL that
//! the products share. What differs is behind [`seam::Product`], implemented in
//! `mysql.rs` and `sqlite.rs`.

mod accounts;
mod adapter;
mod administration;
mod alarms;
mod books;
mod channel_reads;
mod channels;
mod codes;
mod commands;
mod commit;
mod daily;
mod day_sums;
mod days;
mod dead_letters;
mod derived_channels;
mod devices;
mod evaluation;
mod expire_readings;
mod fault;
mod geofences;
mod groups;
mod identities;
mod insert;
mod keyed;
mod ladder;
mod last;
mod last_known;
mod logins;
mod marks;
mod next_row;
mod outbox;
mod plan;
mod positions;
mod quick;
mod readings;
mod reads;
mod receivers;
mod recent;
mod recent_values;
mod removals;
mod requests;
mod retention;
mod rows;
mod rule_marks;
mod rules;
mod script;
mod sealing;
mod seam;
mod sessions;
mod sql;
#[cfg(test)]
pub(super) mod testing;
mod tokens;
mod totals;
mod value;
mod window;
mod work;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::history::Database;
use crate::named::NamedDevices;

pub(super) use adapter::{Lent, adapter};
pub(super) use administration::{SCHEMA_VERSION, pending, version_of};
pub(super) use codes::{mysql_kind, sqlite_kind};
pub(super) use commit::{
    BOOKS_COLUMNS, DUPLICATE_COLUMNS, books_values, duplicate_values, join_duplicates,
};
pub(super) use dead_letters::{EXPIRED, READINGS_EXPIRED, VALUES_EXPIRED};
pub(super) use fault::{Fault, Kind, sort_error};
pub(super) use insert::insert_rows;
pub(super) use keyed::{READINGS_COLUMNS, ReadingsRow};
pub(super) use ladder::{WIDE, rungs};
pub(super) use marks::Marks;
pub(super) use plan::{BooksRow, DuplicateRow, Settled, minute_of};
pub(super) use quick::{insert_bulk, insert_of};
pub(super) use removals::book_removed;
pub(super) use rows::{bucket_of, fits_journal, key_of};
pub(super) use rule_marks::INSERT_MARK;
pub(super) use sealing::BlockRow;
pub(super) use seam::{Batch, Dialect, Migration, Product, Session, fixed, sql};
pub(super) use sql::statements;
pub(super) use sql::{POSITION_COLUMNS, insert};
pub(super) use value::{Fields, Value, signed_hash};

/// A product with what the shared code remembers about it.
pub(super) struct Engine<P> {
    product: P,
    days: days::KnownDays,
    marks: marks::KnownMarks,
    doubts: quick::Doubts,
    lasts: last::Lasts,
    lists: channels::Lists,
    named: NamedDevices,
    concerned: rule_marks::KnownConcerned,
    sealed_to: sealing::SealedTo,
    /// A commit left marks for the rules.
    rules_wake: Arc<Notify>,
    /// There are notifications to send.
    outbox_wake: Arc<Notify>,
}

impl<P: Product> Engine<P> {
    /// The handles of a database.
    pub(super) fn database(product: P) -> Database {
        let named = NamedDevices::default();
        let (rules_wake, outbox_wake) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let engine = Arc::new(Self {
            product,
            days: days::KnownDays::default(),
            marks: marks::KnownMarks::default(),
            doubts: quick::Doubts::default(),
            lasts: last::Lasts::default(),
            lists: channels::Lists::default(),
            named: named.clone(),
            concerned: rule_marks::KnownConcerned::default(),
            sealed_to: sealing::SealedTo::default(),
            rules_wake: Arc::clone(&rules_wake),
            outbox_wake: Arc::clone(&outbox_wake),
        });
        Database {
            history: Arc::clone(&engine) as _,
            users: Arc::clone(&engine) as _,
            logins: Arc::clone(&engine) as _,
            dead_letters: Arc::clone(&engine) as _,
            sessions: Arc::clone(&engine) as _,
            tokens: Arc::clone(&engine) as _,
            books: Arc::clone(&engine) as _,
            devices: Arc::clone(&engine) as _,
            groups: Arc::clone(&engine) as _,
            retention: Arc::clone(&engine) as _,
            commands: Arc::clone(&engine) as _,
            channels: Arc::clone(&engine) as _,
            identities: Arc::clone(&engine) as _,
            named,
            requests: Arc::clone(&engine) as _,
            rules: Arc::clone(&engine) as _,
            rules_wake,
            alarms: Arc::clone(&engine) as _,
            evaluation: Arc::clone(&engine) as _,
            outbox: Arc::clone(&engine) as _,
            outbox_wake,
            receivers: Arc::clone(&engine) as _,
            sealing: Arc::clone(&engine) as _,
            daily: engine,
        }
    }
}
