//! Laws of the reading, and the golden file of hard cases.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::language::LANGUAGES;
use super::*;
use crate::marketplace::Marketplace;

/// A row of the golden file. Characters that an editor would not show are written as `\u{...}`.
struct Golden {
    market: String,
    original: String,
    keyword_text: String,
    match_text: String,
}

fn golden() -> Vec<Golden> {
    let mut reader = csv::Reader::from_reader(include_str!("golden.csv").as_bytes());
    let records = reader.records().map(|record| record.expect("a row of the golden file"));
    let rows = records.map(|record| Golden {
        market: record[0].to_owned(),
        original: unescape(&record[1]),
        keyword_text: unescape(&record[2]),
        match_text: unescape(&record[3]),
    });
    rows.collect()
}

fn unescape(text: &str) -> String {
    let mut parts = text.split("\\u{");
    let mut unescaped = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('}').expect("a closed escape");
        unescaped.extend(u32::from_str_radix(code, 16).ok().and_then(char::from_u32));
        unescaped.push_str(rest);
    }
    unescaped
}

fn read(text: &str) -> Result<String, KeywordError> {
    Keyword::parse(text).map(|keyword| keyword.as_str().to_owned())
}

#[test]
fn hard_cases_are_read_as_the_golden_file_says() {
    let rows = golden();
    assert!(rows.len() >= 120, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let keyword = Keyword::parse(&row.original);
        let found = keyword.as_ref().map(|keyword| (keyword.as_str().to_owned(), keyword.match_text(&row.market)));
        if found != Ok((row.keyword_text.clone(), row.match_text.clone())) {
            wrong.push(format!("{} {}: {found:?}", row.market, row.original.escape_debug()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_golden_file_tries_every_language_we_fold() {
    let rows = golden();
    for language in LANGUAGES.iter().filter(|language| !language.endings.is_empty() || !language.is_spaced) {
        let count = rows.iter().filter(|row| language.markets.contains(&row.market.as_str())).count();
        assert!(count >= 5, "{}: {count}", language.name);
    }
}

#[test]
fn every_market_has_a_language() {
    for market in Marketplace::ALL.iter().flat_map(|marketplace| marketplace.markets()) {
        let language = Language::of(market);
        assert!(language.markets.contains(market), "{market} is taken for {}", language.name);
    }
}

#[test]
fn what_is_no_keyword_says_why() {
    assert_eq!(read(" \u{200b}\t"), Err(KeywordError::Empty));
    assert_eq!(read("\u{200d}\u{fe0f}&nbsp;"), Err(KeywordError::Empty));
    assert_eq!(read(&"x".repeat(MAX_LENGTH)).map(|text| text.len()), Ok(MAX_LENGTH));
    assert_eq!(read(&"x".repeat(MAX_LENGTH + 1)), Err(KeywordError::TooLong { length: MAX_LENGTH + 1 }));
    assert_eq!(read(&" ".repeat(ORIGINAL_MAX_LENGTH + 1)), Err(KeywordError::OriginalTooLong));
    assert_eq!(read("a\0b"), Err(KeywordError::NullCharacter));
}

#[test]
fn every_single_character_is_read_once_and_for_all() {
    // Beyond are private use and planes without characters.
    for character in ('\u{1}'..'\u{32000}').chain('\u{e0000}'..'\u{e0200}') {
        let once = read(&format!("{character}a{character}1{character}z🔥{character}🔥")).expect("a keyword");
        assert_eq!(read(&once), Ok(once.clone()), "U+{:04X}", character as u32);
        let decomposed: String = std::iter::once(character).nfd().collect();
        if decomposed.chars().ne([character]) {
            let written_apart = format!("{decomposed}a{decomposed}1{decomposed}z🔥{decomposed}🔥");
            assert_eq!(read(&written_apart), Ok(once), "U+{:04X}", character as u32);
        }
    }
}

/// Texts of what makes reading hard, close together.
fn hard_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "&",
        "am",
        "amp",
        ";",
        "&amp;",
        "&AMP;",
        "&amp;amp;",
        "&#39;",
        "&#x2019;",
        "&semi",
        "&lt",
        "#",
        "39",
        "x",
        "&#65286;",
        "&zwj;",
        "&shy;",
        "&Tab;",
        "&frac12;",
        "½",
        "1",
        "⁄",
        "'",
        "´",
        "’",
        "“",
        "–",
        "\u{200b}",
        "\u{200d}",
        "\u{200c}",
        "\u{fe0f}",
        "\u{ad}",
        "\u{202e}",
        "\u{feff}",
        "\u{e0067}",
        "\u{e007f}",
        "🏴",
        "❤",
        "🔥",
        "👩",
        "💻",
        "🏽",
        "\u{20e3}",
        "Σ",
        "ς",
        "İ",
        "ß",
        "ẞ",
        "é",
        "e",
        "\u{301}",
        "\u{308}",
        "\u{323}",
        "ガ",
        "カ",
        "\u{3099}",
        "゛",
        "ﾊ",
        "ﾞ",
        "Ａ",
        "　",
        " ",
        "\u{a0}",
        "\t",
        "\u{85}",
        "ﬁ",
        "™",
        "ﷺ",
        "שׁ",
        "\u{5c1}",
        "ک",
        "ه",
        "한",
        "\u{1100}",
        "\u{1161}",
        "\u{1d15e}",
        "ǅ",
        "K",
        "Å",
        "\u{345}",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        hard_text(),
        prop::collection::vec(any::<char>(), 0..60).prop_map(String::from_iter),
        "[&#;a-z0-9]{0,40}"
    ]
}

fn any_market() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        LANGUAGES.iter().flat_map(|language| language.markets).copied().chain(["BE", "??"]).collect::<Vec<_>>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn reading_twice_changes_nothing(text in any_text()) {
        if let Ok(once) = read(&text) {
            prop_assert_eq!(read(&once), Ok(once.clone()), "{:?}", once);
        }
    }

    #[test]
    fn a_keyword_is_short_and_holds_nothing_unseen(text in any_text()) {
        if let Ok(keyword) = read(&text) {
            prop_assert!((1..=MAX_LENGTH).contains(&keyword.chars().count()));
            let is_unseen = |character: char| character.is_control() || ['\u{200b}', '\u{202e}', '\u{feff}'].contains(&character);
            prop_assert!(!keyword.chars().any(is_unseen));
            prop_assert!(keyword.chars().all(|character| character == ' ' || !character.is_whitespace()));
            prop_assert!(!keyword.contains("  ") && !keyword.starts_with(' ') && !keyword.ends_with(' '));
            prop_assert!(!keyword.chars().any(|character| character.is_ascii_uppercase()));
        }
    }

    #[test]
    fn the_short_way_leads_where_the_long_way_leads(text in prop_oneof![any_text(), "[ -~]{0,40}"]) {
        prop_assert_eq!(keyword_text(&text).map(Cow::into_owned), read(&text).ok());
    }

    #[test]
    fn equivalent_encodings_are_the_same_keyword(text in any_text()) {
        let composed = read(&text.nfc().collect::<String>());
        prop_assert_eq!(&composed, &read(&text.nfd().collect::<String>()));
        prop_assert_eq!(&composed, &read(&text));
    }

    #[test]
    fn a_match_form_depends_on_the_keyword_alone(text in any_text(), market in any_market()) {
        if let Ok(keyword) = Keyword::parse(&text) {
            let match_text = keyword.match_text(market);
            prop_assert!(!match_text.is_empty());
            prop_assert_eq!(&match_text, &Keyword::parse(keyword.as_str()).expect("a keyword").match_text(market));
            prop_assert!(!match_text.chars().any(char::is_control));
        }
    }

    #[test]
    fn a_text_holds_its_own_words_in_every_language(text in any_text(), market in any_market()) {
        let language = Language::of(market);
        prop_assert!(language.all_occur(&language.words(&text), &text));
    }
}

#[test]
fn what_nests_deeply_is_read_in_one_pass() {
    let nested = format!("{}lt;", "&amp;".replace(';', "").repeat(100_000) + &";".repeat(100_000));
    assert!(normal_form::normal_form(&nested).len() < nested.len());
    let semicolons = format!("{};", "&semi".repeat(100_000));
    assert_eq!(normal_form::normal_form(&semicolons), ";");
}
