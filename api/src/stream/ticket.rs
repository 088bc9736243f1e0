//! Tickets: how a browser, which cannot send a header with a WebSocket, opens a
//! stream. Good for seconds and, by the live store's word, for one use on any
//! instance. Signed under the tokens' secret for an audience of their own, so that
//! neither passes for the other. Time is an argument.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::holder::Holder;
use crate::backend::Backend;
use crate::problem::{Kind, Problem};
use crate::secret::TokenSecret;

/// Seconds that a ticket is good for.
pub(crate) const TICKET_LIFE_S: u64 = 30;
const ISSUER: &str = "nemeses";
const AUDIENCE: &str = "nemeses-stream";
/// Ours are some 300 bytes.
const LONGEST: usize = 1024;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: u64,
    /// The word that is good once.
    jti: String,
    holder: Holder,
}

/// Issues and checks tickets.
pub(crate) struct Tickets {
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
}

/// A good ticket, if nobody used it before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) holder: Holder,
    pub(crate) word: String,
}

impl Tickets {
    pub(crate) fn new(secret: &TokenSecret) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        // As for tokens: compared with the time given, without a minute's grace.
        rules.validate_exp = false;
        Self {
            sign: EncodingKey::from_secret(secret.bytes()),
            check: DecodingKey::from_secret(secret.bytes()),
            rules,
        }
    }

    /// A ticket for whoever holds this.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn issue(&self, holder: &Holder, now_s: u64) -> anyhow::Result<String> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: now_s.saturating_add(TICKET_LIFE_S),
            jti: format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?),
            holder: holder.clone(),
        };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)?)
    }

    /// What a ticket says that is ours and in time.
    pub(crate) fn read(&self, ticket: &str, now_s: u64) -> Option<Ticket> {
        if ticket.len() > LONGEST {
            return None;
        }
        let claims = jsonwebtoken::decode::<Claims>(ticket, &self.check, &self.rules).ok()?.claims;
        let word = format!("ticket:{}", claims.jti);
        (claims.exp > now_s).then_some(Ticket { holder: claims.holder, word })
    }
}

/// Takes a ticket in: from now on it is good no more, on any instance.
pub(crate) async fn redeem(
    tickets: &Tickets,
    backend: &Backend,
    ticket: &str,
) -> Result<Holder, Problem> {
    let refused = |detail| Err(Problem::new(Kind::Unauthorized, detail).blaming("ticket"));
    let Some(ticket) = tickets.read(ticket, backend.clock.now_ms() / 1000) else {
        return refused("The ticket is not valid or too old. Ask for another one.");
    };
    // Twice as long as it is good, so that instances whose clocks differ agree.
    let first = backend.stores.live.first_use(&ticket.word, 2 * TICKET_LIFE_S * 1000);
    if !backend.live.ask(first).await? {
        return refused("The ticket was used before. Ask for another one.");
    }
    Ok(ticket.holder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Credential;
    use crate::auth::Tokens;

    const NOW: u64 = 1_600_000_000;

    fn secret(letter: char) -> TokenSecret {
        TokenSecret::from_text(&letter.to_string().repeat(32)).unwrap()
    }

    #[test]
    fn a_ticket_is_good_for_seconds_and_under_our_secret() {
        let (tickets, holder) = (Tickets::new(&secret('a')), Holder::of_test(7));
        let text = tickets.issue(&holder, NOW).unwrap();
        let ticket = tickets.read(&text, NOW + TICKET_LIFE_S - 1).unwrap();
        assert_eq!(ticket.holder, holder);
        assert_ne!(tickets.issue(&holder, NOW).unwrap(), text, "each has a word of its own");
        assert_eq!(tickets.read(&text, NOW + TICKET_LIFE_S), None);
        assert_eq!(Tickets::new(&secret('b')).read(&text, NOW), None);
        for damaged in ["", ".", "a.b.c", &text[1..], &"x".repeat(9000)] {
            assert_eq!(tickets.read(damaged, NOW), None, "{damaged}");
        }
    }

    #[test]
    fn a_token_is_no_ticket_and_a_ticket_no_token() {
        let (tickets, tokens) = (Tickets::new(&secret('a')), Tokens::new(&secret('a').into()));
        let token = tokens.issue(7, Credential::Session(1), NOW, NOW + 900).unwrap();
        assert_eq!(tickets.read(&token, NOW), None);
        let ticket = tickets.issue(&Holder::of_test(7), NOW).unwrap();
        assert!(tokens.accept(&ticket, NOW).is_err());
    }
}
