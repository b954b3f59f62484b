//! What the readers make of answers: made by hand, recorded, and changed at random, always beside a second reader.

mod fixtures;
mod fuzzing;
mod json;
mod mutation;
mod oracle;
mod question;
mod recordings;

use digitallz_common::marketplace::Resource;
use digitallz_common::observation::Observed;
use digitallz_processor::reading::Reading;

use crate::fuzzing::Target;

#[test]
fn every_fixture_is_read_as_its_snapshot_shows() {
    for fixture in fixtures::all() {
        let name = fixture.name.replace('/', "_");
        insta::assert_debug_snapshot!(name, fixture.question.read(&fixture.body));
    }
}

#[test]
fn every_fixture_says_what_was_read() {
    for fixture in fixtures::all() {
        if let Err(wrong) = fixture.question.judge(&fixture.body) {
            panic!("{}: {wrong}", fixture.name);
        }
    }
}

#[test]
fn the_second_reader_notices_every_wrong_value() {
    for fixture in fixtures::all() {
        let Ok(reading) = fixture.question.read(&fixture.body) else { continue };
        let is_noticed = |wrong: Reading| oracle::compare(&fixture.question, &fixture.body, &Ok(wrong)).is_err();
        for index in 0..reading.observations.len() {
            let mut wrong = reading.clone();
            let observed = &mut wrong.observations[index].observed;
            *observed = Observed::Value(observed.value().map_or(0.0, |value| value + 1.0));
            assert!(is_noticed(wrong), "{}: {:?}", fixture.name, reading.observations[index]);
            let mut lost = reading.clone();
            lost.observations.remove(index);
            assert!(is_noticed(lost), "{}: {:?} is lost", fixture.name, reading.observations[index]);
        }
        for index in 0..reading.listings.len() {
            let mut wrong = reading.clone();
            wrong.listings[index].title = Some("another".to_owned());
            assert!(is_noticed(wrong), "{}: {:?}", fixture.name, reading.listings[index]);
        }
        if !reading.quarantined.is_empty() {
            assert!(is_noticed(Reading { quarantined: Vec::new(), ..reading.clone() }), "{}", fixture.name);
        }
        assert!(is_noticed(Reading { row_count: reading.row_count + 1, ..reading }), "{}", fixture.name);
    }
}

#[test]
fn every_file_of_the_fixtures_is_one_of_them() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reading/fixtures");
    let names: Vec<&str> = fixtures::all().iter().map(|fixture| fixture.name).collect();
    for marketplace in ["amazon", "ebay", "etsy"] {
        for file in std::fs::read_dir(folder.join(marketplace)).expect("a folder") {
            let file = file.expect("a file").path();
            let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a name");
            assert!(names.contains(&format!("{marketplace}/{stem}").as_str()), "{} is not used", file.display());
        }
    }
    for resource in Resource::ALL {
        assert!(fixtures::all().iter().any(|fixture| fixture.question.resource == resource), "none of {resource}");
    }
}

/// The long way is `make fuzz`.
#[test]
fn changed_answers_never_give_a_wrong_value() {
    const EXECUTIONS: usize = 400;
    let threads = Resource::ALL.map(|resource| {
        std::thread::spawn(move || {
            let mut target = Target::new(resource, 1);
            let begun_with = target.corpus_len();
            for _ in 0..EXECUTIONS {
                let fixture = target.next();
                if let Err(finding) = target.attempt(fixture) {
                    let text = String::from_utf8_lossy(&finding.body).into_owned();
                    panic!("{resource}, from {}: {}\n{}", finding.fixture, finding.wrong, &text);
                }
            }
            assert!(target.corpus_len() > begun_with, "no change of {resource} made anything new");
        })
    });
    for thread in threads {
        thread.join().expect("nothing wrong was found");
    }
}
