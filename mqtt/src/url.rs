//! Where the broker is: `mqtt://user:password@host:port`, read by hand, since
//! that is all there is to read.

use std::fmt;
use std::str::FromStr;

const DEFAULT_PORT: u16 = 1883;

/// A broker's address and login. Written without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Host name or address; an IPv6 address in brackets.
    pub host: String,
    /// Port, 1883 unless given.
    pub port: u16,
    /// User and password.
    pub login: Option<(String, String)>,
}

/// The text is not a broker's URL. Does not repeat the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a broker is written mqtt://host:port or mqtt://user:password@host:port")]
pub struct ParseBrokerUrlError(&'static str);

impl FromStr for BrokerUrl {
    type Err = ParseBrokerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) =
            text.split_once("://").ok_or(ParseBrokerUrlError("the scheme is missing"))?;
        match scheme {
            "mqtt" | "tcp" => {}
            "mqtts" | "ssl" => {
                return Err(ParseBrokerUrlError("TLS to the broker is not supported yet"));
            }
            _ => return Err(ParseBrokerUrlError("the scheme is not mqtt")),
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(parse_login(login)?), address),
            None => (None, rest),
        };
        let (host, port) = split_port(address)?;
        if host.is_empty() || host.contains(['/', '?', '#', '@']) {
            return Err(ParseBrokerUrlError("the host cannot be read"));
        }
        Ok(Self { host: host.to_owned(), port, login })
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split_port(address: &str) -> Result<(&str, u16), ParseBrokerUrlError> {
    let after_brackets = address.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = address[after_brackets..].find(':') else {
        return Ok((address, DEFAULT_PORT));
    };
    let (host, port) = address.split_at(after_brackets + colon);
    match port[1..].parse() {
        Ok(port) if port != 0 => Ok((host, port)),
        _ => Err(ParseBrokerUrlError("the port is not a number from 1 to 65535")),
    }
}

fn parse_login(login: &str) -> Result<(String, String), ParseBrokerUrlError> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok((percent_decode(user)?, percent_decode(password)?))
}

fn percent_decode(text: &str) -> Result<String, ParseBrokerUrlError> {
    const ERROR: ParseBrokerUrlError =
        ParseBrokerUrlError("the user or password has a % that is not followed by two hex digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let [high, low, after @ ..] = tail else { return Err(ERROR) };
            bytes.push(hex_digit(*high).ok_or(ERROR)? << 4 | hex_digit(*low).ok_or(ERROR)?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_err(|_| ParseBrokerUrlError("the login is not UTF-8"))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Without the login.
impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mqtt://{}:{}", self.host, self.port)
    }
}

/// Without the password.
impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.as_ref().map(|(user, _)| user);
        write!(f, "BrokerUrl({self}, user {user:?})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> BrokerUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn reads_host_port_and_login() {
        assert_eq!(url("mqtt://localhost").port, 1883);
        assert_eq!(url("mqtt://localhost:1884/").port, 1884);
        let with_login = url("mqtt://parser:p%40ss:w%2Ford@broker.example:8000");
        assert_eq!(with_login.host, "broker.example");
        assert_eq!(with_login.port, 8000);
        assert_eq!(with_login.login, Some(("parser".into(), "p@ss:w/ord".into())));
        assert_eq!((url("tcp://[::1]:99").host, url("tcp://[::1]").port), ("[::1]".into(), 1883));
    }

    #[test]
    fn says_what_is_wrong_without_repeating_the_password() {
        for (text, wrong) in [
            ("localhost:1883", "scheme"),
            ("http://localhost", "scheme"),
            ("mqtts://localhost", "TLS"),
            ("mqtt://", "host"),
            ("mqtt://u:secret@", "host"),
            ("mqtt://u:secret@host:0", "port"),
            ("mqtt://host:x", "port"),
            ("mqtt://u:secret%2@host", "hex"),
            ("mqtt://host/path", "host"),
        ] {
            let message = text.parse::<BrokerUrl>().expect_err(text).to_string();
            assert!(message.contains(wrong), "{text}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn is_written_without_the_password() {
        let url = url("mqtt://u:secret@h");
        assert_eq!(url.to_string(), "mqtt://h:1883");
        assert!(!format!("{url:?}").contains("secret"));
    }
}
