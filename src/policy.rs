//! The team's opt-in: which findings get which response.
//!
//! A policy is a list of rules in order, and the first that matches decides. What no rule matches is told, and no more.

mod error;
mod glob;
mod possible;
mod read;
#[cfg(test)]
mod refused;
mod rule;
#[cfg(test)]
mod shipped;
mod table;

pub use error::{PolicyError, Problem};

use crate::finding::{Finding, Subject};
use rule::Rule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// How far Quell may go. Ordered: a guard may only ever choose a lesser one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    /// Tell people, look at nothing.
    Notify,
    /// Look, plan and tell.
    Plan,
    /// Plan, and wait for a person.
    Approve,
    /// Plan and do it.
    Contain,
}

/// What the policy says for one subject of a finding, and what lowered it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub response: Response,
    /// The rule's name, or its place in the file (`rule 3`); none where no rule matched.
    pub rule: Option<String>,
    /// Why the response is lower than the rule's.
    pub lowered: Option<String>,
}

/// A resource's tags.
pub type Tags = BTreeMap<String, String>;

/// What the policy says for one subject of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    Decided {
        response: Response,
        /// The rule's name, or its place in the file (`rule 3`); none where no rule matched.
        rule: Option<String>,
        /// The only remediations that may be used; none where all may.
        remediations: Option<Vec<String>>,
    },
    /// A rule that could decide asks for tags. Observe, and ask again; where tags cannot be read, do not act.
    NeedsTags,
}

/// The rules, in order.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
}

impl Policy {
    /// Loads the policy that `QUELL_POLICY` asks for.
    ///
    /// `setting` is that variable's value: none or blank for the `policy.toml` beside the binary, a path for that file,
    /// or the policy itself, told by a newline or a `[` in it. Lambda allows 4 KB for all variables together.
    /// `remediations` are the known names.
    pub fn load(setting: Option<&str>, remediations: &[&str]) -> Result<Self, PolicyError> {
        let beside_the_binary = std::env::var_os("LAMBDA_TASK_ROOT").map(PathBuf::from).unwrap_or_default();
        Self::load_from(&beside_the_binary, setting.unwrap_or_default(), remediations)
    }

    fn load_from(folder: &Path, setting: &str, remediations: &[&str]) -> Result<Self, PolicyError> {
        let path = match setting.trim() {
            "" => folder.join("policy.toml"),
            text if text.contains(['\n', '[']) => return Self::read("QUELL_POLICY", setting, remediations),
            path => folder.join(path),
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|why| PolicyError::unreadable(&name, &why))?;
        Self::read(&name, &text, remediations)
    }

    /// Reads the text of a `policy.toml`. `remediations` are the known names.
    pub fn parse(text: &str, remediations: &[&str]) -> Result<Self, PolicyError> {
        Self::read("policy.toml", text, remediations)
    }

    fn read(file: &str, text: &str, remediations: &[&str]) -> Result<Self, PolicyError> {
        let rules = read::rules(text, remediations).map_err(|told| PolicyError::new(file, text, told))?;
        Ok(Self { rules })
    }

    /// Decides by the first rule that matches.
    ///
    /// `tags` are those of the subject's resource; none as long as they were not observed, or could not be. A resource
    /// that has no tags, or can have none, has an empty map.
    #[must_use]
    pub fn rule_for(&self, finding: &Finding, subject: &Subject, tags: Option<&Tags>) -> Ruling {
        for rule in self.rules.iter().filter(|rule| rule.covers(finding, subject)) {
            match rule.is_met_by(tags) {
                Some(true) => return rule.ruling(),
                Some(false) => {}
                None => return Ruling::NeedsTags,
            }
        }
        Ruling::Decided { response: Response::Notify, rule: None, remediations: None }
    }
}

impl Response {
    /// Every response, the least first.
    pub const ALL: [Self; 4] = [Self::Notify, Self::Plan, Self::Approve, Self::Contain];

    /// The word that a policy has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Plan => "plan",
            Self::Approve => "approve",
            Self::Contain => "contain",
        }
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_comes_from_the_bundle_from_a_file_or_from_the_setting_itself() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rule: &str| std::fs::write(folder.path().join(name), named(rule)).unwrap();
        write("policy.toml", "bundled");
        write("other.toml", "other");
        let load =
            |setting: &str| Policy::load_from(folder.path(), setting, &[]).map(|policy| policy.rules[0].name.clone());
        assert_eq!(load(""), Ok("bundled".to_owned()));
        assert_eq!(load(" \n"), Ok("bundled".to_owned()));
        assert_eq!(load("other.toml\n"), Ok("other".to_owned()));
        assert_eq!(load(folder.path().join("other.toml").to_str().unwrap()), Ok("other".to_owned()));
        assert_eq!(load(&named("inline")), Ok("inline".to_owned()));
        assert_eq!(load("rule = [{name='line', types=['*'], response='plan'}]"), Ok("line".to_owned()));
        assert!(load("absent.toml").unwrap_err().to_string().contains("absent.toml: cannot be read: "));
        assert_eq!(load("[rules]").unwrap_err().file, "QUELL_POLICY");
    }

    fn named(rule: &str) -> String {
        format!("[[rule]]\nname = '{rule}'\ntypes = ['*']\nresponse = 'plan'\n")
    }
}
