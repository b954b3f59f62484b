//! What an operator says about a schedule: what it starts, when, and by which rules.

use std::fmt;

use chrono::Duration;
use digitallz_common::marketplace::{Resource, Site};

use super::policy::{MissedRunPolicy, OverlapPolicy};
use super::rhythm::Rhythm;

/// What a schedule starts when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A crawl run over the keywords of a site.
    Crawl(Site),
    /// A training of all models.
    Train,
    /// Predictions for all keywords.
    Score,
    /// A deletion of what has been kept for as long as the terms of its source allow.
    Purge,
}

impl Action {
    /// Returns the name used in tables and files.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Crawl(_) => "crawl",
            Action::Train => "train",
            Action::Score => "score",
            Action::Purge => "purge",
        }
    }

    /// Returns the site it is about, if it is about one.
    pub fn site(&self) -> Option<&Site> {
        match self {
            Action::Crawl(site) => Some(site),
            _ => None,
        }
    }
}

/// A schedule as it is defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Name, chosen by the operator.
    pub name: String,
    /// What it starts.
    pub action: Action,
    /// When it falls due.
    pub rhythm: Rhythm,
    /// A run starts within this time after it is due.
    pub jitter: Duration,
    /// Keywords with one of these tags are crawled; none means all active ones.
    pub keyword_tags: Option<Vec<String>>,
    /// Kinds of data to ask for; none means those of the settings.
    pub resources: Option<Vec<Resource>>,
    /// Most requests one run may spend; none for no bound of its own.
    pub request_budget: Option<i32>,
    /// Jobs of a higher number run first.
    pub priority: i32,
    /// What happens while the run before is open.
    pub overlap: OverlapPolicy,
    /// Which missed moments are made up for.
    pub missed_runs: MissedRunPolicy,
    /// A missed moment that is older is passed over.
    pub catch_up: Duration,
}

impl Definition {
    /// Defines a schedule with the usual rules: no jitter, all keywords, buffer one, make up for one within a day.
    pub fn new(name: &str, action: Action, rhythm: Rhythm) -> Definition {
        Definition {
            name: name.to_owned(),
            action,
            rhythm,
            jitter: Duration::zero(),
            keyword_tags: None,
            resources: None,
            request_budget: None,
            priority: 0,
            overlap: OverlapPolicy::BufferOne,
            missed_runs: MissedRunPolicy::One,
            catch_up: Duration::days(1),
        }
    }
}

/// Who defined a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The program, from the settings.
    Settings,
    /// A file that was applied.
    File,
    /// A command.
    Command,
}

impl Origin {
    /// Returns the name used in the table.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Settings => "settings",
            Origin::File => "file",
            Origin::Command => "command",
        }
    }
}

impl fmt::Display for OverlapPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            OverlapPolicy::Skip => "skip",
            OverlapPolicy::BufferOne => "buffer_one",
            OverlapPolicy::Allow => "allow",
        })
    }
}

impl fmt::Display for MissedRunPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            MissedRunPolicy::One => "one",
            MissedRunPolicy::All => "all",
            MissedRunPolicy::None => "none",
        })
    }
}
