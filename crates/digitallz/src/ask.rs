//! Questions to a person before much is changed.

use std::io::{BufRead, IsTerminal, Write};

use crate::exit::UserError;

/// More things than this are changed only by who says so twice.
pub const UNASKED_MAX: usize = 100;

/// Asks a person on a terminal whether what would happen may; elsewhere there is nobody to ask.
pub fn before(what: &str) -> anyhow::Result<()> {
    let refused = |message: String| UserError::usage(message, "look with --dry-run, then add --yes");
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(refused(what.to_owned()).into());
    }
    eprint!("{what}; go on? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(refused("nothing was changed".to_owned()).into()),
    }
}
