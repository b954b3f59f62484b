//! The shape that ARCHITECTURE.md promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::harness::workspace_root;

/// Reads the workspace crates that a crate depends on, test dependencies left out.
fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(manifest).expect("a manifest");
    let mut is_dependencies = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[') {
            is_dependencies = section.starts_with("dependencies]");
        } else if let (true, Some((name, _))) = (is_dependencies, line.split_once(['.', ' ', '=']))
            && let Some(name) = name.strip_prefix("digitallz-")
        {
            found.insert(name.to_owned());
        }
    }
    found
}

#[test]
fn dependencies_point_one_way() {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(workspace_root().join("crates")).expect("crates") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        found.insert(name, dependencies(&path.join("Cargo.toml")));
    }
    let expected = [
        ("collector", vec!["common"]),
        ("common", vec![]),
        ("digitallz", vec!["collector", "common", "processor", "sandbox", "scorer"]),
        ("processor", vec!["common"]),
        ("sandbox", vec![]),
        ("scorer", vec!["common"]),
    ];
    let expected: BTreeMap<String, BTreeSet<String>> = expected
        .into_iter()
        .map(|(name, needs)| (name.to_owned(), needs.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(found, expected);
}

/// Lists the Rust files below a folder of the repository.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut waiting = vec![workspace_root().join(folder)];
    let mut files = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Lists the files below `crates` that hold a text, relative to the repository.
fn files_that_hold(text: &str) -> BTreeSet<String> {
    rust_files("crates")
        .into_iter()
        .filter(|path| std::fs::read_to_string(path).expect("a file").contains(text))
        .map(|path| path.strip_prefix(workspace_root()).expect("below the root").display().to_string())
        .collect()
}

#[test]
fn only_one_file_names_the_queue_library() {
    let files = files_that_hold("use apalis");
    assert_eq!(files.into_iter().collect::<Vec<_>>(), ["crates/common/src/queue.rs"]);
}

#[test]
fn only_one_file_names_the_library_of_object_stores() {
    let files = files_that_hold("use object_store::");
    assert_eq!(files.into_iter().collect::<Vec<_>>(), ["crates/common/src/raw_payload/stores/store.rs"]);
}

#[test]
fn only_the_collector_calls_out() {
    let callers = files_that_hold("reqwest::");
    let strangers: Vec<&String> = callers
        .iter()
        .filter(|file| !file.starts_with("crates/collector/src/") && !file.starts_with("crates/sandbox/"))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[test]
fn every_file_tells_its_story_in_its_first_line() {
    for path in rust_files("crates").into_iter().chain(rust_files("tests")) {
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.starts_with("//! "), "{} begins without a sentence about itself", path.display());
    }
}

#[test]
fn every_metric_is_explained() {
    let text = std::fs::read_to_string(workspace_root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let source = std::fs::read_to_string(workspace_root().join("crates/common/src/observation.rs")).expect("metrics");
    let names: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Metric::")?.split_once(" => \"")?.1.strip_suffix("\","))
        .filter(|name| name.contains('_'))
        .collect();
    assert!(names.len() >= 15, "the list of metrics was not found");
    for name in names {
        assert!(text.contains(&format!("`{name}`")), "ARCHITECTURE.md does not explain the metric {name}");
    }
}
