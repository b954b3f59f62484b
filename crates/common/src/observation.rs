//! The words in which observations are written: metrics, units, statuses, periods.

use chrono::{DateTime, NaiveDate, Utc};

/// What is measured of a keyword. The table in ARCHITECTURE.md explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Position of the search term by number of searches in a week; 1 is the most searched.
    SearchFrequencyRank,
    /// Clicks of the three most clicked listings among all clicks of the search term.
    TopClickShare,
    /// Conversions of the three most clicked listings among all conversions of the search term.
    TopConversionShare,
    /// Listings that match the search term, as the marketplace counts or estimates them.
    ResultCount,
    /// Different sellers (Etsy, eBay) or brands (Amazon) among the entries of the page.
    SellerCount,
    /// Herfindahl-Hirschman index of sellers or brands among the entries of the page, 0 to 1.
    SellerConcentration,
    /// Median price of the entries of the page.
    PriceMedian,
    /// Median favourites of the entries of the page.
    FavoriteMedian,
    /// Median best sales rank of the entries of the page.
    SalesRankMedian,
    /// Median feedback score of the sellers of the page.
    SellerFeedbackMedian,
    /// Share of the entries whose title holds every word of the search term.
    TitleMatchShare,
    /// Share of the entries whose position was paid for.
    PromotedShare,
    /// Bids on the auctions of the page.
    AuctionBids,
    /// Auctions on the page.
    AuctionCount,
    /// Views since they began, of the listings of the page.
    ListingViewsTotal,
}

impl Metric {
    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Metric::SearchFrequencyRank => "search_frequency_rank",
            Metric::TopClickShare => "top_click_share",
            Metric::TopConversionShare => "top_conversion_share",
            Metric::ResultCount => "result_count",
            Metric::SellerCount => "seller_count",
            Metric::SellerConcentration => "seller_concentration",
            Metric::PriceMedian => "price_median",
            Metric::FavoriteMedian => "favorite_median",
            Metric::SalesRankMedian => "sales_rank_median",
            Metric::SellerFeedbackMedian => "seller_feedback_median",
            Metric::TitleMatchShare => "title_match_share",
            Metric::PromotedShare => "promoted_share",
            Metric::AuctionBids => "auction_bids",
            Metric::AuctionCount => "auction_count",
            Metric::ListingViewsTotal => "listing_views_total",
        }
    }

    /// Returns the unit of its values; money takes the currency of the answer instead.
    pub fn unit(self) -> &'static str {
        match self {
            Metric::SearchFrequencyRank | Metric::SalesRankMedian => "rank",
            Metric::TopClickShare
            | Metric::TopConversionShare
            | Metric::SellerConcentration
            | Metric::TitleMatchShare
            | Metric::PromotedShare => "share",
            Metric::ResultCount => "listings",
            Metric::SellerCount => "sellers",
            Metric::PriceMedian => "currency",
            Metric::FavoriteMedian => "favourites",
            Metric::SellerFeedbackMedian => "score",
            Metric::AuctionBids => "bids",
            Metric::AuctionCount => "auctions",
            Metric::ListingViewsTotal => "views",
        }
    }
}

/// A value, or the reason why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// The marketplace said so.
    Value(f64),
    /// The marketplace's list ends before the keyword: it is beyond, not zero.
    BelowThreshold(&'static str),
    /// The answer holds nothing from which the value follows.
    Unavailable(&'static str),
}

impl Observed {
    /// Returns the value, if there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Observed::Value(value) => Some(*value),
            Observed::BelowThreshold(_) | Observed::Unavailable(_) => None,
        }
    }

    /// Returns the status as it is stored.
    pub fn status(&self) -> &'static str {
        match self {
            Observed::Value(_) => "observed",
            Observed::BelowThreshold(_) => "below_threshold",
            Observed::Unavailable(_) => "unavailable",
        }
    }

    /// Returns why there is no value.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Observed::Value(_) => None,
            Observed::BelowThreshold(reason) | Observed::Unavailable(reason) => Some(reason),
        }
    }
}

/// The time a value is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A sample, taken at this moment.
    Instant(DateTime<Utc>),
    /// The week from this Sunday to the Saturday after it.
    Week(NaiveDate),
}

impl Period {
    /// Returns the name of its kind as it is stored.
    pub fn kind(self) -> &'static str {
        match self {
            Period::Instant(_) => "instant",
            Period::Week(_) => "week",
        }
    }

    /// Returns its first day.
    pub fn start_date(self) -> NaiveDate {
        match self {
            Period::Instant(at) => at.date_naive(),
            Period::Week(sunday) => sunday,
        }
    }

    /// Returns its last day.
    pub fn end_date(self) -> NaiveDate {
        match self {
            Period::Instant(at) => at.date_naive(),
            Period::Week(sunday) => crate::week::week_end(sunday),
        }
    }

    /// Returns the moment at which the value was true: the sample, or the end of the period.
    pub fn observed_at(self) -> DateTime<Utc> {
        match self {
            Period::Instant(at) => at,
            Period::Week(sunday) => (sunday + chrono::Days::new(7)).and_time(chrono::NaiveTime::MIN).and_utc(),
        }
    }
}
