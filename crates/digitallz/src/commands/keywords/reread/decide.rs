//! Decides what becomes of keywords that an older reading made; pure.

use std::collections::{BTreeMap, HashMap};

use digitallz_common::keyword::{Keyword, NORMALIZATION_VERSION};
use serde::Serialize;

/// A keyword as it is stored; not one that was merged into another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub(super) keyword_id: i64,
    pub(super) marketplace: String,
    pub(super) market: String,
    pub(super) keyword_text: String,
    pub(super) original_text: String,
    pub(super) normalization_version: i16,
    pub(super) unreadable_reason: Option<String>,
}

impl Stored {
    /// Returns the text it gets, or why it gets none. What the current reading made is as it is.
    pub(super) fn new_text(&self) -> Result<String, String> {
        if self.normalization_version < NORMALIZATION_VERSION {
            return Keyword::parse(&self.original_text)
                .map(|keyword| keyword.to_string())
                .map_err(|error| error.to_string());
        }
        match &self.unreadable_reason {
            None => Ok(self.keyword_text.clone()),
            Some(reason) => Err(reason.clone()),
        }
    }
}

/// Keywords of one market that get in each other's way, and so are reread together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) marketplace: String,
    pub(super) market: String,
    /// Its members, ordered by identifier.
    pub(super) members: Vec<Member>,
}

/// A keyword and what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Member {
    pub(super) keyword_id: i64,
    pub(super) original_text: String,
    /// The text that it has.
    pub(super) keyword_text: String,
    #[serde(flatten)]
    pub(super) fate: Fate,
}

/// What becomes of a keyword.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Fate {
    /// Its text stays.
    Unchanged,
    /// It gets another text.
    Changed {
        /// The text it gets.
        new_text: String,
    },
    /// It turns out to be another keyword.
    Merged {
        /// The text of both.
        new_text: String,
        /// The other one.
        merged_into_keyword_id: i64,
    },
    /// It turns out to be none.
    Unreadable {
        /// Why.
        reason: String,
    },
}

impl Group {
    /// Tells whether nothing changes but the version.
    pub(super) fn is_unchanged(&self) -> bool {
        self.members.iter().all(|member| member.fate == Fate::Unchanged)
    }
}

/// Decides about keywords; among them must be all that hold a text which one of them gets.
///
/// Of several that get the same text, the one known longest survives, because its history is the longest: that of the
/// lowest identifier.
pub(super) fn decide(keywords: &[Stored]) -> Vec<Group> {
    let new_texts: Vec<Result<String, String>> = keywords.iter().map(Stored::new_text).collect();
    let mut survivors: HashMap<(&str, &str, &str), i64> = HashMap::new();
    for (keyword, new_text) in keywords.iter().zip(&new_texts) {
        if let Ok(text) = new_text {
            let survivor = survivors.entry((&keyword.marketplace, &keyword.market, text)).or_insert(keyword.keyword_id);
            *survivor = keyword.keyword_id.min(*survivor);
        }
    }
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for (index, first) in grouped(keywords, &new_texts).into_iter().enumerate() {
        let keyword = &keywords[index];
        let survivor_of = |text: &str| survivors.get(&(&keyword.marketplace[..], &keyword.market[..], text)).copied();
        let fate = match &new_texts[index] {
            Err(_) if keyword.unreadable_reason.is_some() => Fate::Unchanged,
            Err(reason) => Fate::Unreadable { reason: reason.clone() },
            Ok(text) => match survivor_of(text) {
                Some(survivor) if survivor != keyword.keyword_id => {
                    Fate::Merged { new_text: text.clone(), merged_into_keyword_id: survivor }
                }
                _ if *text == keyword.keyword_text => Fate::Unchanged,
                _ => Fate::Changed { new_text: text.clone() },
            },
        };
        let group = groups.entry(first).or_insert_with(|| Group {
            marketplace: keyword.marketplace.clone(),
            market: keyword.market.clone(),
            members: Vec::new(),
        });
        group.members.push(Member {
            keyword_id: keyword.keyword_id,
            original_text: keyword.original_text.clone(),
            keyword_text: keyword.keyword_text.clone(),
            fate,
        });
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.members.sort_by_key(|member| member.keyword_id));
    groups
}

/// Names for each keyword the first of those with which it shares a text it has or gets, directly or through others.
fn grouped(keywords: &[Stored], new_texts: &[Result<String, String>]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..keywords.len()).collect();
    let mut first_with_text: HashMap<(&str, &str, &str), usize> = HashMap::new();
    for (index, keyword) in keywords.iter().enumerate() {
        for text in [Some(&keyword.keyword_text), new_texts[index].as_ref().ok()].into_iter().flatten() {
            let other = *first_with_text.entry((&keyword.marketplace, &keyword.market, text)).or_insert(index);
            let (left, right) = (root(&mut parents, index), root(&mut parents, other));
            parents[left.max(right)] = left.min(right);
        }
    }
    (0..keywords.len()).map(|index| root(&mut parents, index)).collect()
}

fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(keyword_id: i64, version: i16, keyword_text: &str, original_text: &str) -> Stored {
        Stored {
            keyword_id,
            marketplace: "ebay".to_owned(),
            market: "US".to_owned(),
            keyword_text: keyword_text.to_owned(),
            original_text: original_text.to_owned(),
            normalization_version: version,
            unreadable_reason: None,
        }
    }

    fn fates(keywords: &[Stored]) -> Vec<Vec<(i64, Fate)>> {
        let groups = decide(keywords).into_iter();
        groups.map(|group| group.members.into_iter().map(|one| (one.keyword_id, one.fate)).collect()).collect()
    }

    fn changed(text: &str) -> Fate {
        Fate::Changed { new_text: text.to_owned() }
    }

    #[test]
    fn the_longest_known_of_those_that_become_one_survives() {
        let keywords = [
            stored(1, 1, "women \u{301}s hat", "Women´s hat"),
            stored(2, NORMALIZATION_VERSION, "women's hat", "Women's hat"),
            stored(3, 1, "lamp", "Lamp"),
        ];
        let merged = Fate::Merged { new_text: "women's hat".to_owned(), merged_into_keyword_id: 1 };
        let expected = vec![vec![(1, changed("women's hat")), (2, merged)], vec![(3, Fate::Unchanged)]];
        assert_eq!(fates(&keywords), expected);
    }

    #[test]
    fn those_that_take_each_others_texts_are_one_group() {
        let keywords = [stored(1, 1, "a", "b"), stored(2, 1, "b", "c"), stored(3, 1, "c", "a")];
        assert_eq!(fates(&keywords), [vec![(1, changed("b")), (2, changed("c")), (3, changed("a"))]]);
    }

    #[test]
    fn the_same_text_in_another_market_is_another_keyword() {
        let german = Stored { market: "DE".to_owned(), ..stored(2, 1, "lamp", "lamp") };
        assert_eq!(fates(&[stored(1, 1, "lamp", "Lamp"), german]).len(), 2);
    }

    #[test]
    fn what_is_no_keyword_says_why_and_only_once() {
        let unreadable = stored(1, 1, "\u{2060}", "\u{2060}");
        let reason = "the search term is empty".to_owned();
        assert_eq!(fates(std::slice::from_ref(&unreadable)), [[(1, Fate::Unreadable { reason: reason.clone() })]]);
        let known = Stored { unreadable_reason: Some(reason), ..unreadable };
        assert_eq!(fates(&[known]), [[(1, Fate::Unchanged)]]);
    }
}
