//! What GuardDuty says, who decided what, and where to read on.

use crate::finding::{Finding, LocalPort, Remote, ResourceRole, Subject, SubjectKind};
use crate::incident::{Incident, Part};
use crate::notify::escape::{defanged, plain, quoted, sentence};
use crate::notify::facts::lowered;
use crate::notify::{fit, words};
use crate::policy::Response;
use jiff::Timestamp;

pub(super) fn happened(incident: &Incident) -> Vec<String> {
    let finding = &incident.finding;
    let mut lines = vec![
        format!("  GuardDuty says: {}", quoted(&finding.title, 300)),
        format!("  {}", quoted(&finding.description, 1_000)),
    ];
    lines.extend(finding.action.iter().map(|action| format!("  Action:     {}", quoted(action, 300))));
    // Of an access key GuardDuty always says target, which says nothing.
    let host = finding.subjects.iter().any(|subject| matches!(subject.kind, SubjectKind::Instance { .. }));
    lines.extend(finding.role.filter(|_| host).map(|role| format!("  Role:       {}", role_of(role))));
    lines.extend(times(incident));
    lines.push(format!("  Seen:       {}", words::count(usize::try_from(finding.count).unwrap_or(usize::MAX), "time")));
    if finding.sample {
        lines.push("  Sample:     yes, GuardDuty made it for a test; names and addresses are invented".to_owned());
    }
    if finding.archived {
        lines.push("  Archived:   yes".to_owned());
    }
    if finding.subjects.len() > 1 {
        let name = |subject: &Subject| vec![format!("    - {}", defanged(&subject.kind.to_string(), 200))];
        lines.push("  About:".to_owned());
        lines.extend(fit::lines(&finding.subjects, 3_000, name));
    }
    lines
}

fn role_of(role: ResourceRole) -> &'static str {
    match role {
        ResourceRole::Actor => "actor: the resource attacks others, take it as compromised",
        ResourceRole::Target => "target: the resource was attacked, perhaps without success",
    }
}

fn times(incident: &Incident) -> Vec<String> {
    let Finding { first_seen, last_seen, created, updated, .. } = &incident.finding;
    let named =
        [("First seen:", first_seen), ("Last seen: ", last_seen), ("Reported:  ", created), ("Updated:   ", updated)];
    let line = |(name, time): (&str, &Option<Timestamp>)| {
        time.map(|time| format!("  {name} {} ({})", words::second(time), before(incident.started, time)))
    };
    let mut lines: Vec<String> = named.into_iter().filter_map(line).collect();
    lines.push(format!("  Quell ran:  {}", words::second(incident.started)));
    lines
}

/// How long before Quell ran. Clocks differ; what lies after is said as it is.
fn before(started: Timestamp, time: Timestamp) -> String {
    let since = started.duration_since(time);
    if since.is_negative() { format!("{} after", words::span(since)) } else { format!("{} before", words::span(since)) }
}

pub(super) fn from(finding: &Finding) -> Vec<String> {
    let mut lines = fit::lines(&finding.remotes, 3_000, |remote| vec![format!("  {}", of_remote(remote))]);
    lines.extend(fit::lines(&finding.ports, 1_000, |port| vec![format!("  {}", of_port(port))]));
    lines
}

pub(in crate::notify) fn of_remote(remote: &Remote) -> String {
    let Remote { address, country, city, network } = remote;
    let place: Vec<String> = [city, country].into_iter().flatten().map(|text| defanged(text, 80)).collect();
    let place = Some(place.join(", ")).filter(|place| !place.is_empty());
    let network = network.as_ref().map(|network| defanged(network, 120));
    [Some(address.to_string()), place, network].into_iter().flatten().collect::<Vec<_>>().join(" - ")
}

fn of_port(port: &LocalPort) -> String {
    let LocalPort { port, address } = port;
    match address {
        Some(address) => format!("to port {port} of {address}"),
        None => format!("to port {port}"),
    }
}

pub(super) fn decided(parts: &[&Part]) -> Vec<String> {
    let mut said: Vec<String> = parts.iter().map(|part| decision(part)).collect();
    said.sort_unstable();
    said.dedup();
    fit::lines(&said, 2_000, |line| vec![line.clone()])
}

fn decision(part: &Part) -> String {
    // What was approved is told as it was before: a person, or time, let it go further.
    let approved = part.decision.approved;
    let (response, then) = if approved { (Response::Approve, "; then approved") } else { (part.decision.response, "") };
    match (&part.decision.rule, lowered(part)) {
        (None, _) => format!("  no rule of the policy matches: {response}{then}"),
        (Some(rule), []) => format!("  rule \"{}\" of the policy: {response}{then}", plain(rule, 100)),
        (Some(rule), whys) => {
            let whys = whys.iter().map(|why| sentence(why, 300)).collect::<Vec<_>>().join("; ");
            format!("  rule \"{}\" of the policy, lowered to {response}: {whys}{then}", plain(rule, 100))
        }
    }
}

pub(super) fn links(finding: &Finding) -> Vec<String> {
    vec![
        format!("  Console (account {}): {}", finding.at.account, words::console(finding)),
        format!("  Finding id: {}", finding.id),
    ]
}
