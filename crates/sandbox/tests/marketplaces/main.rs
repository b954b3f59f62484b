//! The pretend marketplaces as a client meets them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod answers;
mod bench;
mod operations;
mod quotas;
