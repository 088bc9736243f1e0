//! The history: every frame once, the books that prove it, dead letters, and
//! the small tables of people and logins.
//!
//! Rows are clustered by (time bucket, device, recorded second, frame hash): the
//! pages being written are the devices times the rows of one bucket instead of
//! one page a device, which is what keeps the rate flat as the table grows. A
//! small table of the days each device has data for makes reads of one device
//! find their buckets.

pub mod accounts;
mod administration;
mod alarm_watch;
pub mod alarms;
pub mod books;
pub mod channels;
pub mod commands;
mod commits;
pub mod daily;
mod database;
pub mod dead_letters;
pub mod derived;
mod device_rows;
pub mod devices;
mod engine;
pub mod evaluation;
pub mod groups;
pub mod logins;
pub mod marked;
mod mysql;
mod open;
pub mod outbox;
mod positions;
pub mod receivers;
pub mod requests;
pub mod retention;
mod row_bytes;
pub mod rules;
pub mod sealing;
mod secret;
pub mod sessions;
mod sqlite;
pub mod testing;
pub mod tokens;

pub use accounts::{Access, Added, FirstPlace, MAX_GRANTS, NewUser, Role, User, Users, email_key};
pub use administration::{Administration, Health, Inspection};
pub use alarm_watch::{AlarmEvent, AlarmNews, AlarmWatch, MAX_WATCHED_ALARMS};
pub use alarms::{
    Acknowledgement, Alarm, AlarmChange, AlarmCount, AlarmFilter, AlarmKey, AlarmStep, Alarms,
    AlarmsMark, CountedBy, MAX_ALARM_BY, MAX_ALARM_NOTE, MAX_LISTED_ALARMS, Silence,
};
pub use books::{Books, BooksLine, Found, FoundRow, LookUp, Minutes, TableCounts, Totals};
pub use channels::{
    Channel, ChannelChange, ChannelKind, Channels, FIRST_GIVEN_NUMBER, Identities, MAX_CHANNELS,
    MAX_CHANNELS_A_DAY, MAX_CHANNELS_FIRST_DAY, NewDerived, NoChannelKind, ReadingsQuery,
    ReadingsStream, StoredReadings, named_values,
};
pub use commands::{
    ClaimedCommand, Command, CommandState, CommandStep, Commands, MAX_ANSWER_BYTES,
    MAX_COMMAND_BYTES, MAX_OPEN_COMMANDS, NewCommand, OpenCommands,
};
pub use commits::{Commits, Committed, Part};
pub use daily::{
    Backlog, COUNTED_MARKS, Daily, DayMark, DaySums, DayTotal, DoneDay, FleetTotals, LastRow,
    SLOT_SECONDS,
};
pub use database::{Database, Options, StorageEngine};
pub use dead_letters::{
    DeadLetters, LISTED_BYTES, LetterFilter, MAX_LISTED_LETTERS, Purge, Resolution, StoredLetter,
};
pub use derived::{
    BadCalibration, Calibration, Derivation, Derived, MAX_CALIBRATION_POINTS, MAX_DERIVED,
};
pub use device_rows::{HistoryRow, HistoryRows, rows_in_order};
pub use devices::{DEFAULT_RETENTION, Devices, KnownDevice, LastKnown, Profile, Rhythm};
pub use evaluation::{Evaluation, Mark, NewNotification, RULES_LEASE, StoredState, Turn};
pub use groups::{Group, Groups, MAX_GROUPS};
pub use logins::{Login, LoginRole, Logins, MAX_LOGIN_NAME, device_login_name, valid_login_name};
pub use marked::{MarkedReadings, MarkedRow};
pub use open::open;
pub use outbox::{
    Claimed, DueNotification, ListedNotification, MAX_LISTED_NOTIFICATIONS, NotificationBooks,
    NotificationFilter, NotificationState, Outbox, Outcome, ReceiverHealth, Standing,
};
pub use positions::{PositionStream, Positions, RangeQuery};
pub use receivers::{MAX_RECEIVER_NAME, MAX_RECEIVERS, NewReceiver, Receivers, StoredReceiver};
pub use requests::{Booked, REQUEST_KEPT_MS, Requests};
pub use retention::{ClassCount, ClassLimit, ClassWeek, NotedClass, Retention, Step, Survey};
pub use rules::{
    MAX_GEOFENCES, MAX_RULE_DEVICES, MAX_RULE_NAME, MAX_RULES, NewRule, RuleScope, Rules,
    StoredGeofence, StoredRule,
};
pub use sealing::{SEALING_LEASE, SealFrom, SealStep, SealedTotals, Sealing};
pub use secret::{PlainSecret, SecretHash};
pub use sessions::{
    Digest, MAX_SESSIONS, MAX_USER_AGENT, NewSession, Previous, Rotation, Session, Sessions,
};
pub use tokens::{
    MAX_TOKEN_DEVICES, MAX_TOKENS, NO_HISTORY, NewToken, Scope, ScopedToken, ScopedTokens, Scopes,
    TokenKind,
};

/// Seconds of recorded time in one bucket of the clustered key.
pub const BUCKET_SECONDS: u32 = 300;

/// All of a history. Take the part that is needed: what stores takes [`Commits`], what reads
/// [`Positions`], what asks whether it can be used [`Health`], tools [`Administration`].
pub trait History: Administration + Commits + Health + Positions {}

impl<T: Administration + Commits + Health + Positions> History for T {}
