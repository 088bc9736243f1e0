//! What an account is made of: address, password, name.

use nemeses_store::history::email_key;
use serde_json::{Value, json};

use super::visible::is_visible_line;
use crate::problem::Problem;

/// Characters a password has at least. Length is the only rule, as NIST SP
/// 800-63B advises; composition rules make passwords worse.
pub(crate) const MIN_PASSWORD_CHARS: usize = 12;
/// Bytes a password has at most: enough for any sentence, and a bound on the work.
pub(crate) const MAX_PASSWORD_BYTES: usize = 1024;
/// RFC 5321, section 4.5.3.1.3, less the angle brackets.
const MAX_EMAIL_BYTES: usize = 254;
/// RFC 5321, section 4.5.3.1.1.
const MAX_LOCAL_BYTES: usize = 64;
/// Characters of a name.
const MAX_NAME_CHARS: usize = 100;

/// The three as JSON schema, for the API's own description.
pub(crate) fn account_fields() -> [(&'static str, Value); 3] {
    let email = json!({"type": "string", "format": "email", "maxLength": MAX_EMAIL_BYTES});
    let password = json!({
        "type": "string", "minLength": MIN_PASSWORD_CHARS, "maxLength": MAX_PASSWORD_BYTES,
    });
    let name = json!({"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS});
    [("email", email), ("password", password), ("name", name)]
}

/// An address in the form in which it is kept. Checked roughly: only a mail
/// that arrives would prove it.
fn email(text: &str) -> Result<String, Problem> {
    let email = email_key(text);
    if email.len() <= MAX_EMAIL_BYTES && looks_like_email(&email) {
        return Ok(email);
    }
    Err(Problem::field("email", "Must be an e-mail address, for example ana@example.org."))
}

/// An address for a new account: none that looks like another's because it mixes Latin letters
/// with those of a script that has the same shapes.
pub(crate) fn new_email(text: &str) -> Result<String, Problem> {
    let email = email(text)?;
    if email.split(['@', '.']).all(|part| !mixes_scripts(part)) {
        return Ok(email);
    }
    Err(Problem::field("email", "Latin letters must not be mixed with Greek, Cyrillic or others."))
}

/// Whether Latin letters stand beside Greek, Coptic, Cyrillic, Armenian or Cherokee ones, or any
/// letter is a Latin one in another dress (letterlike, full width, mathematical).
fn mixes_scripts(part: &str) -> bool {
    let alike = |c| {
        matches!(c, '\u{370}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}' | '\u{1c80}'..='\u{1c8f}'
        | '\u{1f00}'..='\u{1fff}' | '\u{2de0}'..='\u{2dff}' | '\u{a640}'..='\u{a69f}' | '\u{ab70}'..='\u{abbf}')
    };
    let dressed = |c| matches!(c, '\u{2100}'..='\u{214f}' | '\u{ff21}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}');
    let latin = |c: char| {
        c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
    };
    part.contains(dressed) || (part.contains(alike) && part.contains(latin))
}

fn looks_like_email(email: &str) -> bool {
    let Some((local, domain)) = email.split_once('@') else { return false };
    let odd = |c: char| c.is_whitespace() || "@<>()[],;:\\\"".contains(c);
    is_visible_line(email)
        && (1..=MAX_LOCAL_BYTES).contains(&local.len())
        && domain.split('.').all(|label| !label.is_empty())
        && !local.contains(odd)
        && !domain.contains(odd)
}

/// Whether a new password is acceptable.
pub(crate) fn check_password(password: &str) -> Result<(), Problem> {
    if password.chars().count() < MIN_PASSWORD_CHARS || password.len() > MAX_PASSWORD_BYTES {
        return Err(Problem::field(
            "password",
            format!(
                "Must have at least {MIN_PASSWORD_CHARS} characters and at most {MAX_PASSWORD_BYTES} bytes."
            ),
        ));
    }
    Ok(())
}

/// A person's name, or what a person calls a token or a link, trimmed.
pub(crate) fn person_name(text: &str) -> Result<String, Problem> {
    let name = text.trim();
    let length = name.chars().count();
    if (1..=MAX_NAME_CHARS).contains(&length) && is_visible_line(name) {
        return Ok(name.to_owned());
    }
    let detail = format!("Must have 1 to {MAX_NAME_CHARS} characters, none of them invisible.");
    Err(Problem::field("name", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_addresses_do_not_pass_for_others() {
        for good in ["josé@exämple.de", "иван@пример.рф", "ιωάννης@example.gr", "王a@example.cn"]
        {
            new_email(good).unwrap();
        }
        for bad in [
            "\u{430}dmin@example.org",
            "admin@ex\u{430}mple.org",
            "\u{ff41}dmin@x.org",
            "\u{1d41a}@x.org",
        ] {
            assert_eq!(new_email(bad).unwrap_err().at_fault(), Some("email"), "{bad}");
            // Who has such an address already signs in as before.
            email(bad).unwrap();
        }
    }

    #[test]
    fn addresses() {
        for (text, kept) in [
            ("ana@example.org", "ana@example.org"),
            ("  Ana.Maria+x@Example.ORG\n", "ana.maria+x@example.org"),
            ("demo@localhost", "demo@localhost"),
            ("josé@exämple.de", "josé@exämple.de"),
        ] {
            assert_eq!(email(text).unwrap(), kept);
        }
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long = format!("a@{}.org", "b".repeat(255));
        for bad in [
            "",
            "@",
            "ana",
            "ana@",
            "@example.org",
            "a b@example.org",
            "a@b@c",
            "a@.org",
            "a@org.",
            "a@x..org",
            "a\u{0}@x.org",
            "ad\u{200b}min@x.org",
            "a@\u{202e}gro.x",
            "<a@x.org>",
            "a@x.org,b@x.org",
            &long_local,
            &long,
        ] {
            assert_eq!(email(bad).unwrap_err().at_fault(), Some("email"), "{bad}");
        }
    }

    #[test]
    fn passwords_by_length_alone() {
        check_password("aaaaaaaaaaaa").unwrap();
        check_password(&"ü".repeat(12)).unwrap();
        check_password(&"x".repeat(1024)).unwrap();
        for bad in ["", "elevenchars", &"ü".repeat(11), &"x".repeat(1025)] {
            assert_eq!(check_password(bad).unwrap_err().at_fault(), Some("password"), "{bad}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(person_name("  Ana Maria ").unwrap(), "Ana Maria");
        assert_eq!(person_name(&"ü".repeat(100)).unwrap(), "ü".repeat(100));
        for bad in [
            "",
            "   ",
            "a\nb",
            "a\u{7}",
            "\u{202e}nimda",
            "A\u{200b}na",
            "\u{3164}",
            &"x".repeat(101),
        ] {
            assert_eq!(person_name(bad).unwrap_err().at_fault(), Some("name"), "{bad}");
        }
    }
}
