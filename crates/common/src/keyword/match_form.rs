//! The match form: a text as the words by which titles and near-duplicates are compared.
//!
//! Words come apart at white space, hyphens, commas and their like and at emoji; punctuation around them, apostrophes and
//! possessives go; accents, elided words and plurals are folded as the language allows.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::Language;
use super::characters::{is_emoji, is_presentation, needs_company};
use super::normal_form::normal_form;

impl Language {
    /// Returns the words of a text of any length, in their match forms.
    pub fn words(&self, text: &str) -> Vec<String> {
        let folded = self.folded(normal_form(text));
        self.words_of(&folded).map(Cow::into_owned).collect()
    }

    /// Tells whether every one of some words occurs among those of a title, in any order.
    pub fn all_occur(&self, words: &[String], title: &str) -> bool {
        let folded = self.folded(normal_form(title));
        let title_words: Vec<Cow<'_, str>> = self.words_of(&folded).collect();
        if self.is_spaced {
            return words.iter().all(|word| title_words.iter().any(|title_word| title_word == word));
        }
        let title = title_words.join(" ");
        words.iter().all(|word| title.contains(word.as_str()))
    }

    fn folded(&self, normal: String) -> String {
        if normal.is_ascii() { normal } else { self.fold_letters(&normal) }
    }

    fn words_of<'a>(&'a self, folded: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        let pieces = folded.split(is_between_words).flat_map(split_off_emoji);
        pieces.map(|piece| self.word(piece)).filter(|word| !word.is_empty())
    }

    /// Folds marks and letters, and drops what only says how an emoji is to be drawn.
    fn fold_letters(&self, normal: &str) -> String {
        let mut folded = String::with_capacity(normal.len());
        let mut takes_marks = false;
        for character in normal.chars().filter(|character| !is_presentation(*character)) {
            if let Some((_, written)) = self.letters.iter().find(|(letter, _)| *letter == character) {
                folded.push_str(written);
                takes_marks = true;
                continue;
            }
            for part in std::iter::once(character).nfd() {
                match part {
                    '\u{300}'..='\u{36f}' if takes_marks => continue,
                    // Points and tatweel of Hebrew and Arabic.
                    '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c7}' | '\u{640}' | '\u{64b}'..='\u{65f}' => {}
                    'ß' => folded.push_str("ss"),
                    'æ' => folded.push_str("ae"),
                    'œ' => folded.push_str("oe"),
                    'þ' => folded.push_str("th"),
                    'ø' => folded.push('o'),
                    'đ' | 'ð' => folded.push('d'),
                    'ł' => folded.push('l'),
                    'ı' => folded.push('i'),
                    'ς' => folded.push('σ'),
                    '×' => folded.push('x'),
                    '\u{30a1}'..='\u{30f6}' => folded.extend(char::from_u32(part as u32 - 0x60)),
                    _ => folded.push(part),
                }
                takes_marks = matches!(part, 'a'..='z' | '\u{df}'..='\u{24f}' | '\u{370}'..='\u{3ff}');
            }
        }
        folded.nfc().collect()
    }

    /// Returns the match form of one word.
    fn word<'a>(&self, piece: &'a str) -> Cow<'a, str> {
        let bare = piece.trim_matches(is_around_words);
        let Some((elided, rest)) = bare.split_once('\'') else { return self.singular(bare) };
        let bare = if self.elisions.contains(&elided) { rest } else { bare.strip_suffix("'s").unwrap_or(bare) };
        Cow::Owned(self.singular(&bare.replace('\'', "")).into_owned())
    }

    /// Takes off the ending of a plural; words with digits are names and sizes, and have none.
    fn singular<'a>(&self, word: &'a str) -> Cow<'a, str> {
        let irregular = self.irregular.iter().find(|(plural, _)| *plural == word);
        let word = irregular.map_or(word, |(_, singular)| singular);
        if !word.chars().all(char::is_alphabetic) {
            return Cow::Borrowed(word);
        }
        for (ending, instead, letters_before_min) in self.endings {
            if let Some(stem) = word.strip_suffix(ending)
                && stem.chars().count() >= *letters_before_min
            {
                return if instead.is_empty() { Cow::Borrowed(stem) } else { Cow::Owned(format!("{stem}{instead}")) };
            }
        }
        Cow::Borrowed(word)
    }
}

/// Returns the match form of a normal form; where it has no words, the normal form itself.
pub(super) fn match_text(normal: &str, language: &Language) -> String {
    let folded = language.folded(normal.to_owned());
    let words: Vec<Cow<'_, str>> = language.words_of(&folded).collect();
    if words.is_empty() { normal.to_owned() } else { words.join(" ") }
}

fn is_between_words(character: char) -> bool {
    matches!(character, ' ' | ',' | ';' | ':' | '/' | '|' | '-' | '(' | ')' | '[' | ']' | '·' | '・' | '、' | '。')
        || ('\u{3008}'..='\u{301b}').contains(&character)
}

fn is_around_words(character: char) -> bool {
    let is_mark = canonical_combining_class(character) != 0;
    !character.is_alphanumeric() && !is_emoji(character) && !needs_company(character) && !is_mark
}

/// Splits a piece of text where emoji and other text meet.
fn split_off_emoji(piece: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut was_emoji = None;
    for (index, character) in piece.char_indices() {
        // A joiner goes with what it joins.
        if needs_company(character) {
            continue;
        }
        let is_now = is_emoji(character);
        if was_emoji.is_some_and(|was| was != is_now) {
            pieces.push(&piece[start..index]);
            start = index;
        }
        was_emoji = Some(is_now);
    }
    pieces.push(&piece[start..]);
    pieces
}
