//! `digitallz demo`: the whole pipeline in time-lapse, on a private Postgres and pretend marketplaces.
//!
//! The scheduler's clock and the sandbox's world advance together, a week at a time; everything else runs as it does in
//! production: schedules fire, jobs go through the queue, collectors ask over HTTP, processors read, models are trained.

use std::time::{Duration, Instant};

use chrono::{DateTime, Days, NaiveTime, Utc};
use digitallz_common::clock::Clock;
use digitallz_common::database;
use digitallz_common::keyword::Keyword;
use digitallz_common::marketplace::{Marketplace, Site};
use digitallz_common::week::week_start;
use digitallz_sandbox::{Sandbox, SandboxConfig};
use digitallz_scorer::ModelSummary;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;

use crate::cli::{Cli, DemoArgs, Role};
use crate::commands::keywords::{self, Entry};
use crate::commands::predictions::{self, PredictionRow, figure};
use crate::commands::runs::{self, Sums};
use crate::demo_mark::{self, Content};
use crate::exit::{Ending, UserError};
use crate::output;
use crate::postgres::{self, DATABASE_NAME, PrivatePostgres};
use crate::progress::Progress;
use crate::roles;
use crate::scheduler::definition::{Action, Definition, Origin};
use crate::scheduler::policy::OverlapPolicy;
use crate::scheduler::rhythm::Rhythm;
use crate::scheduler::{self, table};
use crate::settings::Environment;

/// The sandbox's limits are raised by this factor, and the collectors' with them.
const LIMIT_FACTOR: f64 = 1_000_000.0;

/// Hour of Sunday at which the weekly collections happen.
const COLLECT_AT: NaiveTime = NaiveTime::from_hms_opt(6, 0, 0).expect("a time of day");

/// How often the demo looks whether a week's jobs are done.
const LOOK: Duration = Duration::from_millis(10);

/// Keywords shown per marketplace in the table of predictions.
const SHOWN_KEYWORDS: usize = 8;

/// Runs the demo and prints what came out.
pub async fn run(cli: &Cli, args: &DemoArgs) -> anyhow::Result<Ending> {
    let private_postgres = postgres::start(&cli.data_dir, &[]).await?;
    let outcome = run_on(&private_postgres, cli, args).await;
    let directory = private_postgres.directory().display().to_string();
    private_postgres.leave()?;
    let outcome = outcome?;
    print_outcome(cli, &outcome)?;
    if !cli.json {
        print_next_steps(cli, &directory)?;
    }
    Ok(if outcome.sums.is_closed && outcome.sums.dead_job_count == 0 { Ending::Done } else { Ending::PartlyDone })
}

/// What the demo found.
#[derive(Debug, Serialize)]
struct Outcome {
    keyword_count: usize,
    week_count: u16,
    sums: Sums,
    collect_seconds: f64,
    score_seconds: f64,
    predictions: Vec<PredictionRow>,
    histories: Vec<History>,
    models: Vec<ModelSummary>,
}

/// The demand of a keyword over the last 52 weeks, a value every two weeks, larger for more.
#[derive(Debug, Serialize)]
struct History {
    keyword: String,
    marketplace: String,
    values: Vec<Option<f64>>,
}

async fn run_on(private_postgres: &PrivatePostgres, cli: &Cli, args: &DemoArgs) -> anyhow::Result<Outcome> {
    let db = fresh_database(private_postgres, cli).await?;
    let weeks = collection_times(args.weeks);
    let first = weeks[0];
    let clock = Clock::manual(first);
    let sandbox = Sandbox::start(SandboxConfig {
        seed: args.seed,
        now: Some(first),
        limit_factor: LIMIT_FACTOR,
        ports: [0, 0, 0],
        ..SandboxConfig::default()
    })
    .await?;
    let environment = demo_environment(&sandbox);
    let keyword_count = import_keywords(&db, args.keywords, clock.now()).await?;
    make_schedules(&db, first).await?;
    demo_mark::acknowledge_sources(&db, first).await?;
    eprintln!(
        "demo: acknowledges the terms of its own pretend marketplaces; those of the true ones are yours to acknowledge"
    );
    eprintln!(
        "demo: {keyword_count} keywords, {} weekly collections from {} to {}",
        weeks.len(),
        first.date_naive(),
        weeks[weeks.len() - 1].date_naive()
    );

    let roles = roles::start(&db, &clock, &environment, &[Role::Collector, Role::Processor, Role::Scorer])?;
    let collect_started = Instant::now();
    let collected = collect(&db, &clock, &sandbox, &weeks).await;
    let collect_seconds = collect_started.elapsed().as_secs_f64();
    let score_started = Instant::now();
    let scored = match collected {
        Ok(()) => score(&db, &clock).await,
        Err(error) => Err(error),
    };
    let score_seconds = score_started.elapsed().as_secs_f64();
    roles.stop().await;
    sandbox.stop().await;
    scored?;

    let outcome = Outcome {
        keyword_count,
        week_count: args.weeks,
        sums: runs::sums(&db, None).await?,
        collect_seconds,
        score_seconds,
        predictions: predictions::latest(&db, None, None, None, u32::MAX >> 1).await?,
        histories: histories(&db).await?,
        models: digitallz_scorer::backtest_summary(&db).await?,
    };
    db.close().await;
    Ok(outcome)
}

/// Makes the database anew. One with data of the user's own is never dropped: it is kept under another name when it began
/// as a demo, and refused when it did not.
async fn fresh_database(private_postgres: &PrivatePostgres, cli: &Cli) -> anyhow::Result<PgPool> {
    const CONNECTIONS: u32 = 32;
    let url = private_postgres.url(DATABASE_NAME);
    let db = database::connect(&url, 1).await?;
    let content = demo_mark::read(&db).await;
    db.close().await;
    match content? {
        Content::Empty | Content::Demo => {}
        Content::DemoAndMore => {
            let kept = format!("{DATABASE_NAME}_kept_{}", Clock::System.now().format("%Y%m%d_%H%M%S"));
            private_postgres.rename_database(DATABASE_NAME, &kept).await?;
            eprintln!("demo: the database holds data that you added to an earlier demo; it is kept as {kept}");
        }
        Content::UsersOwn => {
            return Err(UserError::new(
                format!("the private database in {} holds data that is not the demo's", cli.data_dir.display()),
                "give the demo a directory of its own with --data-dir",
            )
            .into());
        }
    }
    private_postgres.recreate_database(DATABASE_NAME).await?;
    let db = database::connect(&url, CONNECTIONS).await?;
    database::migrate(&db).await?;
    demo_mark::put(&db).await?;
    Ok(db)
}

/// Returns the moments of the weekly collections, the last of them on the Sunday that is over now.
fn collection_times(weeks: u16) -> Vec<DateTime<Utc>> {
    let last_sunday = week_start(Clock::System.now().date_naive() - Days::new(1));
    (0..u64::from(weeks))
        .rev()
        .map(|weeks_back| (last_sunday - Days::new(7 * weeks_back)).and_time(COLLECT_AT).and_utc())
        .collect()
}

fn demo_environment(sandbox: &Sandbox) -> Environment {
    let limits = |operations: &[&str]| {
        operations.iter().map(|operation| format!("{operation}=10000:10000")).collect::<Vec<_>>().join(",")
    };
    Environment::default().with(sandbox.settings()).with([
        ("DIGITALLZ_AMAZON_LIMITS", limits(&["searchCatalogItems", "createReport", "getReport", "getReportDocument"])),
        ("DIGITALLZ_ETSY_LIMITS", limits(&["any"])),
        ("DIGITALLZ_EBAY_LIMITS", limits(&["browse", "browse.items"])),
        ("DIGITALLZ_AMAZON_REPORT_POLL_SECONDS", "0".to_owned()),
    ])
}

async fn import_keywords(db: &PgPool, per_marketplace: u16, now: DateTime<Utc>) -> anyhow::Result<usize> {
    let mut entries = Vec::new();
    for (marketplace, pretend) in Marketplace::ALL.into_iter().zip([
        digitallz_sandbox::Marketplace::Amazon,
        digitallz_sandbox::Marketplace::Etsy,
        digitallz_sandbox::Marketplace::Ebay,
    ]) {
        let site = Site::new(marketplace, "US")?;
        for text in digitallz_sandbox::keywords(pretend).into_iter().take(usize::from(per_marketplace)) {
            let keyword = Keyword::parse(text)?;
            entries.push(Entry::new(site.clone(), keyword, text));
        }
    }
    keywords::import(db, &entries, false, now).await?;
    Ok(entries.len())
}

/// Makes one weekly schedule per site; the first of its moments is `first`.
async fn make_schedules(db: &PgPool, first: DateTime<Utc>) -> anyhow::Result<()> {
    let weekly = Rhythm::parse("0 6 * * SUN", "UTC")?;
    let just_before = first - chrono::Duration::seconds(1);
    let mut connection = db.acquire().await?;
    for marketplace in Marketplace::ALL {
        let action = Action::Crawl(Site::new(marketplace, "US")?);
        let schedule = Definition {
            // A week begins while the last answers of the one before are still being read.
            overlap: OverlapPolicy::Allow,
            ..Definition::new(&format!("weekly-{marketplace}-us"), action, weekly.clone())
        };
        table::insert(&mut connection, &schedule, Origin::Settings, just_before).await?;
    }
    Ok(())
}

/// Lets the weeks go by: the schedules fire, and a week is over when its questions are answered.
async fn collect(db: &PgPool, clock: &Clock, sandbox: &Sandbox, weeks: &[DateTime<Utc>]) -> anyhow::Result<()> {
    let mut progress = Progress::start("weeks", weeks.len() as u64);
    for (index, week) in weeks.iter().enumerate() {
        clock.set(*week);
        sandbox.set_now(*week);
        scheduler::tick(db, *week).await?;
        wait_until_idle(db, &["plan", "fetch.amazon", "fetch.etsy", "fetch.ebay"]).await?;
        let message = format!("week of {} collected", week.date_naive());
        progress.set(index as u64 + 1, weeks.len() as u64, &message);
    }
    wait_until_idle(db, &["process"]).await?;
    progress.finish();
    Ok(())
}

/// Trains and predicts, through schedules that fall due now.
async fn score(db: &PgPool, clock: &Clock) -> anyhow::Result<()> {
    eprintln!("demo: training and backtesting the models");
    let hourly = Rhythm::parse("0 * * * *", "UTC")?;
    for (name, action) in [("train", Action::Train), ("score", Action::Score)] {
        let now = clock.now() + chrono::Duration::hours(1);
        let mut connection = db.acquire().await?;
        let schedule = Definition::new(name, action, hourly.clone());
        table::insert(&mut connection, &schedule, Origin::Settings, clock.now()).await?;
        drop(connection);
        clock.set(now);
        scheduler::tick(db, now).await?;
        wait_until_idle(db, &["score"]).await?;
        table::pause(&mut *db.acquire().await?, name, "the demo trains and predicts once").await?;
    }
    Ok(())
}

/// Loads what the demand of every keyword was over the last 52 weeks. Of ranks the logarithm is taken, turned upside down.
async fn histories(db: &PgPool) -> Result<Vec<History>, sqlx::Error> {
    sqlx::query_as!(
        History,
        r#"select keyword_text as keyword, marketplace,
                  array_agg(case metric when 'search_frequency_rank' then -ln(value) else value end
                            order by week_start_date) as "values!: Vec<Option<f64>>"
           from core.weekly_demand join core.keywords using (keyword_id)
           where week_start_date > (select max(week_start_date) - 364 from core.weekly_demand)
             and (week_start_date - date '2000-01-02') / 7 % 2 = 0
           group by keyword_id, keyword_text, marketplace"#
    )
    .fetch_all(db)
    .await
}

async fn wait_until_idle(db: &PgPool, queues: &[&str]) -> anyhow::Result<()> {
    let queues: Vec<String> = queues.iter().map(|&queue| queue.to_owned()).collect();
    loop {
        let is_busy = sqlx::query_scalar!(
            r#"select exists (
                   select from ops.jobs where state in ('ready', 'running') and queue_name = any($1)) as "is_busy!""#,
            &queues
        )
        .fetch_one(db)
        .await?;
        if !is_busy {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn print_outcome(cli: &Cli, outcome: &Outcome) -> anyhow::Result<()> {
    if cli.json {
        return output::print_json(&json!({ "demo": outcome }));
    }
    let sums = &outcome.sums;
    let thousands = output::thousands;
    output::print("\nSummary")?;
    for (label, text) in [
        ("crawl runs", thousands(sums.run_count)),
        ("jobs", format!("{} done, {} dead letters", thousands(sums.done_job_count), sums.dead_letter_count)),
        ("requests", thousands(sums.request_count)),
        (
            "raw payloads",
            format!(
                "{}: {} processed, {} quarantined",
                thousands(sums.payload_count),
                thousands(sums.processed_payload_count),
                sums.quarantined_payload_count
            ),
        ),
        ("observations", thousands(sums.observation_count)),
        ("SERP entries", thousands(sums.serp_entry_count)),
        ("quarantined rows", thousands(sums.quarantined_row_count)),
        ("accounts close", if sums.is_closed { "yes" } else { "NO" }.to_owned()),
        (
            "time",
            format!(
                "{:.0} s to collect and process {} weeks, {:.0} s to train, backtest and predict",
                outcome.collect_seconds, outcome.week_count, outcome.score_seconds
            ),
        ),
    ] {
        output::print(&format!("  {label:17} {text}"))?;
    }
    if outcome.models.is_empty() {
        return output::print("\nNo predictions: a model needs 12 weeks of history.");
    }
    print_predictions(&outcome.predictions, &outcome.histories)?;
    print_models(&outcome.models)
}

/// A keyword with its predictions side by side.
struct Line<'a> {
    history: String,
    now: &'a PredictionRow,
    in_4: Option<&'a PredictionRow>,
    in_8: Option<&'a PredictionRow>,
    competition: Option<&'a PredictionRow>,
}

fn print_predictions(rows: &[PredictionRow], histories: &[History]) -> anyhow::Result<()> {
    let find = |now: &PredictionRow, kind: &str, weeks: i32| {
        rows.iter().find(|row| {
            row.keyword == now.keyword
                && row.marketplace == now.marketplace
                && row.target_kind == kind
                && row.horizon_weeks == weeks
        })
    };
    for marketplace in Marketplace::ALL {
        let lines: Vec<Line> = rows
            .iter()
            .filter(|row| {
                row.marketplace == marketplace.name() && row.target_kind == "demand" && row.horizon_weeks == 1
            })
            .take(SHOWN_KEYWORDS)
            .map(|now| Line {
                history: drawn_history(now, histories),
                now,
                in_4: find(now, "demand", 4),
                in_8: find(now, "demand", 8),
                competition: find(now, "competition", 4),
            })
            .collect();
        let Some(first) = lines.first() else { continue };
        let metric = first.now.target_metric.replace('_', " ");
        let unit = if first.now.unit == "rank" { "1 is the most searched" } else { &first.now.unit };
        output::print(&format!("\nPredictions, {marketplace}: {metric} ({unit}), with 80 % interval"))?;
        let drawn = output::table(
            &lines,
            &[
                output::text("KEYWORD", |line: &Line| line.now.keyword.clone()),
                output::text("LAST 52 WEEKS", |line: &Line| line.history.clone()),
                output::number("NOW", |line: &Line| figure(line.now.current_value)),
                output::number("IN 4 WEEKS", |line: &Line| with_interval(line.in_4)),
                output::number("IN 8 WEEKS", |line: &Line| with_interval(line.in_8)),
                output::text("DIRECTION", |line: &Line| {
                    line.in_8.and_then(|row| row.trend_class.clone()).unwrap_or_else(|| "unknown".to_owned())
                }),
                output::text("COMPETITION", |line: &Line| competition(line.competition)),
            ],
        );
        output::print(&drawn)?;
    }
    Ok(())
}

fn print_models(models: &[ModelSummary]) -> anyhow::Result<()> {
    let error = |error: Option<f64>| error.map_or_else(|| "-".to_owned(), |error| format!("{error:.3}"));
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    output::print("\nBacktest: mean absolute error in units of the mean weekly change, horizons 1 to 8 weeks")?;
    let drawn = output::table(
        models,
        &[
            output::text("MODEL", |row: &ModelSummary| format!("{} {}", row.marketplace, row.model_name)),
            output::text("ALGORITHM", |row: &ModelSummary| row.algorithm.clone()),
            output::number("ERROR", move |row: &ModelSummary| error(row.model_error)),
            output::number("SEASONAL NAIVE", move |row: &ModelSummary| error(row.naive_error)),
            output::number("RATIO", move |row: &ModelSummary| error(row.ratio)),
            output::number("80 % COVERS", move |row: &ModelSummary| percent(row.coverage_80)),
            output::number("95 % COVERS", move |row: &ModelSummary| percent(row.coverage_95)),
        ],
    );
    output::print(&drawn)
}

fn print_next_steps(cli: &Cli, directory: &str) -> anyhow::Result<()> {
    let program = std::env::args().next().unwrap_or_else(|| "digitallz".to_owned());
    let data_dir = if cli.data_dir.as_os_str() == ".digitallz" {
        String::new()
    } else {
        format!(" --data-dir {}", cli.data_dir.display())
    };
    output::print(&format!(
        "\nNext (the private Postgres is in {directory}):
  psql \"$({program}{data_dir} db url)\" -c \"select keyword_text, marketplace, target_date, predicted_value, lo_80, hi_80, trend_class
    from analytics.keyword_predictions_v1 where is_latest and target_kind = 'demand' and horizon_days = 28 order by 2, 1\"
  {program}{data_dir} predictions list --marketplace etsy --horizon-weeks 8
  {program}{data_dir} runs show
  {program}{data_dir} db stop"
    ))
}

fn drawn_history(row: &PredictionRow, histories: &[History]) -> String {
    let history =
        histories.iter().find(|history| history.keyword == row.keyword && history.marketplace == row.marketplace);
    history.map_or_else(String::new, |history| output::sparkline(&history.values))
}

fn with_interval(row: Option<&PredictionRow>) -> String {
    match row {
        Some(row) if row.predicted_value.is_some() => {
            format!("{} ({} to {})", figure(row.predicted_value), figure(row.lo_80), figure(row.hi_80))
        }
        Some(row) => row.abstain_reason.clone().unwrap_or_else(|| "-".to_owned()),
        None => "-".to_owned(),
    }
}

fn competition(row: Option<&PredictionRow>) -> String {
    match row {
        Some(PredictionRow { competition_level: Some(level), predicted_value: Some(score), .. }) => {
            format!("{level} ({score:.2})")
        }
        _ => "-".to_owned(),
    }
}
