//! `digitallz calibration show`: how well a number of searches follows from a rank, by the user's own data.

use digitallz_scorer::calibration::{self, Calibration, Line};

use crate::cli::{CalibrationCommand, Cli};
use crate::commands::predictions::figure;
use crate::exit::Ending;
use crate::output;
use crate::session::Session;

/// Fits, stores and shows.
pub async fn run(cli: &Cli, command: &CalibrationCommand) -> anyhow::Result<Ending> {
    let CalibrationCommand::Show = command;
    let session = Session::open(cli).await?;
    let calibrations = measure(&session).await;
    session.close().await?;
    show(cli, &calibrations?)?;
    Ok(Ending::Done)
}

async fn measure(session: &Session) -> anyhow::Result<Vec<Calibration>> {
    let now = session.clock.now();
    let calibrations = calibration::measure(&session.db, now).await?;
    let mut tx = session.db.begin().await?;
    calibration::register(&mut tx, &calibrations, now, now).await?;
    tx.commit().await?;
    Ok(calibrations)
}

fn show(cli: &Cli, calibrations: &[Calibration]) -> anyhow::Result<()> {
    if !cli.json && calibrations.is_empty() {
        eprintln!(
            "no pairs: nothing says how often a keyword was searched in a time for which its rank or proxy is known"
        );
        eprintln!(
            "  next: `digitallz import` a search query performance report, a keyword plan or a series of your own"
        );
        return Ok(());
    }
    let of_line =
        |write: fn(&Line) -> String| move |row: &Calibration| row.line.as_ref().map_or_else(|| "-".to_owned(), write);
    output::list(
        cli.json,
        "calibrations",
        calibrations,
        &[
            output::text("SITE", |row: &Calibration| format!("{} {}", row.marketplace, row.market)),
            output::text("ESTIMATES", |row: &Calibration| format!("{} a {}", row.truth_metric, row.period_kind)),
            output::text("FROM", |row: &Calibration| row.proxy_metric.to_owned()),
            output::number("PAIRS", |row: &Calibration| output::thousands(row.pair_count as i64)),
            output::number("KEYWORDS", |row: &Calibration| output::thousands(row.keyword_count as i64)),
            output::text("FIT", |row: &Calibration| match (&row.line, &row.refusal) {
                (Some(line), _) => format!("{} * proxy ^ {:.3}", figure(Some(line.intercept.exp())), line.slope),
                (None, refusal) => refusal.clone().unwrap_or_default(),
            }),
            output::number("MEDIAN ERROR", of_line(|line| percent(line.median_percentage_error))),
            output::number("LOG ERROR", of_line(|line| format!("{:.3}", line.mean_log_error))),
            output::text(
                "80 % WITHIN",
                of_line(|line| format!("{:.2} to {:.2} times", line.factor_lo_80, line.factor_hi_80)),
            ),
            output::number("COVERS", of_line(|line| percent(line.coverage_80))),
        ],
    )
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
