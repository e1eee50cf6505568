//! The team's opt-in: which findings get which response.
//!
//! A policy is a list of rules in order, and the first that matches decides. What no rule matches is told, and no more.

mod error;
mod glob;
mod possible;
mod protect;
mod read;
#[cfg(test)]
mod refused;
mod rule;
mod settings;
#[cfg(test)]
mod shipped;
mod table;
mod terms;

pub use error::{PolicyError, Problem};
pub use protect::{Asked, Protection};
pub use settings::{Guards, Limits, Operators};
pub use terms::{Approval, Fallback};

use crate::finding::{Finding, Subject};
use crate::id::AccountId;
use jiff::SignedDuration;
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
    /// Why the response is lower than the rule's: every reason, the one that wants least first.
    #[serde(default)]
    pub lowered: Vec<String>,
    /// A person approved it, or the rule did when their time was over.
    #[serde(default)]
    pub approved: bool,
    /// Held back by nothing but what could not be asked for a moment: the sweep asks again, and decides anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
    /// Quell will not do it, whoever asks.
    #[serde(default)]
    pub refused: Option<Refusal>,
    /// What lowered nothing, but people should know before they act.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How long containment lasts; none where only a person ends it.
    #[serde(default)]
    pub expires: Option<SignedDuration>,
    /// How a person is waited for; none where the rule does not say.
    #[serde(default)]
    pub approval: Option<Approval>,
}

/// Why Quell will not act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// GuardDuty does not know the finding as it came: whoever sent it made it up, and wants something done.
    MadeUp,
    /// The policy, or AWS, wants the resource left alone.
    Protected,
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
        terms: Terms,
    },
    /// A rule that could decide asks for tags. Observe, and ask again; where tags cannot be read, do not act.
    NeedsTags,
}

/// What a rule says beside its response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// How many other things may stop without a person being asked.
    pub max_blast: Option<usize>,
    /// How long containment lasts; none where only a person ends it.
    pub expires: Option<SignedDuration>,
    /// How a person is waited for.
    pub approval: Option<Approval>,
}

/// The rules, in order, and what the guards go by.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
    protections: Vec<Protection>,
    operators: Operators,
    management_account: Option<AccountId>,
    guards: Guards,
    limits: Limits,
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
        read::policy(text, remediations).map_err(|told| PolicyError::new(file, text, told))
    }

    /// What is to be left alone; also what no longer counts.
    #[must_use]
    pub fn protections(&self) -> &[Protection] {
        &self.protections
    }

    #[must_use]
    pub fn operators(&self) -> &Operators {
        &self.operators
    }

    /// The organization's management account: its root user is the last way in.
    #[must_use]
    pub fn management_account(&self) -> Option<&AccountId> {
        self.management_account.as_ref()
    }

    #[must_use]
    pub fn guards(&self) -> &Guards {
        &self.guards
    }

    /// How many containments an account gets in an hour without a person.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
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
        Ruling::Decided { response: Response::Notify, rule: None, remediations: None, terms: Terms::default() }
    }
}

impl Decision {
    /// A decision that nothing lowered.
    #[must_use]
    pub fn new(response: Response, rule: Option<String>) -> Self {
        Self {
            response,
            rule,
            lowered: Vec::new(),
            approved: false,
            passing: false,
            refused: None,
            notes: Vec::new(),
            expires: None,
            approval: None,
        }
    }

    /// The same, lowered to `most` where it is above; the reason joins the others.
    ///
    /// For what is known only after the guards have spoken, such as the limit that the ledger counts. What a guard
    /// holds back is never done because nobody answered in time.
    #[must_use]
    pub fn lowered_to(mut self, most: Response, why: impl Into<String>) -> Self {
        if most < self.response {
            (self.response, self.approved, self.passing) = (most, false, false);
            self.lowered.push(why.into());
            self.approval = self.approval.map(|approval| Approval { fallback: Fallback::Abandon, ..approval });
        }
        self
    }
}

impl Response {
    /// Every response, the least first.
    pub const ALL: [Self; 4] = [Self::Notify, Self::Plan, Self::Approve, Self::Contain];

    /// The response that a policy has this word for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|response| response.as_str() == word)
    }

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
