//! What single characters become in a keyword: look-alikes are unified, and what nobody sees is dropped.

use unicode_properties::UnicodeEmoji;

/// Joins emoji into one, and letters in the scripts that know it.
const JOINER: char = '\u{200d}';

/// Keeps letters apart in the scripts that join them.
const NON_JOINER: char = '\u{200c}';

/// Asks for the coloured form of an emoji; U+FE0E asks for the plain one.
const PRESENTATION: std::ops::RangeInclusive<char> = '\u{fe0e}'..='\u{fe0f}';

/// Spells the region of a flag, invisibly, behind a black flag.
const TAGS: std::ops::RangeInclusive<char> = '\u{e0020}'..='\u{e007f}';

/// Closes the emoji of a key, as in a digit, U+FE0F, U+20E3.
const KEYCAP: char = '\u{20e3}';

/// Maps the look-alikes of apostrophe, quotation mark, dash, slash and space to one of each, and drops what is not seen.
///
/// U+0080 to U+009F are control characters, but what turns up there is Windows-1252 that was taken for Latin-1, so its
/// punctuation is read as such. Of two encodings of a character that Unicode does not unify (the wave dash and the
/// voicing marks of Japanese), one is taken. Trade mark signs are on labels, not in questions; NFKC would write "legotm".
pub(super) fn unify(character: char) -> Option<char> {
    match character {
        '\u{2018}'..='\u{201b}' | '\u{2039}' | '\u{203a}' | '\u{2032}' | '\u{2035}' | '\u{275b}' | '\u{275c}' => {
            Some('\'')
        }
        '`' | '\u{b4}' | '\u{2b9}' | '\u{2bb}' | '\u{2bc}' | '\u{2bd}' | '\u{2c8}' | '\u{2ca}' | '\u{2cb}' => {
            Some('\'')
        }
        '\u{384}' | '\u{1fbd}' | '\u{1fef}' | '\u{1ffd}' | '\u{55a}' | '\u{5f3}' | '\u{91}' | '\u{92}' => Some('\''),
        '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{2033}' | '\u{2036}' | '\u{275d}' | '\u{275e}' => Some('"'),
        '\u{301d}'..='\u{301f}' | '\u{5f4}' | '\u{2dd}' | '\u{84}' | '\u{93}' | '\u{94}' => Some('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' | '\u{5be}' | '\u{96}' | '\u{97}' => Some('-'),
        '\u{2044}' | '\u{2215}' => Some('/'),
        '\u{301c}' => Some('~'),
        '\u{309b}' => Some('\u{3099}'),
        '\u{309c}' => Some('\u{309a}'),
        '\u{2800}' => Some(' '),
        '™' | '℠' | '®' => None,
        other if other.is_whitespace() => Some(' '),
        other if other.is_control() || is_never_seen(other) => None,
        other => Some(other),
    }
}

/// Tells whether a character is seen or felt only beside certain others.
pub(super) fn needs_company(character: char) -> bool {
    matches!(character, JOINER | NON_JOINER) || PRESENTATION.contains(&character) || TAGS.contains(&character)
}

/// Tells whether such a character does something between two others. Elsewhere it would only make two keywords of one.
pub(super) fn is_in_company(before: Option<char>, character: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    match character {
        JOINER | NON_JOINER => joins(before) && after.is_some_and(|after| joins(after) && !needs_company(after)),
        _ if PRESENTATION.contains(&character) => is_emoji(before) || after == Some(KEYCAP),
        _ => is_emoji(before) || TAGS.contains(&before),
    }
}

/// Tells whether a character is an emoji and nothing else besides, as digits are.
pub(super) fn is_emoji(character: char) -> bool {
    character > '\u{ff}' && character.is_emoji_char()
}

/// Tells whether a character says no more than how its emoji is to be drawn.
pub(super) fn is_presentation(character: char) -> bool {
    PRESENTATION.contains(&character)
}

/// Tells whether joiners mean something beside a character: beyond the scripts of Europe, and beside emoji.
fn joins(character: char) -> bool {
    character >= '\u{590}'
        && !('\u{1e00}'..='\u{1fff}').contains(&character)
        && !matches!(character, JOINER | NON_JOINER)
}

/// Tells whether a character only directs how others are laid out, or selects among drawings of the same character.
fn is_never_seen(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e001f}' | '\u{e0080}'..='\u{e0fff}')
        || (character as u32) & 0xfffe == 0xfffe
}
