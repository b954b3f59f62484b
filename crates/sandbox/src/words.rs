//! Words for titles, brands and sellers of the pretend world.

use crate::noise::{Dice, hash};

const FIRST: [&str; 24] = [
    "Amber", "Blue", "Cedar", "Copper", "Dawn", "Ember", "Fern", "Golden", "Harbor", "Iron", "Juniper", "Kite",
    "Lumen", "Maple", "North", "Oak", "Pine", "Quill", "River", "Stone", "Tide", "Velvet", "Willow", "Zephyr",
];
const SECOND: [&str; 24] = [
    "Bay", "Bird", "Craft", "Creek", "Den", "Field", "Fox", "Goods", "Grove", "Hill", "House", "Lane", "Leaf", "Loft",
    "Mill", "Nest", "Peak", "Ridge", "Shop", "Spark", "Supply", "Trail", "Works", "Yard",
];
const ONSETS: [&str; 16] =
    ["Ve", "No", "Zu", "Ki", "La", "Mo", "Ra", "Ti", "Be", "Da", "Fo", "Ga", "He", "Jo", "Pe", "Su"];
const MIDDLES: [&str; 12] = ["", "la", "ri", "no", "du", "me", "xa", "si", "ko", "va", "ne", "lo"];
const ENDINGS: [&str; 16] = [
    "vora", "lix", "nori", "tek", "mira", "zen", "lumo", "pax", "dell", "vix", "rano", "sol", "quo", "bari", "mont",
    "kera",
];
const TRAITS: [&str; 16] = [
    "Premium Quality",
    "Set of 2",
    "Handmade",
    "Gift for Her",
    "Gift for Him",
    "Large",
    "Small",
    "Lightweight",
    "Durable",
    "Classic Design",
    "Modern Style",
    "Easy to Clean",
    "Best Seller",
    "New Edition",
    "Limited",
    "Original",
];

pub(crate) const COLORS: [&str; 8] = ["Black", "White", "Red", "Blue", "Green", "Natural", "Grey", "Pink"];

/// Brands have numbers below this.
pub(crate) const BRANDS: u64 = (ONSETS.len() * MIDDLES.len() * ENDINGS.len()) as u64;

/// Names a brand; every number below [`BRANDS`] has its own name.
pub(crate) fn brand(number: u64) -> String {
    let number = number as usize;
    let (rest, onset) = (number / ONSETS.len(), ONSETS[number % ONSETS.len()]);
    let middle = MIDDLES[rest % MIDDLES.len()];
    let ending = ENDINGS[rest / MIDDLES.len() % ENDINGS.len()];
    format!("{onset}{middle}{ending}")
}

/// Names a seller; every number has its own name.
pub(crate) fn seller(number: u64) -> String {
    let index = number as usize;
    let (rest, first) = (index / FIRST.len(), FIRST[index % FIRST.len()]);
    format!("{first}{}{}", SECOND[rest % SECOND.len()], 7 + rest / SECOND.len())
}

/// Writes the title of a listing; the keyword comes capitalized.
pub(crate) fn title(salt: u64, lead: &str, keyword: &str) -> String {
    let mut dice = Dice::new(hash(salt, 13));
    let (one, two, color) = (dice.pick(&TRAITS), dice.pick(&TRAITS), dice.pick(&COLORS));
    format!("{lead}{keyword}, {one}, {two}, {color}")
}

/// The color a title names.
pub(crate) fn color(salt: u64) -> &'static str {
    let mut dice = Dice::new(hash(salt, 13));
    dice.pick(&TRAITS);
    dice.pick(&TRAITS);
    dice.pick(&COLORS)
}

/// Capitalizes every word of a keyword.
pub(crate) fn capitalize(keyword: &str) -> String {
    let mut capitalized = String::with_capacity(keyword.len());
    for word in keyword.split(' ') {
        if !capitalized.is_empty() {
            capitalized.push(' ');
        }
        let mut letters = word.chars();
        capitalized.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        capitalized.push_str(letters.as_str());
    }
    capitalized
}
