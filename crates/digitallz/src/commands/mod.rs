//! The commands, one file each; `run` hands every command line to its own.

mod calibration;
mod config;
pub mod crawl;
mod database;
pub mod dictionary;
mod doctor;
mod evaluate;
mod forecast;
mod import;
mod ingest;
mod jobs;
pub mod keywords;
mod models;
pub mod predictions;
mod publication_notice;
mod publications;
mod quarantine;
mod reprocess;
mod run;
pub mod runs;
mod sandbox;
mod schedules;
mod score;
pub mod sources;

use crate::cli::{Cli, Command};
use crate::demo;
use crate::exit::Ending;

/// Does what the command line says.
pub async fn run(cli: Cli) -> anyhow::Result<Ending> {
    match &cli.command {
        Command::Run { roles } => run::run(&cli, roles).await,
        Command::Migrate => database::migrate(&cli).await,
        Command::Demo(args) => demo::run(&cli, args).await,
        Command::Sandbox(args) => sandbox::run(&cli, args).await,
        Command::Db(command) => database::run(&cli, command).await,
        Command::Keywords(command) => keywords::run(&cli, command).await,
        Command::Crawl(command) => crawl::run(&cli, command).await,
        Command::Schedules(command) => schedules::run(&cli, command).await,
        Command::Runs(command) => runs::run(&cli, command).await,
        Command::Publications(command) => publications::run(&cli, command).await,
        Command::Jobs(command) => jobs::run(&cli, command).await,
        Command::Ingest(args) => ingest::run(&cli, args).await,
        Command::Reprocess(args) => reprocess::run(&cli, args).await,
        Command::Import(args) => import::run(&cli, args).await,
        Command::Calibration(command) => calibration::run(&cli, command).await,
        Command::Models(command) => models::run(&cli, command).await,
        Command::Score(command) => score::run(&cli, command).await,
        Command::Predictions(command) => predictions::run(&cli, command).await,
        Command::Forecast(args) => forecast::run(&cli, args),
        Command::Evaluate(args) => evaluate::run(&cli, args),
        Command::Quarantine(command) => quarantine::run(&cli, command).await,
        Command::Sources(command) => sources::run(&cli, command).await,
        Command::Doctor { offline } => doctor::run(&cli, *offline).await,
        Command::Config(command) => config::run(&cli, command),
    }
}
