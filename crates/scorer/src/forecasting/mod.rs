//! The forecasting engine: many series in, points and intervals out. No files, no database, no clock.
//!
//! [`forecast`] cleans the series, and [`Trained`] learns from them and is asked. It replays the experts of [`experts`] at
//! rolling origins inside the history, lets those speak that beat naive there ([`gate`]), and puts intervals around them that
//! follow from what was missed ([`conformal`]). The same seed gives the same numbers on any number of threads: work in parallel is collected in
//! order, and nothing is summed across threads.

pub mod absolute;
pub mod autoregression;
pub mod baselines;
pub mod classes;
pub mod cleaning;
pub mod conformal;
pub mod description;
pub mod direction;
pub mod experts;
pub mod features;
pub mod forest;
pub mod gate;
pub mod global;
pub mod metrics;
pub mod origins;
pub mod others;
pub mod random;
pub mod season;
pub mod single;
pub mod smoothing;
pub mod statistics;
pub mod theta;
pub mod windows;

use linfa_linear::LinearError;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use classes::Class;
use cleaning::Cleaned;
use conformal::{About, Intervals};
use direction::{Directions, Probabilities};
use experts::{Expert, Team};
use features::Shape;
use gate::Panel;
use others::{Known, Others};

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

/// What is expected of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// A step for each horizon.
    pub steps: Vec<Step>,
    /// Which way it goes; nothing where the recent level is zero.
    pub direction: Option<Probabilities>,
}

/// What became of one series.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// What is expected.
    Forecast(Forecast),
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
    /// Of fewer than [`single::SERIES_ENOUGH`] series, what forecasts each whose own past decided; the classes had no say then.
    pub choices: Vec<Option<single::Choice>>,
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

/// Forecasts many series, which may have missing points. `ends` are the moments of their last points, counted in steps,
/// where these are known. `progress` is told how many series are done.
pub fn forecast(
    series: &[Vec<Option<f64>>],
    ends: Option<&[i64]>,
    settings: &Settings,
    progress: impl FnMut(usize, &str),
) -> Result<Forecasts, ForecastError> {
    let cleaned: Vec<Cleaned> = series.par_iter().map(|values| cleaning::clean(values, settings.season)).collect();
    let all: Vec<&[f64]> = cleaned.iter().map(|series| series.values.as_slice()).collect();
    // A series ends with its last observation.
    let missing = |values: &Vec<Option<f64>>| values.iter().rev().take_while(|value| value.is_none()).count() as i64;
    let ends: Option<Vec<i64>> =
        ends.map(|ends| ends.iter().zip(series).map(|(end, values)| end - missing(values)).collect());
    let trained = Trained::learn(&all, ends.as_deref(), settings, progress)?;
    let ask = |(place, history): (usize, &&[f64])| trained.ask(history, ends.as_ref().map(|ends| ends[place]));
    let mut outcomes: Vec<Outcome> = all.par_iter().enumerate().map(ask).collect();
    let mut choices = vec![None; all.len()];
    if all.len() < single::SERIES_ENOUGH {
        for (place, history) in all.iter().enumerate() {
            if let Some((forecast, choice)) = single::forecast(history, settings) {
                outcomes[place] = Outcome::Forecast(forecast);
                choices[place] = Some(choice);
            }
        }
    }
    let classes = trained.classes.into_iter().map(|class| class.report).collect();
    Ok(Forecasts { outcomes, cleaned, classes, choices })
}

/// What was learnt of many series: everything that a forecast needs besides the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    settings: Settings,
    others: Others,
    classes: Vec<TrainedClass>,
}

/// What was learnt for a class of histories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct TrainedClass {
    report: ClassReport,
    team: Team,
    intervals: Intervals,
    directions: Directions,
}

impl Trained {
    /// Learns from clean series, which end at these moments, counted in steps, where these are known. `progress` is told how
    /// many series are done.
    pub fn learn<'a>(
        all: &[&'a [f64]],
        ends: Option<&[i64]>,
        settings: &Settings,
        mut progress: impl FnMut(usize, &str),
    ) -> Result<Trained, ForecastError> {
        let shape = Shape::of_season(settings.season);
        let others = Others::learn(all, ends, shape.season, settings.horizons);
        let known = |(place, values): (usize, &&'a [f64])| Known::among(&others, values, ends.map(|ends| ends[place]));
        let all: Vec<Known<'_>> = all.iter().enumerate().map(known).collect();
        let mut classes = Vec::new();
        let mut done = 0;
        for class in Class::all(settings.season) {
            let members: Vec<usize> = (0..all.len()).filter(|&place| class.holds(all[place].len())).collect();
            if members.is_empty() {
                continue;
            }
            progress(done, &format!("series of {class} points"));
            let trained = TrainedClass::learn(&all, &members, class, &shape, settings);
            classes.push(trained.map_err(|source| ForecastError::Fit { class, source })?);
            done += members.len();
        }
        progress(all.len(), "done");
        Ok(Trained { settings: settings.clone(), others, classes })
    }

    /// Forecasts a clean history; `end` is the moment of its last point, where that is known.
    pub fn ask(&self, history: &[f64], end: Option<i64>) -> Outcome {
        let history = Known::among(&self.others, history, end);
        match self.classes.iter().find(|trained| trained.report.class.holds(history.len())) {
            Some(trained) => Outcome::Forecast(trained.ask(history)),
            None => Outcome::TooShort,
        }
    }
}

impl TrainedClass {
    fn learn(
        all: &[Known<'_>],
        members: &[usize],
        class: Class,
        shape: &Shape,
        settings: &Settings,
    ) -> Result<TrainedClass, LinearError<f64>> {
        let horizons = settings.horizons;
        let cases = origins::replay(all, members, class, shape, horizons, settings.seed)?;
        let base = if class.is_young(shape.season) { Expert::Level } else { Expert::Naive };
        let panels = gate::open(&cases, horizons, base);
        let points: Vec<Vec<f64>> =
            cases.iter().map(|case| gate::combine(&panels, &case.answers, last(case.history))).collect();
        let abouts: Vec<About<'_>> =
            cases.par_iter().map(|case| About::new(case.history, case.scale, &case.answers)).collect();
        let intervals = Intervals::learn(&cases, &points, &abouts, horizons)?;
        let directions = Directions::learn(&cases, &points, &abouts, &intervals);
        let mut team = Team::fit(all, shape, &origins::take(class, horizons, 0, shape.season), settings.seed)?;
        let report = ClassReport { class, series_count: members.len(), case_count: cases.len(), panels };
        team.keep(&asked(&report.panels));
        Ok(TrainedClass { report, team, intervals, directions })
    }

    fn ask(&self, history: Known<'_>) -> Forecast {
        let answers = self.team.ask_about(history, &asked(&self.report.panels));
        let points = gate::combine(&self.report.panels, &answers, last(&history));
        let about = About::new(history.values, history.scale(), &answers);
        let mut steps = self.intervals.around(&about, &points);
        if history.iter().all(|value| *value >= 0.0) {
            steps.iter_mut().for_each(Step::keep_from_falling_below_zero);
        }
        let direction = self.directions.probabilities(&about, &points, &self.intervals);
        Forecast { steps, direction }
    }
}

/// Returns the experts whose answers make a forecast and its intervals.
fn asked(panels: &[Panel]) -> Vec<Expert> {
    let is_asked = |expert: &Expert| {
        let has_a_say =
            |panel: &Panel| panel.base == *expert || panel.experts.contains(expert) || panel.hedge == Some(*expert);
        conformal::SPREAD_OF.contains(expert) || panels.iter().any(has_a_say)
    };
    Expert::ALL.into_iter().filter(is_asked).collect()
}

fn last(history: &[f64]) -> f64 {
    history.last().copied().unwrap_or(0.0)
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
