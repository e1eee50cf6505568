//! `quell explain`: why a finding would be answered as it would.

use super::case::{self, decided};
use super::cli::{Common, Event};
use super::exit::{Exit, Failure};
use super::report::{Report, Section};
use super::words::about;
use crate::finding::Finding;
use crate::plan::Plan;
use crate::policy::{Decision, Policy, Response, Ruling};
use crate::remediation::{Remediation, Route, route, told};
use serde_json::{Value, json};

/// Explains, without asking AWS.
///
/// # Errors
/// The policy is wrong, or there is no finding.
pub fn explain(common: &Common, event: &Event) -> Result<Report, Failure> {
    let policy = case::policy(&common.policy)?;
    let finding = case::finding(&event.event)?;
    let subjects: Vec<Why> = route(&finding).into_iter().map(|route| why(&policy, &finding, route)).collect();
    let mut sections = vec![Section::Facts(about(&finding))];
    if subjects.is_empty() {
        let nothing = "The finding names nothing that could be contained: people are told, and nothing else happens.";
        sections.push(Section::Text(nothing.to_owned()));
    }
    sections.extend(subjects.iter().flat_map(|why| {
        let facts = [("Rule", &why.rule), ("Remediation", &why.remediation), ("Guards", &why.guards), ("So", &why.so)];
        let facts = facts.into_iter().map(|(name, value)| (name, value.clone())).collect();
        [Section::Heading(why.subject.clone()), Section::Facts(facts)]
    }));
    if subjects.iter().any(|why| why.name.is_some()) {
        sections.push(Section::Text(case::NOT_ASKED.to_owned()));
    }
    let subjects: Vec<Value> = subjects.iter().map(Why::json).collect();
    let json = json!({ "finding": about(&finding).into_iter().collect::<std::collections::BTreeMap<_, _>>(), "subjects": subjects });
    Ok(Report::told(Exit::Done, sections, json))
}

/// One subject, and the reasons for what happens to it.
struct Why {
    subject: String,
    rule: String,
    remediation: String,
    guards: String,
    so: String,
    /// None where tags decide.
    decision: Option<Decision>,
    name: Option<&'static str>,
}

impl Why {
    fn json(&self) -> Value {
        let Self { subject, rule, remediation, guards, so, decision, name } = self;
        json!({
            "subject": subject, "decision": decision, "remediation": name,
            "why": { "rule": rule, "remediation": remediation, "guards": guards, "so": so },
        })
    }
}

fn why(policy: &Policy, finding: &Finding, route: Route<'_>) -> Why {
    let Route { subject, remediation } = route;
    let ruling = policy.rule_for(finding, subject, None);
    let plan = remediation.map_or_else(|| told(finding, subject), |it| Plan::new(subject, it.name));
    let open = ruling == Ruling::NeedsTags && remediation.is_some();
    let decision = (!open).then(|| decided(policy, &ruling, finding, &plan, None));
    Why {
        subject: subject.kind.to_string(),
        rule: of_rule(&ruling),
        remediation: of_remediation(remediation, &plan),
        guards: of_guards(remediation, decision.as_ref()),
        so: so(decision.as_ref(), remediation),
        decision,
        name: remediation.map(|remediation| remediation.name),
    }
}

fn of_rule(ruling: &Ruling) -> String {
    match ruling {
        Ruling::NeedsTags => {
            "depends on tags: a rule that could decide asks for them, and only AWS knows them".to_owned()
        }
        Ruling::Decided { rule: None, .. } => "no rule matches: people are told, and no more".to_owned(),
        Ruling::Decided { response, rule: Some(rule), remediations: None, .. } => format!("\"{rule}\" says {response}"),
        Ruling::Decided { response, rule: Some(rule), remediations: Some(names), .. } => {
            format!("\"{rule}\" says {response}, by {}", names.join(" or "))
        }
    }
}

fn of_remediation(remediation: Option<&Remediation>, plan: &Plan) -> String {
    let why = plan.no_steps.as_ref().map_or("", |none| none.why());
    match remediation {
        Some(it) => format!("{}, which is for this in findings of this type", it.name),
        None => format!("none: {why}"),
    }
}

fn of_guards(remediation: Option<&Remediation>, decision: Option<&Decision>) -> String {
    let looking = "what AWS shows of it may still lower the response";
    match (remediation, decision.map(|decision| (decision.response, decision.lowered.join("; ")))) {
        (None, _) => "none is needed: nothing is changed".to_owned(),
        (Some(_), Some((_, why))) if why.is_empty() => format!("none that needs no look at AWS lowers it; {looking}"),
        (Some(_), Some((response, why))) => format!("lowered to {response}: {why}"),
        (Some(_), None) => format!("not asked before the tags are known; {looking}"),
    }
}

fn so(decision: Option<&Decision>, remediation: Option<&Remediation>) -> String {
    let so = match (remediation, decision.map(|decision| decision.response)) {
        (_, Some(Response::Notify)) | (None, _) => {
            "people are told what to do; nothing is looked at, nothing is changed"
        }
        (Some(_), Some(Response::Plan)) => "it is looked at and planned; nothing is changed",
        (Some(_), Some(Response::Approve)) => "it is planned, and waits for a person to approve",
        (Some(_), Some(Response::Contain)) => "it is contained",
        (Some(_), None) => "not known yet: \"quell plan\" looks at AWS and decides",
    };
    so.to_owned()
}
