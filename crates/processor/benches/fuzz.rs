//! `make fuzz`: every resource's fuzz target, for FUZZ_SECONDS each (600), on as many threads as there are processors.
//!
//! What is found is written to `target/fuzz`, one file per answer. FUZZ_SEED repeats a walk, FUZZ_RESOURCE chooses one target. The last line is JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::exit;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use digitallz_common::marketplace::Resource;

use fuzzing::{Finding, Target};

#[path = "../tests/reading/fixtures.rs"]
mod fixtures;
#[path = "../tests/reading/fuzzing.rs"]
mod fuzzing;
#[path = "../tests/reading/json.rs"]
mod json;
#[path = "../tests/reading/mutation.rs"]
mod mutation;
#[path = "../tests/reading/oracle/mod.rs"]
mod oracle;
#[path = "../tests/reading/question.rs"]
mod question;

/// An answer of at most 256 KiB that takes longer than this hangs the reader.
const PATIENCE: Duration = Duration::from_secs(20);
/// A target ends after so many findings.
const MAX_FINDINGS: usize = 10;

/// What came of one target.
#[derive(Default)]
struct Tally {
    executions: u64,
    kept: usize,
    findings: usize,
}

fn main() {
    let seconds = setting("FUZZ_SECONDS").unwrap_or(600);
    let seed = setting("FUZZ_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    let chosen = std::env::var("FUZZ_RESOURCE").ok();
    let resources: Vec<Resource> =
        Resource::ALL.into_iter().filter(|one| chosen.as_deref().is_none_or(|name| name == one.name())).collect();
    println!("fuzzing {} resources for {seconds} s each, seed {seed}", resources.len());

    let waiting = Arc::new(Mutex::new(resources));
    let tallies = Arc::new(Mutex::new(BTreeMap::new()));
    let workers: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
        .map(|_| {
            let (waiting, tallies) = (waiting.clone(), tallies.clone());
            thread::spawn(move || {
                // The lock must not be held while the target runs: the other threads take the next ones.
                let next = || waiting.lock().expect("no holder panics").pop();
                while let Some(resource) = next() {
                    let tally = run(resource, seed, Duration::from_secs(seconds));
                    println!("{resource}: {} executions, {} findings", tally.executions, tally.findings);
                    tallies.lock().expect("no holder panics").insert(resource.name(), tally);
                }
            })
        })
        .collect();
    let is_whole = workers.into_iter().all(|worker| worker.join().is_ok());

    let tallies = tallies.lock().expect("no holder panics");
    let sum = |of: fn(&Tally) -> u64| tallies.values().map(of).sum::<u64>();
    let findings = sum(|tally| tally.findings as u64);
    let targets: BTreeMap<_, _> = tallies
        .iter()
        .map(|(name, tally)| {
            let counts =
                serde_json::json!({"executions": tally.executions, "findings": tally.findings, "corpus": tally.kept});
            (*name, counts)
        })
        .collect();
    println!(
        "{}",
        serde_json::json!({"seed": seed, "seconds_each": seconds, "executions": sum(|tally| tally.executions),
                           "findings": findings, "targets": targets})
    );
    if findings > 0 || !is_whole {
        exit(1);
    }
}

/// Runs one target for some time, watched from beside.
fn run(resource: Resource, seed: u64, time: Duration) -> Tally {
    let begun = Arc::new(Mutex::new(None));
    let watched = begun.clone();
    thread::spawn(move || watch(resource, &watched));

    let mut target = Target::new(resource, seed);
    let mut tally = Tally::default();
    let started = Instant::now();
    while started.elapsed() < time && tally.findings < MAX_FINDINGS {
        let fixture = target.next();
        *begun.lock().expect("no holder panics") = Some((Instant::now(), fixture.body.clone()));
        if let Err(finding) = target.attempt(fixture) {
            tally.findings += 1;
            tell(resource, tally.findings, &finding);
        }
        tally.executions += 1;
    }
    *begun.lock().expect("no holder panics") = None;
    tally.kept = target.corpus_len();
    tally
}

/// Ends the process when one answer is read for too long.
fn watch(resource: Resource, begun: &Mutex<Option<(Instant, Vec<u8>)>>) {
    loop {
        thread::sleep(Duration::from_secs(1));
        if let Some((at, body)) = &*begun.lock().expect("no holder panics")
            && at.elapsed() > PATIENCE
        {
            let path = keep(resource, "hang", body);
            println!("{resource} hangs, see {}", path.display());
            println!("{}", serde_json::json!({"findings": 1, "hangs": resource.name()}));
            exit(1);
        }
    }
}

fn tell(resource: Resource, number: usize, finding: &Finding) {
    let path = keep(resource, &number.to_string(), &finding.body);
    println!("{resource}, changed from {}: {}; see {}", finding.fixture, finding.wrong, path.display());
}

fn keep(resource: Resource, name: &str, body: &[u8]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz");
    let path = folder.join(format!("{resource}-{name}.bin"));
    if let Err(error) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, body)) {
        println!("failed to write {}: {error}", path.display());
    }
    path
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")))
}
