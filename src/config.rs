//! What the deployment sets, read from the environment once.

use crate::aws::MemberRole;
use crate::id::{AccountId, InvalidId};
use crate::policy::Policy;
use crate::remediation;
use std::time::Duration;

/// The function's settings.
#[derive(Debug)]
pub struct Config {
    /// `QUELL_TOPIC_ARN`: where people are told.
    pub topic: String,
    /// `QUELL_TABLE`: the ledger's table.
    pub table: String,
    /// `QUELL_ACCOUNT`: the function's own account. Without it every account is taken for our own, and the identity
    /// check before the first write is what tells them apart.
    pub account: Option<AccountId>,
    /// `QUELL_MEMBER_ROLE` and `QUELL_MEMBER_EXTERNAL_ID`.
    pub member: Option<MemberRole>,
    /// `QUELL_POLICY`: a path or the text; without it `policy.toml` beside the binary. Or why it cannot be read.
    pub policy: Result<Policy, String>,
    /// `QUELL_KILL_SWITCH`: the SSM parameter that says how far Quell may go; without it, as far as the policy says.
    pub kill_switch: Option<String>,
    /// `QUELL_LINGER`: seconds that an invocation stays after containment, to look whether it lasts; without it none.
    pub linger: Duration,
    /// `QUELL_STACK`: the id of Quell's own stack, so that what it made is left alone.
    pub stack: Option<String>,
    /// `QUELL_OPERATE`: the function's alias for orders that change something; without it they may come by any way.
    pub operate: Option<String>,
}

/// A setting that makes the function useless.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("QUELL_TOPIC_ARN is not set: there is nobody to tell")]
    NoTopic,
    #[error("QUELL_TABLE is not set: what undo needs could not be saved")]
    NoTable,
    #[error("QUELL_ACCOUNT: {0}")]
    Account(#[from] InvalidId),
    #[error("QUELL_MEMBER_ROLE is set, but QUELL_ACCOUNT is not: our own account could not be told from a member's")]
    NoOwnAccount,
}

impl Config {
    /// Reads the settings through `get`, which gives the value of an environment variable.
    ///
    /// # Errors
    /// Only for what leaves nothing to work with. A policy that cannot be read is kept as the reason: findings are
    /// still told.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let account = get("QUELL_ACCOUNT").map(AccountId::try_from).transpose()?;
        let member =
            get("QUELL_MEMBER_ROLE").map(|name| MemberRole { name, external_id: get("QUELL_MEMBER_EXTERNAL_ID") });
        if member.is_some() && account.is_none() {
            return Err(ConfigError::NoOwnAccount);
        }
        let policy = Policy::load(get("QUELL_POLICY").as_deref(), &remediation::names());
        Ok(Self {
            topic: get("QUELL_TOPIC_ARN").ok_or(ConfigError::NoTopic)?,
            table: get("QUELL_TABLE").ok_or(ConfigError::NoTable)?,
            account,
            member,
            policy: policy.map_err(|error| format!("the policy cannot be read, so nothing is done: {error}")),
            kill_switch: get("QUELL_KILL_SWITCH"),
            linger: get("QUELL_LINGER")
                .and_then(|text| text.trim().parse().ok())
                .map_or(Duration::ZERO, Duration::from_secs),
            stack: get("QUELL_STACK"),
            operate: get("QUELL_OPERATE"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: &[(&str, &str)], expect: &str) {
        let get = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let read = Config::read(get);
        let said = match &read {
            Ok(Config { policy: Ok(_), .. }) => "fine".to_owned(),
            Ok(Config { policy: Err(why), .. }) => why.clone(),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expect), "{settings:?}: {said}");
    }

    const TOPIC: (&str, &str) = ("QUELL_TOPIC_ARN", "arn:aws:sns:eu-west-1:111122223333:quell");

    const TABLE: (&str, &str) = ("QUELL_TABLE", "quell");

    #[test]
    fn what_cannot_work_is_refused_and_what_can_still_tell_is_not() {
        check(&[TOPIC, TABLE], "fine");
        check(&[], "QUELL_TOPIC_ARN is not set");
        check(&[TOPIC], "QUELL_TABLE is not set");
        check(&[TOPIC, TABLE, ("QUELL_ACCOUNT", "ann")], "not a valid account id");
        check(&[TOPIC, TABLE, ("QUELL_MEMBER_ROLE", "QuellMember")], "QUELL_ACCOUNT is not");
        check(&[TOPIC, TABLE, ("QUELL_POLICY", "[[rule]]\nresponse = \"explode\"")], "the policy cannot be read");
    }
}
