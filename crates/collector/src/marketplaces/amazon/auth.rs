//! Login with Amazon: a long-lived refresh token buys access tokens of one hour.

use digitallz_common::secret::Secret;
use url::form_urlencoded;

use crate::config::AmazonConfig;
use crate::exchange::{Request, Text};

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

/// Puts the token where the Selling Partner API looks for it.
pub fn authorize(request: Request, token: &Secret) -> Request {
    request.header("x-amz-access-token", Text::Secret(token.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
