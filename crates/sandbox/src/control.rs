//! The requests that steer the sandbox itself, under `/__sandbox/` on every server.

use std::collections::BTreeMap;

use axum::http::Method;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::exchange::{Answer, Incoming};
use crate::faults::FaultRule;
use crate::limits::LimitStatistics;
use crate::server::Shared;
use crate::windows::LimitWindow;

#[derive(Deserialize)]
struct ClockSetting {
    now: DateTime<Utc>,
}

#[derive(Serialize)]
struct State {
    now: DateTime<Utc>,
    requests: BTreeMap<String, u64>,
    tokens_minted: BTreeMap<String, u64>,
    limits: BTreeMap<String, LimitStatistics>,
}

#[derive(Serialize)]
struct ControlError {
    error: String,
}

/// Answers a request that steers the sandbox.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Answer {
    let outcome = match (&incoming.method, incoming.path.as_str()) {
        (&Method::GET, "/__sandbox/state") => return Answer::json(200, &state(shared)),
        (&Method::POST, "/__sandbox/state/reset") => {
            shared.forget_statistics();
            Ok(())
        }
        (&Method::POST, "/__sandbox/faults") => read::<FaultRule>(incoming).map(|rule| shared.faults.inject(rule)),
        (&Method::DELETE, "/__sandbox/faults") => {
            shared.faults.clear();
            Ok(())
        }
        (&Method::POST, "/__sandbox/clock") => {
            read::<ClockSetting>(incoming).map(|setting| shared.clock.set(setting.now))
        }
        (&Method::POST, "/__sandbox/limits") => read::<BTreeMap<String, Vec<LimitWindow>>>(incoming)
            .and_then(|limits| shared.set_limits(&limits).map_err(|error| error.to_string())),
        (&Method::POST, "/__sandbox/tokens/expire") => {
            shared.expire_tokens();
            Ok(())
        }
        _ => return Answer::json(404, &ControlError { error: "no such control".into() }),
    };
    match outcome {
        Ok(()) => Answer::new(204, "application/json", Vec::new()),
        Err(error) => Answer::json(400, &ControlError { error }),
    }
}

fn read<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, String> {
    serde_json::from_slice(&incoming.body).map_err(|error| error.to_string())
}

fn state(shared: &Shared) -> State {
    State {
        now: shared.clock.now(),
        requests: shared.recorder.counts(),
        tokens_minted: shared.tokens_minted(),
        limits: shared.limit_statistics(),
    }
}
