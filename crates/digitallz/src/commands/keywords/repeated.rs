//! Lines of a keyword file that are one keyword once they are read.

use std::collections::HashMap;

use serde::Serialize;

use super::Entry;
use crate::output;

/// A line that is the same keyword as an earlier one, perhaps written otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatedLine {
    /// The line.
    pub line: Option<u64>,
    /// What it says.
    pub original_text: String,
    /// The earlier line.
    pub first_line: Option<u64>,
    /// What that one says.
    pub first_original_text: String,
    /// The keyword that both are.
    pub keyword_text: String,
}

/// Finds the lines whose keyword an earlier line has already.
pub(super) fn find(entries: &[Entry]) -> Vec<RepeatedLine> {
    let mut first_of_keyword = HashMap::new();
    let mut repeated = Vec::new();
    for entry in entries {
        let first = *first_of_keyword.entry((&entry.site, &entry.keyword)).or_insert(entry);
        if !std::ptr::eq(first, entry) {
            repeated.push(RepeatedLine {
                line: entry.line,
                original_text: entry.original_text.clone(),
                first_line: first.line,
                first_original_text: first.original_text.clone(),
                keyword_text: entry.keyword.to_string(),
            });
        }
    }
    repeated
}

/// Names them on standard error, the first of very many.
pub(super) fn warn(repeated_lines: &[RepeatedLine]) {
    const SHOWN: usize = 20;
    for repeated in repeated_lines.iter().take(SHOWN) {
        let RepeatedLine { line, original_text, first_line, first_original_text, keyword_text } = repeated;
        eprintln!(
            "note: line {}, '{original_text}', is the keyword of line {}, '{first_original_text}': {keyword_text}",
            line.unwrap_or_default(),
            first_line.unwrap_or_default(),
        );
    }
    if let Some(more) = repeated_lines.len().checked_sub(SHOWN + 1) {
        eprintln!("note: and {} more; --json lists all of them", output::counted(more + 1, "such line"));
    }
}

#[cfg(test)]
mod tests {
    use digitallz_common::marketplace::Marketplace;

    use super::super::parse;
    use super::*;

    #[test]
    fn lines_that_are_one_keyword_are_told_with_the_first_of_them() {
        let text = "keyword,market\nWomen’s Hat,US\nlamp,US\n women&#39;s  hat,US\nWomen's Hat,DE\n";
        let entries = parse(text, Some(Marketplace::Ebay), "US").unwrap();
        let expected = RepeatedLine {
            line: Some(4),
            original_text: "women&#39;s  hat".to_owned(),
            first_line: Some(2),
            first_original_text: "Women’s Hat".to_owned(),
            keyword_text: "women's hat".to_owned(),
        };
        assert_eq!(find(&entries), [expected], "in another market it is another keyword");
    }
}
