//! Keywords: normalised search terms, and the form in which they are compared.
//!
//! A keyword's text is its identity, and says what a shopper typed: marketplaces count "hat" and "hats", "paté" and "pate"
//! apart, so plurals and accents are never folded there, in no market. What is folded is only how a text is written:
//! encodings, case, look-alikes, what nobody sees (`normal_form.rs`). For the question whether a title speaks of the keyword,
//! and which keywords are nearly the same, there is a second, derived form, which folds what the language of the market
//! allows (`match_form.rs`, `language.rs`). `golden.csv` shows both forms of hard cases.

mod characters;
mod language;
mod match_form;
mod normal_form;
mod store;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

pub use language::Language;
pub use store::{ensure, text, texts};

/// Version of the reading that makes a keyword of a text, its match form included.
///
/// Whoever changes what any text becomes raises it; `digitallz keywords reread` brings what is stored to it.
pub const NORMALIZATION_VERSION: i16 = 2;

/// Longest search term that is accepted, in characters.
pub const MAX_LENGTH: usize = 200;

/// Longest text that is read as a search term, in characters: entities and invisible characters take room.
pub const ORIGINAL_MAX_LENGTH: usize = 2_000;

/// A search term in its one normal form; it is normalised because it exists.
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
    /// It is so long that it is not even read.
    #[error("the text has more than {ORIGINAL_MAX_LENGTH} characters, which no search term has")]
    OriginalTooLong,
    /// It holds a character that the database cannot keep.
    #[error("the text holds the character U+0000; remove it")]
    NullCharacter,
}

impl Keyword {
    /// Reads a search term.
    pub fn parse(text: &str) -> Result<Keyword, KeywordError> {
        if text.chars().nth(ORIGINAL_MAX_LENGTH).is_some() {
            return Err(KeywordError::OriginalTooLong);
        }
        if text.contains('\0') {
            return Err(KeywordError::NullCharacter);
        }
        let normal = normal_form::normal_form(text);
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

    /// Returns the match form in a market: near-duplicates have the same one.
    pub fn match_text(&self, market: &str) -> String {
        match_form::match_text(&self.0, Language::of(market))
    }
}

/// Returns the normal form of a search term, or nothing when it is none: what [`Keyword::parse`] says, without a copy where
/// the term is in its normal form already, as nearly all of a report are.
pub fn keyword_text(search_term: &str) -> Option<Cow<'_, str>> {
    let is_short = !search_term.is_empty() && search_term.len() <= MAX_LENGTH;
    if is_short && normal_form::is_plainly_normal(search_term) {
        return Some(Cow::Borrowed(search_term));
    }
    Keyword::parse(search_term).ok().map(|keyword| Cow::Owned(keyword.0))
}

impl fmt::Display for Keyword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
