//! The URLs of stores. They may hold passwords, so what is printed
//! of them (also by `Debug`) leaves passwords out.

use std::fmt;
use std::path::Path;

/// Replaces the password of a URL by `***`. The user information ends at the
/// last `@` before the path, as a hand-written password may hold one.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    let whole = if authority.contains('@') { authority } else { rest };
    let Some(at) = whole.rfind('@') else { return url.to_owned() };
    match rest[..at].split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***{}", &rest[at..]),
        None => url.to_owned(),
    }
}

fn read_place(place: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, behind)
        }
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if port.is_empty() => default_port,
        None => return None,
    };
    let fits = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    fits.then(|| (host.to_owned(), port))
}

/// Redis: one server (`redis://` or, by TLS, `rediss://`), the primary that Sentinels
/// name (`+sentinel`), or a cluster (`+cluster`).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedisUrl {
    url: String,
    /// PEM, to be trusted instead of the system's.
    certificates: Option<Vec<u8>>,
}

impl RedisUrl {
    /// Reads `redis[s]://[user:password@]host[:port][/number]`,
    /// `redis[s]+sentinel://[user:password@]host[:port],host[:port]/name[/number]` and
    /// `redis[s]+cluster://[user:password@]host[:port],host[:port]`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", ""));
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
        let is_number = |text: &str| text.is_empty() || text.parse::<u16>().is_ok();
        let are_hosts = || hosts.split(',').all(|host| read_place(host, 6379).is_some());
        let fits = match scheme {
            "redis" | "rediss" => {
                let number = path.split_once('?').map_or(path, |(number, _)| number);
                read_place(hosts, 6379).is_some() && is_number(number)
            }
            "redis+sentinel" | "rediss+sentinel" => {
                let (name, number) = path.split_once('/').unwrap_or((path, ""));
                are_hosts() && !name.is_empty() && is_number(number)
            }
            "redis+cluster" | "rediss+cluster" => are_hosts() && path.is_empty(),
            _ => false,
        };
        if fits {
            return Ok(Self { url: text.to_owned(), certificates: None });
        }
        Err("write redis://HOST:PORT, for example redis://127.0.0.1:6379; for several \
             redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT; \
             rediss for TLS"
            .to_owned())
    }

    /// Whether it is reached by TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.url.starts_with("rediss")
    }

    /// The same, trusting these authorities.
    pub(crate) fn trusting(self, certificates: Vec<u8>) -> Self {
        Self { certificates: Some(certificates), ..self }
    }

    /// The URL with its password, for the client.
    pub(crate) fn expose(&self) -> &str {
        &self.url
    }

    /// The authorities to trust instead of the system's, for the client.
    pub(crate) fn certificates(&self) -> Option<Vec<u8>> {
        self.certificates.clone()
    }
}

/// Without the password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.url))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

/// Where history is kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Reads `sqlite:PATH`, or `mysql://` (or `mariadb://`) with a host and a database.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fits = match (text.strip_prefix("sqlite:"), server_part(text)) {
            (Some(path), _) => !path.is_empty(),
            (None, Some(server)) => {
                let place = server.rsplit_once('@').map_or(server, |(_, place)| place);
                place.split_once('/').is_some_and(|(place, database)| {
                    read_place(place, 3306).is_some()
                        && !database.is_empty()
                        && !database.starts_with('?')
                })
            }
            (None, None) => false,
        };
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err("write mysql://USER:PASSWORD@HOST:PORT/DATABASE (or mariadb://), or sqlite:PATH"
            .to_owned())
    }

    /// The file in the data directory that is used when nothing else is said.
    pub(crate) fn in_data_dir(data_dir: &Path) -> Self {
        Self(format!("sqlite:{}", data_dir.join("nemeses.db").display()))
    }

    /// Whether it is a server that several processes on several machines may share.
    pub(crate) fn is_server(&self) -> bool {
        server_part(&self.0).is_some()
    }

    /// The file that holds the rows; `None` for a server.
    pub(crate) fn file(&self) -> Option<&Path> {
        let path = self.0.strip_prefix("sqlite:")?;
        Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
    }

    /// The URL with its password, for the client.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

fn server_part(url: &str) -> Option<&str> {
    url.strip_prefix("mysql://").or_else(|| url.strip_prefix("mariadb://"))
}

/// Without the password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_databases() {
        for (url, file) in [
            ("sqlite:a/b.db", Some("a/b.db")),
            ("sqlite:///a/b.db", Some("/a/b.db")),
            ("mysql://u:p@h/d", None),
        ] {
            assert_eq!(DatabaseUrl::parse(url).unwrap().file(), file.map(Path::new), "{url}");
        }
    }

    #[test]
    fn stores() {
        for text in [
            "redis://h",
            "rediss://u:p@h:1/0",
            "redis://:p@[::1]:6379",
            "redis+sentinel://a,b:26380,[::1]/fleet",
            "rediss+sentinel://u:p@a:1/fleet/2",
            "redis+cluster://:p@a:1,b:2",
        ] {
            assert_eq!(RedisUrl::parse(text).unwrap().expose(), text);
        }
        for text in [
            "",
            "h:6379",
            "redis://",
            "redis://h/x",
            "redis://a,b",
            "http://h",
            "redis+sentinel://h",
            "redis+sentinel://h,/fleet",
            "redis+cluster://h/0",
            "redis+magic://h",
        ] {
            assert!(RedisUrl::parse(text).is_err(), "{text}");
        }
        for (text, server) in [
            ("sqlite:data/nemeses.db", false),
            ("mysql://u:p@h:3306/nemeses", true),
            ("mariadb://h/nemeses?ssl-mode=disabled", true),
        ] {
            assert_eq!(DatabaseUrl::parse(text).unwrap().is_server(), server, "{text}");
        }
        for text in ["", "sqlite:", "mysql://h", "mysql://h/", "mysql:///db", "postgres://h/db"] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn passwords_are_never_printed() {
        let password = "ge/he@im";
        for url in [
            format!("mysql://u:{password}@h/db"),
            "mysql://u:geheim@h/db".to_owned(),
            "redis://:geheim@h".to_owned(),
            "redis+sentinel://u:geheim@h:1,b/fleet".to_owned(),
        ] {
            let printed = without_password(&url);
            assert!(!printed.contains("he@im") && !printed.contains("geheim"), "{printed}");
            assert!(printed.contains("@h"), "{printed}");
        }
        let url = DatabaseUrl::parse("mysql://u:geheim@h/db").unwrap();
        assert_eq!(format!("{url:?}"), "DatabaseUrl(mysql://u:***@h/db)");
        for plain in ["sqlite:data/x.db", "mysql://h/db", "mysql://u@h/db"] {
            assert_eq!(without_password(plain), plain);
        }
    }
}
