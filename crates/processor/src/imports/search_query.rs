//! Search query performance as Seller Central exports it, of a brand or of one listing: a search term a row. What is kept
//! are the totals over all listings; the columns of the brand or listing are the user's own business.

use digitallz_common::marketplace::Site;
use digitallz_common::observation::{Metric, Observed};

use super::gathering::Gathering;
use super::headers::{Column, Header};
use super::period::ToldPeriod;
use super::request::ImportRequest;
use super::table::Row;
use super::{Rows, cells};
use crate::reading::{KeywordObservation, Problem};
use crate::tables::dates::DateOrder;
use crate::tables::numbers::DecimalMark;

/// The columns of counts, with what they count.
const COUNTS: [(Column, Metric); 5] = [
    (Column::Volume, Metric::SearchQueryVolume),
    (Column::Impressions, Metric::SearchQueryImpressions),
    (Column::Clicks, Metric::SearchQueryClicks),
    (Column::CartAdds, Metric::SearchQueryCartAdds),
    (Column::Purchases, Metric::SearchQueryPurchases),
];

/// The rows of a file of search query performance.
pub(super) struct SearchQuery {
    keyword: Option<usize>,
    last_day: Option<usize>,
    counts: Vec<(usize, Metric)>,
    click_price: Option<usize>,
    currency: &'static str,
    told_period: ToldPeriod,
    mark: DecimalMark,
    date_order: DateOrder,
}

impl SearchQuery {
    pub(super) fn new(
        header: &Header,
        preamble: &[Vec<String>],
        request: &ImportRequest,
        site: &Site,
    ) -> Result<SearchQuery, Problem> {
        let counts = COUNTS.iter().filter_map(|(column, metric)| Some((header.place(column)?, *metric)));
        Ok(SearchQuery {
            keyword: header.place(&Column::Keyword),
            last_day: header.place(&Column::LastDay),
            counts: counts.collect(),
            click_price: header.place(&Column::ClickPrice),
            currency: currency_of(&site.market)
                .ok_or_else(|| Problem::at("", format!("the currency of {site} is not known")))?,
            told_period: ToldPeriod::read(preamble, request)?,
            mark: request.decimal_mark,
            date_order: request.date_order,
        })
    }
}

impl Rows for SearchQuery {
    fn take_up(&mut self, row: &Row, gathering: &mut Gathering<'_>) -> Result<(), Problem> {
        let last_days = cells::days(row.cell(self.last_day), "reporting date", self.date_order)?;
        let period = self.told_period.of_row(&last_days)?;
        let mut values = Vec::with_capacity(self.counts.len() + 1);
        for (place, metric) in &self.counts {
            let observed = match cells::count(row.cell(Some(*place)), metric.name(), self.mark)? {
                Some(count) => Observed::Value(count),
                None => Observed::Unavailable("the cell is empty"),
            };
            values.push((*metric, observed, metric.unit()));
        }
        if self.click_price.is_some() {
            let price = cells::money(row.cell(self.click_price), "click price", self.currency, self.mark)?;
            // Where nothing was clicked, an amount of zero is no price.
            let observed = match price.filter(|price| *price > 0.0) {
                Some(price) => Observed::Value(price),
                None => Observed::Unavailable("nothing that has a price was clicked"),
            };
            values.push((Metric::ClickPriceMedian, observed, self.currency));
        }
        let Some(keyword_id) = gathering.keyword(row.cell(self.keyword))? else {
            gathering.count_untracked();
            return Ok(());
        };
        let said = values.into_iter().map(|(metric, observed, unit)| KeywordObservation {
            unit: unit.to_owned(),
            ..KeywordObservation::new(keyword_id, metric, observed, period)
        });
        gathering.add(said.collect())
    }

    fn end(self: Box<Self>, _: &mut Gathering<'_>) -> Result<(), Problem> {
        Ok(())
    }
}

/// Returns the currency in which Amazon states prices in a market.
fn currency_of(market: &str) -> Option<&'static str> {
    Some(match market {
        "US" => "USD",
        "CA" => "CAD",
        "MX" => "MXN",
        "BR" => "BRL",
        "DE" | "ES" | "FR" | "IT" | "NL" => "EUR",
        "GB" => "GBP",
        "SE" => "SEK",
        "PL" => "PLN",
        "JP" => "JPY",
        "AU" => "AUD",
        _ => return None,
    })
}
