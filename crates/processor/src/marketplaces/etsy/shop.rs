//! Etsy's shops in our words.

use digitallz_common::raw_payload::RawPayload;

use super::payload::Shop;
use crate::guard::Guard;
use crate::reading::{Problem, ReadError, Reading, SellerReading};
use crate::rows;

/// Reads an answer of `getShop`. It is about a seller, not about the keyword whose search led there.
pub(super) fn shop(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    let shop: Shop = guard.document(&payload.body)?;
    if shop.shop_id == 0 || i64::try_from(shop.shop_id).is_err() {
        return Err(Problem::at("/shop_id", "not an identifier").into());
    }
    let seller = SellerReading {
        seller: shop.shop_id.to_string(),
        sold_count: rows::optional_count(shop.transaction_sold_count, "/transaction_sold_count")?,
        active_listing_count: rows::optional_count(shop.listing_active_count, "/listing_active_count")?,
        review_count: rows::optional_count(shop.review_count, "/review_count")?,
        review_average: shop.review_average.map(|stars| rows::stars(stars, "/review_average")).transpose()?,
        favorite_count: rows::optional_count(shop.num_favorers, "/num_favorers")?,
    };
    Ok(Reading { sellers: vec![seller], row_count: 1, ..Reading::default() })
}
