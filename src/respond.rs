//! The story of a finding.

use crate::aws::{Cloud, Clouds};
use crate::cloud_error::{CloudError, Kind};
use crate::execute::execute;
use crate::finding::Finding;
use crate::guard;
use crate::incident::{Incident, Part, StepResult, Verdict};
use crate::observe::observe;
use crate::observed::{Observation, Observed};
use crate::plan::{NoSteps, Plan};
use crate::policy::{Decision, Policy, Response, Ruling};
use crate::remediation::{Remediation, Route, route, told};
use futures_util::future::{join, join_all};
use jiff::Timestamp;
use std::time::Instant;

/// What a finding is answered with.
#[derive(Debug)]
pub struct Responder {
    pub clouds: Clouds,
    /// The team's policy, or why it cannot be read: then people are told of every finding, and nothing is done.
    pub policy: Result<Policy, String>,
}

/// Handles one finding until `until`: decides, looks, plans, does, reads back. Telling is the caller's.
///
/// Never fails: whatever went wrong is in the incident.
pub async fn respond(responder: &Responder, finding: Finding, until: Instant) -> Incident {
    let started = Timestamp::now();
    let parts = join_all(route(&finding).into_iter().map(|route| part(responder, &finding, route, until))).await;
    let mut incident = Incident { finding, parts, started, contained: None };
    if matches!(incident.verdict(), Verdict::Contained | Verdict::Partial) {
        incident.contained = Some(Timestamp::now());
    }
    incident
}

/// One subject's part of the story. Subjects do not wait for each other.
async fn part(responder: &Responder, finding: &Finding, route: Route<'_>, until: Instant) -> Part {
    let Route { subject, remediation } = route;
    let policy = match &responder.policy {
        Ok(policy) => policy,
        Err(why) => return only_told(Plan::without_steps(subject, None, NoSteps::Refused(why.clone())), None),
    };
    let before = policy.rule_for(finding, subject, None);
    let Some(remediation) = remediation else { return only_told(told(finding, subject), rule_of(&before)) };
    if let Some(why) = stops_at_telling(&before) {
        return only_told(Plan::without_steps(subject, None, NoSteps::NotCovered(why)), rule_of(&before));
    }
    let (cloud, observation) = look(responder, finding, route, remediation, until).await;
    // Tags that could not be read stay unknown: then a rule that asks for them decides nothing, and so nothing is done.
    let tags = observation.as_ref().ok().map(Observed::tags);
    let ruling = policy.rule_for(finding, subject, tags.as_ref());
    if let Some(why) = stops_at_telling(&ruling) {
        return only_told(Plan::without_steps(subject, None, NoSteps::NotCovered(why)), rule_of(&ruling));
    }
    let plan = plan(finding, route, remediation, observation);
    let decision = guard::lowered(&ruling, finding, &plan);
    let results = act(cloud.as_ref(), &plan, &decision, until).await;
    Part { plan, decision, results }
}

fn only_told(plan: Plan, rule: Option<String>) -> Part {
    let decision = Decision { response: Response::Notify, rule, lowered: None };
    Part { plan, decision, results: Vec::new() }
}

/// Why people are told and nothing is looked at; none where the rule wants more, or depends on tags.
fn stops_at_telling(ruling: &Ruling) -> Option<String> {
    match ruling {
        Ruling::Decided { response: Response::Notify, .. } => Some("the policy wants people told, no more".to_owned()),
        Ruling::Decided { .. } | Ruling::NeedsTags => None,
    }
}

fn rule_of(ruling: &Ruling) -> Option<String> {
    match ruling {
        Ruling::Decided { rule, .. } => rule.clone(),
        Ruling::NeedsTags => None,
    }
}

/// Looks at the subject, and beside it asks whose credentials we look with: what another account shows is not believed.
async fn look(
    responder: &Responder,
    finding: &Finding,
    route: Route<'_>,
    remediation: &Remediation,
    until: Instant,
) -> (Option<Cloud>, Observation) {
    let subject = route.subject;
    let cloud = match responder.clouds.at(&subject.at, &finding.id, until).await {
        Ok(cloud) => cloud,
        Err(error) => return (None, Err(error)),
    };
    let looking = join(cloud.verify_identity(), observe(&cloud, &subject.kind, remediation.view));
    let observation = match tokio::time::timeout_at(until.into(), looking).await {
        // Whatever another account says of the resource, above all that it is gone, is not about this one.
        Ok((identity, observed)) => identity.and(observed),
        Err(_) => Err(CloudError::out_of_time("observing")),
    };
    (Some(cloud), observation)
}

fn plan(finding: &Finding, route: Route<'_>, remediation: &Remediation, observation: Observation) -> Plan {
    let subject = route.subject;
    match observation {
        Ok(observed) => (remediation.plan)(finding, subject, &observed),
        Err(error) => Plan::without_steps(subject, Some(remediation.name), unseen(&error)),
    }
}

fn unseen(error: &CloudError) -> NoSteps {
    let why = error.to_string();
    match error.kind {
        Kind::Gone => NoSteps::Gone(why),
        Kind::Refused => NoSteps::Refused(why),
        Kind::Transient => NoSteps::NotObserved { why, transient: true },
        Kind::Exists | Kind::Other => NoSteps::NotObserved { why, transient: false },
    }
}

/// The only place that asks how far we may go.
async fn act(cloud: Option<&Cloud>, plan: &Plan, decision: &Decision, until: Instant) -> Vec<StepResult> {
    match (decision.response, cloud) {
        (Response::Contain, Some(cloud)) => execute(cloud, plan, until).await,
        (Response::Contain | Response::Notify | Response::Plan | Response::Approve, _) => Vec::new(),
    }
}
