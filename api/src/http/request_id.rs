//! The id under which a request is found again: the client's own when it is a
//! sane one, else drawn. It goes into log lines, problem documents and the answer.

use axum::http::HeaderValue;

/// Longer ones are not taken over: they would fill the log.
const LONGEST: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// 1 to 64 letters, digits, `.`, `_` or `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// The one that was sent, if it is sane; else a new one.
    pub(crate) fn of(sent: Option<&HeaderValue>) -> Self {
        let text = sent.and_then(|value| value.to_str().ok()).filter(|text| is_sane(text));
        Self(text.map_or_else(drawn, str::to_owned))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn to_header(&self) -> HeaderValue {
        // Only visible ASCII gets in.
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    }

    /// Runs what belongs to the request, which can then ask for the id.
    pub(crate) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.0, work).await
    }
}

/// The id of the request that is being answered.
pub(crate) fn current_request_id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

fn is_sane(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(good)
}

/// 64 random bits: enough to find one request among a day's.
fn drawn() -> String {
    let mut bytes = [0; 8];
    // Without randomness the id is zeros, which harms nobody.
    let _ = getrandom::fill(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ids_are_taken_over_and_others_replaced() {
        let of = |text: &str| RequestId::of(Some(&HeaderValue::from_str(text).unwrap()));
        let longest = "x".repeat(LONGEST);
        for good in ["a", "0b1c-2.d_E", &longest] {
            assert_eq!(of(good).as_str(), good);
        }
        for bad in ["", "a b", "a\"b", "a=b", &"x".repeat(LONGEST + 1)] {
            assert_eq!(of(bad).as_str().len(), 16, "{bad}");
            assert_ne!(of(bad), of(bad));
        }
        assert_eq!(RequestId::of(None).to_header().len(), 16);
    }

    #[tokio::test]
    async fn the_id_is_known_during_its_request_alone() {
        assert_eq!(current_request_id(), None);
        let id = RequestId("a".into());
        assert_eq!(id.during(async { current_request_id() }).await.as_deref(), Some("a"));
        assert_eq!(current_request_id(), None);
    }
}
