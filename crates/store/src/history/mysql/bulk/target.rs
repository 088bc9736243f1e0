//! What the database URL says to the bulk channel. sqlx keeps the password to itself, so
//! the URL is read once more; whoever wants something of the connection that is not
//! understood here (a socket, another character set) gets sqlx alone.

use percent_encoding::percent_decode_str;
use sqlx::mysql::MySqlConnectOptions;

use super::packets::Account;
use crate::history::mysql::tls::{Protection, url_options};

/// A name or a password that is longer than this is of no server.
const MAX_NAME: usize = 1024;

/// Where and how to log in.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) account: Account,
    /// What sqlx would encrypt is encrypted here.
    pub(super) protection: Protection,
}

impl Target {
    /// Reads a URL that sqlx has read; `None` for one that is not for this channel.
    pub(super) fn of(url: &str, options: &MySqlConnectOptions) -> Option<Self> {
        let account = Account {
            user: options.get_username().to_owned(),
            password: password(url)?,
            database: options.get_database()?.to_owned(),
        };
        let fits = |text: &str| text.len() <= MAX_NAME && !text.contains('\0');
        let all_fit = [&account.user, &account.database].into_iter().all(|text| fits(text));
        let host = options.get_host().trim_matches(['[', ']']).to_owned();
        (all_fit && known_options_only(url)).then_some(Self {
            host,
            port: options.get_port(),
            account,
            protection: Protection::of(url, options),
        })
    }
}

/// The password as the URL has it between the first colon and the last @ of its authority.
fn password(url: &str) -> Option<String> {
    if url.contains(|character: char| character.is_ascii_control()) {
        return None;
    }
    let (_, behind) = url.split_once("://")?;
    let authority = behind.split(['/', '?', '#']).next()?;
    let Some((login, _)) = authority.rsplit_once('@') else { return Some(String::new()) };
    let password = login.split_once(':').map_or("", |(_, password)| password);
    Some(percent_decode_str(password).decode_utf8().ok()?.into_owned())
}

/// Options that say nothing, or what was read above.
fn known_options_only(url: &str) -> bool {
    url_options(url).all(|(name, _)| {
        let name = name.replace('-', "");
        matches!(&*name, "sslmode" | "sslca" | "sslcert" | "sslkey" | "statementcachecapacity")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Option<Target> {
        Target::of(url, &url.parse().unwrap())
    }

    #[test]
    fn the_login_is_read_as_sqlx_reads_it() {
        for (url, user, password) in [
            ("mysql://h/d", "root", ""),
            ("mysql://u@h/d", "u", ""),
            ("mysql://u:p@h:3307/d", "u", "p"),
            ("mysql://a@b:p@ss:w@h/d?ssl-mode=preferred", "a@b", "p@ss:w"),
            ("mysql://u:%C3%A4%2F%40%3a@h/d#x", "u", "ä/@:"),
        ] {
            let target = target(url).unwrap();
            assert_eq!((&*target.account.user, &*target.account.password), (user, password));
            assert_eq!((&*target.host, &*target.account.database), ("h", "d"));
        }
        assert_eq!(target("mysql://[::1]:3307/d").unwrap().host, "::1");
    }

    #[test]
    fn what_is_not_understood_is_left_to_sqlx() {
        // With TLS, when the server offers it.
        for (url, tls) in [
            ("mysql://h/d", Some(true)),
            ("mysql://127.0.0.1/d", Some(false)),
            ("mysql://h/d?ssl-mode=disabled", Some(false)),
            ("mysql://h/d?sslmode=PREFERRED&statement-cache-capacity=9", Some(true)),
            ("mysql://h/d?ssl-mode=required", Some(true)),
            ("mysql://h/d?ssl-mode=verify_ca&ssl-ca=x", Some(true)),
            ("mysql://h/d?socket=/run/x.sock", None),
            ("mysql://h/d?charset=latin1", None),
            ("mysql://h/d?timezone=Z", None),
            ("mysql://h/d?so%63ket=/run/x.sock", None),
            ("mysql://u%00@h/d", None),
        ] {
            let target = target(url);
            assert_eq!(target.map(|target| target.protection.takes_tls(true)), tls, "{url}");
        }
    }
}
