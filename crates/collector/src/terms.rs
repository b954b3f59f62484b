//! Refuses to collect from a marketplace whose terms of use nobody acknowledged.
//!
//! Everything that may lead to a request begins here: plans and fetches. Recorded answers that a user brings in are not
//! collected by this program, so they pass without; what is kept of them and learnt from them follows the policy all the
//! same.

use digitallz_common::failure::Failure;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::source_policy;
use sqlx::PgConnection;

/// Gives the job up unless the terms of the marketplace are acknowledged in their known version.
pub(crate) async fn check(connection: &mut PgConnection, marketplace: Marketplace) -> Result<(), Failure> {
    let policy = source_policy::get(connection, marketplace).await?;
    match policy.refusal() {
        None => Ok(()),
        Some(refusal) => Err(Failure::GiveUp {
            cause: format!("{refusal}; see `digitallz sources acknowledge {marketplace}`, then retry the job"),
        }),
    }
}
