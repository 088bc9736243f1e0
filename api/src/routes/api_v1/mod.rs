//! Everything below `/api/v1`; all of it for those who signed in.

pub(crate) mod books;
pub(crate) mod channel;
pub(crate) mod channel_names;
pub(crate) mod channels;
pub(crate) mod commands;
pub(crate) mod dead_letters;
pub(crate) mod device_login;
pub(crate) mod devices;
pub(crate) mod fleet;
pub(crate) mod groups;
pub(crate) mod handed_out;
pub(crate) mod location;
pub(crate) mod locations;
pub(crate) mod lookup;
pub(crate) mod me;
pub(crate) mod password;
pub(crate) mod report;
pub(crate) mod retention_classes;
pub(crate) mod series;
pub(crate) mod sessions;
pub(crate) mod shares;
pub(crate) mod storage;
pub(crate) mod stream;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod workers;
