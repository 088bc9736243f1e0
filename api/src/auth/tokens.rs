//! Tokens: JWT, HS256 and nothing else, for this issuer and audience, good for
//! an hour. There is no list of live tokens: whoever holds one is the user until
//! it expires. Time is an argument.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::secret::TokenSecret;

const ISSUER: &str = "nemeses";
const AUDIENCE: &str = "nemeses-api";
/// Ours are some 250 bytes; longer ones are not looked at.
const LONGEST_TOKEN: usize = 1024;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    exp: u64,
}

/// What a good token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Whose it is.
    pub user_id: u64,
    /// Until when it is good, Unix seconds.
    pub expires_at: u64,
}

/// Why a token is not good. The client is told only what it can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Was good once.
    Expired,
    /// Not one of ours.
    Invalid,
}

/// Issues and checks tokens.
pub struct Tokens {
    life_s: u64,
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
}

impl Tokens {
    /// Tokens under a secret, good for `life`.
    pub fn new(secret: &TokenSecret, life: Duration) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library asks the machine's clock and allows a minute; `accept`
        // compares with the time it is given, to the second.
        rules.validate_exp = false;
        Self {
            life_s: life.as_secs(),
            sign: EncodingKey::from_secret(secret.bytes()),
            check: DecodingKey::from_secret(secret.bytes()),
            rules,
        }
    }

    /// Seconds that a new token is good for.
    pub const fn life_s(&self) -> u64 {
        self.life_s
    }

    /// A token for the user, issued at `now_s` (Unix seconds).
    ///
    /// # Errors
    /// When the library cannot sign, which for HS256 it always can.
    pub fn issue(&self, user_id: u64, now_s: u64) -> anyhow::Result<String> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user_id.to_string(),
            iat: now_s,
            exp: now_s.saturating_add(self.life_s),
        };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)?)
    }

    pub(crate) fn accept(&self, token: &str, now_s: u64) -> Result<Accepted, Refused> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refused::Invalid);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.check, &self.rules)
            .map_err(|_| Refused::Invalid)?
            .claims;
        if claims.exp <= now_s {
            return Err(Refused::Expired);
        }
        let user_id = claims.sub.parse().map_err(|_| Refused::Invalid)?;
        Ok(Accepted { user_id, expires_at: claims.exp })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_600_000_000;
    const SECRET: &str = "a secret of at least thirty-two bytes";

    fn secret() -> TokenSecret {
        TokenSecret::from_text(SECRET).unwrap()
    }

    fn tokens() -> Tokens {
        Tokens::new(&secret(), Duration::from_secs(3600))
    }

    fn claims() -> Value {
        json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "7", "iat": NOW, "exp": NOW + 3600})
    }

    fn signed(algorithm: Algorithm, claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret().bytes());
        jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
    }

    #[test]
    fn an_issued_token_is_good_until_it_expires() {
        let token = tokens().issue(7, NOW).unwrap();
        let good = Accepted { user_id: 7, expires_at: NOW + 3600 };
        assert_eq!(tokens().accept(&token, NOW), Ok(good));
        assert_eq!(tokens().accept(&token, NOW + 3599), Ok(good));
        assert_eq!(tokens().accept(&token, NOW + 3600), Err(Refused::Expired));
        assert_eq!(tokens().accept(&signed(Algorithm::HS256, &claims()), NOW), Ok(good));
    }

    #[test]
    fn other_algorithms_are_refused_even_under_our_key() {
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            assert_eq!(tokens().accept(&signed(algorithm, &claims()), NOW), Err(Refused::Invalid));
        }
    }

    #[test]
    fn tokens_without_a_signature_are_refused() {
        let body = URL_SAFE_NO_PAD.encode(claims().to_string());
        for alg in ["none", "None", "NONE", "HS256", ""] {
            let head = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
            for token in [format!("{head}.{body}."), format!("{head}.{body}")] {
                assert_eq!(tokens().accept(&token, NOW), Err(Refused::Invalid), "{alg}");
            }
        }
    }

    #[test]
    fn every_claim_must_be_there_and_ours() {
        let changes = [
            ("iss", json!("someone")),
            ("aud", json!("another-api")),
            ("aud", json!(["x", "y"])),
            ("sub", json!("seven")),
            ("sub", json!(7)),
            ("sub", json!("-7")),
            ("exp", json!("tomorrow")),
            ("exp", json!(-1)),
        ];
        for (claim, value) in changes {
            let mut body = claims();
            body[claim] = value.clone();
            let token = signed(Algorithm::HS256, &body);
            assert_eq!(tokens().accept(&token, NOW), Err(Refused::Invalid), "{claim} {value}");
        }
        for claim in ["iss", "aud", "sub", "exp"] {
            let mut body = claims();
            body.as_object_mut().unwrap().remove(claim);
            let token = signed(Algorithm::HS256, &body);
            assert_eq!(tokens().accept(&token, NOW), Err(Refused::Invalid), "without {claim}");
        }
    }

    #[test]
    fn forged_and_damaged_tokens_are_refused() {
        let other = TokenSecret::from_text("another secret of at least 32 bytes").unwrap();
        let forged = Tokens::new(&other, Duration::from_secs(3600)).issue(7, NOW).unwrap();
        assert_eq!(tokens().accept(&forged, NOW), Err(Refused::Invalid));
        let good = tokens().issue(7, NOW).unwrap();
        let mut parts: Vec<&str> = good.split('.').collect();
        let body = URL_SAFE_NO_PAD.encode(claims().to_string().replace("\"7\"", "\"8\""));
        parts[1] = &body;
        assert_eq!(tokens().accept(&parts.join("."), NOW), Err(Refused::Invalid));
        for damaged in
            ["", ".", "..", "a.b.c", &good[1..], &good[..good.len() - 1], &"x".repeat(9000)]
        {
            assert_eq!(tokens().accept(damaged, NOW), Err(Refused::Invalid), "{damaged}");
        }
    }
}
