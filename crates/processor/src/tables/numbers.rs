//! Reads numbers in the spellings of all locales: digits of every script, spaces of every width, either decimal mark, grouping
//! by thousands or as in India, and words for scales. What could mean two numbers is decided by the file or refused.

use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

/// What people and tools write where there is no value, in the form that [`normalized`] gives.
const NOTHING: [&str; 32] = [
    "",
    "-",
    "--",
    "---",
    "—",
    "–",
    "―",
    "−",
    "n/a",
    "#n/a",
    "n.a.",
    "n.a",
    "na",
    "nan",
    "null",
    "none",
    "nil",
    "unknown",
    "not available",
    "no data",
    "(not set)",
    "n/d",
    "n.d.",
    "nd",
    "s/d",
    "k.a.",
    "k. a.",
    "unbekannt",
    "inconnu",
    "desconocido",
    "sconosciuto",
    "?",
];

/// Words behind a number that multiply it.
const SCALES: [(&str, f64); 39] = [
    ("k", 1e3),
    ("m", 1e6),
    ("b", 1e9),
    ("bn", 1e9),
    ("g", 1e9),
    ("mm", 1e6),
    ("mil", 1e3),
    ("mille", 1e3),
    ("tsd", 1e3),
    ("tsd.", 1e3),
    ("tys.", 1e3),
    ("tys", 1e3),
    ("тыс.", 1e3),
    ("тыс", 1e3),
    ("тис.", 1e3),
    ("bin", 1e3),
    ("rb", 1e3),
    ("tn", 1e3),
    ("千", 1e3),
    ("천", 1e3),
    ("ألف", 1e3),
    ("nghìn", 1e3),
    ("万", 1e4),
    ("萬", 1e4),
    ("만", 1e4),
    ("lakh", 1e5),
    ("lac", 1e5),
    ("crore", 1e7),
    ("億", 1e8),
    ("亿", 1e8),
    ("억", 1e8),
    ("mio", 1e6),
    ("mio.", 1e6),
    ("mln", 1e6),
    ("mln.", 1e6),
    ("млн", 1e6),
    ("mi", 1e6),
    ("mn", 1e6),
    ("jt", 1e6),
];

/// What stands before the decimals of the numbers of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalMark {
    /// Decided by the numbers of the file; where they leave it open, a point.
    #[default]
    Auto,
    /// As in 1,234.5.
    Point,
    /// As in 1.234,5.
    Comma,
    /// The numbers of the file leave it open, and so does the rest of it: what could mean two numbers is refused.
    Undecided,
}

impl FromStr for DecimalMark {
    type Err = UnknownMark;

    fn from_str(word: &str) -> Result<DecimalMark, UnknownMark> {
        match word {
            "auto" => Ok(DecimalMark::Auto),
            "point" => Ok(DecimalMark::Point),
            "comma" => Ok(DecimalMark::Comma),
            _ => Err(UnknownMark(word.to_owned())),
        }
    }
}

/// A word that is none of those expected.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not one of: auto, point, comma")]
pub struct UnknownMark(String);

/// Why a text is not the number that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotANumber {
    /// It cannot be read as one.
    Malformed,
    /// It can be read as two different ones.
    Ambiguous,
}

/// Brings a cell to the form in which it is compared and read: compatibility characters (full-width digits and signs) and
/// minus signs unified, every space a plain one, ends trimmed.
pub fn normalized(cell: &str) -> String {
    let unified = cell.nfkc().filter_map(|character| match character {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{200b}' => None,
        '\u{2212}' => Some('-'),
        other if other.is_whitespace() => Some(' '),
        other => Some(digit(other)),
    });
    unified.collect::<String>().trim().to_owned()
}

/// Returns true where a normalized cell says that there is no value.
pub fn is_nothing(normalized: &str) -> bool {
    NOTHING.contains(&normalized.to_lowercase().as_str())
}

/// Reads a number, with its sign and exponent where they are there.
pub fn number(cell: &str, mark: DecimalMark) -> Result<f64, NotANumber> {
    let cell = normalized(cell);
    let read = |separators| plain(&cell, separators).and_then(|plain| plain.parse::<f64>().ok());
    choose(read(POINT), read(COMMA), mark)
}

/// Reads a count: a number without decimals, though `.0` may stand behind it.
pub fn count(cell: &str, mark: DecimalMark) -> Result<f64, NotANumber> {
    let cell = normalized(cell);
    let read = |separators| plain(&cell, separators).and_then(|plain| plain.parse::<f64>().ok());
    let whole = |value: Option<f64>| value.filter(|value| value.fract() == 0.0);
    let (point, comma) = (whole(read(POINT)), whole(read(COMMA)));
    // `1.000` may be one or a thousand; `1,000` is a thousand wherever a comma does not separate decimals.
    let is_open = mark == DecimalMark::Auto && cell.contains('.') && point.is_some() && comma.is_some();
    choose(point, comma, if is_open { DecimalMark::Undecided } else { mark })
}

/// Splits the word of a scale from the end of a number: `1.2K`, `1,2 mil`, `3万`.
pub fn scale(cell: &str) -> (String, f64) {
    let cell = normalized(cell);
    let lower = cell.to_lowercase();
    let found = SCALES.iter().filter(|(word, _)| lower.ends_with(word)).max_by_key(|(word, _)| word.len());
    match found {
        Some((word, scale)) if lower.len() > word.len() => {
            let rest = lower[..lower.len() - word.len()].trim().to_owned();
            if rest.ends_with(|character: char| character.is_ascii_digit()) { (rest, *scale) } else { (cell, 1.0) }
        }
        _ => (cell, 1.0),
    }
}

/// Decides the decimal mark by cells that have one reading only. Undecided where they contradict each other, and in text with
/// semicolons, because semicolons are used where commas separate decimals.
pub fn decide<'a>(cells: impl Iterator<Item = &'a str>, is_semicolon: bool) -> DecimalMark {
    let (mut has_point, mut has_comma) = (false, false);
    for cell in cells {
        let cell = normalized(cell.trim().trim_end_matches('%'));
        if !cell.contains(['.', ',']) {
            continue;
        }
        match (plain(&cell, POINT).is_some(), plain(&cell, COMMA).is_some()) {
            (true, false) => has_point = true,
            (false, true) => has_comma = true,
            _ => {}
        }
    }
    match (has_point, has_comma) {
        (true, false) => DecimalMark::Point,
        (false, true) => DecimalMark::Comma,
        (true, true) => DecimalMark::Undecided,
        (false, false) if is_semicolon => DecimalMark::Undecided,
        (false, false) => DecimalMark::Auto,
    }
}

/// The decimal mark, and the mark that groups digits beside spaces and apostrophes.
type Separators = (char, char);
const POINT: Separators = ('.', ',');
const COMMA: Separators = (',', '.');

fn choose(point: Option<f64>, comma: Option<f64>, mark: DecimalMark) -> Result<f64, NotANumber> {
    let found = match (mark, point, comma) {
        (DecimalMark::Point, point, _) => point,
        (DecimalMark::Comma, _, comma) => comma,
        (_, Some(point), Some(comma)) if point == comma => Some(point),
        (DecimalMark::Undecided, Some(_), Some(_)) => return Err(NotANumber::Ambiguous),
        (_, point, comma) => point.or(comma),
    };
    found.filter(|value| value.is_finite()).ok_or(NotANumber::Malformed)
}

/// Returns the ASCII digit of a digit of another script.
fn digit(character: char) -> char {
    const ZEROS: [u32; 8] = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xae6, 0xbe6, 0xc66];
    let code = u32::from(character);
    match character {
        '٫' => '.',
        '٬' => ',',
        _ => {
            let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code));
            zero.and_then(|zero| char::from_digit(code - zero, 10)).unwrap_or(character)
        }
    }
}

/// Writes a normalized number with a point and without grouping; nothing when it is not written as such a number is.
fn plain(cell: &str, (decimal, grouping): Separators) -> Option<String> {
    let (sign, unsigned) = match cell.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", cell),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    if exponent.is_some_and(|exponent| exponent.parse::<i16>().is_err()) {
        return None;
    }
    let (whole, decimals) = match mantissa.split_once(decimal) {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if decimals.is_some_and(|decimals| !is_digits(decimals)) {
        return None;
    }
    let separator = whole.chars().find(|character| !character.is_ascii_digit());
    let digits = match separator {
        None if is_digits(whole) => whole.to_owned(),
        Some(mark) if mark == grouping || matches!(mark, ' ' | '\'' | '\u{2019}') => {
            let groups: Vec<&str> = whole.split(mark).collect();
            let is_grouped = groups.iter().all(|group| is_digits(group)) && is_grouping(&groups);
            is_grouped.then(|| groups.concat())?
        }
        _ => return None,
    };
    let decimals = decimals.map(|decimals| format!(".{decimals}")).unwrap_or_default();
    let exponent = exponent.map(|exponent| format!("e{exponent}")).unwrap_or_default();
    Some(format!("{sign}{digits}{decimals}{exponent}"))
}

/// Returns true for groups of three digits, or of two before the last three as in India.
fn is_grouping(groups: &[&str]) -> bool {
    let [first, middle @ .., last] = groups else { return false };
    let starts_well = (1..=3).contains(&first.len()) && !first.starts_with('0');
    let by_three = middle.iter().all(|group| group.len() == 3);
    let by_two = !middle.is_empty() && first.len() <= 2 && middle.iter().all(|group| group.len() == 2);
    starts_well && last.len() == 3 && (by_three || by_two)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_number_are_one_number() {
        for cell in [
            "1,234.5",
            "1 234.5",
            "1\u{a0}234.5",
            "1\u{202f}234.5",
            "1\u{2009}234,5",
            "1'234.5",
            "1’234,5",
            "1.234,5",
            "１，２３４．５",
            "١٬٢٣٤٫٥",
            "1234.5",
            "1234,5",
            "1.2345e3",
        ] {
            assert_eq!(number(cell, DecimalMark::Auto), Ok(1234.5), "{cell}");
        }
        assert_eq!(number("12,34,567", DecimalMark::Auto), Ok(1_234_567.0));
        assert_eq!(number("1.234.567", DecimalMark::Auto), Ok(1_234_567.0));
        assert_eq!(number("\u{2212}3,5", DecimalMark::Auto), Ok(-3.5));
        for cell in ["1,,2", "1.2.3", "12,3456.7,8", "NaN", "inf", "0x10", "1.", ".5", "=1+1", "", "1 2"] {
            assert_eq!(number(cell, DecimalMark::Auto), Err(NotANumber::Malformed), "{cell}");
        }
    }

    #[test]
    fn what_could_be_two_numbers_is_decided_by_the_file_or_refused() {
        assert_eq!(number("1,234", DecimalMark::Auto), Ok(1234.0));
        assert_eq!(number("1.234", DecimalMark::Auto), Ok(1.234));
        assert_eq!(number("1.234", DecimalMark::Undecided), Err(NotANumber::Ambiguous));
        assert_eq!(number("1.234", DecimalMark::Comma), Ok(1234.0));
        assert_eq!(count("1.234", DecimalMark::Auto), Ok(1234.0));
        assert_eq!(count("1.000", DecimalMark::Auto), Err(NotANumber::Ambiguous));
        assert_eq!(count("1.000", DecimalMark::Comma), Ok(1000.0));
        assert_eq!(count("1,000", DecimalMark::Auto), Ok(1000.0));
        assert_eq!(count("1200.0", DecimalMark::Auto), Ok(1200.0));
        assert_eq!(count("1,5", DecimalMark::Auto), Err(NotANumber::Malformed));
        assert_eq!(decide(["lamp", "1.234", "0,52"].into_iter(), false), DecimalMark::Comma);
        assert_eq!(decide(["1,234", "5.25%"].into_iter(), true), DecimalMark::Point);
        assert_eq!(decide(["1,234"].into_iter(), true), DecimalMark::Undecided);
        assert_eq!(decide(["1,5", "1.5"].into_iter(), false), DecimalMark::Undecided);
    }

    #[test]
    fn words_for_scales_and_for_nothing_are_known() {
        for (cell, rest, by) in
            [("1K", "1", 1e3), ("1,2 mil", "1,2", 1e3), ("3万", "3", 1e4), ("2,5 Mio.", "2,5", 1e6), ("7", "7", 1.0)]
        {
            assert_eq!(scale(cell), (rest.to_owned(), by), "{cell}");
        }
        for cell in ["N/A", "n/a", "-", "—", "Unknown", "", " \u{a0} ", "NULL", "－", "NaN"] {
            assert!(is_nothing(&normalized(cell)), "{cell}");
        }
        assert!(!is_nothing("0"));
    }

    proptest! {
        #[test]
        fn a_number_written_in_any_locale_is_read_back(
            value in 0_u64..10_000_000_000, decimals in prop::option::of(1_u32..99), style in 0_usize..6,
        ) {
            let (grouping, decimal) =
                [(",", "."), (".", ","), (" ", ","), ("\u{a0}", ","), ("\u{202f}", ","), ("’", ".")][style];
            let digits = value.to_string();
            let groups: Vec<String> = digits
                .as_bytes()
                .rchunks(3)
                .rev()
                .map(|group| String::from_utf8(group.to_vec()).unwrap())
                .collect();
            let whole = groups.join(grouping);
            let written = match decimals {
                Some(decimals) => format!("{whole}{decimal}{decimals:02}"),
                None => whole,
            };
            let expected: f64 = match decimals {
                Some(decimals) => format!("{value}.{decimals:02}").parse().unwrap(),
                None => value as f64,
            };
            let mark = if decimal == "." { DecimalMark::Point } else { DecimalMark::Comma };
            prop_assert_eq!(number(&written, mark), Ok(expected));
            if decimals.is_some() {
                prop_assert_eq!(decide([written.as_str()].into_iter(), true), mark);
            }
        }

        #[test]
        fn no_cell_panics(cell in "\\PC{0,20}") {
            let _ = (number(&cell, DecimalMark::Auto), count(&cell, DecimalMark::Undecided), scale(&cell));
        }
    }
}
