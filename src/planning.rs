//! Looks at what a finding names, and says what would be done about it. Nothing is written, and nothing is told.

use crate::aws::Cloud;
use crate::blast;
use crate::clock;
use crate::cloud_error::{CloudError, Kind};
use crate::finding::{Finding, Subject};
use crate::guard::{self, Case, Own};
use crate::incident::{Incident, Part};
use crate::kept_closed;
use crate::ledger::Foreseen;
use crate::ledger::key::{HoldKey, IncidentId};
use crate::limit;
use crate::observe::{Budget, check, observe};
use crate::observed::{Checks, Exposure, Observation, Observed, Verification};
use crate::plan::{NoSteps, Plan};
use crate::policy::{Decision, Policy, Refusal, Response, Ruling};
use crate::remediation::{Remediation, Route, route, told};
use crate::respond::Responder;
use futures_util::future::{join, join_all};
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How long looking may wait for the ledger; the claim asks it again.
pub const FORESIGHT: Duration = Duration::from_secs(1);

/// What all subjects of a finding share.
#[derive(Default)]
struct Asked {
    /// Asked once, by the first that is looked at.
    checks: OnceCell<Checks>,
    /// What the ledger says, asked as often.
    foreseen: OnceCell<Foreseen>,
    balancers: Budget,
    /// How long Quell has waited for a person.
    waited: SignedDuration,
}

/// Looks at every subject, and says what would be done about it.
pub async fn plan_for(responder: &Responder, finding: Finding, until: Instant) -> Incident {
    plan_after(responder, finding, until, SignedDuration::ZERO).await
}

/// The same, so long after Quell began to wait for a person to decide.
pub async fn plan_after(responder: &Responder, finding: Finding, until: Instant, waited: SignedDuration) -> Incident {
    plan_with(responder, finding, &Asked { waited, ..Asked::default() }, until).await
}

/// The same, with what the ledger said of it meanwhile.
pub async fn plan_seeing(responder: &Responder, finding: Finding, until: Instant) -> (Incident, Foreseen) {
    let asked = Asked::default();
    let incident = plan_with(responder, finding, &asked, until).await;
    (incident, asked.foreseen.into_inner().unwrap_or_default())
}

async fn plan_with(responder: &Responder, finding: Finding, asked: &Asked, until: Instant) -> Incident {
    let started = clock::now();
    let parts = route(&finding).into_iter().map(|route| part(responder, &finding, route, asked, until));
    let parts = join_all(parts).await;
    let finding = match asked.checks.get() {
        Some(Checks { verification: Verification::Known { updated: Some(theirs) }, .. }) => finding.updated_by(*theirs),
        Some(_) | None => finding,
    };
    Incident::new(finding, parts, started)
}

/// One subject's part of the story. Subjects do not wait for each other.
async fn part(responder: &Responder, finding: &Finding, route: Route<'_>, asked: &Asked, until: Instant) -> Part {
    let Route { subject, remediation } = route;
    let policy = match &responder.policy {
        Ok(policy) => policy,
        Err(why) => return only_told(Plan::without_steps(subject, None, NoSteps::Refused(why.clone())), None),
    };
    let before = policy.rule_for(finding, subject, None);
    let Some(remediation) = remediation else {
        let mut part = only_told(told(finding, subject), rule_of(&before));
        part.decision.notes.extend(guard::last_way_in(policy, &subject.kind));
        return part;
    };
    if let Some(why) = stops_at_telling(&before) {
        return only_told(Plan::without_steps(subject, None, NoSteps::NotCovered(why)), rule_of(&before));
    }
    let looking = look(responder, finding, route, remediation, until);
    let foreseeing = asked.foreseen.get_or_init(|| foresee(responder, finding));
    let asking = join(checks(responder, policy, finding, asked, until), foreseeing);
    let ((cloud, observation), (checks, foreseen)) = join(looking, asking).await;
    let observation =
        observation.map(|observed| observed.beside(kept_closed::known(finding, subject, foreseen.seen.holds.values())));
    // Tags that could not be read stay unknown: then a rule that asks for them decides nothing, and so nothing is done.
    let tags = observation.as_ref().ok().map(Observed::tags);
    let ruling = policy.rule_for(finding, subject, tags.as_ref());
    if let Some(why) = stops_at_telling(&ruling) {
        return only_told(Plan::without_steps(subject, None, NoSteps::NotCovered(why)), rule_of(&ruling));
    }
    let (mut plan, observation) = planned(responder, finding, route, remediation, observation).await;
    let observed = observation.as_ref().ok();
    let principal = cloud.as_ref().and_then(Cloud::caller).and_then(Own::principal_of);
    let own = &Own { principal, ..responder.own.clone() };
    let (now, waited) = (clock::now(), asked.waited);
    let decided = |plan: &Plan| {
        guard::lowered(&Case { finding, plan, ruling: &ruling, policy, observed, checks, own, now, waited })
    };
    let decision = decided(&plan);
    // Containment waits for no more than what the team wants to be sure of; a person who decides has the time.
    match cloud {
        Some(cloud) if is_waited_for(&decision, &ruling) => {
            blast::complete(&cloud, &mut plan, &asked.balancers, until).await;
            Part { decision: decided(&plan), plan, results: Vec::new(), ends: None }
        }
        Some(_) | None => Part { plan, decision, results: Vec::new(), ends: None },
    }
}

fn only_told(plan: Plan, rule: Option<String>) -> Part {
    Part { plan, decision: Decision::new(Response::Notify, rule), results: Vec::new(), ends: None }
}

/// Why people are told and nothing is looked at; none where the rule wants more, or depends on tags.
fn stops_at_telling(ruling: &Ruling) -> Option<String> {
    match ruling {
        Ruling::Decided { response: Response::Notify, .. } => Some("the policy wants people told, no more".to_owned()),
        Ruling::Decided { .. } | Ruling::NeedsTags => None,
    }
}

/// Whether all that would stop must be known first: a person decides with it, or the rule has a ceiling. With what is made up
/// nobody shall make us ask much.
fn is_waited_for(decision: &Decision, ruling: &Ruling) -> bool {
    let has_ceiling = match ruling {
        Ruling::Decided { terms, .. } => terms.max_blast.is_some(),
        Ruling::NeedsTags => false,
    };
    decision.refused != Some(Refusal::MadeUp) && (decision.response < Response::Contain || has_ceiling)
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

/// Asks GuardDuty and the kill switch, once for a finding.
async fn checks<'a>(
    responder: &Responder,
    policy: &Policy,
    finding: &Finding,
    asked: &'a Asked,
    until: Instant,
) -> &'a Checks {
    let Responder { clouds, kill_switch, .. } = responder;
    let verify = policy.guards().verify_findings;
    asked.checks.get_or_init(|| check(clouds, finding, verify, kill_switch.as_deref(), until)).await
}

/// Reads, beside looking, what the claim will probably meet in the ledger. On it depends a round trip, that what was just
/// given back is not taken for nothing to do, and that what others keep closed is kept closed by this finding too.
async fn foresee(responder: &Responder, finding: &Finding) -> Foreseen {
    let Ok(policy) = &responder.policy else { return Foreseen::default() };
    let is_looked_at = |subject: &Subject| stops_at_telling(&policy.rule_for(finding, subject, None)).is_none();
    let now = clock::now();
    let (mut holds, mut counters) = (Vec::new(), BTreeSet::new());
    for Route { subject, remediation } in route(finding) {
        let Some(remediation) = remediation.filter(|_| is_looked_at(subject)) else { continue };
        holds.extend((remediation.settings)(&subject.kind).iter().map(|setting| HoldKey::of(&subject.at, setting)));
        let limits = limit::of_account(policy, &subject.at.account, Some(remediation.name), now);
        counters.extend(limits.map(|limit| limit.counter.before(now)));
    }
    if holds.is_empty() && counters.is_empty() {
        return Foreseen::default();
    }
    let (id, counters) = (IncidentId::of(finding), Vec::from_iter(counters));
    let foreseen = tokio::time::timeout(FORESIGHT, responder.ledger.foresee(&id, &holds, &counters, now)).await;
    foreseen.ok().and_then(Result::ok).unwrap_or_default()
}

/// What would be done about what was seen. Where a port is closed, another finding may have done that since the ledger was asked,
/// or in a group that the finding does not name: it is asked once more.
async fn planned(
    responder: &Responder,
    finding: &Finding,
    route: Route<'_>,
    remediation: &Remediation,
    observation: Observation,
) -> (Plan, Observation) {
    let first = plan(finding, route, remediation, &observation);
    match observation {
        Ok(Observed::Exposure(exposure))
            if kept_closed::may_be_more(finding, &exposure, &(remediation.settings)(&route.subject.kind), &first) =>
        {
            let by_now = kept_closed::by_now(responder, finding, route.subject, &exposure).await;
            let kept_closed = by_now.unwrap_or(exposure.kept_closed);
            let observation = Ok(Observed::Exposure(Exposure { kept_closed, ..exposure }));
            (plan(finding, route, remediation, &observation), observation)
        }
        observation => (first, observation),
    }
}

fn plan(finding: &Finding, route: Route<'_>, remediation: &Remediation, observation: &Observation) -> Plan {
    let subject = route.subject;
    match observation {
        Ok(observed) => (remediation.plan)(finding, subject, observed),
        Err(error) => Plan::without_steps(subject, Some(remediation.name), unseen(error)),
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
