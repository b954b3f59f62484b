//! The answer of an OAuth 2.0 token service (RFC 6749, sections 5.1 and 5.2), as Amazon and eBay both give it.

use std::time::Duration;

use digitallz_common::secret::Secret;
use serde::Deserialize;

use crate::exchange::Answer;
use crate::marketplaces::adapter::{AnswerError, Words, frame, naming, refusal};
use crate::marketplaces::disposition::Disposition;
use crate::token::IssuedToken;

/// Reads a granted token, or why there is none; `scope` names what was asked for, for people.
///
/// Credentials that are not known are answered with 400 or 401; both ask for other credentials, not for another try.
pub fn read_token(answer: &Answer, scope: &str) -> Result<IssuedToken, AnswerError> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        expires_in: u64,
    }
    let words = describe(answer);
    let known = known(answer.status, words.as_ref().and_then(|words| words.code.as_deref()));
    if let Some(error) = refusal(answer, known, words) {
        return Err(naming(error, &format!("no token is granted for {scope}")));
    }
    let granted: Granted = frame(answer)?;
    Ok(IssuedToken { token: Secret::new(granted.access_token), lifetime: Duration::from_secs(granted.expires_in) })
}

/// What a token service refuses (RFC 6749, section 5.2) because the credentials are not its own.
pub const NEW_TOKEN_CODES: &[&str] = &["invalid_client", "invalid_grant"];

/// What it refuses because the credentials may not have what was asked for.
pub const MISCONFIGURED_CODES: &[&str] =
    &["invalid_scope", "unauthorized_client", "unsupported_grant_type", "invalid_request"];

/// What it refuses for the rate.
pub const SNOOZE_CODES: &[&str] = &["slow_down"];

fn known(status: u16, code: Option<&str>) -> Option<Disposition> {
    match code {
        Some(code) if MISCONFIGURED_CODES.contains(&code) => Some(Disposition::Misconfigured),
        Some(code) if SNOOZE_CODES.contains(&code) => Some(Disposition::Snooze),
        Some(code) if NEW_TOKEN_CODES.contains(&code) => Some(Disposition::NewToken),
        _ => (status == 400).then_some(Disposition::NewToken),
    }
}

/// Reads the words of an error.
fn describe(answer: &Answer) -> Option<Words> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body).ok()?;
    let text = format!("{}: {}", refusal.error, refusal.error_description.unwrap_or_default());
    Some(Words { code: Some(refusal.error), text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::tests::answer;

    #[test]
    fn a_token_is_read_and_a_refusal_is_told() {
        let granted = answer(
            200,
            "application/json;charset=UTF-8",
            r#"{"access_token":"A","token_type":"bearer","expires_in":3600}"#,
        );
        let issued = read_token(&granted, "a test").unwrap();
        assert_eq!((issued.token.expose(), issued.lifetime), ("A", Duration::from_secs(3_600)));

        let refused = answer(400, "application/json", r#"{"error":"invalid_grant","error_description":"unknown"}"#);
        let error = read_token(&refused, "a test").unwrap_err();
        assert!(matches!(&error, AnswerError::Unauthorized(detail) if detail == "invalid_grant: unknown"), "{error}");
    }

    #[test]
    fn bad_credentials_are_told_from_an_outage() {
        let refused = answer(
            401,
            "application/json",
            r#"{"error":"invalid_client","error_description":"client authentication failed"}"#,
        );
        assert!(matches!(read_token(&refused, "a test"), Err(AnswerError::Unauthorized(_))));
        let scope = answer(400, "application/json", r#"{"error":"invalid_scope","error_description":"exceeds"}"#);
        let error = read_token(&scope, "item_sales (buy.marketplace.insights)").unwrap_err().to_string();
        assert_eq!(
            error,
            "configuration error: no token is granted for item_sales (buy.marketplace.insights): \
             status 400 (invalid_scope: exceeds)"
        );
        assert!(matches!(read_token(&answer(503, "text/plain", ""), "a test"), Err(AnswerError::Unavailable { .. })));
        let granted = answer(
            200,
            "application/json",
            r#"{"access_token":"v^1.1","expires_in":7200,"token_type":"Application Access Token"}"#,
        );
        assert_eq!(read_token(&granted, "a test").unwrap().lifetime, Duration::from_secs(7_200));
    }
}
