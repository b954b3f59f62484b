//! Progress of long work on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows how far a piece of work has come.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    total: u64,
    position: u64,
    last_line_at: u64,
}

impl Progress {
    /// Starts to show `total` steps.
    pub fn start(label: &str, total: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:>10} [{bar:30}] {pos}/{len} {elapsed} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            let bar = ProgressBar::new(total).with_style(style).with_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Progress { bar, label: label.to_owned(), total, position: 0, last_line_at: 0 }
    }

    /// Moves to a step and says what is going on.
    pub fn set(&mut self, position: u64, total: u64, message: &str) {
        self.position = position;
        self.total = total;
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(position);
                bar.set_message(message.to_owned());
            }
            None => {
                let step = (total / 10).max(1);
                if position >= self.last_line_at + step || (position == total && self.last_line_at != total) {
                    self.last_line_at = position;
                    eprintln!("{}: {position}/{total} {message}", self.label);
                }
            }
        }
    }

    /// Ends the display.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
            eprintln!("{}: {}/{}", self.label, self.position, self.total);
        }
    }
}
