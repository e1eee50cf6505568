//! Identifiers, each its own type, each checked once.
//!
//! Text from a finding is attacker-controlled. A value of one of these types has the alphabet and length that AWS
//! documents for it, so it may stand in an API call, a policy document, an ARN or a shell command without escaping.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a text was refused for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct InvalidId {
    pub kind: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident ($kind:literal, $len:expr, $allowed:expr);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                let allowed: fn(&str) -> bool = $allowed;
                if $len.contains(&text.len()) && allowed(&text) { Ok(Self(text)) } else { Err(InvalidId { kind: $kind }) }
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;
            fn try_from(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// Twelve digits.
    AccountId ("account id", 12..=12, |t| t.bytes().all(|b| b.is_ascii_digit()));
    /// A region's code, `eu-west-1`.
    Region ("region", 5..=32, |t| t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    /// A finding's id: 32 hexadecimal digits from GuardDuty; hand-made ones may hold other plain characters.
    FindingId ("finding id", 1..=128, |t| t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
    /// An IAM user's name, without its path.
    UserName ("user name", 1..=64, iam_name);
    /// An IAM role's name, without its path.
    RoleName ("role name", 1..=64, iam_name);
    /// A role session's name. Chosen by whoever assumed the role.
    SessionName ("session name", 2..=64, iam_name);
    /// The name of an inline policy.
    PolicyName ("policy name", 1..=128, iam_name);
    /// A key id; `AKIA…` lives until it is deleted, `ASIA…` expires.
    AccessKeyId ("access key id", 16..=128, |t| t.bytes().all(|b| b.is_ascii_alphanumeric()));
    /// The unique id of a principal, `AIDA…` or `AROA…`.
    UniqueId ("unique id", 3..=128, |t| t.bytes().all(|b| b.is_ascii_alphanumeric()));
    InstanceId ("instance id", 3..=32, |t| prefixed(t, "i-"));
    InterfaceId ("network interface id", 5..=32, |t| prefixed(t, "eni-"));
    GroupId ("security group id", 4..=32, |t| prefixed(t, "sg-"));
    RuleId ("security group rule id", 5..=32, |t| prefixed(t, "sgr-"));
    VpcId ("VPC id", 5..=32, |t| prefixed(t, "vpc-"));
    /// A GuardDuty detector's id: 32 hexadecimal digits from AWS.
    DetectorId ("detector id", 1..=64, |t| t.bytes().all(|b| b.is_ascii_alphanumeric()));
    BucketName ("bucket name", 3..=255, |t| t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)));
}

/// The alphabet of IAM's friendly names: `[\w+=,.@-]`.
fn iam_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

fn prefixed(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl AccountId {
    /// Stands for an account that the finding does not name, or names wrongly. No account has this id, so nothing is
    /// ever done in it; people are told all the same.
    #[must_use]
    pub fn unknown() -> Self {
        Self("000000000000".to_owned())
    }

    #[must_use]
    pub fn is_known(&self) -> bool {
        *self != Self::unknown()
    }
}

impl Region {
    /// Stands for a region that the finding does not name.
    #[must_use]
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }
}

impl FindingId {
    /// A finding's id, whatever it is: GuardDuty's own are hexadecimal, and in any other the odd characters are
    /// replaced, so that it can stand in a link and in a session's name.
    #[must_use]
    pub fn cleaned(text: &str) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        Self::try_from(text.chars().take(128).map(plain).collect::<String>()).unwrap_or_else(|_| Self::unknown())
    }

    /// Stands for the id of a finding that has none, which GuardDuty did not send.
    #[must_use]
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }

    #[must_use]
    pub fn is_known(&self) -> bool {
        *self != Self::unknown()
    }
}

/// How long a credential lives, as its id tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLife {
    /// `AKIA…`: until it is deleted.
    LongTerm,
    /// `ASIA…`: a session's, hours.
    Temporary,
    /// A placeholder, or a prefix that nobody has seen yet.
    Unknown,
}

impl AccessKeyId {
    /// Tells the life of a key by its prefix ("Unique identifiers" in the IAM user guide).
    #[must_use]
    pub fn life(&self) -> KeyLife {
        match self.0.get(..4) {
            Some("AKIA") => KeyLife::LongTerm,
            Some("ASIA") => KeyLife::Temporary,
            _ => KeyLife::Unknown,
        }
    }
}

/// Where ARNs and console links point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Partition {
    #[serde(rename = "aws")]
    Aws,
    #[serde(rename = "aws-cn")]
    China,
    #[serde(rename = "aws-us-gov")]
    GovCloud,
}

impl Partition {
    /// The partition's name as ARNs carry it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }

    /// The host of the management console.
    #[must_use]
    pub fn console(self) -> &'static str {
        match self {
            Self::Aws => "console.aws.amazon.com",
            Self::China => "console.amazonaws.cn",
            Self::GovCloud => "console.amazonaws-us-gov.com",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The account and region to act in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub partition: Partition,
    pub account: AccountId,
    pub region: Region,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.account.is_known() {
            write!(f, "account {} in {}", self.account, self.region)
        } else {
            write!(f, "an unknown account in {}", self.region)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_nothing_that_a_shell_or_a_policy_would_read_as_its_own() {
        for evil in ["", "a b", "a;b", "a\"b", "a\n", "a*", "a?", "${aws:userid}", "a/b", "i-\0", "ann\u{202e}"] {
            assert!(UserName::try_from(evil).is_err(), "{evil:?}");
            assert!(SessionName::try_from(evil).is_err(), "{evil:?}");
            assert!(InstanceId::try_from(evil).is_err(), "{evil:?}");
        }
    }

    #[test]
    fn a_key_tells_its_life_by_its_prefix() {
        let life = |id: &str| AccessKeyId::try_from(id).map(|key| key.life());
        assert_eq!(life("AKIAIOSFODNN7EXAMPLE"), Ok(KeyLife::LongTerm));
        assert_eq!(life("ASIAIOSFODNN7EXAMPLE"), Ok(KeyLife::Temporary));
        assert_eq!(life("GeneratedFindingAccessKeyId"), Ok(KeyLife::Unknown));
    }
}
