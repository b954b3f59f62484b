//! Compares texts word by word, in the match form of a market's language.

use digitallz_common::keyword::Language;
pub(crate) use digitallz_common::keyword::keyword_text;

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
        fn a_title_holds_its_own_words(title in "\\PC{0,60}", market in prop::sample::select(vec!["US", "DE", "FR", "JP"])) {
            prop_assert!(Words::of(&title, market).all_occur_in(&title));
        }
    }
}
