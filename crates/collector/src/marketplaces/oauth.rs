//! The answer of an OAuth 2.0 token service (RFC 6749, sections 5.1 and 5.2), as Amazon and eBay both give it.

use std::time::Duration;

use digitallz_common::secret::Secret;
use serde::Deserialize;

use crate::exchange::Answer;
use crate::marketplaces::adapter::{AnswerError, frame, refusal};
use crate::token::IssuedToken;

/// Reads a granted token, or why there is none.
///
/// Credentials that are not known are answered with 400 or 401; both ask for other credentials, not for another try.
pub fn read_token(answer: &Answer) -> Result<IssuedToken, AnswerError> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        expires_in: u64,
    }
    match refusal(answer, describe) {
        Some(AnswerError::Refused { status: 400, detail }) => Err(AnswerError::Unauthorized(detail)),
        Some(error) => Err(error),
        None => {
            let granted: Granted = frame(answer)?;
            Ok(IssuedToken {
                token: Secret::new(granted.access_token),
                lifetime: Duration::from_secs(granted.expires_in),
            })
        }
    }
}

/// Reads the words of an error.
fn describe(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body).ok()?;
    Some(format!("{}: {}", refusal.error, refusal.error_description.unwrap_or_default()))
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
        let issued = read_token(&granted).unwrap();
        assert_eq!((issued.token.expose(), issued.lifetime), ("A", Duration::from_secs(3_600)));

        let refused = answer(400, "application/json", r#"{"error":"invalid_grant","error_description":"unknown"}"#);
        let error = read_token(&refused).unwrap_err();
        assert!(matches!(&error, AnswerError::Unauthorized(detail) if detail == "invalid_grant: unknown"), "{error}");
    }

    #[test]
    fn bad_credentials_are_told_from_an_outage() {
        let refused = answer(
            401,
            "application/json",
            r#"{"error":"invalid_client","error_description":"client authentication failed"}"#,
        );
        assert!(matches!(read_token(&refused), Err(AnswerError::Unauthorized(_))));
        assert!(matches!(read_token(&answer(503, "text/plain", "")), Err(AnswerError::Unavailable { .. })));
        let granted = answer(
            200,
            "application/json",
            r#"{"access_token":"v^1.1","expires_in":7200,"token_type":"Application Access Token"}"#,
        );
        assert_eq!(read_token(&granted).unwrap().lifetime, Duration::from_secs(7_200));
    }
}
