//! The weekly series of every keyword, as they were known at a moment.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, Days, NaiveDate, Utc};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::week::week_start;
use sha2::{Digest, Sha256};
use sqlx::{PgPool, Postgres, Transaction};

use crate::competition::{self, Component, Definition, Score};
use crate::market;
use crate::permission;
use crate::target::{ModelName, Target};

/// A gap of at most this many weeks is bridged by a straight line; a longer one cuts the history.
pub const BRIDGED_WEEKS_MAX: i32 = 3;

/// The Sunday from which weeks are counted.
const WEEK_ZERO: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 4).expect("1970-01-04 is a date");

/// Counts the weeks from the first Sunday of 1970 to the week that holds a day.
pub fn week_of(date: NaiveDate) -> i32 {
    (week_start(date) - WEEK_ZERO).num_weeks() as i32
}

/// Returns the Sunday on which a counted week begins.
pub fn sunday_of(week: i32) -> NaiveDate {
    let days = Days::new(7 * u64::from(week.unsigned_abs()));
    if week < 0 { WEEK_ZERO - days } else { WEEK_ZERO + days }
}

/// One observed week of a keyword.
#[derive(Clone, Debug, PartialEq)]
pub struct WeekValue {
    /// The week, counted.
    pub week: i32,
    /// The value in the unit of its metric.
    pub value: f64,
    /// Of a competition score, its components between 0 and 1.
    pub components: Vec<f64>,
    /// What stands beside the value; no number where it is not known. Of a competition score its market ([`market::add`]); of
    /// demand that for the same text on the other marketplaces, on the scale of their models; nothing until [`add_beside`].
    pub beside: Vec<f64>,
}

/// Every observed week of a keyword, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The keyword.
    pub keyword_id: i64,
    /// The weeks that have a value.
    pub weeks: Vec<WeekValue>,
    /// The weeks, counted, in which the keyword was beyond the end of the marketplace's list: less wanted than all in it. With
    /// each the value at the end of the list, where that is known.
    pub beyond: BTreeMap<i32, Option<f64>>,
    /// The resources that the values came from, sorted.
    pub sources: Vec<String>,
}

/// Weeks without a gap, on the models' scale: short gaps are bridged and marked, a long one begins another series.
///
/// Every long gap cuts, and not only the last one, so that what a past week could know does not depend on later weeks.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The keyword.
    pub keyword_id: i64,
    /// The first week, counted.
    pub first_week: i32,
    /// One value per week.
    pub values: Vec<f64>,
    /// True where the value was bridged.
    pub is_filled: Vec<bool>,
    /// One row per component, one value per week.
    pub components: Vec<Vec<f64>>,
    /// One row for each of what stands beside the values, one value per week.
    pub beside: Vec<Vec<f64>>,
}

impl Series {
    /// Returns the last week, counted.
    pub fn last_week(&self) -> i32 {
        self.first_week + self.values.len() as i32 - 1
    }

    /// Returns the value of a position when it was observed.
    pub fn observed(&self, position: usize) -> Option<f64> {
        (position < self.values.len() && !self.is_filled[position]).then(|| self.values[position])
    }
}

/// Brings histories to the models' scale, sorted by keyword and week.
pub fn series_of(histories: &[History], target: Target) -> Vec<Series> {
    let mut all = Vec::with_capacity(histories.len());
    for history in histories {
        let long_gap = |a: &WeekValue, b: &WeekValue| b.week - a.week - 1 <= BRIDGED_WEEKS_MAX;
        for run in history.weeks.chunk_by(long_gap) {
            all.push(bridge(history, run, target));
        }
    }
    all.sort_by_key(|series| (series.keyword_id, series.first_week));
    all
}

/// Joins the weeks of a run by straight lines; where the keyword was beyond the list, by the least of what it has been so far
/// and of the list, if that is less.
fn bridge(history: &History, run: &[WeekValue], target: Target) -> Series {
    let mut series = Series {
        keyword_id: history.keyword_id,
        first_week: run[0].week,
        values: Vec::new(),
        is_filled: Vec::new(),
        components: vec![Vec::new(); run[0].components.len()],
        beside: vec![Vec::new(); run[0].beside.len()],
    };
    for (index, next) in run.iter().enumerate() {
        let next_value = target.to_model_scale(next.value);
        if index > 0 {
            let last = &run[index - 1];
            let last_value = target.to_model_scale(last.value);
            let step_count = f64::from(next.week - last.week);
            for step in 1..next.week - last.week {
                let part = f64::from(step) / step_count;
                let between = last_value + part * (next_value - last_value);
                series.values.push(match history.beyond.get(&(last.week + step)) {
                    None => between,
                    Some(list_end) => {
                        let list_end = list_end.map(|list_end| target.to_model_scale(list_end));
                        series.values.iter().copied().chain(list_end).fold(between, f64::min)
                    }
                });
                series.is_filled.push(true);
                bridge_rows(&mut series.components, &last.components, &next.components, part);
                bridge_rows(&mut series.beside, &last.beside, &next.beside, part);
            }
        }
        series.values.push(next_value);
        series.is_filled.push(false);
        bridge_rows(&mut series.components, &next.components, &next.components, 1.0);
        bridge_rows(&mut series.beside, &next.beside, &next.beside, 1.0);
    }
    series
}

/// Adds to each row what lies a part of the way between two values.
fn bridge_rows(rows: &mut [Vec<f64>], from: &[f64], to: &[f64], part: f64) {
    for (row, (from, to)) in rows.iter_mut().zip(from.iter().zip(to)) {
        row.push(from + part * (to - from));
    }
}

/// Returns the SHA-256 of series: the same data, the same fingerprint.
pub fn fingerprint(all: &[Series]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for series in all {
        hash.update(series.keyword_id.to_le_bytes());
        hash.update(series.first_week.to_le_bytes());
        hash.update((series.values.len() as u64).to_le_bytes());
        for value in series.values.iter().chain(series.components.iter().chain(&series.beside).flatten()) {
            hash.update(value.to_le_bytes());
        }
        for is_filled in &series.is_filled {
            hash.update([u8::from(*is_filled)]);
        }
    }
    hash.finalize().into()
}

/// What was said of the demand for a keyword in a week.
#[derive(Clone, Debug)]
struct DemandWeek {
    keyword_id: i64,
    week_start_date: NaiveDate,
    value: Option<f64>,
    /// Whether the keyword was beyond the end of the marketplace's list.
    is_beyond: bool,
    /// The value at the end of that list, where it is known.
    list_end: Option<f64>,
    resource: String,
    raw_payload_id: i64,
}

/// The competition score of a keyword in a week, with what it was computed from.
#[derive(Clone, Debug)]
pub struct ScoredWeek {
    /// The keyword.
    pub keyword_id: i64,
    /// The Sunday on which the week begins.
    pub week_start_date: NaiveDate,
    /// The score.
    pub score: Score,
    /// The payloads the components were read from, sorted.
    pub raw_payload_ids: Vec<i64>,
    /// The resources that said so, sorted.
    pub resources: Vec<String>,
    /// The latest moment at which a component was true.
    pub observed_at: DateTime<Utc>,
}

/// What is known of a keyword's week, before a definition weighs it.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredWeek {
    /// The keyword.
    pub keyword_id: i64,
    /// The Sunday on which the week begins.
    pub week_start_date: NaiveDate,
    /// One value per metric.
    pub measures: Vec<Measure>,
}

/// The value of a metric in a week.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Name of the metric.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// Where it was read; none where it follows from the pages of many weeks.
    pub source: Option<Source>,
}

/// Where a value was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The resource that said so.
    pub resource: String,
    /// When it was true.
    pub observed_at: DateTime<Utc>,
    /// The payload it was read from.
    pub raw_payload_id: i64,
}

/// One value of one metric, as it is read.
struct Sample {
    keyword_id: i64,
    week_start_date: NaiveDate,
    metric: String,
    value: f64,
    resource: String,
    observed_at: DateTime<Utc>,
    raw_payload_id: i64,
}

/// Models learn from so many keywords of a marketplace at most; more teach them no better.
pub const TAUGHT_KEYWORDS_MAX: i64 = 4_000;

/// All keywords, where only some of them could be asked for.
pub const EVERY_KEYWORD: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// Returns the active keywords of a marketplace whose identifiers lie in a range.
pub async fn active_keywords(
    db: &PgPool,
    marketplace: Marketplace,
    keyword_ids: RangeInclusive<i64>,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "select keyword_id from core.keywords
         where marketplace = $1 and is_active and keyword_id between $2 and $3
         order by keyword_id",
        marketplace.name(),
        keyword_ids.start(),
        keyword_ids.end(),
    )
    .fetch_all(db)
    .await
}

/// Returns the active keywords of a marketplace that models learn from: all of them, or of too many some, drawn by their
/// identifiers, which were known at `as_of`. The same moment gives the same ones, also later.
pub async fn taught_keywords(
    db: &PgPool,
    marketplace: Marketplace,
    as_of: DateTime<Utc>,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "select keyword_id from (
             select keyword_id from core.keywords
             where marketplace = $1 and is_active and created_at <= $2
             order by md5(keyword_id::text)
             limit $3
         ) drawn
         order by keyword_id",
        marketplace.name(),
        as_of,
        TAUGHT_KEYWORDS_MAX,
    )
    .fetch_all(db)
    .await
}

/// Loads the histories of some keywords of a marketplace that a model is made of, as they were known at `as_of`.
pub async fn load(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<History>, sqlx::Error> {
    match model_name {
        ModelName::Demand => Ok(histories_of_demand(&load_demand(db, marketplace, keyword_ids, as_of).await?)),
        ModelName::Competition => Ok(histories_of(&load_competition(db, marketplace, keyword_ids, as_of).await?)),
    }
}

/// Adds what stands beside the values, for models that read features: to histories of demand what other marketplaces knew of
/// the same texts, to those of competition the market.
pub async fn add_beside(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
    histories: &mut [History],
) -> Result<(), sqlx::Error> {
    if model_name == ModelName::Competition {
        let metrics = market::METRICS.map(str::to_owned);
        let measured = load_measured(db, keyword_ids, &metrics, as_of).await?;
        let demand = histories_of_demand(&load_demand(db, marketplace, keyword_ids, as_of).await?);
        market::add(histories, marketplace, &measured, &demand);
        return Ok(());
    }
    for other in others(marketplace) {
        let elsewhere = load_elsewhere(db, other, keyword_ids, as_of).await?;
        for history in &mut *histories {
            for week in &mut history.weeks {
                let known = elsewhere.get(&(history.keyword_id, week.week));
                week.beside.push(known.copied().unwrap_or(f64::NAN));
            }
        }
    }
    Ok(())
}

/// What came: the value of a keyword and week, and the payloads it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Actual {
    /// The keyword.
    pub keyword_id: i64,
    /// The Sunday on which the week begins.
    pub week_start_date: NaiveDate,
    /// The value in the unit of its metric.
    pub value: f64,
    /// Whether it is where the marketplace's list ended, and what came lies beyond.
    pub is_beyond: bool,
    /// The payloads, sorted.
    pub raw_payload_ids: Vec<i64>,
}

/// Loads every value that [`load`] makes histories of, by the same queries, and where lists ended that keywords were beyond.
pub async fn load_actuals(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<Actual>, sqlx::Error> {
    let of_demand = |week: DemandWeek| {
        let DemandWeek { keyword_id, week_start_date, raw_payload_id, .. } = week;
        let is_beyond = week.value.is_none();
        let value = week.value.or(week.list_end)?;
        Some(Actual { keyword_id, week_start_date, value, is_beyond, raw_payload_ids: vec![raw_payload_id] })
    };
    let of_competition = |week: ScoredWeek| {
        let ScoredWeek { keyword_id, week_start_date, score, raw_payload_ids, .. } = week;
        Actual { keyword_id, week_start_date, value: score.score, is_beyond: false, raw_payload_ids }
    };
    Ok(match model_name {
        ModelName::Demand => {
            load_demand(db, marketplace, keyword_ids, as_of).await?.into_iter().filter_map(of_demand).collect()
        }
        ModelName::Competition => {
            load_competition(db, marketplace, keyword_ids, as_of).await?.into_iter().map(of_competition).collect()
        }
    })
}

/// Begins a transaction in which views show what was known at a moment.
pub(crate) async fn look_as_of(
    db: &PgPool,
    as_of: DateTime<Utc>,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut tx = db.begin().await?;
    sqlx::query_scalar!("select set_config('digitallz.as_of', $1, true)", as_of.to_rfc3339())
        .fetch_one(&mut *tx)
        .await?;
    Ok(tx)
}

async fn load_demand(
    db: &PgPool,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<DemandWeek>, sqlx::Error> {
    let metric = Target::of(ModelName::Demand, marketplace).metric();
    let mut tx = look_as_of(db, as_of).await?;
    let weeks =
        sqlx::query_file_as!(DemandWeek, "src/series_demand.sql", keyword_ids, metric).fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(weeks)
}

/// Returns the marketplaces whose demand stands beside that of one, in the order of [`WeekValue::beside`].
pub fn others(marketplace: Marketplace) -> impl Iterator<Item = Marketplace> {
    Marketplace::ALL.into_iter().filter(move |other| *other != marketplace)
}

/// Loads the demand for the same texts on another marketplace of the same market, on the scale of its models, by keyword and
/// week; nothing where its data may not teach.
async fn load_elsewhere(
    db: &PgPool,
    other: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
) -> Result<BTreeMap<(i64, i32), f64>, sqlx::Error> {
    if !permission::may_train(db, other).await? {
        return Ok(BTreeMap::new());
    }
    let twins = sqlx::query!(
        r#"select wanted.keyword_id, coalesce(twins.merged_into_keyword_id, twins.keyword_id) as "twin_id!"
           from core.keywords wanted
           join core.keywords twins using (market, keyword_text)
           where wanted.keyword_id = any($1) and twins.marketplace = $2"#,
        keyword_ids,
        other.name(),
    )
    .fetch_all(db)
    .await?;
    let mut twin_ids: Vec<i64> = twins.iter().map(|row| row.twin_id).collect();
    twin_ids.sort_unstable();
    twin_ids.dedup();
    let mut of_twin: BTreeMap<i64, Vec<(i32, f64)>> = BTreeMap::new();
    for week in load_demand(db, other, &twin_ids, as_of).await? {
        let Some(value) = week.value else { continue };
        let value = Target::of(ModelName::Demand, other).to_model_scale(value);
        of_twin.entry(week.keyword_id).or_default().push((week_of(week.week_start_date), value));
    }
    let weeks = twins.iter().filter_map(|row| Some((row.keyword_id, of_twin.get(&row.twin_id)?)));
    Ok(weeks
        .flat_map(|(keyword_id, weeks)| weeks.iter().map(move |&(week, value)| ((keyword_id, week), value)))
        .collect())
}

/// Gathers demand by keyword.
fn histories_of_demand(weeks: &[DemandWeek]) -> Vec<History> {
    let mut histories: BTreeMap<i64, History> = BTreeMap::new();
    for week in weeks {
        // A week without a value is a gap: a keyword beyond the end of the list is not one that nobody wants.
        if week.value.is_none() && !week.is_beyond {
            continue;
        }
        let history = histories.entry(week.keyword_id).or_insert_with(|| empty(week.keyword_id));
        let Some(value) = week.value else {
            history.beyond.insert(week_of(week.week_start_date), week.list_end);
            continue;
        };
        history.weeks.push(WeekValue {
            week: week_of(week.week_start_date),
            value,
            components: Vec::new(),
            beside: Vec::new(),
        });
        remember(&mut history.sources, &week.resource);
    }
    histories.into_values().collect()
}

/// Loads the first version's scores of some keywords, of every week whose components were all known at `as_of`, sorted.
async fn load_competition(
    db: &PgPool,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<ScoredWeek>, sqlx::Error> {
    let definition = Definition::first();
    let components = definition.components(marketplace);
    let metrics: Vec<String> = components.iter().map(|component| component.metric.clone()).collect();
    Ok(score_weeks(components, &load_measured(db, keyword_ids, &metrics, as_of).await?))
}

/// Loads some metrics of some keywords, week by week, as they were known at `as_of`, sorted.
pub async fn load_measured(
    db: &PgPool,
    keyword_ids: &[i64],
    metrics: &[String],
    as_of: DateTime<Utc>,
) -> Result<Vec<MeasuredWeek>, sqlx::Error> {
    let rows =
        sqlx::query_file_as!(Sample, "src/series_competition.sql", keyword_ids, metrics, as_of).fetch_all(db).await?;
    let weeks = rows.chunk_by(|a, b| (a.keyword_id, a.week_start_date) == (b.keyword_id, b.week_start_date));
    let measured = weeks.map(|week| {
        let measure = |row: &Sample| Measure {
            metric: row.metric.clone(),
            value: row.value,
            source: Some(Source {
                resource: row.resource.clone(),
                observed_at: row.observed_at,
                raw_payload_id: row.raw_payload_id,
            }),
        };
        MeasuredWeek {
            keyword_id: week[0].keyword_id,
            week_start_date: week[0].week_start_date,
            measures: week.iter().map(measure).collect(),
        }
    });
    Ok(measured.collect())
}

/// Scores the weeks of which every component is known.
pub fn score_weeks(components: &[Component], measured: &[MeasuredWeek]) -> Vec<ScoredWeek> {
    let mut scored = Vec::new();
    for week in measured {
        let measures: Vec<Option<&Measure>> = components
            .iter()
            .map(|component| week.measures.iter().find(|measure| measure.metric == component.metric))
            .collect();
        let values: Vec<Option<f64>> = measures.iter().map(|measure| measure.map(|measure| measure.value)).collect();
        let Some(score) = competition::score(components, &values) else { continue };
        let sources = || measures.iter().flatten().filter_map(|measure| measure.source.as_ref());
        let Some(observed_at) = sources().map(|source| source.observed_at).max() else { continue };
        let mut raw_payload_ids: Vec<i64> = sources().map(|source| source.raw_payload_id).collect();
        raw_payload_ids.sort_unstable();
        raw_payload_ids.dedup();
        let mut resources = Vec::new();
        sources().for_each(|source| remember(&mut resources, &source.resource));
        scored.push(ScoredWeek {
            keyword_id: week.keyword_id,
            week_start_date: week.week_start_date,
            score,
            raw_payload_ids,
            resources,
            observed_at,
        });
    }
    scored
}

/// Gathers scores by keyword.
pub fn histories_of(scored: &[ScoredWeek]) -> Vec<History> {
    let mut histories: BTreeMap<i64, History> = BTreeMap::new();
    for week in scored {
        let history = histories.entry(week.keyword_id).or_insert_with(|| empty(week.keyword_id));
        history.weeks.push(WeekValue {
            week: week_of(week.week_start_date),
            value: week.score.score,
            components: week.score.levels.clone(),
            beside: Vec::new(),
        });
        week.resources.iter().for_each(|resource| remember(&mut history.sources, resource));
    }
    histories.into_values().collect()
}

fn empty(keyword_id: i64) -> History {
    History { keyword_id, weeks: Vec::new(), beyond: BTreeMap::new(), sources: Vec::new() }
}

/// Adds a name to a sorted list that does not hold it yet.
fn remember(names: &mut Vec<String>, name: &str) {
    if let Err(position) = names.binary_search_by(|known| known.as_str().cmp(name)) {
        names.insert(position, name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(weeks: &[i32]) -> History {
        let value = |&week: &i32| WeekValue { week, value: f64::from(week), components: vec![], beside: vec![] };
        let weeks = weeks.iter().map(value).collect();
        History { keyword_id: 1, weeks, beyond: BTreeMap::new(), sources: vec![] }
    }

    #[test]
    fn weeks_are_counted_from_sundays() {
        let sunday = NaiveDate::from_ymd_opt(2026, 11, 15).unwrap();
        assert_eq!(sunday_of(week_of(sunday)), sunday);
        assert_eq!(week_of(sunday + Days::new(6)), week_of(sunday));
        assert_eq!(week_of(sunday + Days::new(7)), week_of(sunday) + 1);
    }

    #[test]
    fn a_keyword_beyond_the_end_of_the_list_has_a_gap_and_no_zero() {
        let week = |days: u64, value: Option<f64>| DemandWeek {
            keyword_id: 1,
            week_start_date: WEEK_ZERO + Days::new(days),
            value,
            is_beyond: value.is_none(),
            list_end: (days == 35).then_some(5_000.0),
            resource: "search_terms_report".to_owned(),
            raw_payload_id: 1,
        };
        let histories = histories_of_demand(&[
            week(0, Some(900.0)),
            week(7, Some(400.0)),
            week(14, None),
            week(21, Some(700.0)),
            week(28, None),
            week(35, None),
            week(42, Some(800.0)),
        ]);
        let weeks: Vec<(i32, f64)> = histories[0].weeks.iter().map(|week| (week.week, week.value)).collect();
        assert_eq!(weeks, [(0, 900.0), (1, 400.0), (3, 700.0), (6, 800.0)]);
        assert_eq!(histories[0].beyond, BTreeMap::from([(2, None), (4, None), (5, Some(5_000.0))]));
        let target = Target::SearchFrequencyRank;
        let series = &series_of(&histories, target)[0];
        assert_eq!(series.is_filled, [false, false, true, false, true, true, false]);
        // It was less wanted than ever in the list, and than all in it, not something between the weeks beside.
        let beyond = [2, 4, 5].map(|position| series.values[position]);
        assert_eq!(beyond, [900.0, 900.0, 5_000.0].map(|rank| target.to_model_scale(rank)));
    }

    #[test]
    fn a_short_gap_is_bridged_and_marked() {
        let all = series_of(&[history(&[10, 11, 15])], Target::AuctionBids);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].is_filled, [false, false, true, true, true, false]);
        assert!(all[0].values.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_long_gap_begins_another_series() {
        let all = series_of(&[history(&[10, 11, 16, 17])], Target::AuctionBids);
        assert_eq!(all.iter().map(|series| series.first_week).collect::<Vec<_>>(), [10, 16]);
    }

    #[test]
    fn one_changed_value_changes_the_fingerprint() {
        let before = series_of(&[history(&[10, 11, 12])], Target::AuctionBids);
        let mut after = before.clone();
        assert_eq!(fingerprint(&before), fingerprint(&after));
        after[0].values[1] += 1e-12;
        assert_ne!(fingerprint(&before), fingerprint(&after));
    }
}
