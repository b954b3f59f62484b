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
    /// Herfindahl-Hirschman index of brands among the listings that match, as the marketplace counts them by brand.
    BrandConcentration,
    /// Price below which a quarter of the entries of the page lie.
    PriceLowerQuartile,
    /// Median price of the entries of the page.
    PriceMedian,
    /// Price below which three quarters of the entries of the page lie.
    PriceUpperQuartile,
    /// Median favourites of the entries of the page.
    FavoriteMedian,
    /// Median favourites of the first ten entries.
    IncumbentFavoriteMedian,
    /// Median reviews of the first entries of a search, as their own answer tells them.
    IncumbentReviewMedian,
    /// Share of the entries that were listed within the last 30 days, of those that tell when they were listed.
    NewListingShare,
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
    /// Searches for the search term in a week, a true count; told for those that concern the user's own listings.
    SearchQueryVolume,
    /// Listings shown on the search results pages of the search term in a week.
    SearchQueryImpressions,
    /// Clicks on any listing from these pages in a week.
    SearchQueryClicks,
    /// Additions of any listing to a cart from these pages in a week.
    SearchQueryCartAdds,
    /// Purchases of any listing from these pages in a week.
    SearchQueryPurchases,
    /// Median price of the listings clicked from these pages in a week.
    ClickPriceMedian,
    /// Suggested bid for a click under exact match; it is an offer to advertisers and not a price that was paid.
    CpcSuggested,
    /// Lower end of the range around the suggested bid.
    CpcSuggestedLow,
    /// Upper end of the same range.
    CpcSuggestedHigh,
    /// Sales since they began, of the items of the answer.
    SoldCountTotal,
    /// Items of the answer that tell their sales.
    SoldCountListings,
    /// Listings that sold within the last 90 days, as the marketplace counts them.
    SoldListingCount,
    /// Sales of the listings of the page within the last 90 days.
    SoldQuantity90d,
    /// Median price of the last sale of each listing of the page.
    SoldPriceMedian,
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
            Metric::BrandConcentration => "brand_concentration",
            Metric::PriceLowerQuartile => "price_lower_quartile",
            Metric::PriceMedian => "price_median",
            Metric::PriceUpperQuartile => "price_upper_quartile",
            Metric::FavoriteMedian => "favorite_median",
            Metric::IncumbentFavoriteMedian => "incumbent_favorite_median",
            Metric::IncumbentReviewMedian => "incumbent_review_median",
            Metric::NewListingShare => "new_listing_share",
            Metric::SalesRankMedian => "sales_rank_median",
            Metric::SellerFeedbackMedian => "seller_feedback_median",
            Metric::TitleMatchShare => "title_match_share",
            Metric::PromotedShare => "promoted_share",
            Metric::AuctionBids => "auction_bids",
            Metric::AuctionCount => "auction_count",
            Metric::ListingViewsTotal => "listing_views_total",
            Metric::SearchQueryVolume => "search_query_volume",
            Metric::SearchQueryImpressions => "search_query_impressions",
            Metric::SearchQueryClicks => "search_query_clicks",
            Metric::SearchQueryCartAdds => "search_query_cart_adds",
            Metric::SearchQueryPurchases => "search_query_purchases",
            Metric::ClickPriceMedian => "click_price_median",
            Metric::CpcSuggested => "cpc_suggested",
            Metric::CpcSuggestedLow => "cpc_suggested_low",
            Metric::CpcSuggestedHigh => "cpc_suggested_high",
            Metric::SoldCountTotal => "sold_count_total",
            Metric::SoldCountListings => "sold_count_listings",
            Metric::SoldListingCount => "sold_listing_count",
            Metric::SoldQuantity90d => "sold_quantity_90d",
            Metric::SoldPriceMedian => "sold_price_median",
        }
    }

    /// Returns the unit of its values; money takes the currency of the answer instead.
    pub fn unit(self) -> &'static str {
        match self {
            Metric::SearchFrequencyRank | Metric::SalesRankMedian => "rank",
            Metric::TopClickShare
            | Metric::TopConversionShare
            | Metric::SellerConcentration
            | Metric::BrandConcentration
            | Metric::NewListingShare
            | Metric::TitleMatchShare
            | Metric::PromotedShare => "share",
            Metric::ResultCount | Metric::SoldCountListings | Metric::SoldListingCount => "listings",
            Metric::SellerCount => "sellers",
            Metric::PriceLowerQuartile
            | Metric::PriceMedian
            | Metric::PriceUpperQuartile
            | Metric::ClickPriceMedian
            | Metric::CpcSuggested
            | Metric::CpcSuggestedLow
            | Metric::CpcSuggestedHigh
            | Metric::SoldPriceMedian => "currency",
            Metric::FavoriteMedian | Metric::IncumbentFavoriteMedian => "favourites",
            Metric::IncumbentReviewMedian => "reviews",
            Metric::SellerFeedbackMedian => "score",
            Metric::AuctionBids => "bids",
            Metric::AuctionCount => "auctions",
            Metric::ListingViewsTotal => "views",
            Metric::SearchQueryVolume => "searches",
            Metric::SearchQueryImpressions => "impressions",
            Metric::SearchQueryClicks => "clicks",
            Metric::SearchQueryCartAdds => "cart adds",
            Metric::SearchQueryPurchases => "purchases",
            Metric::SoldCountTotal | Metric::SoldQuantity90d => "sales",
        }
    }
}

/// A value, or the reason why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// The marketplace said so.
    Value(f64),
    /// It follows from something else, by this method.
    Estimated(f64, &'static str),
    /// The marketplace was asked and knows of nothing.
    NotFound(&'static str),
    /// What the marketplace said cannot be the value.
    Invalid(&'static str),
    /// The marketplace's list ends before the keyword: it is beyond, not zero.
    BelowThreshold(&'static str),
    /// The answer holds nothing from which the value follows.
    Unavailable(&'static str),
}

impl Observed {
    /// Returns the value, if there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Observed::Value(value) | Observed::Estimated(value, _) => Some(*value),
            Observed::NotFound(_) | Observed::Invalid(_) | Observed::BelowThreshold(_) | Observed::Unavailable(_) => {
                None
            }
        }
    }

    /// Returns the status as it is stored.
    pub fn status(&self) -> &'static str {
        match self {
            Observed::Value(_) => "observed",
            Observed::Estimated(..) => "estimated",
            Observed::NotFound(_) => "not_found",
            Observed::Invalid(_) => "invalid",
            Observed::BelowThreshold(_) => "below_threshold",
            Observed::Unavailable(_) => "unavailable",
        }
    }

    /// Returns why there is no value, or the method of an estimate; nothing of what was observed.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Observed::Value(_) => None,
            Observed::Estimated(_, reason)
            | Observed::NotFound(reason)
            | Observed::Invalid(reason)
            | Observed::BelowThreshold(reason)
            | Observed::Unavailable(reason) => Some(reason),
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
    /// The 90 days that end with the day of this moment.
    Trailing90Days(DateTime<Utc>),
}

/// Days before the last one in a period of 90 days.
const DAYS_BEFORE: chrono::Days = chrono::Days::new(89);

impl Period {
    /// Returns the name of its kind as it is stored.
    pub fn kind(self) -> &'static str {
        match self {
            Period::Instant(_) => "instant",
            Period::Week(_) => "week",
            Period::Trailing90Days(_) => "trailing_90_days",
        }
    }

    /// Returns its first day.
    pub fn start_date(self) -> NaiveDate {
        match self {
            Period::Instant(at) => at.date_naive(),
            Period::Week(sunday) => sunday,
            Period::Trailing90Days(until) => until.date_naive() - DAYS_BEFORE,
        }
    }

    /// Returns its last day.
    pub fn end_date(self) -> NaiveDate {
        match self {
            Period::Instant(at) | Period::Trailing90Days(at) => at.date_naive(),
            Period::Week(sunday) => crate::week::week_end(sunday),
        }
    }

    /// Returns the moment at which the value was true: the sample, or the end of the period.
    pub fn observed_at(self) -> DateTime<Utc> {
        match self {
            Period::Instant(at) | Period::Trailing90Days(at) => at,
            Period::Week(sunday) => (sunday + chrono::Days::new(7)).and_time(chrono::NaiveTime::MIN).and_utc(),
        }
    }
}
