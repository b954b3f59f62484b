//! Etsy's reviews in our words: how many a listing has, how many of them are new, and how many stars they give.
//!
//! What people wrote is about persons: it is in the raw payload and nowhere else, so a review that breaks the contract
//! is set aside without its text.

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_common::raw_payload::RawPayload;

use super::normalize::moment;
use super::payload::{ListingReview, ListingReviews};
use crate::entries::{numeric_parameter, query_parameter};
use crate::guard::Guard;
use crate::reading::{Extent, ListingReading, Problem, QuarantinedRow, ReadError, Reading};
use crate::rows;

/// How far back a review is recent.
const RECENT_DAYS: i64 = 28;

/// Reads the first page of `getReviewsByListing`; later pages say nothing that the first does not.
///
/// The listing is the one that was asked for. `count` is the number of all its reviews unless the question bounded when
/// they were written. The recent ones are known only where the page reaches back far enough.
pub(super) fn listing_reviews(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    let page: ListingReviews = guard.frame(&payload.body, "results")?;
    let listing_id = asked_listing(&payload.request_url)?;
    let count = rows::count(page.count, "/count")?;
    let mut reviews = Vec::new();
    let mut quarantined = Vec::new();
    for (index, raw_row) in page.results.iter().enumerate() {
        match guard
            .row(raw_row, "/results", index as u64)
            .map_err(rows::untold)
            .and_then(|row| review(&row, listing_id))
        {
            Ok(review) => reviews.push(review),
            Err(problem) => quarantined.push(QuarantinedRow {
                json_pointer: format!("/results/{index}"),
                reason: problem.to_string(),
                row_text: rows::NOT_KEPT.to_owned(),
                extent: Extent::Row,
            }),
        }
    }
    let row_count = page.results.len() as i32;
    if numeric_parameter(&payload.request_url, "offset", 0)? > 0 {
        return Ok(Reading { quarantined, row_count, ..Reading::default() });
    }

    let since = numeric_parameter(&payload.request_url, "min_created", 0)?;
    let since = DateTime::from_timestamp(i64::try_from(since).unwrap_or(i64::MAX), 0);
    let is_bounded_above = query_parameter(&payload.request_url, "max_created").is_some();
    let is_bounded = is_bounded_above || query_parameter(&payload.request_url, "min_created").is_some();
    let recent_from = payload.fetched_at - TimeDelta::days(RECENT_DAYS);
    let covers_recent = !is_bounded_above && since.is_some_and(|since| since <= recent_from);
    let is_whole = reviews.len() as u64 == page.count;
    let ratings: Vec<u64> = reviews.iter().map(|review| review.rating).collect();
    let listing = ListingReading {
        marketplace_listing_id: listing_id.to_string(),
        review_count: (!is_bounded).then_some(count),
        recent_review_count: match covers_recent && quarantined.is_empty() {
            true => recent_reviews(&reviews, recent_from, is_whole),
            false => None,
        },
        review_average: (!ratings.is_empty()).then(|| ratings.iter().sum::<u64>() as f64 / ratings.len() as f64),
        ..ListingReading::default()
    };
    Ok(Reading { listings: vec![listing], quarantined, row_count, ..Reading::default() })
}

/// What is read of a review.
struct Review {
    written_at: DateTime<Utc>,
    rating: u64,
}

/// Returns the listing whose reviews were asked for.
fn asked_listing(url: &str) -> Result<u64, ReadError> {
    let (_, after) = url.split_once("/listings/").unwrap_or_default();
    let number = after.split(['/', '?']).next().and_then(|number| number.parse().ok());
    let number = number.filter(|number| *number > 0 && i64::try_from(*number).is_ok());
    number.ok_or_else(|| Problem::at("", "the request names no listing").into())
}

fn review(row: &ListingReview, listing_id: u64) -> Result<Review, Problem> {
    if let Some(other) = row.listing_id.filter(|other| *other != listing_id) {
        return Err(Problem::at("/listing_id", format!("{other} was not asked for")));
    }
    let Some(seconds) = row.created_timestamp.or(row.create_timestamp) else {
        return Err(Problem::at("/created_timestamp", "absent"));
    };
    let rating = row.rating.filter(|rating| (1..=5).contains(rating));
    let rating = rating.ok_or_else(|| Problem::at("/rating", "not a number of stars"))?;
    Ok(Review { written_at: moment(seconds, "/created_timestamp")?, rating })
}

/// Counts the reviews since a moment, if the page holds all of them: when it holds all reviews there are, or when it
/// begins with the newest and ends with one from before.
fn recent_reviews(reviews: &[Review], recent_from: DateTime<Utc>, is_whole: bool) -> Option<i64> {
    let begins_with_newest = reviews.is_sorted_by(|left, right| left.written_at >= right.written_at);
    let reaches_back = reviews.last().is_some_and(|oldest| oldest.written_at < recent_from);
    let recent = reviews.iter().filter(|review| review.written_at >= recent_from).count();
    (is_whole || (begins_with_newest && reaches_back)).then_some(recent as i64)
}
