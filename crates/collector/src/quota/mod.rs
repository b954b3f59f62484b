//! Quotas: how often a marketplace may be asked, kept by all collectors of all machines together.
//!
//! | file | what it is |
//! | --- | --- |
//! | `window.rs` | the arithmetic of one window, and why it never admits too much |
//! | `account.rs` | the windows of one scope, its pause and its pace |
//! | `ledger.rs` | accounts and permits in Postgres |
//! | `holder.rs` | the sign of life of this process in the ledger |
//! | `pacer.rs` | the way to a permit within one process |
//! | `outlook.rs` | what is left of each quota, and how long so many requests take |

pub mod account;
pub mod holder;
pub mod ledger;
pub mod outlook;
mod pacer;
#[cfg(test)]
mod tests;
pub mod window;

pub use pacer::{Held, NoPermit, Pacer, ScopeLimit, Wait};
