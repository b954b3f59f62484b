//! Changes answers at random, in their bytes or in their structure, into what no marketplace ever sent.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::fixtures::packed;
use crate::json::Json;

/// Largest answer that is made.
pub const MAX_BYTES: usize = 256 * 1024;

/// Pieces that mean something to readers of JSON, or to ours.
const TOKENS: [&str; 34] = [
    "null",
    "true",
    "{}",
    "[]",
    "[",
    "{",
    "\"",
    "\\",
    ",",
    ":",
    "-",
    "0",
    "-1",
    "1e400",
    "1E+2",
    "0.1",
    "\\u0000",
    "\\ud800",
    "&#39;",
    "&amp;",
    "\u{feff}",
    "\u{0}",
    "\u{202e}",
    "18446744073709551616",
    "9223372036854775808",
    "AUCTION",
    "EXACT",
    "USD",
    "Amazon.com",
    "blue mug",
    "CANCELLED",
    "2026-08-16",
    "\"count\":0,",
    "  \n",
];
const NUMBERS: [&str; 26] = [
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "3",
    "10",
    "100",
    "1000",
    "0.0",
    "0.5",
    "1.0",
    "1.5",
    "5",
    "6",
    "1e2",
    "1E-7",
    "1e400",
    "1000000000000",
    "1000000000001",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "12345678901234.5678901",
    "19.990000000000000001",
];
const TEXTS: [&str; 30] = [
    "",
    " ",
    "0",
    "1",
    "-1",
    "1.5",
    "1,5",
    ".5",
    "5.",
    "1e2",
    "NaN",
    "12.50",
    "USD",
    "JPY",
    "usd",
    "AUCTION",
    "FIXED_PRICE",
    "EXACT",
    "BROAD",
    "New",
    "Amazon.com",
    "Beauty",
    "blue mug",
    "Blue\u{a0}Mug",
    "Women&#39;s  Hat",
    "soap",
    "2026-08-16",
    "2026-08-16T12:00:00Z",
    "2026-02-30T00:00:00.000Z",
    "a\u{0}b",
];
const NAMES: [&str; 8] = ["", "value", "currency", "results", "items", "price", "title", "keyword"];

/// Returns a changed answer; of a packed one the text is changed, or the packing.
pub fn mutate(random: &mut SmallRng, body: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let is_packed = body.starts_with(&[0x1f, 0x8b]);
    let is_unpacked = is_packed && random.random_bool(0.9) && MultiGzDecoder::new(body).read_to_end(&mut text).is_ok();
    if is_unpacked {
        return packed(&mutate(random, &text));
    }
    let parsed = std::str::from_utf8(body).ok().and_then(|text| Json::parse(text).ok());
    let mut mutated = match parsed {
        Some(json) if random.random_bool(0.8) => structure(random, json),
        _ => bytes(random, body),
    };
    mutated.truncate(MAX_BYTES);
    mutated
}

/// Changes some values of a document.
fn structure(random: &mut SmallRng, mut document: Json) -> Vec<u8> {
    for _ in 0..random.random_range(1..=4) {
        let count = size(&document);
        let donor = at(&mut document, random.random_range(0..count)).clone();
        let place = at(&mut document, random.random_range(0..count));
        change(random, place, donor);
    }
    let mut text = String::new();
    document.write(&mut text);
    text.into_bytes()
}

fn change(random: &mut SmallRng, place: &mut Json, donor: Json) {
    match (random.random_range(0..8), &mut *place) {
        (0, _) => *place = value(random),
        (1, _) => *place = donor,
        (2, _) => *place = Json::Null,
        (3, _) => *place = wrapped(random, place.clone()),
        (_, Json::List(values)) if !values.is_empty() => {
            let (first, second) = (random.random_range(0..values.len()), random.random_range(0..values.len()));
            match random.random_range(0..4) {
                0 => drop(values.remove(first)),
                1 => values.swap(first, second),
                2 => values.insert(second, values[first].clone()),
                _ => values[first] = value(random),
            }
        }
        (_, Json::Object(fields)) if !fields.is_empty() => {
            let (first, second) = (random.random_range(0..fields.len()), random.random_range(0..fields.len()));
            match random.random_range(0..6) {
                0 => drop(fields.remove(first)),
                1 => fields.swap(first, second),
                2 => fields.insert(second, fields[first].clone()),
                3 => fields[first].0 = Some(one_of(random, &NAMES)),
                4 => fields[first].1 = fields[second].1.clone(),
                _ => fields[first].1 = value(random),
            }
        }
        (_, Json::Number(text)) => *text = one_of(random, &NUMBERS),
        (_, Json::Text(text)) => *text = random.random_bool(0.95).then(|| one_of(random, &TEXTS)),
        _ => *place = value(random),
    }
}

/// Puts a value where the contract has it not: into a list or an object, or out of one.
fn wrapped(random: &mut SmallRng, value: Json) -> Json {
    match value {
        Json::Object(fields) if random.random_bool(0.7) => {
            Json::List(fields.into_iter().map(|(_, value)| value).collect())
        }
        Json::Number(text) if random.random_bool(0.7) => Json::Text(Some(text)),
        Json::Text(Some(text)) if text.parse::<f64>().is_ok_and(f64::is_finite) => Json::Number(text),
        value if random.random_bool(0.1) => (0..100).fold(value, |inner, _| Json::List(vec![inner])),
        value if random.random_bool(0.5) => Json::List(vec![value]),
        value => Json::Object(vec![(Some(one_of(random, &NAMES)), value)]),
    }
}

fn value(random: &mut SmallRng) -> Json {
    match random.random_range(0..8) {
        0 => Json::Null,
        1 => Json::Bool(random.random_bool(0.5)),
        2 | 3 => Json::Number(one_of(random, &NUMBERS)),
        4 | 5 => Json::Text(Some(one_of(random, &TEXTS))),
        6 => Json::List(Vec::new()),
        _ => Json::Object(Vec::new()),
    }
}

fn one_of(random: &mut SmallRng, choices: &[&str]) -> String {
    (*choices.choose(random).expect("there are some")).to_owned()
}

/// Counts the values of a document, itself included.
fn size(json: &Json) -> usize {
    1 + match json {
        Json::List(values) => values.iter().map(size).sum(),
        Json::Object(fields) => fields.iter().map(|(_, value)| size(value)).sum(),
        _ => 0,
    }
}

/// Returns a value by its number in the order of the text.
fn at(json: &mut Json, number: usize) -> &mut Json {
    if number == 0 {
        return json;
    }
    let mut before = 1;
    let values: Vec<&mut Json> = match json {
        Json::List(values) => values.iter_mut().collect(),
        Json::Object(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
        _ => Vec::new(),
    };
    for value in values {
        let inside = size(value);
        if number < before + inside {
            return at(value, number - before);
        }
        before += inside;
    }
    unreachable!("the number is less than the size")
}

/// Changes some bytes.
fn bytes(random: &mut SmallRng, body: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    for _ in 0..random.random_range(1..=4) {
        let place = random.random_range(0..=bytes.len());
        let end = (place + random.random_range(1..64)).min(bytes.len());
        match random.random_range(0..8) {
            0 if place < bytes.len() => bytes[place] ^= 1 << random.random_range(0..8),
            1 if place < bytes.len() => bytes[place] = random.random(),
            2 => drop(bytes.drain(place..end)),
            3 => bytes.truncate(place),
            4 => {
                let piece = bytes[place..end].to_vec();
                bytes.splice(place..place, piece);
            }
            5 => {
                let depth = random.random_range(1..20_000);
                let opening = *[b'[', b'{', b'"', b'\\', b' ', b'9'].choose(random).expect("there are some");
                bytes.splice(place..place, std::iter::repeat_n(opening, depth));
            }
            _ => {
                let token = one_of(random, &TOKENS);
                bytes.splice(place..place, token.into_bytes());
            }
        }
    }
    bytes
}
