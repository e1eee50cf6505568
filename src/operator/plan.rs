//! `quell plan`: what would be done, looked at with the operator's own credentials. Changes nothing.

use super::access::{Access, access};
use super::case::{self, decided};
use super::cli::{Common, Event};
use super::exit::{Exit, Failure};
use super::report::{Entry, Report, Section, Tone};
use super::words::{about, count, steps};
use crate::aws::{Cloud, Clouds};
use crate::blast;
use crate::cloud_error::{CloudError, Kind};
use crate::finding::{Finding, Subject};
use crate::observe::{Budget, observe};
use crate::observed::Observed;
use crate::plan::{Manual, NoSteps, Plan};
use crate::policy::{Decision, Policy, Response};
use crate::remediation::{Remediation, Route, route, told};
use crate::setting::be_there;
use crate::setting::rules::plain_word;
use futures_util::future::{join_all, try_join};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The longest that looking may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// One subject's plan, and what the policy says to it.
struct Part {
    plan: Plan,
    decision: Decision,
}

/// Looks, plans and shows; where AWS could not be asked, the exit code says so.
///
/// # Errors
/// The policy is wrong, there is no finding, or there are no credentials.
pub async fn plan(common: &Common, event: &Event) -> Result<Report, Failure> {
    let policy = case::policy(&common.policy)?;
    let finding = case::finding(&event.event)?;
    let routes = route(&finding);
    let parts = if routes.iter().all(|route| route.remediation.is_none()) {
        routes
            .into_iter()
            .map(|route| part(&policy, &finding, route.subject, told(&finding, route.subject), None))
            .collect()
    } else {
        let Access { config, arn: _, sts: _ } = access(common, Some(&finding.at.region)).await?;
        let clouds = Clouds::new(config, None, None);
        let budget = Budget::default();
        join_all(routes.into_iter().map(|route| look(&clouds, &policy, &finding, route, &budget))).await
    };
    Ok(report(&finding, &parts, common.profile.as_deref()))
}

async fn look(clouds: &Clouds, policy: &Policy, finding: &Finding, route: Route<'_>, budget: &Budget) -> Part {
    let Route { subject, remediation } = route;
    let Some(remediation) = remediation else { return part(policy, finding, subject, told(finding, subject), None) };
    let until = Instant::now() + PATIENCE;
    match observed(clouds, finding, subject, remediation, until).await {
        Ok((cloud, observed)) => {
            let mut plan = (remediation.plan)(finding, subject, &observed);
            blast::complete(&cloud, &mut plan, budget, until).await;
            part(policy, finding, subject, plan, Some(&observed))
        }
        Err(error) => {
            let plan = Plan::without_steps(subject, Some(remediation.name), unseen(&error));
            part(policy, finding, subject, plan, None)
        }
    }
}

/// Looks with the operator's credentials, which must be those of the subject's account.
async fn observed(
    clouds: &Clouds,
    finding: &Finding,
    subject: &Subject,
    remediation: &Remediation,
    until: Instant,
) -> Result<(Cloud, Observed), CloudError> {
    let cloud: Cloud = clouds.at(&subject.at, &finding.id, until).await?;
    let looking = try_join(cloud.verify_identity(), observe(&cloud, &subject.kind, remediation.view));
    let ((), observed) = looking.await?;
    Ok((cloud, observed))
}

fn unseen(error: &CloudError) -> NoSteps {
    match error.kind {
        Kind::Gone => NoSteps::Gone(error.to_string()),
        Kind::Transient => NoSteps::NotObserved { why: error.to_string(), transient: true },
        Kind::Refused | Kind::Exists | Kind::Other => NoSteps::NotObserved { why: error.to_string(), transient: false },
    }
}

fn part(policy: &Policy, finding: &Finding, subject: &Subject, plan: Plan, observed: Option<&Observed>) -> Part {
    let tags = observed.map(Observed::tags);
    let ruling = policy.rule_for(finding, subject, tags.as_ref());
    let decision = decided(policy, &ruling, finding, &plan, observed);
    Part { plan, decision }
}

fn report(finding: &Finding, parts: &[Part], profile: Option<&str>) -> Report {
    let unseen = parts.iter().any(|part| matches!(part.plan.no_steps, Some(NoSteps::NotObserved { .. })));
    let exit = if unseen { Exit::Aws } else { Exit::Done };
    let mut sections = vec![Section::Facts(about(finding))];
    if parts.is_empty() {
        sections.push(Section::Text("The finding names nothing that could be contained.".to_owned()));
    }
    let mut number = 1;
    for part in parts {
        sections.extend(of_part(part, number, profile));
        number += part.plan.steps().count();
    }
    let changes = parts.iter().flat_map(|part| part.plan.steps()).filter(|step| !step.change.is_already_so()).count();
    let said = format!("Nothing was changed. The plan has {}.", count(changes, "change"));
    sections.push(Section::Said(if unseen { Tone::Bad } else { Tone::Good }, said));
    sections.push(Section::Text(case::NOT_ASKED.to_owned()));
    let json = json!({ "finding": finding, "parts": parts.iter().map(Part::json).collect::<Vec<_>>() });
    Report::told(exit, sections, json)
}

fn of_part(part: &Part, number: usize, profile: Option<&str>) -> Vec<Section> {
    let Part { plan, decision } = part;
    let none = |why: &str| if why.is_empty() { "-".to_owned() } else { why.to_owned() };
    let mut facts = vec![
        ("Rule", decision.rule.as_ref().map_or_else(|| "no rule decides".to_owned(), |rule| format!("\"{rule}\""))),
        ("Response", responds(decision)),
        ("Remediation", none(plan.remediation.as_deref().unwrap_or_default())),
    ];
    facts.extend(plan.no_steps.as_ref().map(|why| ("No steps", no_steps(why))));
    let mut sections = vec![Section::Heading(plan.subject.kind.to_string()), Section::Facts(facts)];
    let steps = steps(plan.steps(), number);
    if !steps.is_empty() {
        sections.extend([Section::Heading("  Steps".to_owned()), Section::List(steps)]);
    }
    let commands = part.commands();
    if !commands.is_empty() {
        let at = &plan.subject.at;
        let heading = format!("  By hand: first be in {at}; the last line must print {}", at.account);
        let profile = profile.map(|profile| format!("export AWS_PROFILE={}", plain_word(profile)));
        sections.extend(Section::commands(&heading, profile.into_iter().chain(be_there(at)).collect()));
    }
    sections.extend(Section::commands("  The same by hand", commands));
    sections.extend(Section::commands("  To undo it", part.undo_commands()));
    sections.extend(Section::listed("  What else stops", &plan.blast.sentences()));
    sections.extend(Section::listed("  Notes", &plan.notes));
    sections.extend(Section::listed("  What this does not stop", &plan.residual));
    sections.extend(by_people(&plan.manual));
    sections
}

fn responds(decision: &Decision) -> String {
    let Decision { response, lowered, .. } = decision;
    let means = match response {
        Response::Notify => "notify: people would be told, and nothing done",
        Response::Plan => "plan: this would be shown, and not done",
        Response::Approve => "approve: this would wait for a person",
        Response::Contain => "contain: this would be done",
    };
    if lowered.is_empty() { means.to_owned() } else { format!("{means} (lowered: {})", lowered.join("; ")) }
}

fn no_steps(why: &NoSteps) -> String {
    match why {
        NoSteps::NothingToDo(why) => format!("nothing to do: {why}"),
        NoSteps::Gone(why) => format!("it no longer exists: {why}"),
        NoSteps::Refused(why) => format!("it cannot be contained: {why}"),
        NoSteps::NotCovered(why) => format!("not covered: {why}"),
        NoSteps::NotObserved { why, transient: false } => {
            format!("it could not be looked at: {why}{}", other_account(why))
        }
        NoSteps::NotObserved { why, transient: true } => format!("it could not be looked at (try again): {why}"),
    }
}

fn other_account(why: &str) -> &'static str {
    if why.contains("wrong account") { "; choose that account's with --profile" } else { "" }
}

fn by_people(manual: &[Manual]) -> Vec<Section> {
    let entry = |manual: &Manual| {
        let said = Entry { mark: "-".to_owned(), lines: vec![manual.say.clone()] };
        [Section::List(vec![said])]
            .into_iter()
            .chain(manual.command.clone().map(|command| Section::Commands(vec![command])))
    };
    let heading = (!manual.is_empty()).then(|| Section::Heading("  For people to do".to_owned()));
    heading.into_iter().chain(manual.iter().flat_map(entry)).collect()
}

impl Part {
    fn commands(&self) -> Vec<String> {
        self.plan.steps().flat_map(|step| step.change.commands()).collect()
    }

    /// The last step first: what a step made, later ones may use.
    fn undo_commands(&self) -> Vec<String> {
        let steps: Vec<_> = self.plan.steps().collect();
        steps.into_iter().rev().flat_map(|step| step.change.undo().commands()).collect()
    }

    fn json(&self) -> Value {
        let Self { plan, decision } = self;
        json!({
            "plan": plan, "decision": decision, "commands": self.commands(), "undo_commands": self.undo_commands(),
        })
    }
}
