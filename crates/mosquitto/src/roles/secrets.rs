//! Secrets in the clear, as `nemeses device add` and `rotate` print them: lines
//! `NAME SECRET`, the two lines they print for people, or the objects they print
//! with `--json`. The last secret of a name counts. Pure.

use std::collections::BTreeMap;

use nemeses_runtime::Secret;
use serde::Deserialize;

/// Secrets by the name of their login.
pub type Secrets = BTreeMap<String, Secret>;

#[derive(Deserialize)]
struct Entry {
    name: String,
    secret: String,
}

/// Reads secrets by name.
///
/// # Errors
/// The line that cannot be read, by number and without repeating it.
pub fn read_secrets(text: &str) -> Result<Secrets, String> {
    if text.trim_start().starts_with('{') { objects(text) } else { lines(text) }
}

fn objects(text: &str) -> Result<Secrets, String> {
    let entries = serde_json::Deserializer::from_str(text).into_iter::<Entry>();
    let pairs = entries.map(|entry| {
        let Entry { name, secret } = entry.map_err(|error| {
            format!("line {} is not what `device add --json` prints", error.line())
        })?;
        Ok((name, Secret::new(secret)))
    });
    pairs.collect()
}

fn lines(text: &str) -> Result<Secrets, String> {
    const PRINTED_LAST: &str = "The password is not kept";
    let mut secrets = BTreeMap::new();
    let mut named: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let wrong = || format!("line {} is not NAME SECRET", index + 1);
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["user", "name", name] => named = Some(name),
            ["password", secret] if named.is_some() => {
                let name = named.take().ok_or_else(wrong)?;
                secrets.insert(name.to_owned(), Secret::new(secret));
            }
            [name, secret] => {
                secrets.insert(name.to_owned(), Secret::new(secret));
            }
            _ if line.starts_with(PRINTED_LAST) => {}
            _ => return Err(wrong()),
        }
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(text: &str) -> Vec<(String, String)> {
        let secrets = read_secrets(text).unwrap();
        secrets.into_iter().map(|(name, secret)| (name, secret.expose().to_owned())).collect()
    }

    fn pair(name: &str, secret: &str) -> (String, String) {
        (name.to_owned(), secret.to_owned())
    }

    #[test]
    fn the_three_forms() {
        let expected = [pair("0A3F73", "s-1"), pair("parser", "s_2")];
        assert_eq!(spelt("# mine\n0A3F73 s-0\n\nparser\ts_2\n0A3F73  s-1\n"), expected);
        assert_eq!(
            spelt(
                "user name  0A3F73\npassword   s-1\nThe password is not kept anywhere and cannot be shown again.\nuser name  parser\npassword   s_2\n"
            ),
            expected
        );
        assert_eq!(
            spelt(
                "{\n  \"name\": \"0A3F73\",\n  \"secret\": \"s-1\"\n}\n{\"name\":\"parser\",\"secret\":\"s_2\"}"
            ),
            expected
        );
        assert_eq!(spelt("password s-1"), [pair("password", "s-1")]);
        assert_eq!(spelt(""), []);
    }

    #[test]
    fn a_wrong_line_is_named_and_not_repeated() {
        for text in ["good s\nonly-a-secret", "good s\na b c", "{\"name\":\"a\",\n\"s\":\"only\"}"]
        {
            let error = read_secrets(text).unwrap_err();
            assert!(error.contains("line 2") && !error.contains("only"), "{error}");
        }
    }
}
