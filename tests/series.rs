//! Series of the user's own: `forecast` and `evaluate` need no database and say what they cannot read.

use std::path::PathBuf;
use std::process::{Command, Output};

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("digitallz-series-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn digitallz(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_digitallz")).args(arguments).output().unwrap()
}

fn weeks(name: &str, from: u32, until: u32) -> String {
    (from..until).map(|week| format!("{name},{week},{}\n", 50 + week % 9)).collect()
}

#[test]
fn a_file_of_series_is_forecast_and_held_against_what_came() {
    let folder = scratch("forecast");
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let heading = "series,timestamp,value\n";
    std::fs::write(path("a.csv"), format!("{heading}{}{}", weeks("a", 0, 70), weeks("b", 10, 50))).unwrap();
    std::fs::write(path("b.csv"), format!("{heading}{}{}", weeks("a", 70, 73), weeks("b", 50, 53))).unwrap();
    let (input, output) = (path("a.csv"), path("out.csv"));
    let arguments =
        ["--json", "forecast", "--input", &input, "--frequency", "weekly", "--horizon", "3", "--output", &output];
    let first = digitallz(&arguments);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let written = std::fs::read_to_string(&output).unwrap();
    assert_eq!(written.lines().next(), Some("series,step,point,lo80,hi80,lo95,hi95"));
    assert_eq!(written.lines().count(), 7);
    assert!(digitallz(&arguments).status.success());
    assert_eq!(written, std::fs::read_to_string(&output).unwrap());

    let evaluation = digitallz(&["--json", "evaluate", "--train", &input, "--test", &path("b.csv")]);
    let evaluation: serde_json::Value = serde_json::from_slice(&evaluation.stdout).unwrap();
    let methods: Vec<&str> =
        evaluation["evaluation"].as_array().unwrap().iter().map(|row| row["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["digitallz", "naive", "seasonal naive", "theta"]);
    assert_eq!(evaluation["evaluation"][1]["owa"], 1.0);
}

#[test]
fn a_cell_that_is_no_number_is_told_with_its_line_and_nothing_is_written() {
    let folder = scratch("bad");
    let (input, output) = (folder.join("bad.csv"), folder.join("out.csv"));
    std::fs::write(&input, "series,timestamp,value\na,2026-01-01,1\na,2026-01-08,many\n").unwrap();
    let (input, output) = (input.to_string_lossy().into_owned(), output.to_string_lossy().into_owned());
    let failed =
        digitallz(&["forecast", "--input", &input, "--frequency", "weekly", "--horizon", "2", "--output", &output]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("line 3: cell 3: `many` is not a number"));
    assert!(!std::path::Path::new(&output).exists());
}
