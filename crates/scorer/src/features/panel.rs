//! The panel: the series of a marketplace with the features of every week, built columnar for all keywords at once.

use std::f64::consts::TAU;

use chrono::Datelike;
use polars::prelude::{Column, DataFrame, Expr, IntoLazy, PolarsError, PolarsResult, RollingOptionsFixedWindow, lit};

use super::season::YEAR_WEEKS;
use super::{Family, HORIZON_COUNT, Scaling, volatility};
use crate::series::{Series, sunday_of};

/// Why features could not be built.
#[derive(Debug, thiserror::Error)]
#[error("failed to build the features")]
pub struct FeatureError(#[from] PolarsError);

/// The group of a week: its series.
pub(super) const SERIES: &str = "series";

/// Series that hardly move would make every error huge: changes are measured in no smaller steps than this.
const SCALE_MIN: f64 = 0.01;

/// Fewer changes than this say nothing about how a series moves.
const CHANGES_MIN: usize = 3;

/// One week of one series, the moment from which a prediction looks ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Index of the series in the panel.
    pub series: usize,
    /// Position of the week in the series.
    pub position: usize,
    /// The week, counted.
    pub week: i32,
    /// The value of the week on the models' scale.
    pub value: f64,
    /// The mean absolute change from week to week until then.
    pub scale: f64,
    /// Observed weeks of the series until then.
    pub observed_count: usize,
}

/// The series of a marketplace with the features of every observed week.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The series, sorted by keyword and week.
    pub series: Vec<Series>,
    /// The observed weeks from which a prediction may look ahead, in the order of the series.
    pub rows: Vec<Row>,
    shared: Block,
    by_horizon: Vec<Block>,
}

/// Some features of all rows, row by row.
#[derive(Clone, Debug, PartialEq)]
struct Block {
    names: Vec<String>,
    values: Vec<f64>,
}

/// A feature about to be computed.
struct Planned {
    name: String,
    scaling: Scaling,
    expression: Expr,
}

impl Panel {
    /// Builds some features of every week of some series; a model that reads none needs the rows alone.
    pub fn build(series: Vec<Series>, families: &[Family]) -> Result<Panel, FeatureError> {
        let component_count = series.first().map_or(0, |series| series.components.len());
        let beside_count = series.first().map_or(0, |series| series.beside.len());
        let shared = plan_shared(families, component_count, beside_count)?;
        let by_horizon = (1..=HORIZON_COUNT as u32)
            .map(|horizon| plan_horizon(families, horizon))
            .collect::<PolarsResult<Vec<_>>>()?;

        let mut expressions = vec![volatility::scale()?.alias("scale")];
        for planned in std::iter::once(&shared).chain(&by_horizon).flatten() {
            expressions.push(planned.expression.clone().alias(planned.name.as_str()));
        }
        let frame = long_frame(&series)?.lazy().select(expressions).collect()?;

        let (rows, kept) = rows_of(&series, &column(&frame, "scale")?);
        let shared = read_block(&frame, &shared, &rows, &kept)?;
        let by_horizon = by_horizon
            .iter()
            .map(|planned| read_block(&frame, planned, &rows, &kept))
            .collect::<PolarsResult<Vec<_>>>()?;
        Ok(Panel { series, rows, shared, by_horizon })
    }

    /// Returns the names of the features of a horizon, in the order of [`Panel::features`].
    pub fn names(&self, horizon: usize) -> impl Iterator<Item = &str> {
        self.shared.names.iter().chain(&self.by_horizon[horizon - 1].names).map(String::as_str)
    }

    /// Returns the number of features of a horizon.
    pub fn feature_count(&self) -> usize {
        self.shared.names.len() + self.by_horizon[0].names.len()
    }

    /// Returns the features of a row for a horizon.
    pub fn features(&self, row: usize, horizon: usize) -> impl Iterator<Item = f64> {
        self.shared.of_row(row).iter().chain(self.by_horizon[horizon - 1].of_row(row)).copied()
    }

    /// Returns what was observed so many weeks after a row, on the models' scale.
    pub fn actual(&self, row: usize, horizon: usize) -> Option<f64> {
        let row = &self.rows[row];
        self.series[row.series].observed(row.position + horizon)
    }

    /// Returns what was in the target's week a year before, where the history reaches back so far.
    pub fn a_year_before(&self, row: usize, horizon: usize) -> Option<f64> {
        let row = &self.rows[row];
        let target = row.position + horizon;
        let has_season = row.position + 1 >= YEAR_WEEKS as usize;
        has_season.then(|| self.series[row.series].values[target - YEAR_WEEKS as usize])
    }

    /// Returns the rows whose target lies no later than a week and was observed: the examples known at that week.
    pub fn examples(&self, horizon: usize, known_until: i32) -> Vec<usize> {
        (0..self.rows.len())
            .filter(|&row| self.rows[row].week + horizon as i32 <= known_until && self.actual(row, horizon).is_some())
            .collect()
    }

    /// Returns the rows of a week, in the order of the series.
    pub fn rows_at(&self, week: i32) -> Vec<usize> {
        (0..self.rows.len()).filter(|&row| self.rows[row].week == week).collect()
    }
}

impl Block {
    fn of_row(&self, row: usize) -> &[f64] {
        let width = self.names.len();
        &self.values[row * width..(row + 1) * width]
    }
}

fn plan_shared(families: &[Family], component_count: usize, beside_count: usize) -> PolarsResult<Vec<Planned>> {
    let mut all = Vec::new();
    for &Family { kind, sizes, scaling } in families.iter().filter(|family| !family.kind.is_by_horizon()) {
        let place_count = match kind {
            _ if kind.is_by_component() => Some(component_count),
            _ if kind.is_by_beside() => Some(beside_count),
            _ => None,
        };
        for &size in sizes {
            let Some(place_count) = place_count else {
                let name = format!("{kind:?}_{size}");
                all.push(Planned { name, scaling, expression: kind.expression(size, 0, 0)? });
                continue;
            };
            for place in 0..place_count {
                let name = format!("{kind:?}_{place}_{size}");
                all.push(Planned { name, scaling, expression: kind.expression(size, 0, place)? });
            }
        }
    }
    Ok(all)
}

fn plan_horizon(families: &[Family], horizon: u32) -> PolarsResult<Vec<Planned>> {
    let mut all = Vec::new();
    for &Family { kind, sizes, scaling } in families.iter().filter(|family| family.kind.is_by_horizon()) {
        for &size in sizes {
            let name = format!("{kind:?}_{size}_{horizon}");
            all.push(Planned { name, scaling, expression: kind.expression(size, horizon, 0)? });
        }
    }
    Ok(all)
}

/// Returns the column that holds a component.
pub(super) fn component(number: usize) -> String {
    format!("component_{number}")
}

/// Returns the column that holds something that stands beside the values.
pub(super) fn beside(number: usize) -> String {
    format!("beside_{number}")
}

/// Writes what was some weeks before in the same series.
pub(super) fn before(of: Expr, weeks: u32) -> Expr {
    of.shift(lit(i64::from(weeks)))
}

/// Returns a window that ends with the week itself.
pub(super) fn window(size: u32, min_periods: usize) -> RollingOptionsFixedWindow {
    RollingOptionsFixedWindow { window_size: size as usize, min_periods, ..Default::default() }
}

/// Lays all series below one another, one row per week, with the few columns that expressions start from.
fn long_frame(all: &[Series]) -> PolarsResult<DataFrame> {
    let week_count = all.iter().map(|series| series.values.len()).sum();
    let mut index = Vec::with_capacity(week_count);
    let mut y = Vec::with_capacity(week_count);
    let mut is_filled = Vec::with_capacity(week_count);
    let mut absolute_change = Vec::with_capacity(week_count);
    let mut age = Vec::with_capacity(week_count);
    let mut year_sine = Vec::with_capacity(week_count);
    let mut year_cosine = Vec::with_capacity(week_count);
    for (number, series) in all.iter().enumerate() {
        for (position, &value) in series.values.iter().enumerate() {
            let sunday = sunday_of(series.first_week + position as i32);
            let angle = TAU * f64::from(sunday.ordinal0()) / 365.25;
            index.push(number as u32);
            y.push(value);
            is_filled.push(f64::from(u8::from(series.is_filled[position])));
            absolute_change.push((position > 0).then(|| (value - series.values[position - 1]).abs()));
            age.push((position.min(104) as f64).ln_1p());
            year_sine.push(angle.sin());
            year_cosine.push(angle.cos());
        }
    }
    let mut columns = vec![
        Column::new(SERIES.into(), index),
        Column::new("y".into(), y),
        Column::new("is_filled".into(), is_filled),
        Column::new("absolute_change".into(), absolute_change),
        Column::new("age".into(), age),
        Column::new("year_sine".into(), year_sine),
        Column::new("year_cosine".into(), year_cosine),
    ];
    for number in 0..all.first().map_or(0, |series| series.components.len()) {
        let values = all.iter().flat_map(|series| &series.components[number]);
        columns.push(known(&component(number), values));
    }
    for number in 0..all.first().map_or(0, |series| series.beside.len()) {
        let values = all.iter().flat_map(|series| &series.beside[number]);
        columns.push(known(&beside(number), values));
    }
    DataFrame::new(week_count, columns)
}

/// Makes a column in which what is no number is absent.
fn known<'a>(name: &str, values: impl Iterator<Item = &'a f64>) -> Column {
    let known: Vec<Option<f64>> = values.map(|&value| (!value.is_nan()).then_some(value)).collect();
    Column::new(name.into(), known)
}

/// Returns the observed weeks that have a scale, and where they lie in the long frame.
fn rows_of(all: &[Series], scales: &[f64]) -> (Vec<Row>, Vec<usize>) {
    let mut rows = Vec::new();
    let mut kept = Vec::new();
    let mut offset = 0;
    for (number, series) in all.iter().enumerate() {
        let mut observed_count = 0;
        for (position, &value) in series.values.iter().enumerate() {
            if series.is_filled[position] {
                continue;
            }
            observed_count += 1;
            if position < CHANGES_MIN {
                continue;
            }
            let week = series.first_week + position as i32;
            let scale = scales[offset + position].max(SCALE_MIN);
            rows.push(Row { series: number, position, week, value, scale, observed_count });
            kept.push(offset + position);
        }
        offset += series.values.len();
    }
    (rows, kept)
}

fn read_block(frame: &DataFrame, planned: &[Planned], rows: &[Row], kept: &[usize]) -> PolarsResult<Block> {
    let width = planned.len();
    let mut values = vec![0.0; rows.len() * width];
    for (place, planned) in planned.iter().enumerate() {
        let column = column(frame, &planned.name)?;
        for (number, (row, &position)) in rows.iter().zip(kept).enumerate() {
            let value = column[position];
            if value.is_finite() {
                values[number * width + place] = scaled(planned.scaling, value, row);
            }
        }
    }
    Ok(Block { names: planned.iter().map(|planned| planned.name.clone()).collect(), values })
}

fn scaled(scaling: Scaling, value: f64, row: &Row) -> f64 {
    match scaling {
        Scaling::Relative => ((value - row.value) / row.scale).asinh(),
        Scaling::Scaled => (value / row.scale).asinh(),
        Scaling::Squeezed => value.asinh(),
        Scaling::Plain => value,
    }
}

/// Reads a column as plain numbers; what is absent becomes NaN.
fn column(frame: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    Ok(frame.column(name)?.f64()?.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}
