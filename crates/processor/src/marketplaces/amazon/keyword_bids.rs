//! Amazon Ads' recommended bids in our words.

use digitallz_common::raw_payload::RawPayload;

use super::payload::{BidQuestion, BidSuggestion, RankedTarget, RankedTargets};
use crate::bids::{Bid, Bids};
use crate::guard::Guard;
use crate::reading::{Problem, ReadError, Reading, TrackedKeywords};
use crate::rows::NumberText;

/// The theme of a bid where no special days are near; answers without themes mean the same.
const DEFAULT_THEME: &str = "CONVERSION_OPPORTUNITIES";

/// Reads an answer of `getRankedKeywordRecommendation`.
///
/// Of the match types, EXACT is read, because it alone is about the search term itself. The answer names no currency:
/// bids are in that of the country site, and in units of it, not in cents. The documentation shows whole numbers that
/// look like cents and recorded answers show decimals, so an answer of large whole numbers only is not believed.
pub(super) fn keyword_bids(
    payload: &RawPayload,
    tracked: &TrackedKeywords,
    guard: &mut Guard<'_>,
) -> Result<Reading, ReadError> {
    let answer: RankedTargets = guard.frame(&payload.body, "keywordTargetList")?;
    let currency = currency(&payload.site.market)?;
    let mut bids = Bids::new(tracked);
    for raw_row in &answer.keyword_target_list {
        bids.take_up(guard, raw_row, "/keywordTargetList", |row: RankedTarget| {
            let bid = exact(&row).map(|suggestion| bid(suggestion, currency)).transpose()?.flatten();
            Ok(Some((row.keyword, bid)))
        });
    }
    bids.doubt_whole_numbers();
    let question: Option<BidQuestion> = tracked.request_body().and_then(|body| serde_json::from_str(body).ok());
    let asked = question.map(|question| question.targets).unwrap_or_default();
    Ok(bids.into_reading(asked.into_iter().map(|target| target.keyword), payload.fetched_at))
}

/// Returns the suggestion for exact match outside of special days.
fn exact(row: &RankedTarget) -> Option<&BidSuggestion> {
    let suggestions = row.bid_info.iter().flatten();
    let mut exact = suggestions.filter(|info| info.match_type.as_deref() == Some("EXACT"));
    exact.find(|info| info.theme.as_deref().is_none_or(|theme| theme == DEFAULT_THEME))?.suggested_bid.as_deref()
}

fn bid(suggestion: &BidSuggestion, currency: &str) -> Result<Option<Bid>, Problem> {
    let amount = |number: &Option<NumberText>, name: &str| {
        let json_pointer = format!("/bidInfo/suggestedBid/{name}");
        number.as_ref().map(|number| number.amount(&json_pointer)).transpose()
    };
    let Some(suggested) = amount(&suggestion.suggested, "suggested")? else { return Ok(None) };
    Ok(Some(Bid {
        suggested,
        low: amount(&suggestion.range_start, "rangeStart")?,
        high: amount(&suggestion.range_end, "rangeEnd")?,
        currency: currency.to_owned(),
    }))
}

/// Returns the currency of a country site.
fn currency(market: &str) -> Result<&'static str, Problem> {
    match market {
        "US" => Ok("USD"),
        "CA" => Ok("CAD"),
        "MX" => Ok("MXN"),
        "BR" => Ok("BRL"),
        "DE" | "ES" | "FR" | "IT" | "NL" => Ok("EUR"),
        "GB" => Ok("GBP"),
        "SE" => Ok("SEK"),
        "PL" => Ok("PLN"),
        "JP" => Ok("JPY"),
        "AU" => Ok("AUD"),
        _ => Err(Problem::at("", format!("the currency of {market} is not known"))),
    }
}
