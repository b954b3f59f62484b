//! The edge of Digitallz Keywords: arguments, settings, the private Postgres, the timetable, the roles of the one binary.

mod age;
mod ask;
pub mod cli;
pub mod commands;
pub mod demo;
mod demo_mark;
pub mod exit;
pub mod output;
pub mod postgres;
pub mod progress;
pub mod roles;
pub mod scheduler;
pub mod series_file;
pub mod session;
pub mod settings;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, LogFormat};

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = start_logging(&cli) {
        return exit::report(&error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&error.into()),
    };
    let result = runtime.block_on(commands::run(cli));
    // What still computes was told to stop and can commit nothing any more.
    runtime.shutdown_background();
    match result {
        Ok(ending) => ending.into(),
        Err(error) => exit::report(&error),
    }
}

fn start_logging(cli: &Cli) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&cli.log).map_err(|problem| {
        exit::UserError::new(format!("malformed log filter: {problem}"), "use for example --log info")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match cli.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
