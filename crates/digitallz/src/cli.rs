//! The command line: every command with its options, and nothing of what they do.

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use digitallz_common::jobs::Queue;
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::source_contract::Mode;
use digitallz_processor::tables::dates::DateOrder;
use digitallz_processor::tables::decoding::Encoding;
use digitallz_processor::tables::numbers::DecimalMark;
use digitallz_scorer::target::ModelName;
use uuid::Uuid;

use crate::series_file::Frequency;

const EXIT_CODES: &str = "Exit codes:
  0   done
  1   failed
  2   wrong usage: unknown command, option or value
  3   partly done: some jobs or entries did not succeed, the rest did
  4   a source is blocked or paused
  5   over budget
  75  try later: the database cannot be reached, or a wait ran out of time

Data goes to standard output, talk to standard error. `--json` makes data machine readable.";

/// Keyword data of Amazon, Etsy and eBay: collect, normalise, predict.
#[derive(Debug, Parser)]
#[command(name = "digitallz", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// Directory of the private Postgres that is used when DATABASE_URL is not set.
    #[arg(long, global = true, value_name = "DIR", env = "DIGITALLZ_DATA_DIR", default_value = ".digitallz")]
    pub data_dir: PathBuf,

    /// File of settings, one NAME=value a line, taken over those of the environment.
    #[arg(long, global = true, value_name = "FILE", env = "DIGITALLZ_ENV_FILE")]
    pub env_file: Option<PathBuf>,

    /// Print data as JSON.
    #[arg(long, global = true)]
    pub json: bool,

    /// What to log, for example `info` or `digitallz_collector=debug`.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "DIGITALLZ_LOG",
        default_value = "warn,sqlx::postgres::notice=error"
    )]
    pub log: String,

    /// Form of the log lines.
    #[arg(long, global = true, value_enum, env = "DIGITALLZ_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play one or more roles until stopped; all of them when none is named.
    Run {
        /// Roles to play.
        #[arg(value_enum)]
        roles: Vec<Role>,
    },
    /// Bring the database to the version of this program.
    Migrate,
    /// Run the whole pipeline in time-lapse on pretend marketplaces and show what comes out.
    Demo(DemoArgs),
    /// Run pretend marketplaces and print the settings that point the collectors at them.
    Sandbox(SandboxArgs),
    /// The private Postgres, and what the tables hold.
    #[command(subcommand)]
    Db(DbCommand),
    /// Keywords to follow.
    #[command(subcommand)]
    Keywords(KeywordsCommand),
    /// Collect now.
    #[command(subcommand)]
    Crawl(CrawlCommand),
    /// When to crawl, train, predict and delete.
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    /// Crawl runs and their sums.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// What the views show: crawl runs that were checked, then published or held back.
    #[command(subcommand)]
    Publications(PublicationsCommand),
    /// Jobs, their attempts and dead letters.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Bring recorded answers in and process them like any other.
    Ingest(IngestArgs),
    /// Read stored answers again with the reader of this program, and put what differs in its place.
    Reprocess(ReprocessArgs),
    /// Bring in data that you have: exports of Seller Central, Google Trends and Keyword Planner, or series of your own.
    Import(ImportArgs),
    /// Estimates of search volume: what your own data says of their error.
    #[command(subcommand)]
    Calibration(CalibrationCommand),
    /// The models: versions, backtests, and which of them predict.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// The competition score: its definitions, and what a switch between them would move.
    #[command(subcommand)]
    Score(ScoreCommand),
    /// Predictions of demand, competition and entry, and what came of earlier ones.
    #[command(subcommand)]
    Predictions(PredictionsCommand),
    /// Predict series of your own, from a file to a file; needs no database.
    Forecast(SeriesForecastArgs),
    /// Predict a training file of series and hold it against what came, beside naive, seasonal naive and theta.
    Evaluate(EvaluateArgs),
    /// What could not be read: payloads, rows and values that were set aside.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// The marketplaces: their terms, what is kept of them, contracts, drift, pauses and health.
    #[command(subcommand)]
    Sources(SourcesCommand),
    /// Look for what is missing or wrong.
    Doctor {
        /// Do not ask the marketplaces what their credentials are granted, which takes a request for each token.
        #[arg(long)]
        offline: bool,
    },
    /// The settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// A part that one process can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Turns due schedules into crawl runs, trainings and scorings.
    Scheduler,
    /// Plans crawl runs and asks marketplaces.
    Collector,
    /// Reads raw payloads.
    Processor,
    /// Trains models and predicts.
    Scorer,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Scheduler, Role::Collector, Role::Processor, Role::Scorer];
}

/// Options of the demo.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keywords per marketplace.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=40))]
    pub keywords: u16,
    /// Weekly collections.
    #[arg(long, default_value_t = 104, value_parser = clap::value_parser!(u16).range(1..=208))]
    pub weeks: u16,
    /// Seed of the pretend world.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

/// Options of the sandbox.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Seed of the world: the same seed and time give the same answers.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Multiplies every limit of the pretend marketplaces.
    #[arg(long, default_value_t = 1.0)]
    pub limit_factor: f64,
    /// Ports for Amazon, Etsy and eBay; 0 takes a free one.
    #[arg(long, value_delimiter = ',', num_args = 3, default_values_t = [0, 0, 0])]
    pub ports: Vec<u16>,
    /// Makes Amazon's search terms documents at least so many unpacked bytes long.
    #[arg(long, value_name = "BYTES")]
    pub report_document_bytes: Option<u64>,
    /// Time at which the world stands still, RFC 3339; without it the world follows the real clock.
    #[arg(long)]
    pub now: Option<chrono::DateTime<chrono::Utc>>,
}

/// The database, private or not.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Print the connection string; starts the private Postgres and leaves it running.
    Url,
    /// Stop the private Postgres.
    Stop,
    /// Print every table and view with its columns and what they mean.
    Dictionary,
    /// Print a hash of what each table of readings says, equal wherever and however often the same answers were read.
    Hash,
}

/// Keywords to follow.
#[derive(Debug, Subcommand)]
pub enum KeywordsCommand {
    /// Add keywords from a file: one a line, or CSV with a header naming `keyword`, `marketplace`, `market`, `tags`
    /// (separated by semicolons), `weight`.
    Import {
        /// The file; `-` reads standard input.
        file: PathBuf,
        /// Marketplace of lines that name none.
        #[arg(long)]
        marketplace: Option<Marketplace>,
        /// Market of lines that name none.
        #[arg(long, default_value = "US")]
        market: String,
        /// Tag of all of them, besides those of the file; may be repeated.
        #[arg(long)]
        tag: Vec<String>,
        /// Check the file and say what would be added.
        #[arg(long)]
        dry_run: bool,
    },
    /// List keywords.
    List {
        /// Only this marketplace.
        #[arg(long)]
        marketplace: Option<Marketplace>,
        /// Only this market.
        #[arg(long)]
        market: Option<String>,
        /// Only keywords with this tag.
        #[arg(long)]
        tag: Option<String>,
        /// Only keywords that differ from this one in accents, plural and punctuation at most.
        #[arg(long, value_name = "KEYWORD")]
        like: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 1000)]
        limit: u32,
    },
    /// Read the original texts of keywords anew where this program reads them otherwise than the one that stored them, and
    /// say what changes, merges, or is no keyword any more.
    Reread {
        /// Say what would become of them.
        #[arg(long)]
        dry_run: bool,
        /// Who does it.
        #[arg(long, value_name = "NAME", default_value = "operator")]
        by: String,
    },
    /// Give a tag to keywords.
    Tag(TagArgs),
    /// Take a tag from keywords.
    Untag(TagArgs),
}

/// Options of `keywords tag` and `keywords untag`.
#[derive(Debug, Args)]
pub struct TagArgs {
    /// The tag.
    pub tag: String,
    /// The keyword; may be repeated.
    #[arg(long, value_name = "TEXT", required_unless_present = "all")]
    pub keyword: Vec<String>,
    /// All keywords of the marketplace and market.
    #[arg(long, conflicts_with = "keyword")]
    pub all: bool,
    /// Only of this marketplace.
    #[arg(long)]
    pub marketplace: Option<Marketplace>,
    /// Only of this market.
    #[arg(long)]
    pub market: Option<String>,
}

/// What the views show.
#[derive(Debug, Subcommand)]
pub enum PublicationsCommand {
    /// List crawl runs that were published or held back, the latest first.
    List {
        /// Only those that are held back.
        #[arg(long)]
        held: bool,
        /// Only of this marketplace.
        #[arg(long)]
        marketplace: Option<Marketplace>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show the checks of a crawl run.
    Show {
        /// The crawl run.
        run: Uuid,
    },
    /// Publish a crawl run in spite of its checks.
    Publish(PublicationDecision),
    /// Hold a crawl run back; the views show what was published before.
    Hold(PublicationDecision),
}

/// What an operator decides about a crawl run.
#[derive(Debug, Args)]
pub struct PublicationDecision {
    /// The crawl run.
    pub run: Uuid,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who does it.
    #[command(flatten)]
    pub actor: Actor,
}

/// Options of `reprocess`: answers to which everything given applies.
#[derive(Debug, Args)]
pub struct ReprocessArgs {
    /// Only this answer; may be repeated.
    #[arg(long, value_name = "ID")]
    pub payload: Vec<i64>,
    /// Only answers of this marketplace.
    #[arg(long)]
    pub marketplace: Option<Marketplace>,
    /// Only answers of this kind.
    #[arg(long)]
    pub resource: Option<Resource>,
    /// Only answers that arrived since then: a date, a moment, or a time ago such as 2d.
    #[arg(long, value_name = "SINCE")]
    pub since: Option<String>,
    /// Only answers that this version of the reader read, or an older one.
    #[arg(long, value_name = "NUMBER")]
    pub version: Option<i16>,
    /// All answers that are still kept.
    #[arg(long, conflicts_with_all = ["payload", "marketplace", "resource", "since", "version"])]
    pub all: bool,
    /// Say what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// Who does it.
    #[command(flatten)]
    pub actor: Actor,
}

/// Collect now.
#[derive(Debug, Subcommand)]
pub enum CrawlCommand {
    /// Make a crawl run at once, ahead of the scheduled ones.
    Now {
        /// Marketplace to ask.
        #[arg(long)]
        marketplace: Marketplace,
        /// Market to ask.
        #[arg(long, default_value = "US")]
        market: String,
        /// Keyword to ask for; may be repeated.
        #[arg(long, value_name = "TEXT")]
        keyword: Vec<String>,
        /// File of keywords, as for `keywords import`.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Wait until the run is done; does the work itself when no worker is running.
        #[arg(long)]
        wait: bool,
        /// Say what would be asked.
        #[arg(long)]
        dry_run: bool,
    },
    /// Say what a crawl would ask, cost and take, and write it down for `crawl apply`.
    Plan(Box<PlanArgs>),
    /// Do what a plan says, unless the world has changed since or the quotas do not suffice.
    Apply(ApplyArgs),
    /// Say how often the quotas let every keyword be refreshed, what is overdue, and when the target breaks.
    Forecast(ForecastArgs),
}

/// Options of `crawl plan`: keywords to which everything given applies; all active ones when nothing is.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Only this marketplace.
    #[arg(long)]
    pub marketplace: Option<Marketplace>,
    /// Only this market.
    #[arg(long)]
    pub market: Option<String>,
    /// Only this keyword; may be repeated.
    #[arg(long, value_name = "TEXT")]
    pub keyword: Vec<String>,
    /// Only the keywords of a file, as for `keywords import`.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only keywords with this tag; may be repeated, then with one of them.
    #[arg(long)]
    pub tag: Vec<String>,
    /// Only keywords without a good observation within this time, for example 7d.
    #[arg(long, value_name = "TIME", value_parser = crate::age::parse)]
    pub stale: Option<Duration>,
    /// Only keywords whose last question since then was given up: a date, a moment, or a time ago such as 2d.
    #[arg(long, value_name = "SINCE")]
    pub failed_since: Option<String>,
    /// Only keywords of which a question of this crawl run was given up.
    #[arg(long, value_name = "RUN", requires = "failed_only")]
    pub run: Option<Uuid>,
    /// See --run.
    #[arg(long, requires = "run")]
    pub failed_only: bool,
    /// Backfill: the weeks of a date range for which keywords have no data, where a marketplace tells of the past.
    #[arg(long, requires = "from", requires = "to", conflicts_with_all = ["stale", "failed_since", "run"])]
    pub missing: bool,
    /// First day of the backfill.
    #[arg(long, value_name = "DATE", requires = "missing")]
    pub from: Option<NaiveDate>,
    /// Last day of the backfill.
    #[arg(long, value_name = "DATE", requires = "missing")]
    pub to: Option<NaiveDate>,
    /// At most so many crawl runs of a backfill, the latest weeks first.
    #[arg(long, requires = "missing", value_parser = clap::value_parser!(u32).range(1..))]
    pub cap: Option<u32>,
    /// Kinds of data to ask for; without it those of the settings.
    #[arg(long, value_delimiter = ',')]
    pub resources: Vec<Resource>,
    /// Most requests that may be spent.
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub budget: Option<u32>,
    /// File to write the plan to.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Options of `crawl apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The plan, as `crawl plan --out` wrote it.
    pub plan: PathBuf,
    /// Wait until its runs are done; does the work itself when no worker is running.
    #[arg(long)]
    pub wait: bool,
    /// Who applies it; kept among the audit events.
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub by: String,
    /// Where the quotas do not suffice for all, do as much as they allow instead of nothing.
    #[arg(long)]
    pub allow_partial: bool,
}

/// Options of `crawl forecast`.
#[derive(Debug, Args)]
pub struct ForecastArgs {
    /// How old the data of a keyword may become.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = crate::age::parse)]
    pub target: Duration,
    /// Only this marketplace.
    #[arg(long)]
    pub marketplace: Option<Marketplace>,
}

/// When to crawl, train, predict and delete.
#[derive(Debug, Subcommand)]
pub enum SchedulesCommand {
    /// List schedules with what is due next, what fired last and how much was missed.
    List,
    /// Show a schedule with its next five due moments.
    Show {
        /// Its name.
        name: String,
    },
    /// Bring schedules to what a file says; a second time changes nothing.
    Apply {
        /// The file, such as deploy/schedules.example.toml.
        file: PathBuf,
        /// Say what would change.
        #[arg(long)]
        dry_run: bool,
        /// Remove schedules that a file made and this one does not name; pause those that started crawl runs.
        #[arg(long)]
        prune: bool,
        /// Who does it.
        #[command(flatten)]
        actor: Actor,
    },
    /// Keep a schedule from firing.
    Pause {
        /// Which ones.
        #[command(flatten)]
        selection: ScheduleSelection,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who does it.
        #[command(flatten)]
        actor: Actor,
    },
    /// Let a paused schedule fire again, from its next moment on.
    Resume {
        /// Which ones.
        #[command(flatten)]
        selection: ScheduleSelection,
        /// Make up for what fell due during the pause, as its missed-run policy and catch-up window say.
        #[arg(long)]
        catch_up: bool,
        /// Who does it.
        #[command(flatten)]
        actor: Actor,
    },
    /// Fire a schedule now, besides its rhythm and ahead of what is scheduled.
    Trigger {
        /// Its name.
        name: String,
        /// Who does it.
        #[command(flatten)]
        actor: Actor,
    },
}

/// Which schedules to act on.
#[derive(Debug, Args)]
#[group(required = true)]
pub struct ScheduleSelection {
    /// Names of schedules.
    pub names: Vec<String>,
    /// All schedules.
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
}

/// Who does something that the audit trail keeps.
#[derive(Debug, Args)]
pub struct Actor {
    /// Who does it, for the audit trail.
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    pub by: String,
}

/// Crawl runs and their sums.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List crawl runs, the newest first.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show one crawl run with the sums of its jobs, payloads and observations.
    Show {
        /// Its identifier; without one the sums over all runs.
        crawl_run_id: Option<Uuid>,
    },
    /// Cancel a crawl run: waiting questions are discarded, running ones are followed by no other.
    Cancel {
        /// Its identifier.
        crawl_run_id: Uuid,
        /// Who cancels it; kept with the run and among the audit events.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Say how many jobs would be discarded.
        #[arg(long)]
        dry_run: bool,
    },
    /// Wait until nothing of a crawl run is open: ends with 0 when all is done, 3 when some of it is dead or discarded.
    Wait {
        /// Its identifier.
        crawl_run_id: Uuid,
        /// Give up waiting after this time, for example 10m; ends with 75.
        #[arg(long, value_name = "TIME", value_parser = crate::age::parse)]
        timeout: Option<Duration>,
    },
}

/// Jobs, their attempts and dead letters.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List jobs, the newest first.
    List {
        /// Which.
        #[command(flatten)]
        filter: JobFilterArgs,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a job with all of its attempts.
    Show {
        /// Its identifier.
        job_id: Uuid,
    },
    /// Run dead, discarded or waiting jobs at once, with all their tries.
    Retry(JobSelection),
    /// End dead or waiting jobs for good.
    Discard(JobSelection),
    /// Delete the history of jobs that ended long ago; sums of crawl runs stay right.
    Prune {
        /// How long ago, for example 90d; as DIGITALLZ_JOB_RETENTION_DAYS says when not given.
        #[arg(long, value_name = "TIME", value_parser = crate::age::parse)]
        older_than: Option<Duration>,
        /// Say how much would be deleted.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which jobs to act on: those named, or those to which every given filter applies.
#[derive(Debug, Args)]
pub struct JobSelection {
    /// Identifiers of jobs.
    pub job_ids: Vec<Uuid>,
    /// All jobs with an open dead letter.
    #[arg(long, conflicts_with_all = ["job_ids", "state"])]
    pub all_dead: bool,
    /// Which; without --state the dead ones, to discard also the waiting ones.
    #[command(flatten)]
    pub filter: JobFilterArgs,
    /// At most so many, the newest first.
    #[arg(long)]
    pub limit: Option<u32>,
    /// Say which jobs would be changed.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before more than 100 jobs are changed.
    #[arg(long)]
    pub yes: bool,
}

/// Filters of jobs.
#[derive(Debug, Args)]
pub struct JobFilterArgs {
    /// Only this state.
    #[arg(long, value_enum)]
    pub state: Option<JobState>,
    /// Only of this crawl run.
    #[arg(long)]
    pub run: Option<Uuid>,
    /// Only in this queue: plan, fetch.amazon, fetch.etsy, fetch.ebay, process, score.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Queue::ALL.map(Queue::name)))]
    pub queue: Option<String>,
    /// Only of crawl runs on this marketplace.
    #[arg(long)]
    pub marketplace: Option<Marketplace>,
    /// Only about this resource.
    #[arg(long)]
    pub resource: Option<Resource>,
    /// Only with this text in the cause of the last failed try.
    #[arg(long, value_name = "TEXT")]
    pub cause: Option<String>,
    /// Only enqueued so long ago, for example 2h.
    #[arg(long, value_name = "TIME", value_parser = crate::age::parse)]
    pub older_than: Option<Duration>,
}

impl JobFilterArgs {
    /// Tells whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        let JobFilterArgs { state, run, queue, marketplace, resource, cause, older_than } = self;
        state.is_none()
            && run.is_none()
            && queue.is_none()
            && marketplace.is_none()
            && resource.is_none()
            && cause.is_none()
            && older_than.is_none()
    }
}

/// State of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum JobState {
    /// Waiting or due.
    Ready,
    /// Running.
    Running,
    /// Done.
    Done,
    /// Given up.
    Dead,
    /// Ended by an operator.
    Discarded,
}

/// Options of `ingest`.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// HAR 1.2 recordings.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub har: Vec<PathBuf>,
}

/// Options of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file: CSV, tab separated text or Parquet, as it is or in a zip or gzip.
    pub file: PathBuf,
    /// What it holds; `auto` takes what its header says.
    #[arg(long, value_enum, default_value = "auto")]
    pub kind: ImportKind,
    /// Marketplace whose keywords it is about.
    #[arg(long)]
    pub marketplace: Marketplace,
    /// Market whose keywords it is about.
    #[arg(long, default_value = "US")]
    pub market: String,
    /// Say how it is understood and what it would give; store nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Follow its keywords from now on; without it what it says of keywords that are not followed is left aside.
    #[arg(long)]
    pub add_keywords: bool,
    /// How its text is read.
    #[command(flatten)]
    pub text: TextArgs,
    /// Region that the file names and that is to be taken for the market.
    #[arg(long, value_name = "NAME")]
    pub region: Option<String>,
    /// First day of what it is about, where it does not say so.
    #[arg(long, value_name = "DATE", requires = "to")]
    pub from: Option<NaiveDate>,
    /// Last day of the same.
    #[arg(long, value_name = "DATE", requires = "from")]
    pub to: Option<NaiveDate>,
    /// Keep models and calibrations from learning of it.
    #[arg(long)]
    pub no_training: bool,
}

/// How the text of a table is read.
#[derive(Clone, Copy, Debug, Args)]
pub struct TextArgs {
    /// Encoding of the text, such as `windows-1254` or `shift_jis`; `auto` detects it and refuses text of which it is not certain.
    #[arg(long, value_name = "ENCODING", default_value = "auto")]
    pub encoding: Encoding,
    /// Decimal mark of the numbers: `point` (1,234.5), `comma` (1.234,5), or `auto`, by the numbers of the file.
    #[arg(long, value_name = "MARK", default_value = "auto")]
    pub decimal: DecimalMark,
    /// Order of dates such as 4/11/2026: `mdy`, `dmy`, `ymd`, or `auto`, where only one order fits the file.
    #[arg(long, value_name = "ORDER", default_value = "auto")]
    pub date_order: DateOrder,
}

/// How a table of series is read.
#[derive(Clone, Debug, Args)]
pub struct SeriesTableArgs {
    /// Column of the names of series, where it is not named `series` or `unique_id`.
    #[arg(long, value_name = "COLUMN")]
    pub series: Option<String>,
    /// Column of the moments, where it is not named `timestamp`, `ds` or `date`.
    #[arg(long, value_name = "COLUMN")]
    pub timestamp: Option<String>,
    /// Column of the values, where it is not named `value` or `y`.
    #[arg(long, value_name = "COLUMN")]
    pub value: Option<String>,
    /// How its text is read.
    #[command(flatten)]
    pub text: TextArgs,
}

/// Options of `forecast`.
#[derive(Debug, Args)]
pub struct SeriesForecastArgs {
    /// The series, or `-` for standard input: CSV, gzip, zip or Parquet with columns `series,timestamp,value` or `ds,y`, dates down and
    /// series across, or a series a line with its name first, as in the M4 competition.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// How the table is read.
    #[command(flatten)]
    pub table: SeriesTableArgs,
    /// How far apart the points are.
    #[arg(long, value_enum)]
    pub frequency: Frequency,
    /// Steps ahead.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u16).range(1..=400))]
    pub horizon: u16,
    /// Steps of a season; 52 for weeks, 7 for days and 12 for months unless given.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub season: Option<u16>,
    /// Where the forecasts are written, or `-` for standard output: CSV with columns `series,step,point,lo80,hi80,lo95,hi95`.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Seed of what is drawn at random: the same seed gives the same numbers.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The series up to where they are forecast from, in either form that `forecast` reads.
    #[arg(long, value_name = "FILE")]
    pub train: PathBuf,
    /// What came after, of the same series.
    #[arg(long, value_name = "FILE")]
    pub test: PathBuf,
    /// How the tables are read.
    #[command(flatten)]
    pub table: SeriesTableArgs,
    /// How far apart the points are.
    #[arg(long, value_enum, default_value = "weekly")]
    pub frequency: Frequency,
    /// Steps ahead that are measured; all of the test file unless given.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u16).range(1..=400))]
    pub horizon: Option<u16>,
    /// Steps of a season; 52 for weeks, 7 for days and 12 for months unless given.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub season: Option<u16>,
    /// Seed of what is drawn at random.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportKind {
    /// What its header says.
    Auto,
    /// Amazon's Brand Analytics search terms.
    SearchTerms,
    /// Amazon's search query performance.
    SearchQuery,
    /// Google Trends' interest over time.
    Interest,
    /// Google Ads' keyword planner.
    KeywordPlan,
    /// One value a row: keyword, date, metric, value, and where needed unit and period.
    Series,
}

/// Estimates of search volume.
#[derive(Debug, Subcommand)]
pub enum CalibrationCommand {
    /// Fit searches to ranks wherever your own data has both, store the fit, and show its error on held-out keywords.
    Show,
}

/// The models.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the versions of all models with their errors in the backtest and since then, the newest first.
    List {
        /// Which.
        #[command(flatten)]
        filter: ModelFilterArgs,
        /// Only those that predict.
        #[arg(long)]
        champions: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show what a version was made from, how well it did, and why it predicts or does not.
    Show {
        /// Which.
        #[command(flatten)]
        model: ModelArgs,
        /// The version; the one that predicts when none is named.
        version: Option<i32>,
    },
    /// Replay every algorithm at past weeks on what is known now; nothing is stored.
    Backtest {
        /// Which.
        #[command(flatten)]
        filter: ModelFilterArgs,
    },
    /// Train on what is known now; what beats seasonal naive and the champion by more than noise predicts from then on.
    Train {
        /// Which.
        #[command(flatten)]
        filter: ModelFilterArgs,
        /// Do the training of this version again, store nothing, and tell whether the same comes out.
        #[arg(long, value_name = "VERSION", conflicts_with = "dry_run")]
        replay: Option<i32>,
        /// Say what would come out, and store nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Let a version predict, if it beats seasonal naive and the champion by more than noise on what is known now.
    Promote {
        /// Which.
        #[command(flatten)]
        model: ModelArgs,
        /// The version.
        version: i32,
        /// Who does it.
        #[command(flatten)]
        actor: Actor,
        /// Say whether it would be promoted, and why.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take the champion back: the one before it predicts, or another former one.
    Rollback {
        /// Which.
        #[command(flatten)]
        model: ModelArgs,
        /// The former champion that is to predict.
        #[arg(long, value_name = "VERSION")]
        to: Option<i32>,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who does it.
        #[command(flatten)]
        actor: Actor,
        /// Say which version would predict.
        #[arg(long)]
        dry_run: bool,
    },
}

/// One model.
#[derive(Clone, Copy, Debug, Args)]
pub struct ModelArgs {
    /// Marketplace whose keywords it predicts.
    pub marketplace: Marketplace,
    /// What it predicts: demand or competition.
    pub model: ModelName,
}

/// Filters of models.
#[derive(Clone, Copy, Debug, Args)]
pub struct ModelFilterArgs {
    /// Only of this marketplace.
    #[arg(long)]
    pub marketplace: Option<Marketplace>,
    /// Only demand or only competition.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<ModelName>,
}

/// The competition score: its definitions, and what a switch between them would move.
///
/// A version may be shortened: v2 is competition_v2.
#[derive(Debug, Subcommand)]
pub enum ScoreCommand {
    /// List the published definitions; all of them are computed, one is current.
    List,
    /// Print a definition as JSON: components, weights, bounds, cuts between levels.
    Show {
        /// Name of the definition.
        version: String,
    },
    /// Publish a definition of your own, of the form that `show` prints.
    Add {
        /// A name that is free.
        version: String,
        /// A file with the definition.
        file: PathBuf,
        /// What the score means.
        #[arg(long)]
        description: String,
    },
    /// Show which keywords a switch from one definition to another would move, and why.
    Diff {
        /// The one to compare with.
        from: String,
        /// The one that might take its place.
        to: String,
        /// Only this marketplace.
        #[arg(long)]
        marketplace: Option<Marketplace>,
        /// At most so many keywords, those that move most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Make a definition the current one, which keyword data show.
    Use {
        /// Name of the definition.
        version: String,
    },
}

/// Predictions of demand, competition and entry.
#[derive(Debug, Subcommand)]
pub enum PredictionsCommand {
    /// List the latest predictions, each with how earlier ones of its kind came true.
    List {
        /// Only this marketplace.
        #[arg(long)]
        marketplace: Option<Marketplace>,
        /// Only keywords that hold this text.
        #[arg(long)]
        keyword: Option<String>,
        /// Only this horizon.
        #[arg(long, value_name = "WEEKS")]
        horizon_weeks: Option<u8>,
        /// At most so many keywords.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// List how hard it will be for the next newcomers to come up, each with how earlier predictions came true.
    Entry {
        /// Only this marketplace.
        #[arg(long)]
        marketplace: Option<Marketplace>,
        /// Only keywords that hold this text.
        #[arg(long)]
        keyword: Option<String>,
        /// At most so many keywords.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show how predictions came true, by marketplace, target, horizon and length of history.
    Accuracy {
        /// Only this marketplace.
        #[arg(long)]
        marketplace: Option<Marketplace>,
    },
}

/// The marketplaces: their terms, what is kept of them, pauses and health.
#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// List the marketplaces with their terms, policies, pauses and health.
    List,
    /// Show everything about one marketplace.
    Show {
        /// The marketplace.
        marketplace: Marketplace,
    },
    /// Print the terms of use that are to be acknowledged.
    Terms {
        /// The marketplace; all of them when none is named.
        marketplace: Option<Marketplace>,
    },
    /// Acknowledge the terms of use of a marketplace; nothing is collected from it before.
    Acknowledge {
        /// The marketplace.
        marketplace: Marketplace,
        /// Version of the terms that you read, as `sources terms` prints it.
        #[arg(long, value_name = "VERSION")]
        terms: String,
        /// Who acknowledges them.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Set how long data of a marketplace is kept and whether it may train a model.
    Policy(PolicyArgs),
    /// Ask a marketplace nothing, or one market or operation of it, until it is resumed.
    Pause(PauseArgs),
    /// End pauses, those of the circuit breaker included.
    Resume {
        /// The marketplace.
        marketplace: Marketplace,
        /// Only pauses of this market.
        #[arg(long)]
        market: Option<String>,
        /// Only pauses of this operation.
        #[arg(long, value_name = "NAME")]
        operation: Option<String>,
        /// Who resumes it.
        #[arg(long, value_name = "NAME", default_value = "operator")]
        by: String,
        /// Say which pauses would end.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the contracts of a marketplace, or set what becomes of answers that differ from those seen before.
    Contract(ContractArgs),
    /// Show how answers differ from those of the days before.
    Drift {
        /// Only this marketplace.
        marketplace: Option<Marketplace>,
        /// Only since then: a date, a moment, or a time ago such as 2d.
        #[arg(long, value_name = "SINCE", default_value = "30d")]
        since: String,
    },
    /// Delete now what was kept for as long as its source allows.
    Purge {
        /// Say what would be deleted.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Options of `sources policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// How long content of listings is kept, answers about listings included: a number of h or d, or `forever`.
    #[arg(long, value_name = "TIME")]
    pub listing_retention: Option<String>,
    /// How long other answers are kept.
    #[arg(long, value_name = "TIME")]
    pub raw_retention: Option<String>,
    /// How long observations of keywords are kept.
    #[arg(long, value_name = "TIME")]
    pub aggregate_retention: Option<String>,
    /// Whether models may be trained on its data.
    #[arg(long, value_name = "BOOL")]
    pub may_train: Option<bool>,
    /// Who decides.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Say what would be in force.
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `sources contract`; without a mode the contracts are shown.
#[derive(Debug, Args)]
pub struct ContractArgs {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// The kind of data; all that the marketplace offers when none is named.
    pub resource: Option<Resource>,
    /// What becomes of a field that was never seen: evolve, freeze, discard-row or discard-value.
    #[arg(long, value_name = "MODE")]
    pub unknown_fields: Option<Mode>,
    /// What becomes of a field whose type changed: evolve, freeze, discard-row or discard-value.
    #[arg(long, value_name = "MODE")]
    pub types: Option<Mode>,
    /// Who decides.
    #[command(flatten)]
    pub actor: Actor,
    /// Say what would be in force.
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `sources pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// Only this market.
    #[arg(long)]
    pub market: Option<String>,
    /// Only this operation.
    #[arg(long, value_name = "NAME")]
    pub operation: Option<String>,
    /// When it ends by itself, RFC 3339.
    #[arg(long, value_name = "TIME", conflicts_with = "for_time")]
    pub until: Option<chrono::DateTime<chrono::Utc>>,
    /// After how long it ends by itself: a number of m, h or d.
    #[arg(long = "for", value_name = "TIME")]
    pub for_time: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who pauses it.
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub by: String,
    /// Say what would be paused.
    #[arg(long)]
    pub dry_run: bool,
}

/// What could not be read.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List what is quarantined, the latest first.
    List {
        /// Which.
        #[command(flatten)]
        filter: QuarantineFilterArgs,
        /// Those that were discarded, instead of the open ones.
        #[arg(long)]
        discarded: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show everything that is quarantined of a payload, with the rows themselves.
    Show {
        /// The payload.
        payload: i64,
    },
    /// Read payloads again with the current reader and contract, and keep what can be read now.
    Replay {
        /// Which.
        #[command(flatten)]
        selection: QuarantineSelection,
    },
    /// Mark as not worth reading; the answers stay for as long as their source allows.
    Discard {
        /// Which.
        #[command(flatten)]
        selection: QuarantineSelection,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

/// Which quarantined payloads and rows to act on: everything to which every given filter applies.
#[derive(Debug, Args)]
pub struct QuarantineSelection {
    /// Which.
    #[command(flatten)]
    pub filter: QuarantineFilterArgs,
    /// Everything that is open.
    #[arg(long)]
    pub all: bool,
    /// At most so many, the latest first.
    #[arg(long)]
    pub limit: Option<u32>,
    /// Say what would become of them.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before more than 100 are changed.
    #[arg(long)]
    pub yes: bool,
    /// Who does it.
    #[command(flatten)]
    pub actor: Actor,
}

/// Filters of what is quarantined.
#[derive(Debug, Args)]
pub struct QuarantineFilterArgs {
    /// Only of these payloads.
    pub payloads: Vec<i64>,
    /// Only of this marketplace.
    #[arg(long)]
    pub marketplace: Option<Marketplace>,
    /// Only of this resource.
    #[arg(long)]
    pub resource: Option<Resource>,
    /// Only with this text in the reason.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only quarantined since then: a date, a moment, or a time ago such as 2d.
    #[arg(long, value_name = "SINCE")]
    pub since: Option<String>,
    /// Only of this crawl run.
    #[arg(long)]
    pub run: Option<Uuid>,
}

impl QuarantineFilterArgs {
    /// Tells whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        let QuarantineFilterArgs { payloads, marketplace, resource, reason, since, run } = self;
        payloads.is_empty()
            && marketplace.is_none()
            && resource.is_none()
            && reason.is_none()
            && since.is_none()
            && run.is_none()
    }
}

/// The settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check every setting and show what is in force and where it came from.
    Check,
}
