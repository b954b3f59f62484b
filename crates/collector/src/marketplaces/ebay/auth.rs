//! eBay's application token: client credentials buy access tokens of two hours, at most a thousand a day.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use digitallz_common::secret::Secret;
use serde::Deserialize;

use crate::config::EbayConfig;
use crate::exchange::{Answer, Request, Text};
use crate::marketplaces::adapter::{AnswerError, address, frame, refusal};
use crate::token::IssuedToken;

const TOKEN_PATH: &str = "/identity/v1/oauth2/token";

/// Returns the request for an access token.
pub fn token_request(config: &EbayConfig) -> Request {
    const FORM: &str = "grant_type=client_credentials&scope=https%3A%2F%2Fapi.ebay.com%2Foauth%2Fapi_scope";
    let credentials = format!("{}:{}", config.client_id.expose().trim(), config.client_secret.expose().trim());
    let basic = format!("Basic {}", STANDARD.encode(credentials));
    let url = address(&config.base_url, TOKEN_PATH);
    Request::post("oauthToken", url, "application/x-www-form-urlencoded", Text::Open(FORM.to_owned()))
        .header("authorization", Text::Secret(Secret::new(basic)))
}

/// Reads the answer to it.
pub fn read_token(answer: &Answer) -> Result<IssuedToken, AnswerError> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        expires_in: u64,
    }
    match refusal(answer, describe) {
        // Unknown credentials are answered with 401, malformed ones with 400.
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

/// Puts the token where the Browse API looks for it.
pub fn authorize(request: Request, token: &Secret) -> Request {
    request.header("authorization", Text::Secret(Secret::new(format!("Bearer {}", token.expose()))))
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

    #[test]
    fn credentials_travel_in_a_header_that_does_not_print() {
        let request = token_request(&EbayConfig::new(Secret::new("id"), Secret::new("hush")));
        assert_eq!(request.url.as_str(), "https://api.ebay.com/identity/v1/oauth2/token");
        assert_eq!(request.headers[0].1.expose(), "Basic aWQ6aHVzaA==");
        assert!(!format!("{request:?}").contains("aWQ6"));
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
