//! eBay's categories in our words.

use digitallz_common::raw_payload::RawPayload;

use super::payload::{CategorySuggestion, CategorySuggestionResponse};
use crate::entries::Asked;
use crate::guard::Guard;
use crate::reading::{CategoryReading, Problem, ReadError, Reading};
use crate::rows;

/// Categories that are kept; eBay suggests about a dozen.
const MAX_CATEGORIES: usize = 100;

/// Reads an answer of `getCategorySuggestions`: the first category is the most relevant. No content means that eBay
/// suggests none.
pub(super) fn category_suggestions(payload: &RawPayload, guard: &mut Guard<'_>) -> Result<Reading, ReadError> {
    Asked::of(payload)?;
    let content = payload.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&payload.body);
    if payload.status_code == 204 && content.is_empty() {
        return Ok(Reading::default());
    }
    let answer: CategorySuggestionResponse = guard.frame(&payload.body, "categorySuggestions")?;
    let mut reading = Reading { row_count: answer.category_suggestions.len() as i32, ..Reading::default() };
    for (index, raw_row) in answer.category_suggestions.iter().take(MAX_CATEGORIES).enumerate() {
        match guard.row(raw_row, "/categorySuggestions", index as u64).and_then(|row| category(row, index as i32 + 1)) {
            Ok(category) => reading.categories.push(category),
            Err(problem) => {
                let json_pointer = format!("/categorySuggestions/{index}");
                reading.quarantined.push(rows::quarantined(json_pointer, &problem, raw_row));
            }
        }
    }
    Ok(reading)
}

fn category(row: CategorySuggestion, relevancy_rank: i32) -> Result<CategoryReading, Problem> {
    Ok(CategoryReading {
        relevancy_rank,
        category_id: rows::identifier(&row.category.category_id, "/category/categoryId")?,
        category_name: rows::text(row.category.category_name.as_deref()),
    })
}
