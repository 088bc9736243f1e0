//! Beginning a session, going on with it, and ending it.

use nemeses_store::history::{MAX_USER_AGENT, NewSession, Rotation, Session};

use super::AuthState;
use super::refresh::{RefreshToken, Verdict, draw, judge, not_good};
use crate::access::Credential;
use crate::problem::{Kind, Problem, fault};

/// How often a token is judged again that was rotated by another request meanwhile.
const ATTEMPTS: u32 = 4;

/// What someone gets who signs in or goes on with a session.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) user_id: u64,
    /// The access token.
    pub(crate) token: String,
    /// Seconds that it is good for.
    pub(crate) expires_in: u64,
    pub(crate) refresh: RefreshToken,
    /// Seconds that the refresh token is good for.
    pub(crate) refresh_expires_in: u64,
}

impl AuthState {
    /// Begins a session of someone whose password was right.
    pub(crate) async fn begin_session(
        &self,
        user_id: u64,
        user_agent: &str,
    ) -> Result<Signed, Problem> {
        let refresh = RefreshToken::draw().map_err(|error| fault(&error))?;
        let (family, current) = (refresh.family_digest(), refresh.digest());
        let now_ms = self.clock.now_ms();
        let session = NewSession {
            user_id,
            family: &family,
            current: &current,
            expires_at_ms: self.session_end(now_ms),
            user_agent: kept_agent(user_agent),
        };
        let id = self.history.ask(self.stores.sessions.begin(session, now_ms)).await?;
        self.signed(user_id, id, refresh, now_ms)
    }

    /// Hands out the next refresh token, or ends the family of one that was used twice.
    pub(crate) async fn refresh(&self, presented: &RefreshToken) -> Result<Signed, Problem> {
        for _ in 0..ATTEMPTS {
            let now_ms = self.clock.now_ms();
            let session = self.session_of(presented).await?.ok_or_else(not_good)?;
            match judge(&session, &presented.digest(), now_ms) {
                Verdict::Over => return Err(not_good()),
                Verdict::Reused => return Err(self.end_family(&session).await?),
                Verdict::Again(nonce) => {
                    let next = presented.successor(&nonce);
                    return self.go_on(&session, next, now_ms).await;
                }
                Verdict::Rotate => {
                    if let Some(next) = self.rotate(&session, presented, now_ms).await? {
                        return self.go_on(&session, next, now_ms).await;
                    }
                    // Another request with the same token was faster: it is the
                    // one before now, or the session is over.
                }
            }
        }
        Err(Problem::new(Kind::Busy, "This session is being refreshed by others. Try again soon."))
    }

    /// The successor, unless the session has changed meanwhile.
    async fn rotate(
        &self,
        session: &Session,
        presented: &RefreshToken,
        now_ms: u64,
    ) -> Result<Option<RefreshToken>, Problem> {
        let nonce = draw().map_err(|error| fault(&error))?;
        let next = presented.successor(&nonce);
        let to = next.digest();
        let rotation = Rotation {
            from: &session.current,
            to: &to,
            nonce: &nonce,
            expires_at_ms: self.session_end(now_ms),
        };
        let rotated = self.stores.sessions.rotate(session.id, rotation, now_ms);
        Ok(self.history.ask(rotated).await?.then_some(next))
    }

    async fn go_on(
        &self,
        session: &Session,
        next: RefreshToken,
        now_ms: u64,
    ) -> Result<Signed, Problem> {
        let access = self.history.ask(self.stores.users.access(session.user_id)).await?;
        access.ok_or_else(not_good)?;
        self.signed(session.user_id, session.id, next, now_ms)
    }

    async fn end_family(&self, session: &Session) -> Result<Problem, Problem> {
        let Session { id, user_id, .. } = *session;
        self.end_session(id, user_id).await?;
        tracing::warn!(
            session = id,
            user_id,
            "a refresh token was used again: somebody else may hold it, the session is ended"
        );
        Ok(not_good())
    }

    /// Ends a session of the user; `false` when there is no such one.
    pub(crate) async fn end_session(&self, id: u64, user_id: u64) -> Result<bool, Problem> {
        let ended = self.history.ask(self.stores.sessions.end(id, user_id)).await?;
        self.known_access.forget(user_id);
        Ok(ended)
    }

    /// Ends every session of the user.
    pub(crate) async fn end_all_sessions(&self, user_id: u64) -> Result<(), Problem> {
        self.history.ask(self.stores.sessions.end_others(user_id, None)).await?;
        self.known_access.forget(user_id);
        Ok(())
    }

    /// Ends the session of a refresh token; one that is good no more ends nothing.
    pub(crate) async fn end_session_of(&self, token: &RefreshToken) -> Result<(), Problem> {
        if let Some(Session { id, user_id, .. }) = self.session_of(token).await? {
            self.end_session(id, user_id).await?;
        }
        Ok(())
    }

    async fn session_of(&self, token: &RefreshToken) -> Result<Option<Session>, Problem> {
        let family = token.family_digest();
        self.history.ask(self.stores.sessions.by_family(&family)).await
    }

    fn session_end(&self, now_ms: u64) -> u64 {
        let life = u64::try_from(self.config.refresh_life.as_millis()).unwrap_or(u64::MAX);
        now_ms.saturating_add(life)
    }

    fn signed(
        &self,
        user_id: u64,
        session: u64,
        refresh: RefreshToken,
        now_ms: u64,
    ) -> Result<Signed, Problem> {
        let (since, expires_in) = (now_ms / 1000, self.config.token_life.as_secs());
        let credential = Credential::Session(session);
        let token = self
            .tokens
            .issue(user_id, credential, since, since.saturating_add(expires_in))
            .map_err(|error| fault(&error))?;
        let refresh_expires_in = self.config.refresh_life.as_secs();
        Ok(Signed { user_id, token, expires_in, refresh, refresh_expires_in })
    }
}

/// What is kept of what a client calls itself.
fn kept_agent(user_agent: &str) -> &str {
    match user_agent.char_indices().nth(MAX_USER_AGENT) {
        Some((end, _)) => &user_agent[..end],
        None => user_agent,
    }
}
