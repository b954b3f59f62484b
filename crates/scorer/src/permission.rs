//! Whether models may learn from the data of a marketplace.

use digitallz_common::marketplace::Marketplace;
use digitallz_common::source_policy;
use sqlx::PgPool;

/// Tells whether the policy of a marketplace allows its data to train a model.
pub(crate) async fn may_train(db: &PgPool, marketplace: Marketplace) -> Result<bool, sqlx::Error> {
    let mut connection = db.acquire().await?;
    Ok(source_policy::get(&mut connection, marketplace).await?.rules.may_train)
}

/// Says why there is no model, in the words that predictions carry.
pub(crate) fn refusal(marketplace: Marketplace) -> String {
    format!("the terms of {marketplace} do not allow its data to train a model")
}
