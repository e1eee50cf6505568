//! The operator's command `quell`: the same library as the Lambda, so no second engine.
//!
//! ```text
//! command line ─▶ work ─▶ report ─▶ screen
//! (cli)           (one file a command)  (table, text or JSON)
//! ```
//!
//! What only looks works here, with the operator's own credentials. What changes something, and what the ledger knows,
//! goes through the function (`wire`), so that one role acts and everything is recorded.

mod access;
pub mod act;
pub mod case;
pub mod check;
mod cli;
pub mod coverage;
mod example;
mod exit;
pub mod explain;
mod function;
pub mod incidents;
pub mod manual;
pub mod plan;
pub mod proof;
mod report;
mod screen;
pub mod show;
pub mod wire;
mod words;

pub use cli::{Cli, Command, Common, Output, Read};
pub use exit::{Exit, Failure};
pub use function::OPERATE;
pub use report::{Cell, Entry, Group, Report, Section, Tone};
pub use screen::{Screen, end};
