//! Login with Amazon: a long-lived refresh token buys access tokens of one hour, the seller's for the Selling Partner API
//! and the advertiser's for Amazon Ads.

use digitallz_common::secret::Secret;
use url::form_urlencoded;

use crate::config::AmazonConfig;
use crate::exchange::{Request, Text, TokenKind};

/// Returns the request for an access token; none where there is no refresh token of the kind.
pub fn token_request(config: &AmazonConfig, kind: TokenKind) -> Option<Request> {
    let refresh_token = match kind {
        TokenKind::Main => &config.refresh_token,
        TokenKind::Advertiser if !config.ads_refresh_token.expose().trim().is_empty() => &config.ads_refresh_token,
        _ => return None,
    };
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", refresh_token.expose())
        .append_pair("client_id", config.client_id.expose())
        .append_pair("client_secret", config.client_secret.expose())
        .finish();
    let body = Text::Secret(Secret::new(form));
    Some(Request::post("lwaToken", config.token_url.clone(), "application/x-www-form-urlencoded", body))
}

/// Names what a token of a kind opens, and the setting it comes from.
pub fn scope_of(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Advertiser => "Amazon Ads, by DIGITALLZ_AMAZON_ADS_REFRESH_TOKEN",
        _ => "the Selling Partner API, by DIGITALLZ_AMAZON_REFRESH_TOKEN",
    }
}

/// Puts the token where the Selling Partner API or Amazon Ads looks for it.
pub fn authorize(request: Request, token: &Secret) -> Request {
    match request.token {
        Some(TokenKind::Advertiser) => {
            request.header("authorization", Text::Secret(Secret::new(format!("Bearer {}", token.expose()))))
        }
        _ => request.header("x-amz-access-token", Text::Secret(token.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AmazonConfig {
        AmazonConfig::new(Secret::new("id&1"), Secret::new("hush"), Secret::new("Atzr|x"))
    }

    #[test]
    fn a_token_request_is_a_form_that_does_not_print() {
        let request = token_request(&config(), TokenKind::Main).unwrap();
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
    fn the_advertiser_has_a_token_of_its_own() {
        assert!(token_request(&config(), TokenKind::Advertiser).is_none());
        let config = AmazonConfig { ads_refresh_token: Secret::new("Atzr|ads"), ..config() };
        let request = token_request(&config, TokenKind::Advertiser).unwrap();
        assert!(request.body.unwrap().1.expose().contains("refresh_token=Atzr%7Cads&"));

        let ads = Request { token: Some(TokenKind::Advertiser), ..Request::get("x", config.token_url.clone()) };
        let (name, value) = &authorize(ads, &Secret::new("t")).headers[0];
        assert_eq!((*name, value.expose()), ("authorization", "Bearer t"));
        let seller = Request { token: Some(TokenKind::Main), ..Request::get("x", config.token_url.clone()) };
        assert_eq!(authorize(seller, &Secret::new("t")).headers[0].0, "x-amz-access-token");
    }
}
