//! What a doctor wants to know of a database: which product it is, what its clock
//! says, and what this login may do there.

/// A database as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Product and version, for a person: `MariaDB 10.11.6`, `SQLite 3.46.0`.
    pub product: String,
    /// Its clock, Unix milliseconds; `None` where it is this machine's.
    pub now_ms: Option<u64>,
    /// What this login lacks for storing frames: the database's own words.
    pub frames_refused: Option<String>,
    /// What this login lacks for accounts, sessions and devices' profiles.
    pub people_refused: Option<String>,
    /// Whether this login may make and change tables.
    pub may_migrate: bool,
}

/// Reads of every table that reports look into.
pub(super) const READ: &str = "SELECT EXISTS (SELECT 1 FROM positions), \
    EXISTS (SELECT 1 FROM device_days), EXISTS (SELECT 1 FROM device_last), \
    EXISTS (SELECT 1 FROM daily), EXISTS (SELECT 1 FROM daily_marks), \
    EXISTS (SELECT 1 FROM devices), EXISTS (SELECT 1 FROM group_devices), \
    EXISTS (SELECT 1 FROM dead_letters), EXISTS (SELECT 1 FROM books)";

/// The row of `leases` that is written to see whether anything can be.
pub(super) const WRITTEN: &str = "written";

/// Statements that change nothing and are refused like those that do: what nodes and
/// exporters need.
pub(super) const FRAMES: [&str; 6] = [
    "INSERT INTO positions SELECT * FROM positions WHERE 1 = 0",
    "INSERT INTO device_days SELECT * FROM device_days WHERE 1 = 0",
    "INSERT INTO books SELECT * FROM books WHERE 1 = 0",
    "INSERT INTO dead_letters SELECT * FROM dead_letters WHERE 1 = 0",
    "UPDATE duplicates SET times = times WHERE 1 = 0",
    "DELETE FROM daily_marks WHERE 1 = 0",
];

/// What the API needs.
pub(super) const PEOPLE: [&str; 6] = [
    "INSERT INTO device_commands SELECT * FROM device_commands WHERE 1 = 0",
    "UPDATE users SET disabled = disabled WHERE 1 = 0",
    "INSERT INTO sessions SELECT * FROM sessions WHERE 1 = 0",
    "DELETE FROM scoped_tokens WHERE 1 = 0",
    "INSERT INTO devices SELECT * FROM devices WHERE 1 = 0",
    "UPDATE device_groups SET name = name WHERE 1 = 0",
];
