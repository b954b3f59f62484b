//! The named keywords of each marketplace, with their season and life, and the fillers of Amazon's report.

use crate::config::Marketplace;
use crate::keyword_tables::{AMAZON, EBAY, ETSY};

/// When in the year a keyword is wanted most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Season {
    Flat,
    Fitness,
    Valentine,
    Spring,
    Mother,
    Wedding,
    Summer,
    School,
    Halloween,
    Christmas,
    Winter,
}

impl Season {
    /// Day of the year of the peak, log height of the peak and how narrow it is.
    pub(crate) fn shape(self) -> (f64, f64, f64) {
        match self {
            Season::Flat => (0.0, 0.0, 1.0),
            Season::Fitness => (10.0, 0.9, 4.0),
            Season::Valentine => (38.0, 1.7, 14.0),
            Season::Spring => (112.0, 1.1, 2.0),
            Season::Mother => (122.0, 1.5, 14.0),
            Season::Wedding => (150.0, 0.7, 1.2),
            Season::Summer => (188.0, 1.5, 1.5),
            Season::School => (222.0, 1.4, 6.0),
            Season::Halloween => (286.0, 2.1, 9.0),
            Season::Christmas => (340.0, 2.2, 6.0),
            Season::Winter => (352.0, 1.3, 1.6),
        }
    }
}

/// Whether a keyword is wanted during the whole span of the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Life {
    Always,
    /// Unknown before the given year and month.
    From(i32, u32),
    /// Forgotten from the given year and month on.
    Until(i32, u32),
}

/// What the fillers of the report are like.
pub(crate) const FILLER_KINDS: [&str; 14] = [
    "stainless steel",
    "wooden",
    "portable",
    "large",
    "mini",
    "waterproof",
    "electric",
    "black",
    "kids",
    "travel",
    "adjustable",
    "rechargeable",
    "vintage",
    "heavy duty",
];

/// What the fillers of the report are.
pub(crate) const FILLER_THINGS: [&str; 40] = [
    "water bottle",
    "desk organizer",
    "phone stand",
    "cutting board",
    "laundry basket",
    "picture frame",
    "dog bed",
    "cat toy",
    "garlic press",
    "shower caddy",
    "alarm clock",
    "tool box",
    "lunch bag",
    "storage bin",
    "flashlight",
    "coffee mug",
    "baking sheet",
    "door mat",
    "curtain rod",
    "pillow",
    "blanket",
    "bookshelf",
    "measuring cups",
    "trash can",
    "spice rack",
    "makeup bag",
    "hair clips",
    "wall hooks",
    "extension cord",
    "card holder",
    "tea kettle",
    "ice tray",
    "salad bowl",
    "shoe rack",
    "plant pot",
    "bird feeder",
    "camping chair",
    "fishing rod",
    "yoga block",
    "jump rope",
];

/// A keyword with its season and life.
pub(crate) type Named = (&'static str, Season, Life);

/// Lists the named keywords of a marketplace.
pub fn keywords(marketplace: Marketplace) -> Vec<&'static str> {
    named(marketplace).iter().map(|(text, _, _)| *text).collect()
}

/// Every marketplace always has plenty of offers for this keyword, so it can show that a search still works.
const CANARY: &str = "phone case";

/// Finds the season and life of a named keyword.
pub(crate) fn find(marketplace: Marketplace, keyword: &str) -> Option<(Season, Life)> {
    let listed = named(marketplace).iter().find(|(text, _, _)| *text == keyword);
    match listed {
        Some((_, season, life)) => Some((*season, *life)),
        None => (keyword == CANARY).then_some((Season::Flat, Life::Always)),
    }
}

/// Whether a keyword is in the list of its marketplace.
pub(crate) fn is_listed(marketplace: Marketplace, keyword: &str) -> bool {
    named(marketplace).iter().any(|(text, _, _)| *text == keyword)
}

/// Whether the world knows what a keyword means: not if a word is overlong or has five letters or more and no vowel.
pub(crate) fn is_meaningful(keyword: &str) -> bool {
    const WORD_LENGTH_MAX: usize = 24;
    const LETTERS_WITHOUT_VOWEL_MAX: usize = 4;
    keyword.split(' ').all(|word| {
        let is_unspeakable = word.len() > LETTERS_WITHOUT_VOWEL_MAX
            && word.chars().all(|letter| letter.is_ascii_alphabetic() && !"aeiouy".contains(letter));
        word.len() <= WORD_LENGTH_MAX && !is_unspeakable
    })
}

/// Lists the search terms of Amazon's report: every named keyword and generated fillers.
pub(crate) fn report_terms() -> Vec<String> {
    let mut terms: Vec<String> = keywords(Marketplace::Amazon).into_iter().map(String::from).collect();
    for kind in FILLER_KINDS {
        for thing in FILLER_THINGS {
            terms.push(format!("{kind} {thing}"));
        }
    }
    terms
}

fn named(marketplace: Marketplace) -> &'static [Named] {
    match marketplace {
        Marketplace::Amazon => AMAZON,
        Marketplace::Etsy => ETSY,
        Marketplace::Ebay => EBAY,
    }
}
