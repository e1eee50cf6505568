//! `quell check`: whether a policy can be used.

use super::case;
use super::cli::Common;
use super::exit::{Exit, Failure};
use super::report::{Report, Section, Tone};
use serde_json::json;
use std::path::Path;

/// Says that the policy is fine.
///
/// # Errors
/// Everything that is wrong with it, a line each: file, line, column, and what would be right.
pub fn check(common: &Common, file: Option<&Path>) -> Result<Report, Failure> {
    let file = file.unwrap_or(&common.policy);
    case::policy(file)?;
    let name = file.display().to_string();
    let said = format!("{name}: fine");
    Ok(Report::told(Exit::Done, vec![Section::Said(Tone::Good, said)], json!({ "policy": name, "fine": true })))
}
