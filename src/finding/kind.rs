//! The type of a finding, `ThreatPurpose:ResourceTypeAffected/ThreatFamilyName.DetectionMechanism!Artifact`.

use super::catalogue::KNOWN;
use crate::id::InvalidId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The model allows 100 characters and the longest documented name has 93; the rest is room for later ones.
const LONGEST: usize = 200;

/// A finding's type, kept as it was written.
///
/// Any text that is neither blank nor overlong is a type. One that does not follow the grammar has empty parts: a type
/// that nobody has seen yet must be told, so it must not fail here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FindingType(String);

impl FindingType {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The attacker's aim, `Backdoor`.
    #[must_use]
    pub fn purpose(&self) -> &str {
        self.parts().purpose
    }

    /// The kind of resource by its name in the type, `EC2`.
    ///
    /// Good for choosing words, never for deciding what to act on: `Policy:S3/…` may be about an access key, and
    /// `Execution:EC2/MaliciousFile!Snapshot` has no instance.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.parts().resource
    }

    /// What was seen, `C&CActivity`.
    #[must_use]
    pub fn family(&self) -> &str {
        self.parts().family
    }

    /// How it was seen or which variant it is, `B`.
    #[must_use]
    pub fn mechanism(&self) -> Option<&str> {
        self.parts().mechanism
    }

    /// The tool or channel, `DNS`.
    #[must_use]
    pub fn artifact(&self) -> Option<&str> {
        self.parts().artifact
    }

    /// Tells whether GuardDuty documents, or once documented, this type.
    #[must_use]
    pub fn is_known(&self) -> bool {
        KNOWN.binary_search(&self.as_str()).is_ok()
    }

    fn parts(&self) -> Parts<'_> {
        split(&self.0).unwrap_or_default()
    }
}

#[derive(Default)]
struct Parts<'a> {
    purpose: &'a str,
    resource: &'a str,
    family: &'a str,
    mechanism: Option<&'a str>,
    artifact: Option<&'a str>,
}

fn split(text: &str) -> Option<Parts<'_>> {
    let (purpose, rest) = text.split_once(':')?;
    let (resource, rest) = rest.split_once('/')?;
    let (rest, artifact) = optional(rest, '!');
    let (family, mechanism) = optional(rest, '.');
    let whole = ![purpose, resource, family].contains(&"");
    whole.then_some(Parts { purpose, resource, family, mechanism, artifact })
}

fn optional(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after).filter(|after| !after.is_empty())),
        None => (text, None),
    }
}

impl TryFrom<String> for FindingType {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        let sane = !text.trim().is_empty() && text.len() <= LONGEST;
        if sane { Ok(Self(text)) } else { Err(InvalidId { kind: "finding type" }) }
    }
}

impl From<FindingType> for String {
    fn from(kind: FindingType) -> String {
        kind.0
    }
}

impl fmt::Display for FindingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, parts: [&str; 3], mechanism: Option<&str>, artifact: Option<&str>, known: bool) {
        let kind = FindingType::try_from(text.to_owned()).unwrap();
        assert_eq!([kind.purpose(), kind.resource(), kind.family()], parts, "{text}");
        assert_eq!((kind.mechanism(), kind.artifact(), kind.is_known()), (mechanism, artifact, known), "{text}");
        assert_eq!(kind.to_string(), text);
    }

    #[test]
    fn a_type_is_taken_apart() {
        check("Backdoor:EC2/C&CActivity.B!DNS", ["Backdoor", "EC2", "C&CActivity"], Some("B"), Some("DNS"), true);
        check("Recon:EC2/Portscan", ["Recon", "EC2", "Portscan"], None, None, true);
        let file = ["Execution", "EC2", "MaliciousFile"];
        check("Execution:EC2/MaliciousFile!Snapshot", file, None, Some("Snapshot"), true);
    }

    #[test]
    fn an_irregular_type_is_kept_and_known_to_be_unknown() {
        let beta = ["[beta]Exfiltration", "S3", "AnomalousBehavior"];
        check("[beta]Exfiltration:S3/AnomalousBehavior", beta, None, None, false);
        check("99:EC2/Stateless.IntegTest", ["99", "EC2", "Stateless"], Some("IntegTest"), None, false);
        check("Impact:New/Thing.!", ["Impact", "New", "Thing"], None, None, false);
        for odd in ["something else", ":/", "a:b", "a/b:c", ":EC2/x", "測試"] {
            check(odd, ["", "", ""], None, None, false);
        }
    }

    #[test]
    fn a_blank_or_endless_text_is_no_type() {
        for text in [String::new(), " \n".to_owned(), "x".repeat(LONGEST + 1)] {
            assert!(FindingType::try_from(text).is_err());
        }
    }
}
