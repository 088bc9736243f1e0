//! Tokens: JWT, HS256 and nothing else, for this issuer and audience. A token
//! names the session, scoped token or share link that it stands for, which is
//! looked up when it is used: a token outlives none of them. Signed with the
//! current secret and checked with the one that its `kid` names, the current or
//! the one before. Time is an argument.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use nemeses_protocol::DeviceId;
use nemeses_store::history::Scopes;
use serde::{Deserialize, Serialize};

use super::refresh::draw;
use crate::access::Credential;
use crate::secret::TokenSecrets;

const ISSUER: &str = "nemeses";
const AUDIENCE: &str = "nemeses-api";
/// Ours are some 400 bytes, and 1.7 KB with 100 devices; longer ones are not looked at.
const LONGEST_TOKEN: usize = 4096;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    /// Of someone who signed in.
    Access,
    /// Made for a program.
    Scoped,
    /// Of someone who opened a share link.
    Share,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    typ: Type,
    sub: String,
    sid: String,
    jti: String,
    iat: u64,
    exp: u64,
    /// What the token is for, so that its holder can read it; what counts is what
    /// the database says of `sid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_ids: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
}

/// What a good token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Whose it is.
    pub user_id: u64,
    /// What it stands for.
    pub credential: Credential,
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
    sign: EncodingKey,
    current: Key,
    previous: Option<Key>,
    rules: Validation,
}

struct Key {
    id: String,
    check: DecodingKey,
}

impl Tokens {
    /// Tokens under these secrets.
    pub fn new(secrets: &TokenSecrets) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library asks the machine's clock and allows a minute; `accept`
        // compares with the time it is given, to the second.
        rules.validate_exp = false;
        let key = |secret: &crate::secret::TokenSecret| Key {
            id: secret.id(),
            check: DecodingKey::from_secret(secret.bytes()),
        };
        Self {
            sign: EncodingKey::from_secret(secrets.current.bytes()),
            current: key(&secrets.current),
            previous: secrets.previous.as_ref().map(key),
            rules,
        }
    }

    /// A token that stands for this credential of the user, from `now_s` on and
    /// until `expires_at` (Unix seconds).
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn issue(
        &self,
        user_id: u64,
        credential: Credential,
        now_s: u64,
        expires_at: u64,
    ) -> anyhow::Result<String> {
        self.sign(&Claims::new(user_id, credential, now_s, expires_at)?)
    }

    /// The same with what it is for written in it.
    pub(crate) fn issue_scoped(
        &self,
        user_id: u64,
        credential: Credential,
        (now_s, expires_at): (u64, u64),
        devices: &[DeviceId],
        scopes: Scopes,
    ) -> anyhow::Result<String> {
        let mut claims = Claims::new(user_id, credential, now_s, expires_at)?;
        claims.device_ids = Some(devices.iter().map(ToString::to_string).collect());
        claims.scopes = Some(scopes.names().into_iter().map(str::to_owned).collect());
        self.sign(&claims)
    }

    fn sign(&self, claims: &Claims) -> anyhow::Result<String> {
        let header = Header { kid: Some(self.current.id.clone()), ..Header::new(Algorithm::HS256) };
        Ok(jsonwebtoken::encode(&header, claims, &self.sign)?)
    }

    pub(crate) fn accept(&self, token: &str, now_s: u64) -> Result<Accepted, Refused> {
        let key = self.key_of(token).ok_or(Refused::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.check, &self.rules)
            .map_err(|_| Refused::Invalid)?
            .claims;
        if claims.exp <= now_s {
            return Err(Refused::Expired);
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| Refused::Invalid);
        let sid = number(&claims.sid)?;
        let credential = match claims.typ {
            Type::Access => Credential::Session(sid),
            Type::Scoped => Credential::Token(sid),
            Type::Share => Credential::Share(sid),
        };
        Ok(Accepted { user_id: number(&claims.sub)?, credential, expires_at: claims.exp })
    }

    /// The key that the token says it is signed with.
    fn key_of(&self, token: &str) -> Option<&Key> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let id = jsonwebtoken::decode_header(token).ok()?.kid?;
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|key| key.id == id)
    }
}

impl Claims {
    fn new(
        user_id: u64,
        credential: Credential,
        now_s: u64,
        expires_at: u64,
    ) -> anyhow::Result<Self> {
        let (typ, sid) = match credential {
            Credential::Session(id) => (Type::Access, id),
            Credential::Token(id) => (Type::Scoped, id),
            Credential::Share(id) => (Type::Share, id),
        };
        Ok(Self {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            typ,
            sub: user_id.to_string(),
            sid: sid.to_string(),
            jti: URL_SAFE_NO_PAD.encode(draw::<16>()?),
            iat: now_s,
            exp: expires_at,
            device_ids: None,
            scopes: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::Scope;
    use serde_json::{Value, json};

    use super::*;
    use crate::secret::TokenSecret;

    const NOW: u64 = 1_600_000_000;
    const SECRET: &str = "a secret of at least thirty-two bytes";
    const OTHER: &str = "another secret of at least 32 bytes";
    const SESSION: Credential = Credential::Session(12);

    fn secret(text: &str) -> TokenSecret {
        TokenSecret::from_text(text).unwrap()
    }

    fn tokens() -> Tokens {
        Tokens::new(&secret(SECRET).into())
    }

    fn issued(tokens: &Tokens) -> String {
        tokens.issue(7, SESSION, NOW, NOW + 900).unwrap()
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "typ": "access", "sub": "7", "sid": "12",
            "jti": "x", "iat": NOW, "exp": NOW + 900,
        })
    }

    fn signed(algorithm: Algorithm, claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret(SECRET).bytes());
        let header = Header { kid: Some(secret(SECRET).id()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }

    fn part(token: &str, index: usize) -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn an_issued_token_is_good_until_it_expires() {
        let token = issued(&tokens());
        let good = Accepted { user_id: 7, credential: SESSION, expires_at: NOW + 900 };
        assert_eq!(tokens().accept(&token, NOW), Ok(good));
        assert_eq!(tokens().accept(&token, NOW + 899), Ok(good));
        assert_eq!(tokens().accept(&token, NOW + 900), Err(Refused::Expired));
        assert_eq!(tokens().accept(&signed(Algorithm::HS256, &claims()), NOW), Ok(good));
        assert_ne!(issued(&tokens()), token, "each has an id of its own");
        assert_eq!(part(&token, 0)["kid"], secret(SECRET).id());
        for claim in ["iss", "aud", "typ", "sub", "sid", "jti", "iat", "exp"] {
            assert!(!part(&token, 1)[claim].is_null(), "{claim}");
        }
    }

    #[test]
    fn each_type_stands_for_its_own() {
        for credential in [Credential::Session(1), Credential::Token(1), Credential::Share(1)] {
            let token = tokens().issue(7, credential, NOW, NOW + 1).unwrap();
            assert_eq!(tokens().accept(&token, NOW).unwrap().credential, credential);
        }
    }

    #[test]
    fn a_scoped_token_says_exactly_what_it_is_for() {
        let devices = [DeviceId::new(5), DeviceId::new(0x0A_3F73)];
        let scopes = [Scope::Stream, Scope::Read].into_iter().collect();
        let token = tokens()
            .issue_scoped(7, Credential::Token(3), (NOW, NOW + 9), &devices, scopes)
            .unwrap();
        assert_eq!(part(&token, 1)["device_ids"], json!(["000005", "0A3F73"]));
        assert_eq!(part(&token, 1)["scopes"], json!(["read", "stream"]));
        assert_eq!(tokens().accept(&token, NOW).unwrap().credential, Credential::Token(3));
        let many: Vec<_> = (0..100).map(DeviceId::new).collect();
        let long = tokens()
            .issue_scoped(u64::MAX, Credential::Token(u64::MAX), (NOW, NOW + 9), &many, Scopes::ALL)
            .unwrap();
        assert!(long.len() < 2000, "{}", long.len());
        tokens().accept(&long, NOW).unwrap();
    }

    #[test]
    fn the_secret_before_is_good_for_checking_only() {
        let old = Tokens::new(&secret(OTHER).into());
        let both = TokenSecrets { current: secret(SECRET), previous: Some(secret(OTHER)) };
        let rotated = Tokens::new(&both);
        let kept = issued(&old);
        rotated.accept(&kept, NOW).unwrap();
        let new = issued(&rotated);
        assert_eq!(part(&new, 0)["kid"], secret(SECRET).id());
        tokens().accept(&new, NOW).unwrap();
        assert_eq!(old.accept(&new, NOW), Err(Refused::Invalid));
        assert_eq!(tokens().accept(&kept, NOW), Err(Refused::Invalid));
    }

    #[test]
    fn the_key_must_be_named_and_be_the_one() {
        let with = |kid: Option<&str>, key: &str| {
            let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::HS256) };
            let key = EncodingKey::from_secret(key.as_bytes());
            jsonwebtoken::encode(&header, &claims(), &key).unwrap()
        };
        let (ours, others) = (secret(SECRET).id(), secret(OTHER).id());
        tokens().accept(&with(Some(&ours), SECRET), NOW).unwrap();
        for (kid, key) in [
            (None, SECRET),
            (Some(""), SECRET),
            (Some(others.as_str()), SECRET),
            (Some(others.as_str()), OTHER),
            (Some(ours.as_str()), OTHER),
        ] {
            assert_eq!(tokens().accept(&with(kid, key), NOW), Err(Refused::Invalid), "{kid:?}");
        }
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
            let head = json!({"alg": alg, "typ": "JWT", "kid": secret(SECRET).id()});
            let head = URL_SAFE_NO_PAD.encode(head.to_string());
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
            ("typ", json!("refresh")),
            ("typ", json!("Access")),
            ("sub", json!("seven")),
            ("sub", json!(7)),
            ("sub", json!("-7")),
            ("sid", json!("")),
            ("sid", json!(12)),
            ("exp", json!("tomorrow")),
            ("exp", json!(-1)),
        ];
        for (claim, value) in changes {
            let mut body = claims();
            body[claim] = value.clone();
            let token = signed(Algorithm::HS256, &body);
            assert_eq!(tokens().accept(&token, NOW), Err(Refused::Invalid), "{claim} {value}");
        }
        for claim in ["iss", "aud", "typ", "sub", "sid", "jti", "exp"] {
            let mut body = claims();
            body.as_object_mut().unwrap().remove(claim);
            let token = signed(Algorithm::HS256, &body);
            assert_eq!(tokens().accept(&token, NOW), Err(Refused::Invalid), "without {claim}");
        }
    }

    #[test]
    fn forged_and_damaged_tokens_are_refused() {
        let forged = issued(&Tokens::new(&secret(OTHER).into()));
        assert_eq!(tokens().accept(&forged, NOW), Err(Refused::Invalid));
        let good = issued(&tokens());
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
