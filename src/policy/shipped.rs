//! The policy that is shipped: what it does as it is, and with each of its opt-ins.

use super::{Policy, Response, Ruling};

const TEXT: &str = include_str!("../../policy.toml");
const REMEDIATIONS: &[&str] =
    &["compromised-access-key", "stolen-role-session", "compromised-instance", "exposed-port"];

#[test]
fn as_shipped_it_only_plans() {
    let responses: Vec<Response> = parse(TEXT).rules.iter().map(|rule| rule.response).collect();
    assert_eq!(responses, [Response::Plan]);
}

#[test]
fn each_opt_in_stands_on_its_own() {
    let opt_ins = opt_ins("[[rule]]");
    assert_eq!(opt_ins.len(), 6);
    for opt_in in opt_ins {
        let rules = parse(&TEXT.replace(&commented(&opt_in), &opt_in)).rules;
        let [rule, rest] = rules.as_slice() else { panic!("{opt_in} is not one rule") };
        assert!(rule.response > rest.response && opt_in.contains(&rule.name), "{opt_in}");
    }
}

#[test]
fn each_setting_stands_on_its_own_and_those_called_defaults_are() {
    let settings: Vec<_> = opt_ins("[").into_iter().filter(|one| !one.starts_with("[[rule]]")).collect();
    assert_eq!(settings.len(), 5);
    let plain = parse(TEXT);
    for setting in settings {
        let policy = parse(&TEXT.replace(&commented(&setting), &setting));
        assert_eq!(policy.guards(), plain.guards(), "{setting}");
        assert_eq!(policy.limits().per_hour, plain.limits().per_hour, "{setting}");
    }
}

#[test]
fn all_opt_ins_together_decide_as_their_comments_say() {
    let policy = parse(&opt_ins("").iter().fold(TEXT.to_owned(), |text, one| text.replace(&commented(one), one)));
    check(
        &policy,
        ("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", 8.0),
        &[],
        "stolen instance credentials",
    );
    check(&policy, ("UnauthorizedAccess:IAMUser/TorIPCaller", 7.5), &[], "misused credentials");
    check(&policy, ("Policy:IAMUser/RootCredentialUsage", 2.0), &[], "everything else");
    check(&policy, ("Policy:S3/BucketAnonymousAccessGranted", 8.0), &[], "everything else");
    check(&policy, ("Backdoor:EC2/C&CActivity.B!DNS", 8.0), &[], "compromised instances");
    check(&policy, ("Backdoor:EC2/C&CActivity.B!DNS", 8.0), &[("env", "production")], "production waits for a person");
    check(&policy, ("Recon:EC2/PortProbeUnprotectedPort", 2.0), &[], "everything else");
    check(&policy, ("Recon:EC2/PortProbeUnprotectedPort", 2.0), &[("close-exposed-ports", "yes")], "exposed ports");
}

fn check(policy: &Policy, (kind, severity): (&str, f64), tags: &[(&str, &str)], expect: &str) {
    let (finding, subject) = super::rule::tests::finding(kind, severity);
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let Ruling::Decided { rule, .. } = policy.rule_for(&finding, &subject, Some(&tags)) else { panic!("{kind}") };
    assert_eq!(rule.as_deref(), Some(expect), "{kind} {tags:?}");
}

fn parse(text: &str) -> Policy {
    Policy::parse(text, REMEDIATIONS).unwrap_or_else(|error| panic!("{error}"))
}

/// The commented tables that begin so, without their `#`. Prose has a space behind it, a table has none.
fn opt_ins(head: &str) -> Vec<String> {
    let code = |line: &'static str| line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
    let blocks = TEXT.split("\n\n").map(|block| block.lines().filter_map(code).collect::<Vec<_>>());
    let blocks = blocks.filter(|lines| lines.first().is_some_and(|first| first.starts_with(head)));
    blocks.map(|lines| lines.join("\n")).collect()
}

fn commented(rule: &str) -> String {
    rule.lines().map(|line| format!("#{line}")).collect::<Vec<_>>().join("\n")
}
