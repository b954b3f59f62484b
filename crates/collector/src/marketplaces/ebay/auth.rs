//! eBay's application token: client credentials buy access tokens of two hours, at most a thousand a day.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use digitallz_common::secret::Secret;

use crate::config::EbayConfig;
use crate::exchange::{Request, Text};
use crate::marketplaces::adapter::address;

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

/// Puts the token where the Browse API looks for it.
pub fn authorize(request: Request, token: &Secret) -> Request {
    request.header("authorization", Text::Secret(Secret::new(format!("Bearer {}", token.expose()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_travel_in_a_header_that_does_not_print() {
        let request = token_request(&EbayConfig::new(Secret::new("id"), Secret::new("hush")));
        assert_eq!(request.url.as_str(), "https://api.ebay.com/identity/v1/oauth2/token");
        assert_eq!(request.headers[0].1.expose(), "Basic aWQ6aHVzaA==");
        assert!(!format!("{request:?}").contains("aWQ6"));
    }
}
