//! Where Redis is, as its URL says: one server, the primary that Sentinels name,
//! or a cluster. Pure.

/// `redis[s]://`, `redis[s]+sentinel://` or `redis[s]+cluster://`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The URL of one server.
    One(String),
    /// The primary that these Sentinels call `name`.
    Sentinel(Sentinels),
    /// URLs of some of a cluster's nodes.
    Cluster(Vec<String>),
}

/// Sentinels, and what they look after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentinels {
    /// URLs of the Sentinels, without a login.
    pub(super) urls: Vec<String>,
    pub(super) name: String,
    scheme: &'static str,
    /// `user:password@`, or nothing.
    login: String,
    database: String,
}

impl Sentinels {
    /// The URL of the server at this address.
    pub(super) fn server(&self, host: &str, port: &str) -> String {
        let Self { scheme, login, database, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("{scheme}://{login}{host}:{port}/{database}")
    }

    /// The URLs of the Sentinels with the login of the servers.
    pub(super) fn urls_with_login(&self) -> Vec<String> {
        let Self { scheme, login, .. } = self;
        let with = |url: &String| url.replacen("://", &format!("://{login}"), 1);
        debug_assert!(self.urls.iter().all(|url| url.starts_with(scheme)));
        self.urls.iter().map(with).collect()
    }

    pub(super) fn has_login(&self) -> bool {
        !self.login.is_empty()
    }
}

impl Place {
    /// Takes a URL apart; what it lacks when that cannot be done.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("it has no ://")?;
        let (scheme, kind) = match scheme.split_once('+') {
            None => (scheme, ""),
            Some(parts) => parts,
        };
        let scheme = match scheme {
            "redis" => "redis",
            "rediss" => "rediss",
            _ => return Err("it is neither redis nor rediss"),
        };
        if kind.is_empty() {
            return Ok(Self::One(url.to_owned()));
        }
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (format!("{login}@"), rest),
            None => (String::new(), rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        match kind {
            "sentinel" => {
                let (name, database) = path.split_once('/').unwrap_or((path, "0"));
                if name.is_empty() {
                    return Err("the name under which the Sentinels know the primary is missing");
                }
                if database.parse::<u16>().is_err() {
                    return Err("its last part is not the number of a database");
                }
                let urls = urls(scheme, "", hosts, 26_379)?;
                let (name, database) = (name.to_owned(), database.to_owned());
                Ok(Self::Sentinel(Sentinels { urls, name, scheme, login, database }))
            }
            "cluster" if path.is_empty() => Ok(Self::Cluster(urls(scheme, &login, hosts, 6_379)?)),
            "cluster" => Err("a cluster has neither a name nor a database"),
            _ => Err("after the + comes sentinel or cluster"),
        }
    }
}

/// The URLs of `host[:port],host[:port]`.
fn urls(
    scheme: &str,
    login: &str,
    hosts: &str,
    usual_port: u16,
) -> Result<Vec<String>, &'static str> {
    let url = |host: &str| {
        // An IPv6 address is in brackets, with colons of its own.
        let name = host.rsplit_once(']').map_or(host, |(_, port)| port);
        let (port, name) = match (host.contains(']'), name.rsplit_once(':')) {
            (true, Some((_, port))) => (port, "bracketed"),
            (false, Some((name, port))) => (port, name),
            (_, None) => {
                return if host.is_empty() {
                    Err("a host is missing")
                } else {
                    Ok(format!("{scheme}://{login}{host}:{usual_port}"))
                };
            }
        };
        if name.is_empty() || port.parse::<u16>().is_err() {
            return Err("one of its hosts is not HOST:PORT");
        }
        Ok(format!("{scheme}://{login}{host}"))
    };
    hosts.split(',').map(url).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_stays_as_it_is() {
        for url in ["redis://h", "rediss://u:p%40@h:1/3", "redis://[::1]:6379"] {
            assert_eq!(Place::parse(url), Ok(Place::One(url.to_owned())));
        }
    }

    #[test]
    fn sentinels_have_a_name_and_the_servers_a_login() {
        let url = "rediss+sentinel://u:p%40ss@a,b:1,[::1]:2/fleet/3";
        let Ok(Place::Sentinel(found)) = Place::parse(url) else { panic!("{url}") };
        assert_eq!(found.urls, ["rediss://a:26379", "rediss://b:1", "rediss://[::1]:2"]);
        assert_eq!(found.urls_with_login()[1], "rediss://u:p%40ss@b:1");
        assert_eq!(found.name, "fleet");
        assert_eq!(found.server("10.0.0.1", "6379"), "rediss://u:p%40ss@10.0.0.1:6379/3");
        assert_eq!(found.server("::1", "6379"), "rediss://u:p%40ss@[::1]:6379/3");
        assert!(found.has_login());
        let Ok(Place::Sentinel(plain)) = Place::parse("redis+sentinel://[::1]/fleet") else {
            panic!("plain")
        };
        assert_eq!(plain.urls, ["redis://[::1]:26379"]);
        assert_eq!(plain.server("h", "1"), "redis://h:1/0");
        assert!(!plain.has_login());
    }

    #[test]
    fn a_cluster_is_some_of_its_nodes() {
        let found = Place::parse("redis+cluster://:p@a:1,b").unwrap();
        let urls = ["redis://:p@a:1", "redis://:p@b:6379"].map(str::to_owned);
        assert_eq!(found, Place::Cluster(urls.to_vec()));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (url, word) in [
            ("h:6379", "no ://"),
            ("http://h", "neither"),
            ("redis+magic://h", "sentinel or cluster"),
            ("redis+sentinel://h:1", "name"),
            ("redis+sentinel://h:1/fleet/x", "number"),
            ("redis+sentinel:///fleet", "host is missing"),
            ("redis+sentinel://a:1,,b:1/fleet", "host is missing"),
            ("redis+sentinel://a:b/fleet", "HOST:PORT"),
            ("redis+cluster://:1", "HOST:PORT"),
            ("redis+cluster://h:1/2", "neither a name nor a database"),
        ] {
            let refusal = Place::parse(url).unwrap_err();
            assert!(refusal.contains(word), "{url}: {refusal}");
        }
    }
}
