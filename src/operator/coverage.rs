//! `quell coverage`: every type of finding, and what would happen.

use super::case::{self, decided};
use super::cli::{Common, Supposed};
use super::example;
use super::exit::{Exit, Failure};
use super::report::{Cell, Group, Report, Section};
use super::words::count;
use crate::finding::{Finding, FindingType, ResourceRole, Subject, SubjectKind};
use crate::plan::Plan;
use crate::policy::{Decision, Policy, Response, Ruling, Tags};
use crate::remediation::{Route, route, told};
use serde::Serialize;
use serde_json::json;

/// Where findings are taken to be, if no region is given.
const REGION: &str = "us-east-1";

/// What would happen for one type of finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub finding_type: FindingType,
    /// What findings of the type are typically about.
    pub about: &'static str,
    /// The rule that decides; none where no rule does.
    pub rule: Option<String>,
    /// None where that depends on tags.
    pub response: Option<Response>,
    /// None where people are told, and nothing is planned.
    pub remediation: Option<&'static str>,
    /// Why less happens than the rule wants.
    pub lowered: Vec<String>,
}

/// Shows what would happen.
///
/// # Errors
/// The policy is wrong.
pub fn coverage(common: &Common, supposed: &Supposed) -> Result<Report, Failure> {
    let policy = case::policy(&common.policy)?;
    let region = common.region.as_deref().unwrap_or(REGION);
    let rows = rows(&policy, supposed, region);
    let sections = vec![table(&rows), Section::Text(summary(&rows, supposed, region))];
    Ok(Report::told(Exit::Done, sections, json!({ "coverage": rows })))
}

/// One row for each type, and more where several of its subjects have a remediation.
#[must_use]
pub fn rows(policy: &Policy, supposed: &Supposed, region: &str) -> Vec<Row> {
    let tags: Tags = supposed.tags.iter().cloned().collect();
    let tags = (!supposed.tags.is_empty()).then_some(&tags);
    example::findings(supposed, region).iter().flat_map(|finding| of_finding(policy, finding, tags)).collect()
}

fn of_finding(policy: &Policy, finding: &Finding, tags: Option<&Tags>) -> Vec<Row> {
    let routes = route(finding);
    let covered: Vec<&Route> = routes.iter().filter(|route| route.remediation.is_some()).collect();
    let routes = if covered.is_empty() { routes.iter().take(1).collect() } else { covered };
    routes.into_iter().map(|route| row(policy, finding, *route, tags)).collect()
}

fn row(policy: &Policy, finding: &Finding, route: Route<'_>, tags: Option<&Tags>) -> Row {
    let Route { subject, remediation } = route;
    let (about, finding_type) = (about(finding, subject), finding.kind.clone());
    let ruling = policy.rule_for(finding, subject, tags);
    let plan = remediation.map_or_else(|| told(finding, subject), |it| Plan::new(subject, it.name));
    let name = remediation.map(|remediation| remediation.name);
    if ruling == Ruling::NeedsTags && name.is_some() {
        return Row { finding_type, about, rule: None, response: None, remediation: name, lowered: Vec::new() };
    }
    let Decision { response, rule, lowered, .. } = decided(policy, &ruling, finding, &plan, None);
    let remediation = name.filter(|_| response > Response::Notify);
    Row { finding_type, about, rule, response: Some(response), remediation, lowered }
}

fn table(rows: &[Row]) -> Section {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let name = format!("{}:", row.finding_type.purpose());
        let kind = row.finding_type.as_str();
        let kind = kind.strip_prefix(&name).unwrap_or(kind);
        let cells = cells(kind, row);
        match groups.last_mut().filter(|group| group.name == name) {
            Some(group) => group.rows.push(cells),
            None => groups.push(Group { name, rows: vec![cells] }),
        }
    }
    Section::Table { head: vec!["FINDING TYPE", "ABOUT", "RULE", "RESPONSE", "REMEDIATION"], groups }
}

fn cells(kind: &str, row: &Row) -> Vec<Cell> {
    let Row { finding_type: _, about, rule, response, remediation, lowered } = row;
    let response = response.map_or("by tags", Response::as_str);
    vec![
        kind.into(),
        (*about).into(),
        rule.as_deref().unwrap_or("-").into(),
        if lowered.is_empty() { response.into() } else { format!("{response}, lowered").into() },
        remediation.unwrap_or("told").into(),
    ]
}

fn summary(rows: &[Row], supposed: &Supposed, region: &str) -> String {
    let Supposed { severity, account, tags } = supposed;
    let of = |response| rows.iter().filter(|row| row.response == response).count();
    let said: Vec<String> = Response::ALL
        .iter()
        .rev()
        .map(|response| (of(Some(*response)), response.as_str()))
        .chain([(of(None), "by tags")])
        .filter(|(rows, _)| *rows > 0)
        .map(|(rows, response)| format!("{rows} {response}"))
        .collect();
    let tags: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let tags = if tags.is_empty() { "tags unknown".to_owned() } else { format!("tagged {}", tags.join(" ")) };
    let (all, said) = (count(rows.len(), "situation"), said.join(", "));
    format!("{all}: {said}.\nFor severity {severity}, account {account}, region {region}, {tags}.")
}

/// What a subject is, in a word or two.
fn about(finding: &Finding, subject: &Subject) -> &'static str {
    match &subject.kind {
        SubjectKind::UserKey { .. } => "access key",
        SubjectKind::UserSession { .. } => "user session",
        SubjectKind::RoleSession { .. } => "role session",
        SubjectKind::FederatedUser { .. } => "federated user",
        SubjectKind::Root { .. } => "root user",
        SubjectKind::AwsService { .. } => "AWS service",
        SubjectKind::OtherAccount { .. } => "other account",
        SubjectKind::UnknownIdentity { .. } => "unknown identity",
        SubjectKind::Instance { .. } if finding.role == Some(ResourceRole::Target) => "target instance",
        SubjectKind::Instance { .. } => "instance",
        SubjectKind::Bucket { .. } => "bucket",
        SubjectKind::Object { .. } => "object",
        SubjectKind::Container { .. } => "container",
        SubjectKind::EcsTask { .. } => "ECS task",
        SubjectKind::EksCluster { .. } => "EKS cluster",
        SubjectKind::Function { .. } => "function",
        SubjectKind::Database { .. } => "database",
        SubjectKind::DatabaseUser { .. } => "database user",
        SubjectKind::Volume { .. } => "volume",
        SubjectKind::Snapshot { .. } => "snapshot",
        SubjectKind::Image { .. } => "image",
        SubjectKind::Unknown { .. } => "unknown resource",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Band;

    fn check(policy: &str, tags: &[(&str, &str)], kind: &str, expect: &[&str]) {
        let policy = Policy::parse(policy, &crate::remediation::names()).unwrap();
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let supposed = Supposed { severity: Band::High, account: "123456789012".try_into().unwrap(), tags };
        let rows = rows(&policy, &supposed, REGION);
        let said = rows.iter().filter(|row| row.finding_type.as_str() == kind);
        let line = |row| cells("", row)[1..].iter().map(|Cell(lines)| lines.concat()).collect::<Vec<_>>().join(" | ");
        assert_eq!(said.map(line).collect::<Vec<_>>(), expect, "{kind}");
    }

    const CONTAIN: &str = "[[rule]]\nname = 'all'\ntypes = ['*']\nresponse = 'contain'";

    #[test]
    fn a_type_shows_its_rule_its_response_and_its_remediation() {
        let key = "UnauthorizedAccess:IAMUser/TorIPCaller";
        check(CONTAIN, &[], key, &["access key | all | contain | compromised-access-key"]);
        check("", &[], key, &["access key | - | notify | told"]);
        check(CONTAIN, &[], "Policy:IAMUser/RootCredentialUsage", &["root user | all | notify | told"]);
        let ssh = ["target instance | all | contain | exposed-port", "instance | all | contain | compromised-instance"];
        check(CONTAIN, &[], "UnauthorizedAccess:EC2/SSHBruteForce", &ssh);
    }

    #[test]
    fn what_depends_on_tags_or_is_left_out_by_the_rule_is_said() {
        let tagged = format!("{CONTAIN}\ntags = {{ env = 'dev' }}");
        let scan = "Recon:EC2/Portscan";
        check(&tagged, &[], scan, &["instance | - | by tags | compromised-instance"]);
        check(&tagged, &[("env", "dev")], scan, &["instance | all | contain | compromised-instance"]);
        check(&tagged, &[("env", "prod")], scan, &["instance | - | notify | told"]);
        let only = format!("{CONTAIN}\nremediations = ['exposed-port']");
        check(&only, &[], scan, &["instance | all | plan, lowered | compromised-instance"]);
    }
}
