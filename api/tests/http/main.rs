//! The API over a real listener: with stores that can be switched off, and with
//! the real embedded ones.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic"
)]

mod accounts;
mod alarms;
mod books;
mod commands;
mod computed;
mod daily;
mod dead_letters;
mod embedded;
mod fakes;
mod field;
mod fits;
mod fleet;
mod formats;
mod founding;
mod handed_out;
mod harness;
mod hygiene;
mod location;
mod names;
mod openapi;
mod page;
mod people;
mod refusals;
mod report;
mod rights;
mod rules;
mod series;
mod sessions;
mod several;
mod site;
mod strangers;
mod stream;
mod wire;
mod workers;
