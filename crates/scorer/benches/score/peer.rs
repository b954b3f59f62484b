//! The peer: statsforecast, run by the Python that `make bench-score` prepares.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Forecasts series with every model of the peer; returns their names with series a second, or why there are none.
pub fn measure(all: &[Vec<f64>]) -> Result<Vec<(String, f64)>, String> {
    let python = std::env::var("PEER_PYTHON").map_err(|_| "PEER_PYTHON is not set".to_owned())?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/score/peer.py");
    let mut child = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{python} does not start: {error}"))?;
    let rows: String =
        all.iter().map(|values| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",") + "\n").collect();
    child.stdin.take().ok_or("it takes no input")?.write_all(rows.as_bytes()).map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{script} ended with {}", output.status));
    }
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let said = said.as_object().ok_or("it said something else than an object")?;
    Ok(said.iter().map(|(model, speed)| (model.clone(), speed.as_f64().unwrap_or(f64::NAN))).collect())
}
