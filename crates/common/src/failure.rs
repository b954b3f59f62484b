//! How a job fails: every failure says what is to become of the job.

use std::error::Error;
use std::time::Duration;

/// The answer a job gives when it could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Try again later, by the clock of the queue; the try counts.
    #[error("{cause}")]
    Retry {
        /// What went wrong, with its whole chain and without secrets.
        cause: String,
    },
    /// Try again after this delay, which was asked for; the try does not count.
    #[error("{cause}")]
    Snooze {
        /// Who asked to wait, and why.
        cause: String,
        /// How long to wait.
        delay: Duration,
    },
    /// Never try again: the job becomes a dead letter.
    #[error("{cause}")]
    GiveUp {
        /// What went wrong, with its whole chain and without secrets.
        cause: String,
    },
}

impl Failure {
    /// A failure that may pass by itself.
    pub fn retry(error: impl Error) -> Failure {
        Failure::Retry { cause: chain(&error) }
    }

    /// A failure that will not pass by itself.
    pub fn give_up(error: impl Error) -> Failure {
        Failure::GiveUp { cause: chain(&error) }
    }

    /// Returns what went wrong.
    pub fn cause(&self) -> &str {
        match self {
            Failure::Retry { cause } | Failure::Snooze { cause, .. } | Failure::GiveUp { cause } => cause,
        }
    }
}

/// The database may come back, so its errors are tried again.
impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure::retry(error)
    }
}

/// Writes an error and everything that caused it on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
