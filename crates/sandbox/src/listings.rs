//! The shelf of one keyword: its listings over the years, their rank, price and success.

use crate::clock::WEEKS;
use crate::config::Marketplace;
use crate::entrants::{Career, Entry, Places};
use crate::keywords::is_meaningful;
use crate::noise::{Dice, hash, hash_texts, normal, smooth, unit};
use crate::words;
use crate::world::Demand;

/// One offer; what a page says about it follows from its salt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing {
    /// Unique on its shelf.
    pub(crate) number: u32,
    pub(crate) salt: u64,
    /// First and last day, counted from the world's day 0.
    pub(crate) born: f64,
    pub(crate) dies: f64,
    pub(crate) seller: u64,
    pub(crate) brand: u64,
    price_cents: f64,
    /// The part of the keyword's demand that comes to this listing.
    pub(crate) share: f64,
    quality: f64,
    /// What becomes of a newcomer; none for the stock of the shelf.
    pub(crate) career: Option<Career>,
}

/// An auction of seven days and the bids it has so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Auction {
    pub(crate) listing: Listing,
    pub(crate) bids: u32,
    pub(crate) score: f64,
}

/// All listings of one keyword, past, present and to come.
pub(crate) struct Shelf {
    pub(crate) keyword: String,
    /// The keyword, capitalized for titles.
    pub(crate) heading: String,
    pub(crate) salt: u64,
    /// The part of Etsy's listing ids that stands for the keyword.
    pub(crate) keyword_id: u64,
    listings: Vec<Listing>,
    weekly_demand: Vec<f64>,
    demand_before_week: Vec<f64>,
    log_total: f64,
    total_growth: f64,
    typical_price_cents: f64,
    auction_shares: Vec<f64>,
    places: Places,
    has_results: bool,
}

/// Listings with this number or a higher one fill the pages behind the known ones.
const TAIL_START: u32 = 4_096;
/// Sellers have numbers below this.
pub(crate) const SELLERS: u64 = 4_000;
const AUCTION_DAYS: f64 = 7.0;
const WORLD_DAYS: f64 = 7.0 * WEEKS as f64;

impl Shelf {
    pub(crate) fn new(seed: u64, marketplace: Marketplace, keyword: &str, entrants_per_week: f64) -> Self {
        let demand = Demand::new(seed, marketplace, keyword);
        let weekly_demand: Vec<f64> = (0..WEEKS as i64).map(|week| demand.in_week(week)).collect();
        let mut demand_before_week = Vec::with_capacity(WEEKS + 1);
        demand_before_week.push(0.0);
        for (week, demand) in weekly_demand.iter().enumerate() {
            demand_before_week.push(demand_before_week[week] + demand);
        }

        let salt = hash_texts(seed, &["shelf", marketplace.as_str(), keyword]);
        let mut dice = Dice::new(salt);
        let (total_center, slots_min, slots_max) = match marketplace {
            Marketplace::Amazon => (8.0, 60.0, 110.0),
            Marketplace::Etsy => (9.5, 90.0, 150.0),
            Marketplace::Ebay => (9.8, 70.0, 130.0),
        };
        let log_total = total_center + 0.35 * (demand.log_level() - 7.0) + 0.9 * dice.normal();
        let total_growth = 0.1 * dice.normal();
        let typical_price_cents = (7.6 + 0.7 * dice.normal()).exp().clamp(400.0, 60_000.0);
        let slots = dice.between(slots_min, slots_max) as usize;
        let mut listings = stock(&mut dice, slots, typical_price_cents);
        let auction_shares = auction_shares(&mut dice);
        let entry = Entry::new(seed, marketplace, keyword);
        // Amazon shows fewer positions, so fewer newcomers are tried on them.
        let part = if marketplace == Marketplace::Amazon { 0.4 } else { 1.0 };
        let careers = entry.careers(part * entrants_per_week);
        add_newcomers(&mut listings, careers, hash(salt, 3), slots, typical_price_cents);

        Self {
            keyword: keyword.to_owned(),
            heading: words::capitalize(keyword),
            salt,
            keyword_id: Self::keyword_id_of(seed, marketplace, keyword),
            listings,
            weekly_demand,
            demand_before_week,
            log_total,
            total_growth,
            typical_price_cents,
            auction_shares,
            places: Places::new(marketplace, slots),
            has_results: is_meaningful(keyword),
        }
    }

    /// Whether a search for the keyword finds anything at all.
    pub(crate) fn has_results(&self) -> bool {
        self.has_results
    }

    /// The same shelf with nothing on it.
    pub(crate) fn emptied(self) -> Self {
        Self { has_results: false, ..self }
    }

    /// Shortens a keyword to the 24 bits that stand for it in a listing id.
    pub(crate) fn keyword_id_of(seed: u64, marketplace: Marketplace, keyword: &str) -> u64 {
        hash_texts(seed, &["id", marketplace.as_str(), keyword]) & 0xFF_FFFF
    }

    /// Number of matching listings on the whole marketplace.
    pub(crate) fn total(&self, day: f64) -> u64 {
        if !self.has_results {
            return 0;
        }
        let years = day / 365.25 - 3.0;
        let log = self.log_total
            + (self.total_growth * years).clamp(-0.7, 0.7)
            + 0.2 * smooth(hash(self.salt, 1), day / 120.0);
        log.exp().clamp(160.0, 900_000.0) as u64
    }

    /// Demand of the week that holds a day.
    pub(crate) fn demand_in_week_of(&self, day: f64) -> f64 {
        let week = (day / 7.0).floor();
        if week < 0.0 { 0.0 } else { self.weekly_demand.get(week as usize).copied().unwrap_or(0.0) }
    }

    /// Demand between two days; a week's demand is spread evenly over it.
    pub(crate) fn demand_between(&self, from: f64, to: f64) -> f64 {
        (self.demand_until(to) - self.demand_until(from)).max(0.0)
    }

    /// The listings on offer, best match first.
    pub(crate) fn ranked(&self, day: f64) -> Vec<&Listing> {
        let mut scored: Vec<(f64, &Listing)> =
            self.alive(day).map(|listing| (self.score(listing, day), listing)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.number.cmp(&b.1.number)));
        scored.into_iter().map(|(_, listing)| listing).collect()
    }

    /// The listings on offer, in no useful order.
    pub(crate) fn alive(&self, day: f64) -> impl Iterator<Item = &Listing> {
        self.listings.iter().filter(move |listing| self.has_results && listing.is_alive(day))
    }

    /// What the search engine thinks of a listing; it moves slowly.
    pub(crate) fn score(&self, listing: &Listing, day: f64) -> f64 {
        if let Some(career) = &listing.career {
            return self.places.score(career, day - listing.born);
        }
        let youth = 0.8 * (-(day - listing.born) / 40.0).exp();
        listing.quality + youth + 0.5 * smooth(hash(listing.salt, 1), day / 35.0)
    }

    /// The listing at a position behind the known ones; hardly anybody sees it.
    pub(crate) fn tail(&self, position: u32) -> Listing {
        let number = TAIL_START + position;
        let mut dice = Dice::new(hash(self.salt, u64::from(number)));
        Listing {
            number,
            salt: dice.next(),
            born: -dice.between(10.0, 1_500.0),
            dies: f64::INFINITY,
            seller: dice.next() % SELLERS,
            brand: dice.next() % words::BRANDS,
            price_cents: self.typical_price_cents * (0.5 * dice.normal()).exp(),
            share: 0.00002 * dice.unit(),
            quality: -9.0,
            career: None,
        }
    }

    /// Finds a listing by its number, alive or not.
    pub(crate) fn by_number(&self, number: u32) -> Option<Listing> {
        if number >= TAIL_START {
            return Some(self.tail(number - TAIL_START));
        }
        self.listings.get(number as usize).copied()
    }

    /// All known listings, past, present and to come.
    pub(crate) fn listings(&self) -> &[Listing] {
        &self.listings
    }

    /// The day on which the demand since `from` reaches an amount; `None` if it never does.
    pub(crate) fn day_of_demand(&self, from: f64, amount: f64) -> Option<f64> {
        let wanted = self.demand_until(from) + amount;
        let week = self.demand_before_week.partition_point(|before| *before < wanted).checked_sub(1)?;
        let part = (wanted - self.demand_before_week[week]) / self.weekly_demand.get(week)?;
        Some((week as f64 + part) * 7.0)
    }

    /// The auctions that run at a moment; each slot starts a new one when the last has ended.
    pub(crate) fn auctions(&self, day: f64) -> Vec<Auction> {
        if !self.has_results {
            return Vec::new();
        }
        let auction = |(slot, share): (usize, &f64)| {
            let slot_salt = hash(hash(self.salt, 2), slot as u64);
            let offset = unit(slot_salt) * AUCTION_DAYS;
            let round = ((day - offset) / AUCTION_DAYS).floor();
            let born = offset + AUCTION_DAYS * round;
            let mut dice = Dice::new(hash(slot_salt, round as i64 as u64));
            let listing = Listing {
                number: 0,
                salt: dice.next(),
                born,
                dies: born + AUCTION_DAYS,
                seller: dice.next() % SELLERS,
                brand: dice.next() % words::BRANDS,
                price_cents: self.typical_price_cents * (0.4 * dice.normal()).exp(),
                share: *share,
                quality: 0.0,
                career: None,
            };
            let luck = (0.15 * normal(dice.next())).exp();
            let bids = (share * luck * self.demand_between(born, day)).round() as u32;
            Auction { listing, bids, score: 0.8 + (share * 40.0).ln() + 0.1 * dice.normal() }
        };
        self.auction_shares.iter().enumerate().map(auction).collect()
    }

    fn demand_until(&self, day: f64) -> f64 {
        let weeks = (day / 7.0).clamp(0.0, WEEKS as f64);
        let week = weeks.floor() as usize;
        let current = self.weekly_demand.get(week).copied().unwrap_or(0.0);
        self.demand_before_week[week] + current * (weeks - week as f64)
    }
}

impl Listing {
    pub(crate) fn is_alive(&self, day: f64) -> bool {
        self.born <= day && day < self.dies
    }

    /// The price on a day: it rises with the years, wanders and is cut in some fortnights.
    pub(crate) fn price_cents(&self, day: f64) -> u64 {
        let wander = 1.0 + 0.08 * smooth(hash(self.salt, 2), day / 60.0);
        let fortnight = (day / 14.0).floor() as i64 as u64;
        let sale = if unit(hash(hash(self.salt, 3), fortnight)) < 0.07 { 0.85 } else { 1.0 };
        let price = self.price_cents * (1.0 + 0.03 * day / 365.25) * wander * sale;
        ((price / 100.0).round().max(1.0) as u64) * 100 - 1
    }

    /// A number from 0 to 1 that belongs to this listing and a purpose.
    pub(crate) fn trait_unit(&self, purpose: u64) -> f64 {
        unit(hash(self.salt, 100 + purpose))
    }
}

/// Fills the slots of a shelf: when a listing goes, a similar one takes its place.
fn stock(dice: &mut Dice, slots: usize, typical_price_cents: f64) -> Vec<Listing> {
    let spread = dice.between(0.5, 1.4);
    let seller_pull = dice.between(0.4, 2.2);
    let brand_pull = dice.between(0.4, 2.2);
    let seller_base = dice.next();
    let sellers = slots as f64 * dice.between(0.25, 0.8);
    let weights: Vec<f64> = (0..slots).map(|_| (spread * dice.normal()).exp()).collect();
    let weight_total: f64 = weights.iter().sum();

    let mut listings = Vec::with_capacity(slots * 6);
    for weight in weights {
        let mut born = -dice.between(0.0, 1_200.0);
        while born < WORLD_DAYS && listings.len() < TAIL_START as usize {
            let days = (60.0 - 900.0 * (1.0 - dice.unit()).ln()).min(2_500.0);
            let luck = 0.35 * dice.normal();
            // A high power of a uniform draw gives the first sellers most of the shelf.
            let seller = (dice.unit().powf(1.0 + seller_pull) * sellers) as u64;
            let brand = (dice.unit().powf(1.0 + brand_pull) * sellers) as u64;
            listings.push(Listing {
                number: listings.len() as u32,
                salt: dice.next(),
                born,
                dies: born + days,
                seller: hash(seller_base, seller) % SELLERS,
                brand: hash(seller_base, brand) % words::BRANDS,
                price_cents: typical_price_cents * (0.4 * dice.normal()).exp(),
                share: weight * luck.exp() / weight_total,
                quality: (weight.ln() + luck) / spread,
                career: None,
            });
            born += days + dice.between(0.0, 20.0);
        }
    }
    listings
}

/// Adds the newcomers behind the stock; hardly any demand comes to them.
fn add_newcomers(
    listings: &mut Vec<Listing>,
    careers: Vec<(f64, Career)>,
    salt: u64,
    slots: usize,
    typical_price_cents: f64,
) {
    for (born, career) in careers {
        if listings.len() >= TAIL_START as usize {
            return;
        }
        let number = listings.len() as u32;
        let mut dice = Dice::new(hash(salt, u64::from(number)));
        listings.push(Listing {
            number,
            salt: dice.next(),
            born,
            dies: born + dice.between(60.0, 180.0),
            seller: dice.next() % SELLERS,
            brand: dice.next() % words::BRANDS,
            price_cents: typical_price_cents * (0.4 * dice.normal()).exp(),
            share: dice.between(0.1, 0.4) / slots as f64,
            quality: 0.0,
            career: Some(career),
        });
    }
}

fn auction_shares(dice: &mut Dice) -> Vec<f64> {
    let slots = 18 + dice.below(23);
    let weights: Vec<f64> = (0..slots).map(|_| (0.5 * dice.normal()).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_always_has_listings_and_its_page_changes_over_months() {
        let shelf = Shelf::new(1, Marketplace::Etsy, "boho lamp", 0.0);
        let page = |day| shelf.ranked(day).iter().take(40).map(|listing| listing.number).collect::<Vec<_>>();
        for week in 0..WEEKS {
            assert!(page(7.0 * week as f64).len() == 40);
        }
        let kept = page(1_100.0).iter().filter(|number| page(1_280.0).contains(number)).count();
        assert!((8..40).contains(&kept), "{kept} of 40 kept");
    }

    #[test]
    fn the_bids_of_a_page_follow_demand() {
        let shelf = Shelf::new(1, Marketplace::Ebay, "christmas village", 0.0);
        let bids = |day| shelf.auctions(day).iter().map(|auction| f64::from(auction.bids)).sum::<f64>();
        let days = (160..340).map(|week| f64::from(week) * 7.0 + 6.5);
        let (xs, ys): (Vec<f64>, Vec<f64>) =
            days.map(|day| (shelf.demand_in_week_of(day).ln(), (1.0 + bids(day)).ln())).unzip();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (mx, my) = (mean(&xs), mean(&ys));
        let covariance: f64 = xs.iter().zip(&ys).map(|(x, y)| (x - mx) * (y - my)).sum();
        let spread = |v: &[f64], m: f64| v.iter().map(|x| (x - m).powi(2)).sum::<f64>().sqrt();
        let correlation = covariance / spread(&xs, mx) / spread(&ys, my);
        assert!(correlation > 0.9, "correlation {correlation}");
    }

    #[test]
    fn views_grow_by_about_the_demand_of_the_week() {
        let shelf = Shelf::new(1, Marketplace::Etsy, "knitted scarf", 0.0);
        for week in 150..300 {
            let (from, to) = (7.0 * f64::from(week), 7.0 * f64::from(week + 1));
            let seen: f64 =
                shelf.ranked(from).iter().map(|listing| listing.share * shelf.demand_between(from, to)).sum();
            let ratio = seen / shelf.demand_in_week_of(from);
            assert!((0.6..1.6).contains(&ratio), "{ratio}");
        }
    }
}
