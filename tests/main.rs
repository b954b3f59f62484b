//! Tests of the whole system: real Postgres, real HTTP against the sandbox, the real binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so best by stopping")]
#![expect(clippy::disallowed_methods, reason = "tests ask the database what no query of the program asks")]

mod architecture;
mod chaos;
mod command_line;
mod competition;
mod constraints;
mod contract_modes;
mod contracts;
mod demo;
mod documents;
mod faults;
mod harness;
mod imports;
mod keywords;
mod killed;
mod models;
mod object_stores;
mod operations;
mod pipeline;
mod plans;
mod postgres;
mod publications;
mod quarantine;
mod queue;
mod quotas;
mod recordings;
mod reprocess;
mod scheduler;
mod schema;
mod series;
mod signals;
mod terms;
