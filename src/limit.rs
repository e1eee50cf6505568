//! How many containments an account gets in an hour without a person, as the policy says.

use crate::id::AccountId;
use crate::incident::{Incident, News, Part};
use crate::ledger::key::{CounterKey, HoldKey};
use crate::ledger::protocol::Limit;
use crate::policy::{Approval, Fallback, Policy, Response};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The limits of what the incident would contain, also where a person is asked first.
#[must_use]
pub fn of_incident(policy: &Policy, incident: &Incident, now: Timestamp) -> Vec<Limit> {
    let contains = |part: &&Part| part.decision.response >= Response::Approve;
    let changes = |part: &&Part| part.plan.writes();
    let of_part = |part: &Part| {
        let (account, name) = (&part.plan.subject.at.account, part.plan.remediation.as_deref());
        of_account(policy, account, name, now).collect::<Vec<_>>()
    };
    let parts = incident.parts.iter().filter(contains).filter(changes);
    let limits: BTreeMap<_, _> = parts.flat_map(of_part).map(|limit| (limit.counter.clone(), limit)).collect();
    limits.into_values().collect()
}

/// The limits of an account for a remediation: of all that is contained there, and of what this one contains.
pub fn of_account(
    policy: &Policy,
    account: &AccountId,
    remediation: Option<&str>,
    now: Timestamp,
) -> impl Iterator<Item = Limit> {
    let limits = policy.limits();
    let all = Limit { counter: CounterKey::at(account, None, now), at_most: limits.per_hour };
    let own = remediation.map(|name| limits.of(name));
    let own = own.map(|at_most| Limit { counter: CounterKey::at(account, remediation, now), at_most });
    [all].into_iter().chain(own)
}

/// Leaves to a person what changes these settings. False where nothing does, or it is left to one already.
pub fn hold_back(incident: &mut Incident, counter: &CounterKey, settings: &BTreeSet<HoldKey>) -> bool {
    let of = counter.remediation.as_deref().unwrap_or("containments");
    let why = format!("account {} would have more {of} within an hour than the policy allows", counter.account);
    let begins = |part: &Part| part.keys().any(|key| settings.contains(&key)) && !part.decision.lowered.contains(&why);
    let mut is_any = false;
    for Part { decision, .. } in incident.parts.iter_mut().filter(|part| begins(part)) {
        decision.response = decision.response.min(Response::Approve);
        decision.lowered.push(why.clone());
        // Nor by time: what is over the limit, a person decides.
        decision.approval = decision.approval.map(|approval| Approval { fallback: Fallback::Abandon, ..approval });
        is_any = true;
    }
    incident.news = Some(News::OverLimit { counter: counter.to_string() });
    is_any
}
