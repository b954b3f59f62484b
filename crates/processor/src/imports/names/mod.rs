//! Names of columns, months and regions in many languages, as data: `headers.csv` is written by hand, `cldr.csv` by
//! `cldr.py` from the Unicode CLDR (see `LICENSE-UNICODE`).

use std::sync::LazyLock;

use chrono::NaiveDate;

/// A name of a column of a kind of file.
pub(super) struct HeaderName {
    /// Kind of the file, as on the command line.
    pub(super) kind: &'static str,
    /// The column.
    pub(super) column: &'static str,
    /// The name in the form in which names are compared.
    pub(super) name: String,
}

/// A name of the CLDR.
struct CldrName {
    what: &'static str,
    code: &'static str,
    name: String,
}

static CLDR: LazyLock<Vec<CldrName>> = LazyLock::new(|| {
    cells(include_str!("cldr.csv"))
        .map(|[what, code, _, name]| CldrName { what, code, name: name.to_lowercase() })
        .collect()
});

/// Every name of a column, those of `headers.csv` first.
pub(super) static HEADERS: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    let own = cells(include_str!("headers.csv")).map(|[kind, column, _, name]| HeaderName {
        kind,
        column,
        name: super::headers::compared(name),
    });
    let dates = CLDR
        .iter()
        .filter(|name| ["week", "day", "month", "hour"].contains(&name.what))
        .map(|name| HeaderName { kind: "interest", column: name.what, name: super::headers::compared(&name.name) });
    own.chain(dates).collect()
});

/// Returns the cells of a table without quoted cells, in which only the last cell may hold commas.
fn cells(text: &'static str) -> impl Iterator<Item = [&'static str; 4]> {
    text.lines().skip(1).filter_map(|line| {
        let mut cells = line.splitn(4, ',');
        Some([cells.next()?, cells.next()?, cells.next()?, cells.next()?.trim_matches('"')])
    })
}

/// Returns true when a region goes by this name in some language; the world is `001`.
pub(super) fn is_region(name: &str, code: &str) -> bool {
    let name = name.trim().to_lowercase();
    CLDR.iter().any(|known| known.what == "region" && known.code == code && known.name == name)
}

/// Returns the number of the month of a name; none where it names no month, or different ones in different languages.
pub(super) fn month_number(name: &str) -> Option<u32> {
    let plain = |text: &str| text.trim().trim_end_matches('.').to_lowercase();
    let name = plain(name);
    let mut numbers = CLDR
        .iter()
        .filter(|known| known.what == "month_name" && plain(&known.name) == name)
        .filter_map(|known| known.code.parse().ok());
    let number = numbers.next()?;
    numbers.all(|other| other == number).then_some(number)
}

/// Reads a month such as `gen 2026` or `2026年1月`.
pub(super) fn month_in_words(text: &str) -> Option<NaiveDate> {
    match date_parts(text)? {
        (year, month, None) => NaiveDate::from_ymd_opt(year, month, 1),
        _ => None,
    }
}

/// Reads a day such as `1 dicembre 2024`, `December 1, 2024` or `2024年12月1日`.
pub(super) fn day_in_words(text: &str) -> Option<NaiveDate> {
    match date_parts(text)? {
        (year, month, Some(day)) => NaiveDate::from_ymd_opt(year, month, day),
        _ => None,
    }
}

/// Returns year, month and day of a date of which the month is a word, or that is written year first with signs.
fn date_parts(text: &str) -> Option<(i32, u32, Option<u32>)> {
    let numbers: Vec<u32> = text
        .split(|character: char| !character.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().ok())
        .collect::<Option<_>>()?;
    if text.contains(['年', '년']) {
        return match numbers.as_slice() {
            [year, month] => Some((i32::try_from(*year).ok()?, *month, None)),
            [year, month, day] => Some((i32::try_from(*year).ok()?, *month, Some(*day))),
            _ => None,
        };
    }
    let mut months = text
        .split(|character: char| character.is_ascii_digit() || character.is_whitespace() || character == ',')
        .filter_map(month_number);
    let month = months.next()?;
    if months.next().is_some() {
        return None;
    }
    let is_year = |number: &u32| (2000..2100).contains(number);
    match numbers.as_slice() {
        [year] if is_year(year) => Some((i32::try_from(*year).ok()?, month, None)),
        [day, year] | [year, day] if is_year(year) && !is_year(day) => {
            Some((i32::try_from(*year).ok()?, month, Some(*day)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_read_in_words_of_many_languages() {
        for text in [
            "3 marzo 2025",
            "March 3, 2025",
            "3. März 2025",
            "3 марта 2025 г.",
            "2025年3月3日",
            "3 mars 2025",
            "3 de março de 2025",
        ] {
            assert_eq!(day_in_words(text), NaiveDate::from_ymd_opt(2025, 3, 3), "{text}");
        }
        for text in ["Mar 2025", "mar 2025", "märz 2025", "2025年3月", "mars 2025"] {
            assert_eq!(month_in_words(text), NaiveDate::from_ymd_opt(2025, 3, 1), "{text}");
        }
        assert_eq!(month_in_words("listopad 2025"), None, "October in Croatian, November in Polish");
    }

    #[test]
    fn regions_are_known_in_many_languages() {
        for (name, code) in
            [("Deutschland", "DE"), ("Allemagne", "DE"), ("アメリカ合衆国", "US"), ("Reino Unido", "GB")]
        {
            assert!(is_region(name, code), "{name}");
        }
        assert!(!is_region("Deutschland", "FR") && is_region("Monde", "001"));
    }

    #[test]
    fn no_name_of_a_kind_is_that_of_two_columns() {
        for one in HEADERS.iter() {
            let first = HEADERS.iter().find(|other| other.kind == one.kind && other.name == one.name);
            let column = first.map(|first| first.column);
            // `time` is an hour in Danish; which spacing such a file has, its rows show.
            assert!(column == Some(one.column) || column == Some("time"), "{} {}", one.kind, one.name);
        }
    }
}
