//! Login with Amazon: a long-lived refresh token buys access tokens of one hour.

use std::time::Duration;

use digitallz_common::secret::Secret;
use serde::Deserialize;
use url::form_urlencoded;

use crate::config::AmazonConfig;
use crate::exchange::{Answer, Request, Text};
use crate::marketplaces::adapter::{AnswerError, frame, refusal};
use crate::token::IssuedToken;

/// Returns the request for an access token.
pub fn token_request(config: &AmazonConfig) -> Request {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", config.refresh_token.expose())
        .append_pair("client_id", config.client_id.expose())
        .append_pair("client_secret", config.client_secret.expose())
        .finish();
    let body = Text::Secret(Secret::new(form));
    Request::post("lwaToken", config.token_url.clone(), "application/x-www-form-urlencoded", body)
}

/// Reads the answer to it.
pub fn read_token(answer: &Answer) -> Result<IssuedToken, AnswerError> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        expires_in: u64,
    }
    match refusal(answer, describe) {
        // The token service answers 400 to credentials it does not know.
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

/// Puts the token where the Selling Partner API looks for it.
pub fn authorize(request: Request, token: &Secret) -> Request {
    request.header("x-amz-access-token", Text::Secret(token.clone()))
}

/// Reads the words of an OAuth error.
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

    fn config() -> AmazonConfig {
        AmazonConfig::new(Secret::new("id&1"), Secret::new("hush"), Secret::new("Atzr|x"))
    }

    #[test]
    fn a_token_request_is_a_form_that_does_not_print() {
        let request = token_request(&config());
        let (media_type, body) = request.body.as_ref().unwrap();
        assert_eq!(*media_type, "application/x-www-form-urlencoded");
        assert_eq!(
            body.expose(),
            "grant_type=refresh_token&refresh_token=Atzr%7Cx&client_id=id%261&client_secret=hush"
        );
        assert!(!format!("{request:?}").contains("hush"));
        assert_eq!(request.open_body().as_deref(), Some("[removed]"));
    }

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
}
