//! Property tests over all importers: a table is read back equal, however it is written.

use proptest::prelude::*;

use super::tests::{TestFile, said};
use super::*;

/// How a table is written.
#[derive(Clone, Debug)]
struct Spelling {
    line_end: &'static str,
    delimiter: char,
    encoding: &'static str,
    quotes_all: bool,
    ends_last_line: bool,
    blank_lines: usize,
    grouping: &'static str,
    decimal: char,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let numbers = prop_oneof![
        Just(("", '.')),
        Just((",", '.')),
        Just((".", ',')),
        Just(("\u{a0}", ',')),
        Just(("\u{202f}", ',')),
        Just((" ", '.')),
        Just(("’", '.'))
    ];
    (
        prop::sample::select(vec!["\n", "\r\n", "\r"]),
        prop::sample::select(vec![',', ';', '\t', '|']),
        prop::sample::select(vec!["utf-8", "utf-8 with mark", "utf-16le", "utf-16be"]),
        any::<bool>(),
        any::<bool>(),
        0_usize..3,
        numbers,
    )
        .prop_map(
            |(line_end, delimiter, encoding, quotes_all, ends_last_line, blank_lines, (grouping, decimal))| Spelling {
                line_end,
                delimiter,
                encoding,
                quotes_all,
                ends_last_line,
                blank_lines,
                grouping,
                decimal,
            },
        )
}

impl Spelling {
    fn count(&self, value: u32) -> String {
        let digits = value.to_string();
        let groups: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
        groups.join(self.grouping)
    }

    /// Writes an amount of cents.
    fn money(&self, cents: u32) -> String {
        format!("{}{}{:02}", self.count(cents / 100), self.decimal, cents % 100)
    }

    fn write(&self, above: &[&str], rows: &[Vec<String>]) -> Vec<u8> {
        let cell = |cell: &String| {
            let is_quoted = self.quotes_all || cell.contains([self.delimiter, '"']);
            if is_quoted { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
        };
        let mut lines: Vec<String> = above.iter().map(|line| (*line).to_owned()).collect();
        lines.extend(std::iter::repeat_n(String::new(), self.blank_lines));
        for row in rows {
            lines.push(row.iter().map(cell).collect::<Vec<_>>().join(&self.delimiter.to_string()));
        }
        let mut text = lines.join(self.line_end);
        if self.ends_last_line {
            text.push_str(self.line_end);
        }
        match self.encoding {
            "utf-8" => text.into_bytes(),
            "utf-8 with mark" => format!("\u{feff}{text}").into_bytes(),
            "utf-16le" => format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }
}

fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let heading = heading.iter().map(|name| (*name).to_owned()).collect();
    std::iter::once(heading).chain(rows).collect()
}

fn week(index: usize) -> String {
    let first: chrono::NaiveDate = "2025-01-05".parse().unwrap();
    (first + chrono::Days::new(7 * index as u64)).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn counts_of_a_series_are_read_back(spelling in spelling(), counts in prop::collection::vec(1_u32..50_000_000, 1..20)) {
        let rows = counts.iter().enumerate().map(|(index, count)| {
            vec!["desk lamp".into(), week(index), "search_query_volume".into(), spelling.count(*count), "week".into()]
        });
        let body = spelling.write(&[], &table(&["keyword", "date", "metric", "value", "period"], rows));
        // Whether 1.234 is a count of 1234 or the value 1.234 is not in such a file, so it is said.
        let mark = if spelling.decimal == ',' { "comma" } else { "point" };
        let request = ImportRequest { decimal_mark: mark.parse().unwrap(), ..ImportRequest::default() };
        let read = TestFile { request, ..TestFile::default() }.read(&body).unwrap();
        let expected: Vec<String> = counts
            .iter()
            .enumerate()
            .map(|(index, count)| format!("1 search_query_volume week {} {count} searches", week(index)))
            .collect();
        prop_assert_eq!(said(&read), expected);
    }

    #[test]
    fn a_search_query_report_is_read_back_without_a_word_of_its_spelling(
        spelling in spelling(), rows in prop::collection::vec((1_u32..5_000_000, 100_u32..90_000_000), 1..3),
    ) {
        let lamps = ["desk lamp", "table lamp", "floor lamp"];
        let cells = rows.iter().zip(lamps).map(|((volume, cents), lamp)| {
            vec![lamp.into(), spelling.count(*volume), spelling.money(*cents), "2026-02-07".into()]
        });
        let heading = ["Search Query", "Search Query Volume", "Clicks: Price (Median)", "Reporting Date"];
        let above = "Reporting Range=[\"Weekly\"]";
        let read = tests::read(spelling.write(&[above], &table(&heading, cells))).unwrap();
        let expected: Vec<String> = rows
            .iter()
            .enumerate()
            .flat_map(|(index, (volume, cents))| {
                [
                    format!("{} search_query_volume week 2026-02-01 {volume} searches", index + 1),
                    format!("{} click_price_median week 2026-02-01 {} USD", index + 1, f64::from(*cents) / 100.0),
                ]
            })
            .collect();
        prop_assert_eq!(said(&read), expected);
    }

    #[test]
    fn ranks_and_interest_are_read_back(spelling in spelling(), ranks in prop::collection::vec(1_u32..9_000_000, 1..3)) {
        let lamps = ["desk lamp", "table lamp", "floor lamp"];
        let cells = ranks.iter().zip(lamps).map(|(rank, lamp)| {
            vec![lamp.into(), rank.to_string(), "2026-02-07".into()]
        });
        let heading = ["Search Term", "Search Frequency Rank", "Reporting Date"];
        let read = tests::read(spelling.write(&["Reporting Range=[\"Weekly\"]"], &table(&heading, cells))).unwrap();
        let found: Vec<String> = said(&read).into_iter().filter(|one| one.contains("search_frequency_rank")).collect();
        prop_assert_eq!(found.len(), ranks.len());
        for (index, rank) in ranks.iter().enumerate() {
            prop_assert_eq!(&found[index], &format!("{} search_frequency_rank week 2026-02-01 {rank} rank", index + 1));
        }

        let weeks = ranks.iter().enumerate().map(|(index, rank)| vec![week(index), (rank % 100 + 1).to_string()]);
        let body = spelling.write(&["Category: All"], &table(&["Week", "desk lamp: (United States)"], weeks));
        let expected: Vec<String> = ranks
            .iter()
            .enumerate()
            .map(|(index, rank)| format!("1 search_interest week {} {} index", week(index), rank % 100 + 1))
            .collect();
        prop_assert_eq!(said(&tests::read(body).unwrap()), expected);
    }
}
