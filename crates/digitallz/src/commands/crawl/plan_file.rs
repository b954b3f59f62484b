//! The plan as a file: what would be asked, on which view of the world it rests, and a fingerprint over all of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_collector::cost::Expected;
use digitallz_common::marketplace::{Resource, Site};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::selectors::{SelectedKeyword, Selectors};
use crate::output::counted;

/// Version of the form of the file.
pub const VERSION: u32 = 1;

/// A run may spend so much more than planned on repetitions after failures, in hundredths of the plan, rounded up.
pub const RETRY_ALLOWANCE_PERCENT: u32 = 10;

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the form.
    pub version: u32,
    /// SHA-256 over everything else, hexadecimal.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What it was made from.
    pub selectors: Selectors,
    /// The crawl runs it would make.
    pub runs: Vec<PlannedRun>,
    /// The quotas it would spend from, as they stood.
    pub quotas: Vec<QuotaFigure>,
    /// Most requests that may be spent, as `--budget` said.
    pub request_budget: Option<u32>,
    /// What every run may spend beyond its plan on repetitions, in percent.
    pub retry_allowance_percent: u32,
    /// What must be the same when it is applied.
    pub basis: Basis,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// A crawl run of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedRun {
    /// Where it asks.
    pub site: Site,
    /// What it asks for.
    pub resources: Vec<Resource>,
    /// First day of the week it is about; nothing for what is so now.
    pub week: Option<NaiveDate>,
    /// The keywords it covers.
    pub keywords: Vec<SelectedKeyword>,
    /// Requests per operation.
    pub requests: Vec<Figure>,
    /// Most requests it may spend: the most planned, and the allowance for repetitions.
    pub request_budget: u32,
    /// For how many of the keywords the quotas sufficed when the plan was made.
    pub affordable_keyword_count: usize,
}

/// Requests of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// The marketplace's name of the operation.
    pub operation: String,
    /// If the answers leave nothing further to ask for.
    pub fewest: u32,
    /// If they leave all that may be asked for.
    pub most: u32,
}

/// A quota beside what the plan would spend of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuotaFigure {
    /// Marketplace and scope, for example `ebay browse`.
    pub quota: String,
    /// The operations that count against it.
    pub operations: Vec<String>,
    /// Requests of the plan, fewest.
    pub fewest: u32,
    /// Requests of the plan, most.
    pub most: u32,
    /// Requests that runs under way may still send.
    pub committed: u32,
    /// Requests left besides those; nothing where only a pace is set.
    pub left: Option<u32>,
    /// Requests of the whole window.
    pub of: Option<u32>,
    /// The window in question, or the pace, as it is written in settings.
    pub window: String,
    /// Seconds until the window is granted anew.
    pub renews_in_s: Option<u64>,
    /// What the most would be of the whole window, or of a day at the pace, in percent.
    pub cost_percent: f64,
    /// Whole seconds until the fewest are sent if nobody else asks.
    pub time_fewest_s: u64,
    /// Whole seconds until the most are sent if nobody else asks.
    pub time_most_s: u64,
    /// Whether the most exceeds what is left.
    pub is_overspent: bool,
}

/// What a plan rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Version of the program.
    pub program: String,
    /// What one question costs, per site and resource: pages and details are in it.
    pub depth: BTreeMap<String, String>,
    /// Limits in force, per quota.
    pub limits: BTreeMap<String, String>,
}

impl From<&Expected> for Figure {
    fn from(expected: &Expected) -> Figure {
        Figure { operation: expected.operation.to_owned(), fewest: expected.fewest, most: expected.most }
    }
}

impl PlannedRun {
    /// Returns the sum of the fewest and of the most requests.
    pub fn totals(&self) -> (u32, u32) {
        totals(&self.requests)
    }

    /// Names the run within its plan.
    pub fn name(&self) -> String {
        match self.week {
            None => self.site.to_string(),
            Some(week) => {
                let resources: Vec<&str> = self.resources.iter().map(|resource| resource.name()).collect();
                format!("{} {} {week}", self.site, resources.join(","))
            }
        }
    }
}

/// Returns the sum of the fewest and of the most requests.
pub fn totals(figures: &[Figure]) -> (u32, u32) {
    figures
        .iter()
        .fold((0, 0), |(fewest, most), figure| (figure.fewest.saturating_add(fewest), figure.most.saturating_add(most)))
}

impl Plan {
    /// Computes the fingerprint over everything but the fingerprint.
    pub fn fingerprint_of(&self) -> String {
        let bare = Plan { fingerprint: String::new(), ..self.clone() };
        // The fields come in the order of the struct and the maps are sorted, so the text is always the same.
        let text = serde_json::to_vec(&bare).expect("a plan can be written as JSON");
        hex(&Sha256::digest(&text))
    }

    /// Returns the keys that make its runs unique, in their order.
    pub fn run_keys(&self) -> Vec<String> {
        self.runs.iter().map(|run| format!("{}:{}", self.fingerprint, run.name())).collect()
    }

    /// Returns the sum of the fewest and of the most requests of all runs.
    pub fn totals(&self) -> (u32, u32) {
        self.runs.iter().map(PlannedRun::totals).fold((0, 0), |(fewest, most), (run_fewest, run_most)| {
            (run_fewest.saturating_add(fewest), run_most.saturating_add(most))
        })
    }

    /// Says, a sentence each, what is other in a plan that was made anew from the same selectors.
    ///
    /// Weeks of a backfill that have data meanwhile are no difference: they are passed over.
    pub fn drift(&self, fresh: &Plan) -> Vec<String> {
        let mut drift = Vec::new();
        if self.basis.program != fresh.basis.program {
            drift.push(format!("the program is {} now, was {}", fresh.basis.program, self.basis.program));
        }
        let (old, new) = (by_site(self), by_site(fresh));
        let is_backfill = self.selectors.missing.is_some();
        for (site, (old_resources, old_keywords)) in &old {
            let Some((new_resources, new_keywords)) = new.get(site) else {
                if !is_backfill {
                    drift.push(format!("nothing of {site} is selected any more"));
                }
                continue;
            };
            if old_resources != new_resources && !is_backfill {
                let names = |resources: &BTreeSet<&str>| resources.iter().copied().collect::<Vec<_>>().join(",");
                drift.push(format!("{site} is asked for {} now, was {}", names(new_resources), names(old_resources)));
            }
            if is_backfill {
                continue;
            }
            for (what, some) in [
                ("added", new_keywords.difference(old_keywords).collect::<Vec<_>>()),
                ("removed", old_keywords.difference(new_keywords).collect()),
            ] {
                if !some.is_empty() {
                    let keywords = counted(some.len(), "keyword");
                    drift.push(format!("{site}: {keywords} {what}: {}", shown(&some)));
                }
            }
        }
        for site in new.keys().filter(|site| !old.contains_key(*site) && !is_backfill) {
            drift.push(format!("keywords of {site} are selected now"));
        }
        compare(&mut drift, "settings", &self.basis.depth, &fresh.basis.depth, is_backfill);
        compare(&mut drift, "limits", &self.basis.limits, &fresh.basis.limits, is_backfill);
        drift
    }
}

type SiteContent<'a> = (BTreeSet<&'a str>, BTreeSet<&'a str>);

fn by_site(plan: &Plan) -> BTreeMap<String, SiteContent<'_>> {
    let mut sites: BTreeMap<String, SiteContent<'_>> = BTreeMap::new();
    for run in &plan.runs {
        let (resources, keywords) = sites.entry(run.site.to_string()).or_default();
        resources.extend(run.resources.iter().map(|resource| resource.name()));
        keywords.extend(run.keywords.iter().map(|keyword| keyword.keyword_text.as_str()));
    }
    sites
}

fn compare(
    drift: &mut Vec<String>,
    kind: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    may_lack: bool,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (was, is) = (old.get(name), new.get(name));
        if was == is || (may_lack && is.is_none()) {
            continue;
        }
        let text = |value: Option<&String>| value.map_or("nothing", String::as_str).to_owned();
        drift.push(format!("{kind} of {name}: {} now, was {}", text(is), text(was)));
    }
}

fn shown(keywords: &[&&str]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = keywords.iter().take(SHOWN).map(|keyword| format!("'{keyword}'")).collect();
    let more = if keywords.len() > SHOWN { " and more" } else { "" };
    format!("{}{more}", names.join(", "))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use digitallz_common::marketplace::Marketplace;

    use super::*;

    fn plan(keywords: &[&str]) -> Plan {
        let site = Site::new(Marketplace::Ebay, "US").unwrap();
        let keywords = keywords.iter().map(|text| SelectedKeyword {
            keyword_id: None,
            keyword_text: (*text).to_owned(),
            original_text: None,
        });
        let run = PlannedRun {
            site,
            resources: vec![Resource::ItemSearch],
            week: None,
            keywords: keywords.collect(),
            requests: vec![Figure { operation: "itemSummarySearch".to_owned(), fewest: 1, most: 2 }],
            request_budget: 3,
            affordable_keyword_count: 1,
        };
        let mut plan = Plan {
            version: VERSION,
            fingerprint: String::new(),
            created_at: "2026-03-11T06:00:00Z".parse().unwrap(),
            selectors: Selectors::default(),
            runs: vec![run],
            quotas: Vec::new(),
            request_budget: None,
            retry_allowance_percent: RETRY_ALLOWANCE_PERCENT,
            basis: Basis { program: "1".to_owned(), ..Basis::default() },
            notes: Vec::new(),
        };
        plan.fingerprint = plan.fingerprint_of();
        plan
    }

    #[test]
    fn a_plan_is_read_as_it_is_written_and_its_fingerprint_holds() {
        let plan = plan(&["lamp"]);
        let again: Plan = serde_json::from_str(&serde_json::to_string_pretty(&plan).unwrap()).unwrap();
        assert_eq!((&again, again.fingerprint_of()), (&plan, plan.fingerprint.clone()));
        let mut edited = again;
        edited.runs[0].request_budget = 1_000;
        assert_ne!(edited.fingerprint_of(), plan.fingerprint);
    }

    #[test]
    fn every_kind_of_drift_is_named() {
        let old = plan(&["lamp", "towel"]);
        assert!(old.drift(&old).is_empty());
        let mut new = plan(&["lamp", "hat"]);
        new.basis.program = "2".to_owned();
        new.basis.limits.insert("ebay browse".to_owned(), "5:5".to_owned());
        new.basis.depth.insert("ebay US item_search".to_owned(), "itemSummarySearch 1".to_owned());
        assert_eq!(
            old.drift(&new),
            [
                "the program is 2 now, was 1",
                "ebay US: 1 keyword added: 'hat'",
                "ebay US: 1 keyword removed: 'towel'",
                "settings of ebay US item_search: itemSummarySearch 1 now, was nothing",
                "limits of ebay browse: 5:5 now, was nothing",
            ]
        );
    }
}
