//! eBay's tokens of two hours, at most a thousand a day: the application's by its credentials, one per scope, and the
//! user's by a long-lived refresh token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use digitallz_common::secret::Secret;
use url::form_urlencoded;

use crate::config::EbayConfig;
use crate::exchange::{Request, Text, TokenKind};
use crate::marketplaces::adapter::address;

const TOKEN_PATH: &str = "/identity/v1/oauth2/token";

/// Returns the request for an access token; none where there is no refresh token of the kind.
pub fn token_request(config: &EbayConfig, kind: TokenKind) -> Option<Request> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let body = match kind {
        TokenKind::Main | TokenKind::Items | TokenKind::Insights => {
            form.append_pair("grant_type", "client_credentials").append_pair("scope", scope(kind));
            Text::Open(form.finish())
        }
        TokenKind::User if !config.user_refresh_token.expose().trim().is_empty() => {
            form.append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", config.user_refresh_token.expose().trim())
                .append_pair("scope", scope(kind));
            Text::Secret(Secret::new(form.finish()))
        }
        TokenKind::User | TokenKind::Advertiser => return None,
    };
    let credentials = format!("{}:{}", config.client_id.expose().trim(), config.client_secret.expose().trim());
    let basic = format!("Basic {}", STANDARD.encode(credentials));
    let url = address(&config.base_url, TOKEN_PATH);
    let request = Request::post("oauthToken", url, "application/x-www-form-urlencoded", body);
    Some(request.header("authorization", Text::Secret(Secret::new(basic))))
}

/// Names what a token of a kind opens, for people.
pub fn scope_of(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Items => "getItems (scope buy.item.bulk)",
        TokenKind::Insights => "Marketplace Insights (scope buy.marketplace.insights, a limited release)",
        TokenKind::User => "Promoted Listings (scope sell.marketing), by DIGITALLZ_EBAY_USER_REFRESH_TOKEN",
        TokenKind::Main | TokenKind::Advertiser => "public data (scope api_scope)",
    }
}

/// Returns the scope that a token of a kind holds, by the contracts' `security`.
fn scope(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Items => "https://api.ebay.com/oauth/api_scope/buy.item.bulk",
        TokenKind::Insights => "https://api.ebay.com/oauth/api_scope/buy.marketplace.insights",
        TokenKind::User => "https://api.ebay.com/oauth/api_scope/sell.marketing",
        TokenKind::Main | TokenKind::Advertiser => "https://api.ebay.com/oauth/api_scope",
    }
}

/// Puts the token where all of its APIs look for it.
pub fn authorize(request: Request, token: &Secret) -> Request {
    request.header("authorization", Text::Secret(Secret::new(format!("Bearer {}", token.expose()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_travel_in_a_header_that_does_not_print() {
        let request = token_request(&EbayConfig::new(Secret::new("id"), Secret::new("hush")), TokenKind::Main).unwrap();
        assert_eq!(request.url.as_str(), "https://api.ebay.com/identity/v1/oauth2/token");
        assert_eq!(request.headers[0].1.expose(), "Basic aWQ6aHVzaA==");
        assert!(!format!("{request:?}").contains("aWQ6"));
    }

    #[test]
    fn every_kind_asks_for_its_own_scope() {
        let config = EbayConfig::new(Secret::new("id"), Secret::new("hush"));
        let form = |config: &EbayConfig, kind| token_request(config, kind).map(|request| request.body.unwrap().1);
        let scope = "grant_type=client_credentials&scope=https%3A%2F%2Fapi.ebay.com%2Foauth%2Fapi_scope";
        assert_eq!(form(&config, TokenKind::Main).unwrap().expose(), scope);
        assert_eq!(form(&config, TokenKind::Items).unwrap().expose(), format!("{scope}%2Fbuy.item.bulk"));
        assert!(form(&config, TokenKind::User).is_none() && form(&config, TokenKind::Advertiser).is_none());

        let config = EbayConfig { user_refresh_token: Secret::new("v^1.1#u"), ..config };
        let user = form(&config, TokenKind::User).unwrap();
        assert!(user.expose().starts_with("grant_type=refresh_token&refresh_token=v%5E1.1%23u&scope="));
        assert!(!format!("{user:?}").contains("v%5E"));
    }
}
