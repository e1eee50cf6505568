//! The e-mail.
//!
//! The first lines answer three questions: what is true, must I act, what do I paste. No line but the headline, the
//! headings and the commands begins at the margin, and none of those holds a finding's text before its first colon.

mod account;
mod steps;

pub(super) use account::of_remote;
pub(super) use steps::{became, nothing};

use super::facts::{to_do, told_of};
use super::words;
use crate::incident::Incident;

/// Renders the e-mail: the headline, the verdict in words, then sections, of which empty ones are left out.
#[must_use]
pub fn text(incident: &Incident) -> String {
    let parts = told_of(incident);
    let steps = to_do(&parts);
    let heading = if words::urgency(incident) == words::Urgency::None { "NEXT STEPS" } else { "DO NOW" };
    let sections = [
        ("APPROVE OR REJECT", steps::approve(incident)),
        (heading, steps::to_do(&steps, &incident.finding.at, 24_000)),
        ("WHAT WAS GIVEN BACK", steps::given_back(incident)),
        ("WHAT QUELL DID", steps::done(&parts)),
        ("WHAT QUELL WOULD DO", steps::planned(&parts)),
        ("WHAT WAS NOT DONE, AND WHY", steps::not_done(&parts)),
        ("WHAT HAPPENED", account::happened(incident)),
        ("FROM", account::from(&incident.finding)),
        ("WHAT ELSE STOPS", steps::blast(&parts)),
        ("WHAT THIS DOES NOT STOP", steps::residual(&parts)),
        ("ALSO FOUND", steps::notes(&parts)),
        ("DECIDED BY", account::decided(&parts)),
        ("IF IT WAS A FALSE ALARM", steps::way_back(incident)),
        ("LINKS", account::links(&incident.finding)),
    ];
    let filled = sections.into_iter().filter(|(_, lines)| !lines.is_empty());
    let section = |(heading, lines): (&str, Vec<String>)| format!("\n{heading}\n{}\n", lines.join("\n"));
    head(incident, !steps.is_empty()) + &filled.map(section).collect::<String>()
}

fn head(incident: &Incident, has_steps: bool) -> String {
    let finding = &incident.finding;
    let parts = words::parts(incident).map(|parts| format!(" By part: {parts}.")).unwrap_or_default();
    let news = words::news(incident).into_iter().map(|news| ["  News:    ", &news, "\n"].concat()).collect::<String>();
    let ends = words::ends(incident).map(|ends| format!("  Until:   {ends}\n")).unwrap_or_default();
    let archived = if finding.archived { ", archived" } else { "" };
    format!(
        "{}\n  Finding: {}, severity {}{archived}\n{news}  Now:     {}{parts}\n{ends}  Act:     {}\n",
        words::headline(incident),
        words::kind(&finding.kind),
        words::severity(finding),
        words::standing(incident),
        words::act(incident, has_steps),
    )
}
