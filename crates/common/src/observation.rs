//! The words in which observations are written: metrics, units, statuses, periods.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};

use crate::week::{week_end, week_start};

/// What is measured of a keyword. The table in ARCHITECTURE.md explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Position of the search term by number of searches in a week; 1 is the most searched.
    SearchFrequencyRank,
    /// The last position of the week's list, told of search terms that are not in it: theirs is beyond.
    SearchTermListEnd,
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
    /// Views a listing gained in a week, the mean over the listings of two samples of the keyword.
    ListingViewsPerWeek,
    /// Favourites a listing gained in a week, the same mean; negative where more were taken back than given.
    ListingFavoritesPerWeek,
    /// Sales of a listing in a week, the same mean.
    ListingSalesPerWeek,
    /// Searches for the search term in a week or month, a true count; told for those that concern the user's own listings.
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
    /// Interest in the keyword on Google, of 100 at the peak of the file.
    SearchInterest,
    /// Searches on Google in a month.
    MonthlySearches,
    /// Mean of the monthly searches on Google over a stretch of months.
    MonthlySearchesAverage,
    /// Lower end of the range in which the mean lies.
    MonthlySearchesLow,
    /// Upper end of the same range.
    MonthlySearchesHigh,
    /// How many advertisers on Google want the keyword, of 100.
    AdCompetitionIndex,
    /// What a place at the top of Google's page cost at the lower end.
    TopOfPageBidLow,
    /// The same at the upper end.
    TopOfPageBidHigh,
}

impl Metric {
    /// All metrics, in the order in which they are documented.
    pub const ALL: [Metric; 47] = [
        Metric::SearchFrequencyRank,
        Metric::SearchTermListEnd,
        Metric::TopClickShare,
        Metric::TopConversionShare,
        Metric::ResultCount,
        Metric::SellerCount,
        Metric::SellerConcentration,
        Metric::BrandConcentration,
        Metric::PriceLowerQuartile,
        Metric::PriceMedian,
        Metric::PriceUpperQuartile,
        Metric::FavoriteMedian,
        Metric::IncumbentFavoriteMedian,
        Metric::IncumbentReviewMedian,
        Metric::NewListingShare,
        Metric::SalesRankMedian,
        Metric::SellerFeedbackMedian,
        Metric::TitleMatchShare,
        Metric::PromotedShare,
        Metric::AuctionBids,
        Metric::AuctionCount,
        Metric::ListingViewsTotal,
        Metric::ListingViewsPerWeek,
        Metric::ListingFavoritesPerWeek,
        Metric::ListingSalesPerWeek,
        Metric::SearchQueryVolume,
        Metric::SearchQueryImpressions,
        Metric::SearchQueryClicks,
        Metric::SearchQueryCartAdds,
        Metric::SearchQueryPurchases,
        Metric::ClickPriceMedian,
        Metric::CpcSuggested,
        Metric::CpcSuggestedLow,
        Metric::CpcSuggestedHigh,
        Metric::SoldCountTotal,
        Metric::SoldCountListings,
        Metric::SoldListingCount,
        Metric::SoldQuantity90d,
        Metric::SoldPriceMedian,
        Metric::SearchInterest,
        Metric::MonthlySearches,
        Metric::MonthlySearchesAverage,
        Metric::MonthlySearchesLow,
        Metric::MonthlySearchesHigh,
        Metric::AdCompetitionIndex,
        Metric::TopOfPageBidLow,
        Metric::TopOfPageBidHigh,
    ];

    /// What listings gained between two samples: the database computes it from what was read of both.
    pub const DIFFERENCES: [Metric; 3] =
        [Metric::ListingViewsPerWeek, Metric::ListingFavoritesPerWeek, Metric::ListingSalesPerWeek];

    /// Returns the metric of a name.
    pub fn named(name: &str) -> Option<Metric> {
        Metric::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Metric::SearchFrequencyRank => "search_frequency_rank",
            Metric::SearchTermListEnd => "search_term_list_end",
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
            Metric::ListingViewsPerWeek => "listing_views_per_week",
            Metric::ListingFavoritesPerWeek => "listing_favorites_per_week",
            Metric::ListingSalesPerWeek => "listing_sales_per_week",
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
            Metric::SearchInterest => "search_interest",
            Metric::MonthlySearches => "monthly_searches",
            Metric::MonthlySearchesAverage => "monthly_searches_average",
            Metric::MonthlySearchesLow => "monthly_searches_low",
            Metric::MonthlySearchesHigh => "monthly_searches_high",
            Metric::AdCompetitionIndex => "ad_competition_index",
            Metric::TopOfPageBidLow => "top_of_page_bid_low",
            Metric::TopOfPageBidHigh => "top_of_page_bid_high",
        }
    }

    /// Returns the unit of its values; money takes the currency of the answer instead.
    pub fn unit(self) -> &'static str {
        match self {
            Metric::SearchFrequencyRank | Metric::SearchTermListEnd | Metric::SalesRankMedian => "rank",
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
            | Metric::SoldPriceMedian
            | Metric::TopOfPageBidLow
            | Metric::TopOfPageBidHigh => "currency",
            Metric::FavoriteMedian | Metric::IncumbentFavoriteMedian => "favourites",
            Metric::IncumbentReviewMedian => "reviews",
            Metric::SellerFeedbackMedian => "score",
            Metric::AuctionBids => "bids",
            Metric::AuctionCount => "auctions",
            Metric::ListingViewsTotal => "views",
            Metric::ListingViewsPerWeek => "views per listing and week",
            Metric::ListingFavoritesPerWeek => "favourites per listing and week",
            Metric::ListingSalesPerWeek => "sales per listing and week",
            Metric::SearchQueryVolume
            | Metric::MonthlySearches
            | Metric::MonthlySearchesAverage
            | Metric::MonthlySearchesLow
            | Metric::MonthlySearchesHigh => "searches",
            Metric::SearchInterest | Metric::AdCompetitionIndex => "index",
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// A sample, taken at this moment.
    Instant(DateTime<Utc>),
    /// This day.
    Day(NaiveDate),
    /// The week from this Sunday to the Saturday after it.
    Week(NaiveDate),
    /// The month that begins with this day.
    Month(NaiveDate),
    /// The quarter of a year that begins with this day.
    Quarter(NaiveDate),
    /// The 90 days that end with the day of this moment.
    Trailing90Days(DateTime<Utc>),
    /// Any other stretch, from its first day to its last.
    Span(NaiveDate, NaiveDate),
}

/// Days before the last one in a period of 90 days.
const DAYS_BEFORE: Days = Days::new(89);

impl Period {
    /// Returns the period of the calendar that has these first and last days, or the span where it has none; nothing
    /// where they are in the wrong order.
    pub fn of_days(first: NaiveDate, last: NaiveDate) -> Option<Period> {
        let calendar =
            [Period::Day(first), Period::Week(week_start(first)), Period::Month(first), Period::Quarter(first)];
        let is_it =
            |period: &Period| period.begins_rightly() && period.start_date() == first && period.end_date() == last;
        calendar.into_iter().find(is_it).or((first <= last).then_some(Period::Span(first, last)))
    }

    /// Tells whether the first day is one on which such a period begins.
    pub fn begins_rightly(self) -> bool {
        match self {
            Period::Week(first) => week_start(first) == first,
            Period::Month(first) => first.day() == 1,
            Period::Quarter(first) => first.day() == 1 && first.month0().is_multiple_of(3),
            Period::Span(first, last) => first <= last,
            Period::Instant(_) | Period::Day(_) | Period::Trailing90Days(_) => true,
        }
    }

    /// Returns the name of its kind as it is stored.
    pub fn kind(self) -> &'static str {
        match self {
            Period::Instant(_) => "instant",
            Period::Day(_) => "day",
            Period::Week(_) => "week",
            Period::Month(_) => "month",
            Period::Quarter(_) => "quarter",
            Period::Trailing90Days(_) => "trailing_90_days",
            Period::Span(..) => "span",
        }
    }

    /// Returns its first day.
    pub fn start_date(self) -> NaiveDate {
        match self {
            Period::Instant(at) => at.date_naive(),
            Period::Day(first)
            | Period::Week(first)
            | Period::Month(first)
            | Period::Quarter(first)
            | Period::Span(first, _) => first,
            Period::Trailing90Days(until) => until.date_naive() - DAYS_BEFORE,
        }
    }

    /// Returns its last day.
    pub fn end_date(self) -> NaiveDate {
        match self {
            Period::Instant(at) | Period::Trailing90Days(at) => at.date_naive(),
            Period::Day(day) | Period::Span(_, day) => day,
            Period::Week(sunday) => week_end(sunday),
            Period::Month(first) => first + Months::new(1) - Days::new(1),
            Period::Quarter(first) => first + Months::new(3) - Days::new(1),
        }
    }

    /// Returns the moment at which the value was true: the sample, or the end of the period.
    pub fn observed_at(self) -> DateTime<Utc> {
        match self {
            Period::Instant(at) | Period::Trailing90Days(at) => at,
            _ => (self.end_date() + Days::new(1)).and_time(NaiveTime::MIN).and_utc(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_recognised_as_the_period_of_the_calendar_that_they_are() {
        for (first, last, kind) in [
            ("2026-02-03", "2026-02-03", "day"),
            ("2026-02-01", "2026-02-07", "week"),
            ("2026-02-02", "2026-02-08", "span"),
            ("2026-02-01", "2026-02-28", "month"),
            ("2024-02-01", "2024-02-29", "month"),
            ("2026-04-01", "2026-06-30", "quarter"),
            ("2026-02-01", "2026-04-30", "span"),
        ] {
            let period =
                Period::of_days(first.parse().expect("a day"), last.parse().expect("a day")).expect("a period");
            assert_eq!((period.kind(), period.begins_rightly()), (kind, true), "{first} to {last}");
            assert_eq!(period.end_date().to_string(), last);
        }
        let [later, earlier] = ["2026-02-03", "2026-02-02"].map(|day| day.parse().expect("a day"));
        assert_eq!(Period::of_days(later, earlier), None);
    }

    #[test]
    fn every_metric_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<&str> = Metric::ALL.into_iter().map(Metric::name).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        assert!(Metric::ALL.into_iter().all(|metric| Metric::named(metric.name()) == Some(metric)));
    }
}
