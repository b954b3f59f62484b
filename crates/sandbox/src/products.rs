//! The products behind the ASINs: those of the seller who holds the credentials, and all others.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog;
use crate::config::Marketplace;
use crate::keywords::report_terms;
use crate::listings::{Listing, Shelf};
use crate::world::World;

/// The seller has one product on the shelf of each of these keywords.
const OWN_KEYWORDS: [&str; 4] = ["beach towel", "air fryer", "yoga mat", "phone case"];
/// The days in which an own product should be on offer: from the middle of 2024 to the end of 2027.
const OWN_DAYS: (f64, f64) = (1_650.0, 2_920.0);

/// A product and the shelf it stands on.
pub(crate) struct Product {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) listing: Listing,
}

impl Product {
    pub(crate) fn asin(&self) -> String {
        catalog::asin(&self.shelf, &self.listing)
    }
}

/// The seller's own products: of each of their shelves the best among those that are on offer longest.
pub(crate) fn own(world: &World) -> Vec<Product> {
    let days_on_offer = |listing: &Listing| listing.dies.min(OWN_DAYS.1) - listing.born.max(OWN_DAYS.0);
    let product = |keyword: &str| {
        let shelf = world.shelf(Marketplace::Amazon, keyword);
        let longest = shelf.listings().iter().map(days_on_offer).fold(f64::NEG_INFINITY, f64::max);
        let lasting = shelf.listings().iter().filter(|listing| days_on_offer(listing) >= longest);
        let best = lasting.max_by(|a, b| a.share.total_cmp(&b.share)).copied();
        best.map(|listing| Product { shelf, listing })
    };
    OWN_KEYWORDS.into_iter().filter_map(product).collect()
}

/// Finds the products of some ASINs on the shelves that are known or stand behind the report's search terms.
pub(crate) fn find(world: &World, asins: &[String]) -> HashMap<String, Product> {
    let mut wanted: HashMap<u64, &String> =
        asins.iter().filter_map(|asin| Some((catalog::read_asin(asin)?, asin))).collect();
    let mut found = HashMap::new();
    let known = world.known_shelves(Marketplace::Amazon);
    // The other terms' shelves are only built when something is missing.
    let others = report_terms().into_iter().map(|term| world.shelf(Marketplace::Amazon, &term));
    for shelf in known.into_iter().chain(others) {
        if wanted.is_empty() {
            break;
        }
        for listing in shelf.listings() {
            if let Some(asin) = wanted.remove(&catalog::asin_number(&shelf, listing)) {
                found.insert(asin.clone(), Product { shelf: Arc::clone(&shelf), listing: *listing });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_products_are_on_offer_for_years_and_found_by_their_asin() {
        let world = World::new(1, 0.0);
        let own = own(&world);
        let asins: Vec<String> = own.iter().map(Product::asin).collect();
        assert!(own.iter().all(|product| [1_650.0, 2_520.0, 2_919.0].iter().all(|day| product.listing.is_alive(*day))));
        let found = find(&world, &asins);
        assert!(asins.iter().all(|asin| found[asin].asin() == *asin));
        assert!(find(&world, &["B0000000x0".to_owned(), "X".to_owned()]).is_empty());
    }
}
