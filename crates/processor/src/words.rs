//! Compares texts word by word, in the match form of a market's language.

use std::borrow::Cow;

use digitallz_common::keyword::{Keyword, Language, MAX_LENGTH};

/// The words of a search term, as they are looked for in titles.
pub(crate) struct Words {
    language: &'static Language,
    words: Vec<String>,
}

impl Words {
    /// Splits a search term of a market.
    pub(crate) fn of(text: &str, market: &str) -> Words {
        let language = Language::of(market);
        Words { language, words: language.words(text) }
    }

    /// Tells whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Tells whether every word occurs in a title, in any order.
    pub(crate) fn all_occur_in(&self, title: &str) -> bool {
        self.language.all_occur(&self.words, title)
    }
}

/// Returns the normal form of a search term; nothing when it is none.
pub(crate) fn keyword_text(search_term: &str) -> Option<Cow<'_, str>> {
    let is_spaced = !search_term.contains("  ") && !search_term.starts_with(' ') && !search_term.ends_with(' ');
    let is_short = !search_term.is_empty() && search_term.len() <= MAX_LENGTH;
    if is_spaced && is_short && is_plain(search_term) && !search_term.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(Cow::Borrowed(search_term));
    }
    Keyword::parse(search_term).ok().map(|keyword| Cow::Owned(keyword.as_str().to_owned()))
}

/// Tells whether a text is such that its lower case is its normal form. Nearly all are, and the long way is slow.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'&' && byte != b'`')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_word_must_occur_in_any_order() {
        let words = Words::of("women's hat", "US");
        assert!(words.all_occur_in("Straw Hat, Women\u{2019}s summer"));
        assert!(words.all_occur_in("HAT (women's)"));
        assert!(!words.all_occur_in("Women's cap"));
        assert!(!words.all_occur_in("hat"));
    }

    #[test]
    fn what_the_language_of_the_market_folds_is_no_difference() {
        assert!(Words::of("women's hat", "US").all_occur_in("Womens Hats"));
        assert!(Words::of("schreibtischlampen grün", "DE").all_occur_in("Schreibtischlampe, gruen"));
        assert!(!Words::of("küchen", "DE").all_occur_in("Kuchen"));
        assert!(Words::of("水筒 こども", "JP").all_occur_in("【新品】水筒コドモ用 ステンレス"));
        assert!(!Words::of("水筒 こども", "JP").all_occur_in("水筒 大人"));
    }

    #[test]
    fn punctuation_is_no_word() {
        assert!(Words::of("salt & pepper", "US").all_occur_in("Salt/Pepper Mill"));
        assert!(Words::of("&", "US").is_empty());
    }

    proptest! {
        #[test]
        fn the_short_way_leads_where_the_long_way_leads(text in "[ -~]{0,40}") {
            let long_way = Keyword::parse(&text).ok().map(|keyword| keyword.as_str().to_owned());
            prop_assert_eq!(keyword_text(&text).map(Cow::into_owned), long_way);
        }

        #[test]
        fn a_title_holds_its_own_words(title in "\\PC{0,60}", market in prop::sample::select(vec!["US", "DE", "FR", "JP"])) {
            prop_assert!(Words::of(&title, market).all_occur_in(&title));
        }
    }
}
