//! What a policy says beside its rules: who operates, what guards want, how much is too much.

use super::error::Told;
use super::glob::Glob;
use super::read::account;
use super::table::{Table, flag, text, whole};
use super::terms::duration;
use crate::id::{AccountId, RoleName, UserName};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use toml::de::DeValue;

/// `[operators]`: people who must be able to act when everything else is contained.
#[derive(Debug, Clone, Default)]
pub struct Operators {
    roles: Vec<Glob>,
    break_glass_users: Vec<Glob>,
    break_glass_roles: Vec<Glob>,
}

/// `[guards]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// How old a finding's last update may be, for Quell to act on it without a person.
    pub stale_after: SignedDuration,
    /// Whether GuardDuty is asked for the finding before anything is done.
    pub verify_findings: bool,
}

/// How many containments an account gets in an hour, of all kinds together and of each, where the policy does not say.
const USUAL: u32 = 10;

/// `[limit]`: how many containments an account gets in an hour without a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub per_hour: u32,
    per_remediation: BTreeMap<String, u32>,
}

impl Default for Guards {
    fn default() -> Self {
        Self { stale_after: SignedDuration::from_hours(24), verify_findings: true }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_hour: USUAL, per_remediation: BTreeMap::new() }
    }
}

impl Limits {
    /// The most containments by one remediation.
    #[must_use]
    pub fn of(&self, remediation: &str) -> u32 {
        self.per_remediation.get(remediation).copied().unwrap_or(USUAL)
    }
}

impl Operators {
    #[must_use]
    pub fn work_as(&self, role: &RoleName) -> bool {
        self.roles.iter().any(|glob| glob.is_match(role.as_str()))
    }

    #[must_use]
    pub fn break_glass_role(&self, role: &RoleName) -> bool {
        self.break_glass_roles.iter().any(|glob| glob.is_match(role.as_str()))
    }

    #[must_use]
    pub fn break_glass_user(&self, user: &UserName) -> bool {
        self.break_glass_users.iter().any(|glob| glob.is_match(user.as_str()))
    }
}

pub(super) fn operators(top: &mut Table<'_>, told: &mut Told) -> Operators {
    let Some(mut table) = top.take_table("operators", "roles = [\"SecurityResponse\"]", told) else {
        return Operators::default();
    };
    let roles = table.take_list("roles", told, |value| Glob::iam_name(text(value)?));
    let break_glass = table.take_list("break_glass", told, break_glass).unwrap_or_default();
    table.finish(told);
    let of = |wanted| {
        let names = break_glass.iter().filter(move |(kind, _)| *kind == wanted);
        names.map(|(_, glob)| glob.clone()).collect()
    };
    Operators {
        roles: roles.unwrap_or_default(),
        break_glass_users: of(Principals::Users),
        break_glass_roles: of(Principals::Roles),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Principals {
    Users,
    Roles,
}

fn break_glass(value: &DeValue<'_>) -> Result<(Principals, Glob), String> {
    let text = text(value)?;
    match text.split_once('/') {
        Some(("user", name)) => Ok((Principals::Users, Glob::iam_name(name)?)),
        Some(("role", name)) => Ok((Principals::Roles, Glob::iam_name(name)?)),
        _ => Err(format!("{text:?} is neither a user nor a role; write \"user/…\" or \"role/…\"")),
    }
}

pub(super) fn management_account(top: &mut Table<'_>, told: &mut Told) -> Option<AccountId> {
    let mut table = top.take_table("organization", "management_account = \"111122223333\"", told)?;
    let id = table.take("management_account", told, account);
    table.finish(told);
    id
}

pub(super) fn guards(top: &mut Table<'_>, told: &mut Told) -> Guards {
    let usual = Guards::default();
    let Some(mut table) = top.take_table("guards", "stale_after = \"24h\"", told) else { return usual };
    let stale_after = table.take("stale_after", told, duration);
    let verify_findings = table.take("verify_findings", told, flag);
    table.finish(told);
    Guards {
        stale_after: stale_after.unwrap_or(usual.stale_after),
        verify_findings: verify_findings.unwrap_or(usual.verify_findings),
    }
}

pub(super) fn limits(top: &mut Table<'_>, remediations: &[&str], told: &mut Told) -> Limits {
    let usual = Limits::default();
    let Some(mut table) = top.take_table("limit", "per_hour = 10", told) else { return usual };
    let per_hour = table.take("per_hour", told, whole).unwrap_or(usual.per_hour);
    let of_each = table.take_table("remediation", "exposed-port = 3", told);
    table.finish(told);
    let per_remediation = of_each.map(|mut table| {
        let one = |name: &&str| Some(((*name).to_owned(), table.take(name, told, whole)?));
        let limits = remediations.iter().filter_map(one).collect();
        table.finish(told);
        limits
    });
    Limits { per_hour, per_remediation: per_remediation.unwrap_or_default() }
}
