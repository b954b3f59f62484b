//! Compares texts word by word in the normal form of keywords.

use std::borrow::Cow;

use digitallz_common::keyword::Keyword;

/// The words of a search term, as they are looked for in titles.
pub(crate) struct Words(Vec<String>);

impl Words {
    /// Splits a search term.
    pub(crate) fn of(text: &str) -> Words {
        Words(split(&normal_form(text)).map(str::to_owned).collect())
    }

    /// Tells whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether every word occurs in a title, in any order.
    pub(crate) fn all_occur_in(&self, title: &str) -> bool {
        let title = normal_form(title);
        self.0.iter().all(|word| split(&title).any(|title_word| title_word == word))
    }
}

/// Returns the normal form of a search term; nothing when it is none.
pub(crate) fn keyword_text(search_term: &str) -> Option<Cow<'_, str>> {
    let is_spaced = !search_term.contains("  ") && !search_term.starts_with(' ') && !search_term.ends_with(' ');
    let is_short = !search_term.is_empty() && search_term.len() <= digitallz_common::keyword::MAX_LENGTH;
    if is_spaced && is_short && is_plain(search_term) && !search_term.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(Cow::Borrowed(search_term));
    }
    Keyword::parse(search_term).ok().map(|keyword| Cow::Owned(keyword.as_str().to_owned()))
}

/// Returns the normal form of a text that may be longer than any keyword.
fn normal_form(text: &str) -> String {
    if is_plain(text) {
        return text.to_ascii_lowercase();
    }
    let words = text.split_whitespace().filter_map(|word| Keyword::parse(word).ok());
    words.map(|word| word.as_str().to_owned()).collect::<Vec<_>>().join(" ")
}

/// Tells whether a text is such that its lower case is its normal form. Nearly all are, and the long way is slow.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'&' && byte != b'`')
}

/// Splits a normal form into words, without the punctuation around them.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',', ';', '/', '|'])
        .map(|word| word.trim_matches(|character: char| !character.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_word_must_occur_in_any_order() {
        let words = Words::of("women's hat");
        assert!(words.all_occur_in("Straw Hat, Women\u{2019}s summer"));
        assert!(words.all_occur_in("HAT (women's)"));
        assert!(!words.all_occur_in("Women's hats"));
        assert!(!words.all_occur_in("hat"));
    }

    #[test]
    fn punctuation_is_no_word() {
        assert!(Words::of("salt & pepper").all_occur_in("Salt/Pepper Mill"));
        assert!(Words::of("&").is_empty());
    }

    proptest! {
        #[test]
        fn the_short_way_leads_where_the_long_way_leads(text in "[ -~]{0,40}") {
            let long_way = Keyword::parse(&text).ok().map(|keyword| keyword.as_str().to_owned());
            prop_assert_eq!(keyword_text(&text).map(Cow::into_owned), long_way.clone());
            if is_plain(&text) {
                let words: Vec<_> = text.to_ascii_lowercase().split_whitespace().map(str::to_owned).collect();
                prop_assert_eq!(words.join(" "), long_way.unwrap_or_default());
            }
        }

        #[test]
        fn a_title_holds_its_own_words(title in "\\PC{0,60}") {
            prop_assert!(Words::of(&title).all_occur_in(&title));
        }
    }
}
