//! Keywords: normalised search terms.

use std::fmt;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use unicode_normalization::UnicodeNormalization;

use crate::marketplace::Site;

/// Version of the reading that makes a keyword of a text.
pub const NORMALIZATION_VERSION: i16 = 1;

/// Longest search term that is accepted, in characters.
pub const MAX_LENGTH: usize = 200;

/// A search term in its one normal form; it is normalised because it exists.
///
/// The form: HTML entities decoded, Unicode NFKC, lower case, apostrophes and dashes unified to `'` and `-`,
/// control characters dropped, every run of white space one space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Keyword(String);

/// Why a text is no keyword.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeywordError {
    /// Nothing is left of it.
    #[error("the search term is empty")]
    Empty,
    /// It is too long to be one.
    #[error("the search term has {length} characters, at most {MAX_LENGTH} are allowed")]
    TooLong {
        /// Its length in characters.
        length: usize,
    },
}

impl Keyword {
    /// Reads a search term.
    pub fn parse(text: &str) -> Result<Keyword, KeywordError> {
        let decoded = html_escape::decode_html_entities(text);
        let unified: String = decoded.nfkc().collect::<String>().to_lowercase().nfkc().filter_map(unify).collect();
        let normal = unified.split_whitespace().collect::<Vec<_>>().join(" ");
        let length = normal.chars().count();
        if length == 0 {
            return Err(KeywordError::Empty);
        }
        if length > MAX_LENGTH {
            return Err(KeywordError::TooLong { length });
        }
        Ok(Keyword(normal))
    }

    /// Returns the normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Maps the look-alikes of apostrophe, dash and space to one of each, and drops control characters.
fn unify(character: char) -> Option<char> {
    match character {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{02bc}' | '\u{0060}' | '\u{00b4}' => Some('\''),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => None,
        other if other.is_whitespace() => Some(' '),
        other if other.is_control() => None,
        other => Some(other),
    }
}

/// Makes sure that a keyword is known and returns its identifier; the original text of the first writer is kept.
pub async fn ensure(
    connection: &mut PgConnection,
    site: &Site,
    keyword: &Keyword,
    original_text: &str,
    now: DateTime<Utc>,
) -> Result<i64, sqlx::Error> {
    let inserted = sqlx::query_scalar!(
        "insert into core.keywords (marketplace, market, keyword_text, original_text, normalization_version, created_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (marketplace, market, keyword_text) do nothing
         returning keyword_id",
        site.marketplace.name(),
        site.market,
        keyword.as_str(),
        original_text,
        NORMALIZATION_VERSION,
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    match inserted {
        Some(keyword_id) => Ok(keyword_id),
        None => {
            sqlx::query_scalar!(
                "select keyword_id from core.keywords where marketplace = $1 and market = $2 and keyword_text = $3",
                site.marketplace.name(),
                site.market,
                keyword.as_str(),
            )
            .fetch_one(connection)
            .await
        }
    }
}

/// Returns the normalised text of a keyword.
pub async fn text(connection: &mut PgConnection, keyword_id: i64) -> Result<String, sqlx::Error> {
    sqlx::query_scalar!("select keyword_text from core.keywords where keyword_id = $1", keyword_id)
        .fetch_one(connection)
        .await
}

/// Returns the normalised texts of keywords, in the order of their identifiers as given; unknown ones are left out.
pub async fn texts(connection: &mut PgConnection, keyword_ids: &[i64]) -> Result<Vec<String>, sqlx::Error> {
    if keyword_ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        "select keyword_text from core.keywords
         join unnest($1::bigint[]) with ordinality as wanted (keyword_id, place) using (keyword_id)
         order by place",
        keyword_ids
    )
    .fetch_all(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_search_term_in_other_clothes_is_the_same_keyword() {
        for text in ["Women&#39;s  Hat", "women’s hat", " WOMEN'S\u{a0}HAT ", "ｗｏｍｅｎ's hat"] {
            assert_eq!(Keyword::parse(text).expect("a keyword").as_str(), "women's hat", "{text}");
        }
    }

    #[test]
    fn nothing_is_no_keyword() {
        assert_eq!(Keyword::parse(" \u{200b}\t"), Err(KeywordError::Empty));
        assert_eq!(Keyword::parse(&"x".repeat(201)), Err(KeywordError::TooLong { length: 201 }));
    }

    proptest::proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,40}") {
            if let Ok(once) = Keyword::parse(&text) {
                let stable = !once.as_str().contains('&');
                if stable {
                    proptest::prop_assert_eq!(Keyword::parse(once.as_str()), Ok(once));
                }
            }
        }
    }
}
