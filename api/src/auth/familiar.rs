//! Browsers that have signed in to an account before: a cookie says so, signed under the
//! tokens' secret for an audience of its own. It opens nothing; it only lets its bearer
//! try a password while strangers who guess at the account have to wait. Time is an
//! argument.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::carrier::{BROWSER_COOKIE, FAMILIAR_S, cookie_of};
use crate::secret::TokenSecret;

/// Seconds after which it is noted again.
const RENEWED_AFTER_S: u64 = 86_400;
const ISSUER: &str = "nemeses";
const AUDIENCE: &str = "nemeses-browser";
/// Ours are some 250 bytes.
const LONGEST: usize = 512;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// Of the account's address.
    sub: String,
    /// The browser.
    jti: String,
    exp: u64,
}

/// Issues and checks the cookies.
pub(crate) struct Familiar {
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
}

impl Familiar {
    pub(crate) fn new(secret: &TokenSecret) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // As for tokens: compared with the time given.
        rules.validate_exp = false;
        Self {
            sign: EncodingKey::from_secret(secret.bytes()),
            check: DecodingKey::from_secret(secret.bytes()),
            rules,
        }
    }

    /// For a browser that has just signed in to the account of this address.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn issue(&self, email: &str, now_s: u64) -> anyhow::Result<String> {
        let browser = format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
        self.sign(account(email), browser, now_s)
    }

    /// The browser, if it has signed in to the account of this address.
    pub(crate) fn browser(
        &self,
        headers: &axum::http::HeaderMap,
        https: bool,
        email: &str,
        now_s: u64,
    ) -> Option<String> {
        let claims = self.read(cookie_of(headers, BROWSER_COOKIE, https)?, now_s)?;
        (claims.sub == account(email)).then_some(claims.jti)
    }

    /// The same cookie for another 90 days, once a day.
    pub(crate) fn renewed(
        &self,
        headers: &axum::http::HeaderMap,
        https: bool,
        now_s: u64,
    ) -> Option<String> {
        let claims = self.read(cookie_of(headers, BROWSER_COOKIE, https)?, now_s)?;
        let is_old = claims.exp < now_s + FAMILIAR_S - RENEWED_AFTER_S;
        is_old.then(|| self.sign(claims.sub, claims.jti, now_s).ok())?
    }

    fn sign(&self, sub: String, jti: String, now_s: u64) -> anyhow::Result<String> {
        let exp = now_s.saturating_add(FAMILIAR_S);
        let claims = Claims { iss: ISSUER.to_owned(), aud: AUDIENCE.to_owned(), sub, jti, exp };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)?)
    }

    fn read(&self, text: &str, now_s: u64) -> Option<Claims> {
        if text.len() > LONGEST {
            return None;
        }
        let claims = jsonwebtoken::decode::<Claims>(text, &self.check, &self.rules).ok()?.claims;
        (claims.exp > now_s).then_some(claims)
    }
}

/// An account in the cookie: nobody reads an address out of it.
fn account(email: &str) -> String {
    let hash = Sha256::new().chain_update("nemeses account ").chain_update(email).finalize();
    hex::encode(&hash[..16])
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::*;
    use crate::access::Credential;
    use crate::auth::Tokens;

    const NOW: u64 = 1_600_000_000;

    fn secret(letter: char) -> TokenSecret {
        TokenSecret::from_text(&letter.to_string().repeat(32)).unwrap()
    }

    fn sent(name: &str, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("{name}={value}")).unwrap();
        HeaderMap::from_iter([(header::COOKIE, value)])
    }

    #[test]
    fn a_browser_is_known_to_its_account_for_a_while() {
        let familiar = Familiar::new(&secret('a'));
        let cookie = familiar.issue("ana@example.org", NOW).unwrap();
        let headers = sent("nemeses_browser", &cookie);
        let browser = |email, now_s| familiar.browser(&headers, false, email, now_s);
        let known = browser("ana@example.org", NOW).unwrap();
        assert_eq!(browser("ana@example.org", NOW + FAMILIAR_S - 1), Some(known.clone()));
        assert_eq!(browser("ana@example.org", NOW + FAMILIAR_S), None);
        assert_eq!(browser("bob@example.org", NOW), None);
        assert_eq!(familiar.browser(&headers, true, "ana@example.org", NOW), None, "another name");
        let by_https = sent("__Host-nemeses_browser", &cookie);
        assert!(familiar.browser(&by_https, true, "ana@example.org", NOW).is_some());

        assert_eq!(familiar.renewed(&headers, false, NOW + RENEWED_AFTER_S), None);
        let later = NOW + RENEWED_AFTER_S + 1;
        let renewed = sent("nemeses_browser", &familiar.renewed(&headers, false, later).unwrap());
        let again = familiar.browser(&renewed, false, "ana@example.org", NOW + FAMILIAR_S);
        assert_eq!(again, Some(known));
        assert!(!cookie.contains("ana"));
    }

    #[test]
    fn nothing_else_is_such_a_cookie_and_it_is_nothing_else() {
        let (familiar, tokens) = (Familiar::new(&secret('a')), Tokens::new(&secret('a').into()));
        let token = tokens.issue(7, Credential::Session(1), NOW, NOW + 900).unwrap();
        let other = Familiar::new(&secret('b')).issue("ana@example.org", NOW).unwrap();
        for value in ["", "a.b.c", &token, &other, &"x".repeat(9000)] {
            let headers = sent("nemeses_browser", value);
            assert_eq!(familiar.browser(&headers, false, "ana@example.org", NOW), None);
            assert_eq!(familiar.renewed(&headers, false, NOW), None);
        }
        let cookie = familiar.issue("ana@example.org", NOW).unwrap();
        assert!(tokens.accept(&cookie, NOW).is_err());
    }
}
