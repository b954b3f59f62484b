//! What became of a HAR file, entry by entry.

use std::fmt;

use serde::Serialize;

/// What became of a HAR file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HarReport {
    /// Its name.
    pub file: String,
    /// Entries that were stored now.
    pub stored_count: usize,
    /// Entries that were stored before.
    pub already_known_count: usize,
    /// Entries that were not stored.
    pub skipped_count: usize,
    /// Every entry, in the order of the file.
    pub entries: Vec<HarEntryReport>,
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HarEntryReport {
    /// Its position in the file, from 0.
    pub entry_index: usize,
    /// Method of the request; empty when the entry could not be read.
    pub method: String,
    /// Address of the request, without secrets; empty when the entry could not be read.
    pub url: String,
    /// Status of the answer.
    pub status_code: Option<u16>,
    /// What became of it.
    pub outcome: HarOutcome,
    /// Why, in a sentence.
    pub reason: String,
    /// The stored answer, if there is one.
    pub raw_payload_id: Option<i64>,
}

/// What can become of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HarOutcome {
    /// It is stored and will be read.
    Stored,
    /// It was stored before.
    AlreadyKnown,
    /// It answers a question that the collectors do not ask.
    NotOurs,
    /// It is a refusal, which says nothing of a keyword.
    ErrorAnswer,
    /// It is damaged or lacks what is needed.
    Unreadable,
}

impl HarOutcome {
    /// Returns the name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            HarOutcome::Stored => "stored",
            HarOutcome::AlreadyKnown => "already_known",
            HarOutcome::NotOurs => "not_ours",
            HarOutcome::ErrorAnswer => "error_answer",
            HarOutcome::Unreadable => "unreadable",
        }
    }
}

/// Writes a line with the sums and one line per entry.
impl fmt::Display for HarReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HarReport { file, stored_count, already_known_count, skipped_count, .. } = self;
        write!(
            formatter,
            "{file}: {stored_count} stored, {already_known_count} already known, {skipped_count} skipped"
        )?;
        for entry in &self.entries {
            let status = entry.status_code.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let request = format!("{} {}", entry.method, entry.url);
            let request = if request == " " { "(no request)" } else { &request };
            write!(
                formatter,
                "\n  {} {}: {request} ({status}): {}",
                entry.entry_index,
                entry.outcome.name(),
                entry.reason
            )?;
        }
        Ok(())
    }
}
