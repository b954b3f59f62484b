//! eBay's suggested bids in our words.

use digitallz_common::raw_payload::RawPayload;

use super::payload::{ProposedBid, SuggestedBid, TargetedBidRequest, TargetedBidsPagedCollection};
use crate::bids::{Bid, Bids};
use crate::guard::Guard;
use crate::reading::{Problem, ReadError, Reading, TrackedKeywords};
use crate::rows;

/// Reads an answer of `suggestBids`. Of the match types, EXACT is read, because it alone is about the search term itself.
pub(super) fn suggested_bids(
    payload: &RawPayload,
    tracked: &TrackedKeywords,
    guard: &mut Guard<'_>,
) -> Result<Reading, ReadError> {
    let answer: TargetedBidsPagedCollection = guard.frame(&payload.body, "suggestedBids")?;
    let mut bids = Bids::new(tracked);
    for raw_row in answer.suggested_bids.iter().flatten() {
        bids.take_up(guard, raw_row, "/suggestedBids", |row: SuggestedBid| {
            if row.match_type.as_deref().is_some_and(|match_type| match_type != "EXACT") {
                return Ok(None);
            }
            let bid = row.proposed_bid.as_deref().map(bid).transpose()?;
            Ok(Some((row.keyword_text, bid)))
        });
    }
    let question: Option<TargetedBidRequest> = tracked.request_body().and_then(|body| serde_json::from_str(body).ok());
    let asked = question.map(|question| question.keywords).unwrap_or_default();
    Ok(bids.into_reading(asked.into_iter().map(|keyword| keyword.keyword_text), payload.fetched_at))
}

fn bid(proposed: &ProposedBid) -> Result<Bid, Problem> {
    let amount = |text: &str, name: &str| rows::amount(text, &format!("/proposedBid/{name}"));
    Ok(Bid {
        suggested: amount(&proposed.value, "value")?,
        low: proposed.range_start.as_deref().map(|text| amount(text, "rangeStart")).transpose()?,
        high: proposed.range_end.as_deref().map(|text| amount(text, "rangeEnd")).transpose()?,
        currency: rows::currency(&proposed.currency, "/proposedBid/currency")?,
    })
}
