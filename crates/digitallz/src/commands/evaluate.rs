//! `digitallz evaluate`: forecasts of a training file held against what came, beside naive, seasonal naive and theta.

use std::collections::HashMap;

use digitallz_scorer::forecasting::baselines::Baseline;
use digitallz_scorer::forecasting::metrics::{self, Errors, Summary};
use digitallz_scorer::forecasting::{Forecast, Outcome, Settings, Step};
use serde::Serialize;
use serde_json::json;

use super::forecast;
use crate::cli::{Cli, EvaluateArgs};
use crate::exit::{Ending, UserError};
use crate::output::{self, number, text};
use crate::series_file::{NamedSeries, SeriesFile};

/// How well one method did.
#[derive(Debug, Serialize)]
struct MethodReport {
    method: &'static str,
    #[serde(flatten)]
    summary: Summary,
}

/// One series with what came after it.
struct Pair {
    history: Vec<f64>,
    actual: Vec<f64>,
    steps: Vec<Step>,
}

/// Forecasts the training file and measures the forecasts on the test file.
pub fn run(cli: &Cli, args: &EvaluateArgs) -> anyhow::Result<Ending> {
    let train = forecast::read(&args.train, args.frequency, &args.table)?;
    let test = forecast::read(&args.test, args.frequency, &args.table)?;
    let actuals = match_up(&train, &test)?;
    let longest = actuals.iter().map(Vec::len).max().unwrap_or(0);
    let horizon = args.horizon.unwrap_or(u16::try_from(longest).unwrap_or(u16::MAX));
    let settings = forecast::settings(args.frequency, args.season, horizon.max(1), args.seed);
    let forecasts = forecast::forecast(&train, &settings)?;

    let mut pairs = Vec::new();
    let mut left_out = 0;
    for ((series, mut actual), outcome) in train.series.iter().zip(actuals).zip(forecasts.outcomes) {
        let history: Vec<f64> = series.values.iter().flatten().copied().collect();
        actual.truncate(settings.horizons);
        match outcome {
            Outcome::Forecast(Forecast { steps, .. }) if metrics::measure(&history, &actual, &steps).is_some() => {
                pairs.push(Pair { history, actual, steps });
            }
            _ => left_out += 1,
        }
    }
    if left_out > 0 {
        eprintln!("{} not measured: too short or never changing", output::thousands(left_out));
    }
    show(cli, &measure(&pairs, &settings))?;
    Ok(Ending::Done)
}

/// Finds what came after each series of the training file.
fn match_up(train: &SeriesFile, test: &SeriesFile) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut by_name: HashMap<&str, &NamedSeries> = HashMap::new();
    for series in &test.series {
        by_name.insert(&series.name, series);
    }
    let is_dated = train.has_timestamps && test.has_timestamps;
    let next = "give a test file with the same series, beginning right after the training file";
    let mut actuals = Vec::new();
    for series in &train.series {
        let Some(after) = by_name.remove(series.name.as_str()) else {
            let text =
                format!("line {} of the training file: series `{}` is not in the test file", series.line, series.name);
            return Err(UserError::new(text, next).into());
        };
        let end = series.start + series.values.len() as i64;
        if is_dated && after.start != end {
            let text = format!(
                "line {} of the test file: series `{}` does not begin one step after its training part",
                after.line, after.name
            );
            return Err(UserError::new(text, next).into());
        }
        let Some(actual) =
            after.values.iter().copied().collect::<Option<Vec<f64>>>().filter(|values| !values.is_empty())
        else {
            let text = format!("line {} of the test file: series `{}` has missing values", after.line, after.name);
            return Err(UserError::new(text, "leave series with missing values out of both files").into());
        };
        actuals.push(actual);
    }
    if let Some(stranger) = test.series.iter().find(|series| by_name.contains_key(series.name.as_str())) {
        let text =
            format!("line {} of the test file: series `{}` is not in the training file", stranger.line, stranger.name);
        return Err(UserError::new(text, next).into());
    }
    Ok(actuals)
}

fn measure(pairs: &[Pair], settings: &Settings) -> Vec<MethodReport> {
    let errors_of = |steps: &dyn Fn(&Pair) -> Vec<Step>| -> Vec<Errors> {
        pairs.iter().filter_map(|pair| metrics::measure(&pair.history, &pair.actual, &steps(pair))).collect()
    };
    let of_baseline = |baseline: Baseline| {
        errors_of(&|pair: &Pair| baseline.forecast(&pair.history, settings.season, settings.horizons))
    };
    let naive = of_baseline(Baseline::Naive);
    let ours = errors_of(&|pair: &Pair| pair.steps.clone());
    let mut reports = vec![MethodReport { method: "digitallz", summary: metrics::summary(&ours, &naive) }];
    for baseline in Baseline::ALL {
        let summary = metrics::summary(&of_baseline(baseline), &naive);
        reports.push(MethodReport { method: baseline.name(), summary });
    }
    reports
}

fn show(cli: &Cli, reports: &[MethodReport]) -> anyhow::Result<()> {
    if cli.json {
        return output::print_json(&json!({ "evaluation": reports }));
    }
    let share = |value: f64| format!("{:.1} %", 100.0 * value);
    let columns = [
        text("method", |report: &MethodReport| report.method.to_owned()),
        number("series", |report: &MethodReport| output::thousands(report.summary.count as i64)),
        number("sMAPE", |report: &MethodReport| format!("{:.3}", report.summary.errors.smape)),
        number("MASE", |report: &MethodReport| format!("{:.3}", report.summary.errors.mase)),
        number("OWA", |report: &MethodReport| format!("{:.4}", report.summary.owa)),
        number("MSIS", |report: &MethodReport| format!("{:.2}", report.summary.errors.msis)),
        number("in 80 %", move |report: &MethodReport| share(report.summary.errors.coverage_80)),
        number("in 95 %", move |report: &MethodReport| share(report.summary.errors.coverage_95)),
    ];
    output::print(&output::table(reports, &columns))
}
