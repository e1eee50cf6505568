//! `quell check`: whether a policy can be used.

use super::case;
use super::cli::Common;
use super::exit::{Exit, Failure};
use super::report::{Report, Section, Tone};
use crate::policy::Problem;
use serde_json::{Value, json};
use std::path::Path;

/// Says that the policy is fine, or everything that is wrong with it: file, line, column, and what would be right.
///
/// # Errors
/// Why the file cannot be read.
pub fn check(common: &Common, file: Option<&Path>) -> Result<Report, Failure> {
    let file = file.unwrap_or(&common.policy);
    let name = file.display().to_string();
    let Err(error) = case::judged(file)? else {
        let said = vec![Section::Said(Tone::Good, format!("{name}: fine"))];
        return Ok(Report::told(Exit::Done, said, json!({ "policy": name, "fine": true, "problems": [] })));
    };
    let said = vec![Section::Text(error.to_string())];
    let problems = error.problems.iter().map(|Problem { at, message }| {
        let (line, column) = at.unzip();
        json!({ "line": line, "column": column, "message": message })
    });
    let problems: Vec<Value> = problems.collect();
    Ok(Report::told(Exit::Asked, said, json!({ "policy": name, "fine": false, "problems": problems })))
}
