//! Classes of histories: accuracy is told by how many weeks were observed, in backtests and in the ledger alike.

use serde::{Deserialize, Serialize};

/// How much was known of a keyword; `ml.history_class` tells the same in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HistoryClass {
    /// Less than the shortest history that most models predict.
    #[serde(rename = "under_8_weeks")]
    Under8Weeks,
    /// Less than a year.
    #[serde(rename = "8_to_51_weeks")]
    UnderAYear,
    /// A year, which shows no season yet.
    #[serde(rename = "52_to_103_weeks")]
    UnderTwoYears,
    /// Two years or more.
    #[serde(rename = "104_weeks_or_more")]
    TwoYearsOrMore,
}

impl HistoryClass {
    /// All of them, the shortest histories first.
    pub const ALL: [HistoryClass; 4] = [
        HistoryClass::Under8Weeks,
        HistoryClass::UnderAYear,
        HistoryClass::UnderTwoYears,
        HistoryClass::TwoYearsOrMore,
    ];

    /// Returns the class of a history of so many observed weeks.
    pub fn of(observed_count: usize) -> HistoryClass {
        match observed_count {
            0..8 => HistoryClass::Under8Weeks,
            8..52 => HistoryClass::UnderAYear,
            52..104 => HistoryClass::UnderTwoYears,
            104.. => HistoryClass::TwoYearsOrMore,
        }
    }

    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            HistoryClass::Under8Weeks => "under_8_weeks",
            HistoryClass::UnderAYear => "8_to_51_weeks",
            HistoryClass::UnderTwoYears => "52_to_103_weeks",
            HistoryClass::TwoYearsOrMore => "104_weeks_or_more",
        }
    }
}

impl std::fmt::Display for HistoryClass {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name().replace('_', " "))
    }
}
