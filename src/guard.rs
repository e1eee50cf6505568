//! What lowers a response, and why. A guard never raises one.

use crate::finding::Finding;
use crate::plan::{Limit, Plan};
use crate::policy::{Decision, Response, Ruling};

/// The rule's response, lowered by the guard that wants least.
#[must_use]
pub fn lowered(ruling: &Ruling, finding: &Finding, plan: &Plan) -> Decision {
    let Ruling::Decided { response, rule, remediations } = ruling else {
        let why = "the policy asks for tags, and they could not be read".to_owned();
        return Decision { response: Response::Notify, rule: None, lowered: Some(why) };
    };
    let limits = [of_rule(remediations.as_deref(), plan), of_finding(finding), plan.at_most.clone()];
    let least = limits.into_iter().flatten().min_by_key(|limit| limit.response);
    match least.filter(|limit| limit.response < *response) {
        Some(Limit { response, why }) => Decision { response, rule: rule.clone(), lowered: Some(why) },
        None => Decision { response: *response, rule: rule.clone(), lowered: None },
    }
}

/// A remediation that the rule does not list is still planned, so that people see what could be done.
fn of_rule(wanted: Option<&[String]>, plan: &Plan) -> Option<Limit> {
    let name = plan.remediation.as_deref()?;
    let left_out = wanted.is_some_and(|wanted| !wanted.iter().any(|each| each == name));
    left_out.then(|| plan_only(&format!("the policy's rule does not use {name}")))
}

fn of_finding(finding: &Finding) -> Option<Limit> {
    if finding.sample {
        return Some(plan_only("the finding is a sample: what it names does not exist"));
    }
    if !finding.id.is_known() || !finding.at.account.is_known() {
        return Some(plan_only("the finding has no id or no account, so GuardDuty did not send it as it is"));
    }
    if finding.archived {
        return Some(plan_only("the finding is archived: somebody has dealt with it"));
    }
    if !finding.kind.is_known() {
        let why = "this release does not know the finding's type, so a person must say what it means".to_owned();
        return Some(Limit { response: Response::Approve, why });
    }
    None
}

fn plan_only(why: &str) -> Limit {
    Limit { response: Response::Plan, why: why.to_owned() }
}
