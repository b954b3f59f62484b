//! The normal form of a text: how keywords are written, and texts that are compared with them.
//!
//! The steps, in this order: look-alikes unified and invisible characters dropped (`characters.rs`), compatibility forms
//! taken apart (NFKD), HTML entities decoded, joiners and selectors without company dropped, lower case, put together
//! again (NFKC), white space collapsed. Each step leaves alone what the later ones made, so doing it twice changes nothing.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::characters::{is_in_company, needs_company, unify};

/// Longest name of an HTML entity that is looked for, without `&` and `;`; the longest there is has 31 characters.
const ENTITY_NAME_MAX: usize = 32;

/// Returns the normal form of a text of any length, in time proportional to it.
pub(super) fn normal_form(text: &str) -> String {
    if is_plain(text) {
        return collapse(&text.to_ascii_lowercase());
    }
    let mut decoder = Decoder::default();
    text.chars().for_each(|character| decoder.write(character));
    let seen = without_idlers(&decoder.written);
    collapse(&seen.to_lowercase().nfkc().collect::<String>())
}

/// Tells at a glance whether a text is its own normal form; some that are take the long way all the same.
pub(super) fn is_plainly_normal(text: &str) -> bool {
    let is_spaced = !text.contains("  ") && !text.starts_with(' ') && !text.ends_with(' ');
    is_spaced && is_plain(text) && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Tells whether the lower case of a text, with white space collapsed, is its normal form. Nearly all texts are such,
/// and the long way is slow.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'&' && byte != b'`')
}

/// Writes a text character by character and decodes each HTML entity at the moment its semicolon arrives.
///
/// What an entity stands for is written in its place like any other text. So entities that were encoded twice or more are
/// decoded to the end: nobody searches for `&amp;amp;`, but marketplaces and exports encode what is encoded already. None
/// is left in what is written, and no text is gone over again.
#[derive(Default)]
struct Decoder {
    written: String,
    waiting: Vec<char>,
}

impl Decoder {
    fn write(&mut self, character: char) {
        self.waiting.push(character);
        while let Some(character) = self.waiting.pop() {
            let Some(unified) = unify(character) else { continue };
            let parts: String = std::iter::once(unified).nfkd().filter_map(unify).collect();
            // 1½ is one and a half, not eleven halves.
            if parts.len() > 1 && parts.contains('/') && self.written.ends_with(|last: char| last.is_ascii_digit()) {
                self.written.push(' ');
            }
            self.written.push_str(&parts);
            if parts == ";"
                && let Some(decoded) = self.take_entity()
            {
                self.waiting.extend(decoded.chars().rev());
            }
        }
    }

    /// Takes away an entity that was just completed, and returns what it stands for.
    ///
    /// Its name counts as it is spelt or, where there is none such, in small letters, because small letters are what it
    /// will have. Joiners in it will be dropped, so they do not count.
    fn take_entity(&mut self) -> Option<String> {
        let before = self.written.strip_suffix(';')?;
        let mut name_length = 0;
        let mut start = None;
        for (index, character) in before.char_indices().rev() {
            match character {
                '&' => {
                    start = Some(index);
                    break;
                }
                _ if needs_company(character) => {}
                '#' | '0'..='9' | 'a'..='z' | 'A'..='Z' if name_length < ENTITY_NAME_MAX => name_length += 1,
                _ => return None,
            }
        }
        let start = start?;
        let spelt: String = self.written[start..].chars().filter(|character| !needs_company(*character)).collect();
        let decoded = decode(&spelt).or_else(|| decode(&spelt.to_ascii_lowercase()))?;
        self.written.truncate(start);
        Some(decoded)
    }
}

/// Decodes a text that is one entity.
fn decode(entity: &str) -> Option<String> {
    let decoded = html_escape::decode_html_entities(entity);
    (decoded != entity).then(|| decoded.into_owned())
}

/// Drops joiners, selectors and tags where they do nothing.
///
/// Combining marks are no neighbours: their order is not settled yet, and dropping may change it.
fn without_idlers(text: &str) -> String {
    let is_mark = |character: char| canonical_combining_class(character) != 0;
    let mut kept = String::with_capacity(text.len());
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied().filter(|after| !is_mark(*after));
        if needs_company(character) && !is_in_company(before, character, after) {
            continue;
        }
        kept.push(character);
        if !is_mark(character) {
            before = Some(character);
        }
    }
    kept
}

/// Makes every run of white space one space, and none at the ends.
fn collapse(text: &str) -> String {
    let mut collapsed = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(word);
    }
    collapsed
}
