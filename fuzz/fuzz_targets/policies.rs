//! Any policy: it is refused with the place of each problem, or it decides, and the same text decides the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quell::finding::Finding;
use quell::policy::{Asked, Policy, PolicyError, Ruling, Tags};
use quell::remediation::names;
use quell::request::{Request, read};
use quell_fuzz::noon;
use serde_json::json;
use std::sync::LazyLock;

fuzz_target!(|text: &str| {
    match Policy::parse(text, &names()) {
        Ok(policy) => decides(&policy, text),
        Err(error) => says_where(&error, text),
    }
});

fn says_where(error: &PolicyError, text: &str) {
    let said = error.to_string();
    assert!(!said.is_empty() && said.lines().count() == error.problems.len(), "{said:?}");
    let lines: Vec<&str> = text.split('\n').collect();
    for line in said.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
        let mut parts = line.splitn(4, ':');
        let mut number = || parts.next()?.parse::<usize>().ok();
        let (file, at_line, at_column) = (number(), number(), number());
        assert_eq!(file, None, "the file comes first: {line:?}");
        let there = at_line.and_then(|number| lines.get(number.checked_sub(1)?));
        let there = there.unwrap_or_else(|| panic!("no such line: {line:?}"));
        let column = at_column.filter(|column| (1..=there.chars().count() + 1).contains(column));
        let column = column.unwrap_or_else(|| panic!("no such column: {line:?}"));
        let words = parts.next().unwrap_or_default().trim();
        assert!(words.len() > 3, "{line:?}");
        is_there(words, &there.chars().skip(column - 1).collect::<String>());
    }
}

/// A word that is not known stands where the error says it does.
fn is_there(words: &str, there: &str) {
    let Some((what, word)) = words.strip_prefix("unknown ").and_then(|rest| rest.split_once(" \"")) else { return };
    let word = word.split_once('"').map_or(word, |(word, _)| word);
    let quoted = there.starts_with(['"', '\'']);
    assert!(quoted || what == "key" && there.starts_with(word), "no {word:?} in {there:?}");
}

fn decides(policy: &Policy, text: &str) {
    let decided = decisions(policy);
    for (same, why) in [(text.to_owned(), "again"), (format!("{text}\n# the end\n"), "with a comment")] {
        let again = Policy::parse(&same, &names()).unwrap_or_else(|error| panic!("{why}: {error}"));
        assert_eq!(decisions(&again), decided, "{why}");
    }
    let known = names();
    for (tags, ruling) in decided {
        match ruling {
            Ruling::NeedsTags => assert_eq!(tags, None, "the tags were there"),
            Ruling::Decided { remediations, terms, .. } => {
                assert!(remediations.is_none_or(|names| names.iter().all(|name| known.contains(&name.as_str()))));
                assert!(terms.expires.is_none_or(|time| time.is_positive()));
                assert!(terms.approval.is_none_or(|approval| approval.within.is_positive()));
            }
        }
    }
    assert!(policy.guards().stale_after.is_positive());
    for protection in policy.protections() {
        assert!(!protection.owner.is_empty() && !protection.reason.is_empty());
        let account = "111122223333".try_into().expect("an account");
        let arn = "arn:aws:iam::111122223333:role/service/web";
        let asked = Asked { account: &account, arn, path: Some("/service/"), tags: &tags() };
        let _ = (protection.is_about(asked), protection.counts_at(noon()));
    }
}

/// What the policy says for each subject, with and without its tags.
fn decisions(policy: &Policy) -> Vec<(Option<Tags>, Ruling)> {
    let mut all = Vec::new();
    for finding in FINDINGS.iter() {
        for subject in &finding.subjects {
            for tags in [None, Some(Tags::new()), Some(tags())] {
                all.push((tags.clone(), policy.rule_for(finding, subject, tags.as_ref())));
            }
        }
    }
    all
}

fn tags() -> Tags {
    [("env".to_owned(), "prod-eu".to_owned()), ("close-exposed-ports".to_owned(), "yes".to_owned())].into()
}

static FINDINGS: LazyLock<Vec<Finding>> = LazyLock::new(|| {
    let key = json!({ "accessKeyDetails": {
        "userType": "IAMUser", "userName": "ann", "principalId": "AIDACKCEVSQ6C2EXAMPLE",
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    }});
    let instance = json!({ "instanceDetails": { "instanceId": "i-0a" } });
    let kinds = [
        ("UnauthorizedAccess:IAMUser/TorIPCaller", 8.0, key),
        ("CryptoCurrency:EC2/BitcoinTool.B!DNS", 5.0, instance.clone()),
        ("Recon:EC2/PortProbeUnprotectedPort", 2.0, instance),
    ];
    let read = |(kind, severity, resource)| {
        let finding = json!({
            "id": "0a1b", "accountId": "111122223333", "region": "eu-west-1", "type": kind, "severity": severity,
            "resource": resource,
        });
        match read(finding) {
            Ok(Request::Finding(finding)) if !finding.subjects.is_empty() => *finding,
            other => panic!("{other:?}"),
        }
    };
    kinds.map(read).into()
});
