//! How commands end: exit codes, and errors that say what to do next.

use std::process::ExitCode;

use digitallz_common::database::DatabaseError;

use crate::postgres::PostgresError;
use crate::settings::SettingsError;

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;
const SOURCE_BLOCKED: u8 = 4;
const OVER_BUDGET: u8 = 5;
const TRY_LATER: u8 = 75;

/// How a command ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All was done.
    Done,
    /// Some of it did not succeed; what and why was printed.
    PartlyDone,
    /// Nothing succeeded; what and why was printed.
    Failed,
    /// It is not done yet; the same command may succeed later.
    TryLater,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> ExitCode {
        ExitCode::from(match ending {
            Ending::Done => 0,
            Ending::Failed => 1,
            Ending::PartlyDone => 3,
            Ending::TryLater => TRY_LATER,
        })
    }
}

/// An error that a user made and can mend.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UserError {
    message: String,
    next_step: String,
    exit_code: u8,
}

impl UserError {
    /// Says what is wrong and what to do about it.
    pub fn new(message: impl Into<String>, next_step: impl Into<String>) -> UserError {
        UserError { message: message.into(), next_step: next_step.into(), exit_code: FAILED }
    }

    /// Says that a command line that can be read does not make sense, which has an exit code of its own.
    pub fn usage(message: impl Into<String>, next_step: impl Into<String>) -> UserError {
        UserError { exit_code: WRONG_USAGE, ..UserError::new(message, next_step) }
    }

    /// Says that a source may not be asked, which has an exit code of its own.
    pub fn blocked(message: impl Into<String>, next_step: impl Into<String>) -> UserError {
        UserError { exit_code: SOURCE_BLOCKED, ..UserError::new(message, next_step) }
    }

    /// Says that more would be spent than there is, which has an exit code of its own.
    pub fn over_budget(message: impl Into<String>, next_step: impl Into<String>) -> UserError {
        UserError { exit_code: OVER_BUDGET, ..UserError::new(message, next_step) }
    }
}

/// Prints an error on one line, the next step on another, and returns the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", digitallz_common::failure::chain(error.as_ref()));
    if let Some(user_error) = error.downcast_ref::<UserError>() {
        eprintln!("  next: {}", user_error.next_step);
        return ExitCode::from(user_error.exit_code);
    }
    if error.downcast_ref::<SettingsError>().is_some() {
        eprintln!("  next: correct the setting; `digitallz config check` lists all of them");
        return ExitCode::from(FAILED);
    }
    if let Some(DatabaseError::Connect { .. }) = error.downcast_ref::<DatabaseError>() {
        eprintln!(
            "  next: check that the server runs and DATABASE_URL is right, or unset DATABASE_URL to use a private one"
        );
        return ExitCode::from(TRY_LATER);
    }
    if let Some(DatabaseError::Url(_)) = error.downcast_ref::<DatabaseError>() {
        eprintln!("  next: write DATABASE_URL as postgres://user:password@host:port/database");
        return ExitCode::from(FAILED);
    }
    if let Some(PostgresError::File { .. }) = error.downcast_ref::<PostgresError>() {
        eprintln!("  next: choose a directory that you may write with --data-dir, or set DATABASE_URL");
        return ExitCode::from(FAILED);
    }
    ExitCode::from(FAILED)
}
