//! Etsy's key: public data is read with keystring and shared secret in one header, without a token.

use digitallz_common::secret::Secret;

use crate::config::EtsyConfig;
use crate::exchange::{Request, Text};

/// Puts the key on a request. A bare keystring is refused since February 2026.
pub fn authorize(request: Request, config: &EtsyConfig) -> Request {
    let key = format!("{}:{}", config.keystring.expose().trim(), config.shared_secret.expose().trim());
    request.header("x-api-key", Text::Secret(Secret::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_holds_both_parts_and_does_not_print() {
        let config = EtsyConfig::new(Secret::new("key"), Secret::new("hush"));
        let request = authorize(Request::get("findAllListingsActive", config.base_url.clone()), &config);
        assert_eq!(request.headers[0].1.expose(), "key:hush");
        assert!(!format!("{request:?}").contains("hush"));
    }
}
