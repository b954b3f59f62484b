//! `digitallz forecast`: predictions for series of the user's own, without a database.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use digitallz_scorer::forecasting::single::Choice;
use digitallz_scorer::forecasting::{self, ClassReport, Forecasts, Outcome, Settings};
use serde::Serialize;
use serde_json::json;

use crate::cli::{Cli, SeriesForecastArgs, SeriesTableArgs};
use crate::exit::{Ending, UserError};
use crate::output;
use crate::progress::Progress;
use crate::series_file::{self, Frequency, NamedSeries, ReadOptions, SeriesFile, SeriesFileError};

/// Series without forecast that are named for people; JSON names all of them.
const NAMED: usize = 10;

/// What was forecast, and what was not.
#[derive(Debug, Serialize)]
struct ForecastReport {
    input: String,
    output: String,
    frequency: Frequency,
    season: usize,
    horizon: usize,
    seed: u64,
    series_count: usize,
    point_count: usize,
    forecast_count: usize,
    filled_count: usize,
    spike_count: usize,
    left_out_count: usize,
    abstained: Vec<Abstained>,
    classes: Vec<ClassReport>,
    /// Series that were judged by their own past.
    choices: Vec<NamedChoice>,
}

/// What forecasts a series that has no others to learn from.
#[derive(Debug, Serialize)]
struct NamedChoice {
    series: String,
    #[serde(flatten)]
    choice: Choice,
}

/// A series that got no forecast.
#[derive(Debug, Serialize)]
struct Abstained {
    series: String,
    line: u64,
    reason: String,
}

/// Forecasts every series of a file.
pub fn run(cli: &Cli, args: &SeriesForecastArgs) -> anyhow::Result<Ending> {
    let settings = settings(args.frequency, args.season, args.horizon, args.seed);
    let file = read(&args.input, args.frequency, &args.table)?;
    let forecasts = forecast(&file, &settings)?;
    write(&args.output, &file, &forecasts)?;
    let report = report(args, &settings, &file, forecasts);
    show(cli, &report)?;
    Ok(match (report.forecast_count, report.abstained.len()) {
        (_, 0) => Ending::Done,
        (0, _) => Ending::Failed,
        _ => Ending::PartlyDone,
    })
}

/// Returns the settings of the engine that a command line means.
pub fn settings(frequency: Frequency, season: Option<u16>, horizon: u16, seed: u64) -> Settings {
    let season = season.map_or_else(|| frequency.season(), usize::from);
    Settings { season, horizons: usize::from(horizon), seed }
}

/// Reads a file of series, or standard input for `-`; errors contain its name. What was not read is reported on standard error.
pub fn read(path: &Path, frequency: Frequency, table: &SeriesTableArgs) -> anyhow::Result<SeriesFile> {
    let bytes = if is_standard(path) {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = bytes
        .map_err(|error| UserError::new(format!("failed to read {}: {error}", path.display()), "check the path"))?;
    let options = ReadOptions {
        frequency,
        encoding: table.text.encoding,
        decimal_mark: table.text.decimal,
        date_order: table.text.date_order,
        series_column: table.series.clone(),
        timestamp_column: table.timestamp.clone(),
        value_column: table.value.clone(),
    };
    let file = series_file::read(&bytes, &options).map_err(|error| {
        let next = match error {
            SeriesFileError::Read(_) => "check that the file is CSV text or Parquet",
            _ => "correct the file; nothing was forecast",
        };
        UserError::new(format!("{}: {}", path.display(), digitallz_common::failure::chain(&error)), next)
    })?;
    for remark in &file.remarks {
        eprintln!("{}: {remark}", path.display());
    }
    Ok(file)
}

/// Forecasts the series of a file and shows how far it has come.
pub fn forecast(file: &SeriesFile, settings: &Settings) -> anyhow::Result<Forecasts> {
    let histories: Vec<Vec<Option<f64>>> = file.series.iter().map(|series| series.values.clone()).collect();
    let end = |series: &NamedSeries| series.start + series.values.len() as i64 - 1;
    let ends: Option<Vec<i64>> = file.has_timestamps.then(|| file.series.iter().map(end).collect());
    let total = histories.len() as u64;
    let mut bar = Progress::start("forecast", total);
    let forecasts =
        forecasting::forecast(&histories, ends.as_deref(), settings, |done, what| bar.set(done as u64, total, what))?;
    bar.finish();
    Ok(forecasts)
}

/// Returns true for `-`, which stands for standard input or output.
fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

fn write(path: &Path, file: &SeriesFile, forecasts: &Forecasts) -> anyhow::Result<()> {
    let unwritable = |error: csv::Error| {
        UserError::new(format!("failed to write {}: {error}", path.display()), "give a path that you may write")
    };
    let output: Box<dyn Write> = if is_standard(path) {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(File::create(path).map_err(|error| unwritable(error.into()))?)
    };
    let mut writer = csv::Writer::from_writer(BufWriter::new(output));
    writer.write_record(["series", "step", "point", "lo80", "hi80", "lo95", "hi95"]).map_err(unwritable)?;
    for (series, outcome) in file.series.iter().zip(&forecasts.outcomes) {
        let Outcome::Forecast(forecast) = outcome else { continue };
        for (index, step) in forecast.steps.iter().enumerate() {
            let numbers = [step.point, step.lo_80, step.hi_80, step.lo_95, step.hi_95];
            let mut record = vec![series.name.clone(), (index + 1).to_string()];
            record.extend(numbers.map(|number| number.to_string()));
            writer.write_record(&record).map_err(unwritable)?;
        }
    }
    writer.flush().map_err(|error| unwritable(error.into()))?;
    Ok(())
}

fn report(args: &SeriesForecastArgs, settings: &Settings, file: &SeriesFile, forecasts: Forecasts) -> ForecastReport {
    let sum = |of: fn(&forecasting::cleaning::Cleaned) -> usize| forecasts.cleaned.iter().map(of).sum();
    let too_short = file.series.iter().zip(&forecasts.outcomes).filter(|(_, outcome)| **outcome == Outcome::TooShort);
    let abstained: Vec<Abstained> = too_short
        .map(|(series, _)| {
            let count = output::counted(series.values.iter().flatten().count(), "point");
            let reason = format!("{count}; at least {} are needed", forecasting::classes::POINTS_MIN);
            Abstained { series: series.name.clone(), line: series.line, reason }
        })
        .collect();
    ForecastReport {
        input: args.input.display().to_string(),
        output: args.output.display().to_string(),
        frequency: args.frequency,
        season: settings.season,
        horizon: settings.horizons,
        seed: settings.seed,
        series_count: file.series.len(),
        point_count: file.series.iter().map(|series| series.values.iter().flatten().count()).sum(),
        forecast_count: file.series.len() - abstained.len(),
        filled_count: sum(|cleaned| cleaned.filled_count),
        spike_count: sum(|cleaned| cleaned.spike_count),
        left_out_count: sum(|cleaned| cleaned.left_out_count),
        abstained,
        classes: forecasts.classes,
        choices: file
            .series
            .iter()
            .zip(forecasts.choices)
            .filter_map(|(series, choice)| Some(NamedChoice { series: series.name.clone(), choice: choice? }))
            .collect(),
    }
}

fn show(cli: &Cli, report: &ForecastReport) -> anyhow::Result<()> {
    for left_out in report.abstained.iter().take(NAMED) {
        eprintln!("no forecast of `{}` (line {}): {}", left_out.series, left_out.line, left_out.reason);
    }
    if report.abstained.len() > NAMED {
        eprintln!("no forecast of {} more, for the same reason", report.abstained.len() - NAMED);
    }
    // Standard output holds the forecasts then, and nothing else.
    if report.output == "-" {
        return Ok(());
    }
    if cli.json {
        return output::print_json(&json!({ "forecast": report }));
    }
    let mut lines = vec![format!(
        "{} of {} forecast, {} ahead, in {}",
        output::thousands(report.forecast_count as i64),
        report.series_count,
        output::counted(report.horizon, "step"),
        report.output,
    )];
    let cleaning = [
        (report.filled_count, "missing points were interpolated"),
        (report.spike_count, "isolated spikes were cut"),
        (report.left_out_count, "points before long gaps were left out"),
    ];
    lines.extend(
        cleaning
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", output::thousands(*count as i64))),
    );
    for NamedChoice { series, choice } in &report.choices {
        let methods: Vec<&str> = choice.methods.iter().map(|method| method.name()).collect();
        let share = if choice.share < 1.0 && choice.share > 0.0 { ", half of the way from naive" } else { "" };
        lines.push(format!(
            "`{series}`: {}{share} (OWA at {} of its own past origins {:.3})",
            methods.join(" + "),
            choice.origin_count,
            choice.owa
        ));
    }
    let is_by_class = report.choices.len() < report.forecast_count;
    for class in report.classes.iter().filter(|_| is_by_class) {
        lines.push(format!("{} series of {} points:", output::thousands(class.series_count as i64), class.class));
        for panel in &class.panels {
            let experts: Vec<&str> = panel.experts.iter().chain(&panel.hedge).map(|expert| expert.name()).collect();
            let base = panel.base.name();
            let said = match experts.as_slice() {
                [] => base.to_owned(),
                experts => format!("{}, {:.0} % of the way from {base}", experts.join(" + "), 100.0 * panel.share),
            };
            lines
                .push(format!("  steps {}-{}: {said} (OWA at past origins {:.3})", panel.from, panel.until, panel.owa));
        }
    }
    output::print(&lines.join("\n"))
}
