//! The contract between the parts: words, tables and job messages. It decides nothing.

pub mod audit;
pub mod clock;
pub mod database;
pub mod failure;
pub mod jobs;
pub mod keyword;
pub mod marketplace;
pub mod observation;
pub mod partitions;
pub mod queue;
pub mod raw_payload;
pub mod secret;
pub mod source_contract;
pub mod source_policy;
pub mod spool;
pub mod terms;
pub mod week;
