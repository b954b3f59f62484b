//! What an answer means for whoever asked, by the marketplace's status and error code; each marketplace has its table.

use digitallz_common::marketplace::Marketplace;

use super::{amazon, ebay, etsy};

/// What becomes of a question after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is the answer; a warning in it changes nothing.
    Answer,
    /// There are no further pages: nothing is kept, nothing is wrong.
    EndOfPages,
    /// The token is refused: a new one at once, then the question is given up.
    NewToken,
    /// Too many requests: asked again later, not counted as a try.
    Snooze,
    /// The marketplace is out of order: asked again later, counted as a try.
    Retry,
    /// This question is never answered: given up.
    GiveUp,
    /// A setting or a permission is missing: given up with what is missing.
    Misconfigured,
}

/// Returns the disposition of a documented answer, by its error code where it has one and otherwise by its status.
///
/// Nothing is returned for what is not documented; the collectors then go by the class of the status.
pub fn disposition(marketplace: Marketplace, operation: &str, status: u16, code: Option<&str>) -> Option<Disposition> {
    match marketplace {
        Marketplace::Amazon => amazon::DISPOSITIONS.find(operation, status, code),
        Marketplace::Etsy => etsy::DISPOSITIONS.find(operation, status, code),
        Marketplace::Ebay => ebay::DISPOSITIONS.find(operation, status, code),
    }
}

/// Any operation of the marketplace that no earlier row names.
pub(super) const EVERY: &[&str] = &[];

/// The dispositions of a marketplace; the first row that fits decides.
pub(super) struct Table {
    /// Operations, error codes, disposition.
    pub codes: &'static [(&'static [&'static str], &'static [&'static str], Disposition)],
    /// Operations, statuses without a known error code, disposition.
    pub statuses: &'static [(&'static [&'static str], &'static [u16], Disposition)],
}

impl Table {
    /// Returns the documented disposition.
    pub fn find(&self, operation: &str, status: u16, code: Option<&str>) -> Option<Disposition> {
        let is_of = |operations: &[&str]| operations.is_empty() || operations.contains(&operation);
        match code {
            Some(code) => {
                let row = self.codes.iter().find(|(operations, codes, _)| is_of(operations) && codes.contains(&code));
                row.map(|(.., disposition)| *disposition)
            }
            None => {
                let row =
                    self.statuses.iter().find(|(operations, codes, _)| is_of(operations) && codes.contains(&status));
                row.map(|(.., disposition)| *disposition)
            }
        }
    }

    /// Returns the disposition of an answer: by its code if that is known, else by its status.
    pub fn of(&self, operation: &str, status: u16, code: Option<&str>) -> Option<Disposition> {
        code.and_then(|code| self.find(operation, status, Some(code))).or_else(|| self.find(operation, status, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_decides_before_its_status() {
        let of = |code| ebay::DISPOSITIONS.of("itemSummarySearch", 400, code);
        assert_eq!(of(Some("12029")), Some(Disposition::EndOfPages));
        assert_eq!(of(Some("12023")), Some(Disposition::GiveUp));
        assert_eq!(of(Some("4711")), Some(Disposition::GiveUp));
        assert_eq!(disposition(Marketplace::Ebay, "itemSummarySearch", 400, Some("4711")), None);
        assert_eq!(disposition(Marketplace::Ebay, "itemSummarySearch", 418, None), None);
    }
}
