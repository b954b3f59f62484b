//! The forecasting engine: many series in, points and intervals out. No files, no database, no clock.
//!
//! [`forecast`] cleans the series, replays the experts of [`experts`] at rolling origins inside the history, lets those
//! speak that beat naive there ([`gate`]), and puts intervals around them that follow from what was missed
//! ([`conformal`]). The same seed gives the same numbers on any number of threads: work in parallel is collected in
//! order, and nothing is summed across threads.

pub mod absolute;
pub mod baselines;
pub mod classes;
pub mod cleaning;
pub mod conformal;
pub mod experts;
pub mod features;
pub mod gate;
pub mod global;
pub mod metrics;
pub mod origins;
pub mod random;
pub mod season;
pub mod smoothing;
pub mod statistics;
pub mod theta;
pub mod windows;

use linfa_linear::LinearError;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use classes::Class;
use cleaning::Cleaned;
use conformal::{Intervals, PastErrors};
use experts::Team;
use features::Shape;
use gate::Panel;

/// What is to be forecast, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Steps of a season: 52 for weeks, 7 for days, 12 for months.
    pub season: usize,
    /// Steps ahead.
    pub horizons: usize,
    /// Seed of what is drawn at random.
    pub seed: u64,
}

/// A forecast of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The value expected.
    pub point: f64,
    /// Lower end of the 80 % interval.
    pub lo_80: f64,
    /// Upper end of the 80 % interval.
    pub hi_80: f64,
    /// Lower end of the 95 % interval.
    pub lo_95: f64,
    /// Upper end of the 95 % interval.
    pub hi_95: f64,
}

/// What became of one series.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A step for each horizon.
    Forecast(Vec<Step>),
    /// Nothing can be said of it.
    TooShort,
}

/// The forecasts of all series, and who made them.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecasts {
    /// One a series, in the order of these.
    pub outcomes: Vec<Outcome>,
    /// What the cleaner did.
    pub cleaned: Vec<Cleaned>,
    /// Who had a say, by class.
    pub classes: Vec<ClassReport>,
}

/// Who had a say about a class of histories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// The class.
    pub class: Class,
    /// Its series.
    pub series_count: usize,
    /// Histories at past origins that were judged by.
    pub case_count: usize,
    /// The experts, by horizon.
    pub panels: Vec<Panel>,
}

/// Why nothing could be forecast.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    /// The linear solver failed.
    #[error("failed to fit the series of {class} points")]
    Fit {
        /// The class of their histories.
        class: Class,
        /// Why.
        source: LinearError<f64>,
    },
}

/// Forecasts many series, which may have missing points. `progress` is told how many series are done.
pub fn forecast(
    series: &[Vec<Option<f64>>],
    settings: &Settings,
    mut progress: impl FnMut(usize, &str),
) -> Result<Forecasts, ForecastError> {
    let cleaned: Vec<Cleaned> = series.par_iter().map(|values| cleaning::clean(values, settings.season)).collect();
    let all: Vec<&[f64]> = cleaned.iter().map(|series| series.values.as_slice()).collect();
    let shape = Shape::of_season(settings.season);
    let mut outcomes = vec![Outcome::TooShort; all.len()];
    let mut reports = Vec::new();
    let mut done = 0;
    for class in Class::all(settings.season) {
        let belongs = |values: &[f64]| (class.from..class.until).contains(&values.len());
        let members: Vec<usize> = (0..all.len()).filter(|&place| belongs(all[place])).collect();
        if members.is_empty() {
            continue;
        }
        progress(done, &format!("series of {class} points"));
        let (report, steps) =
            of_class(&all, &members, class, &shape, settings).map_err(|source| ForecastError::Fit { class, source })?;
        for (&place, steps) in members.iter().zip(steps) {
            outcomes[place] = Outcome::Forecast(steps);
        }
        reports.push(report);
        done += members.len();
    }
    progress(all.len(), "done");
    Ok(Forecasts { outcomes, cleaned, classes: reports })
}

fn of_class(
    all: &[&[f64]],
    members: &[usize],
    class: Class,
    shape: &Shape,
    settings: &Settings,
) -> Result<(ClassReport, Vec<Vec<Step>>), LinearError<f64>> {
    let horizons = settings.horizons;
    let cases = origins::replay(all, members, class, shape, horizons, settings.seed)?;
    let panels = gate::open(&cases, horizons);
    let last = |history: &[f64]| history.last().copied().unwrap_or(0.0);
    let points: Vec<Vec<f64>> =
        cases.iter().map(|case| gate::combine(&panels, &case.answers, last(case.history))).collect();
    let past = PastErrors::gather(&cases, &points, horizons);
    let intervals = Intervals::learn(&cases, &points, &past, horizons)?;

    let team = Team::fit(all, shape, &origins::take(class, horizons, 0, shape.season))?;
    let histories: Vec<&[f64]> = members.iter().map(|&member| all[member]).collect();
    let answers = team.ask(&histories);
    let steps = histories
        .par_iter()
        .zip(&answers)
        .zip(members)
        .map(|((history, answers), &member)| {
            let points = gate::combine(&panels, answers, last(history));
            let mut steps = intervals.around(history, answers, past.of(member, None), &points);
            if history.iter().all(|value| *value >= 0.0) {
                steps.iter_mut().for_each(Step::keep_from_falling_below_zero);
            }
            steps
        })
        .collect();
    let report = ClassReport { class, series_count: members.len(), case_count: cases.len(), panels };
    Ok((report, steps))
}

impl Step {
    /// A step that is known for certain, as far as anybody can tell.
    pub fn exactly(point: f64) -> Step {
        Step { point, lo_80: point, hi_80: point, lo_95: point, hi_95: point }
    }

    fn keep_from_falling_below_zero(&mut self) {
        for value in [&mut self.point, &mut self.lo_80, &mut self.hi_80, &mut self.lo_95, &mut self.hi_95] {
            *value = value.max(0.0);
        }
    }
}
