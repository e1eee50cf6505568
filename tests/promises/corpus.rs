//! Every public finding is understood, and says what its index says.
//!
//! The findings are not part of this repository; `QUELL_FINDINGS` names the folder that holds them.

#![expect(clippy::panic, reason = "a test that panics has said what it has to say")]

use quell::finding::{Finding, ResourceRole, known_types};
use quell::remediation::route;
use quell::request::{Request, read};
use serde_json::Value;
use std::collections::BTreeSet;
use std::{env, fs, path::Path};

/// One line of the index. The last column is prose, with some facts in it: `sample=true; count=2; role=TARGET`.
struct Entry<'a> {
    file: &'a str,
    shape: &'a str,
    kind: &'a str,
    resource_type: &'a str,
    severity: &'a str,
    oddities: &'a str,
}

#[test]
fn every_public_finding_is_understood() {
    let Some(folder) = env::var_os("QUELL_FINDINGS") else {
        eprintln!("skipped: QUELL_FINDINGS names no folder of findings");
        return;
    };
    let folder = Path::new(&folder);
    let index = fs::read_to_string(folder.join("INDEX.csv")).unwrap();
    let entries: Vec<_> = index.lines().skip(1).map(|line| entry(line).unwrap()).collect();
    assert!(!entries.is_empty());
    let mut table = Vec::new();
    for entry in &entries {
        let text = fs::read_to_string(folder.join(entry.file)).unwrap();
        table.extend(check(entry, serde_json::from_str(&text).unwrap()));
    }
    table.sort();
    println!("{}", table.join("\n"));
}

/// The catalogue that was gathered beside the findings; what is retired is in it, too.
#[test]
fn every_type_that_guardduty_is_known_to_have_is_covered() {
    let Some(folder) = env::var_os("QUELL_FINDINGS") else {
        eprintln!("skipped: QUELL_FINDINGS names no folder of findings");
        return;
    };
    let text = fs::read_to_string(Path::new(&folder).with_file_name("finding-types.csv")).unwrap();
    let all: BTreeSet<&str> = text.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    let known: BTreeSet<String> = known_types().iter().map(ToString::to_string).collect();
    let missing: Vec<_> = all.iter().filter(|name| !known.contains(**name)).collect();
    assert!(all.len() > 150 && missing.is_empty(), "{} types, not known: {missing:?}", all.len());
}

fn entry(line: &str) -> Option<Entry<'_>> {
    let columns: Vec<_> = line.splitn(10, ',').collect();
    let &[file, shape, kind, resource_type, severity, .., oddities] = columns.as_slice() else { return None };
    Some(Entry { file, shape, kind, resource_type, severity, oddities })
}

/// The events of the same source that are no findings are ignored; every other file is a finding, in its envelope or bare.
fn check(entry: &Entry, event: Value) -> Option<String> {
    match read(event) {
        Ok(Request::Finding(finding)) => {
            check_facts(entry, &finding);
            Some(routed(&finding))
        }
        Ok(Request::Other(_)) => {
            assert_eq!(entry.shape, "other-event", "{}", entry.file);
            None
        }
        Ok(Request::Tick | Request::Order(_) | Request::NoOrder(_)) => panic!("{} is taken for an order", entry.file),
        Err(error) => panic!("{}: {error}", entry.file),
    }
}

/// One line of the table: the finding, and what it would be answered with.
fn routed(finding: &Finding) -> String {
    let routes = route(finding).into_iter().map(|route| {
        let remediation = route.remediation.map_or("tell", |remediation| remediation.name);
        format!("{remediation}: {}", route.subject.kind)
    });
    let role = finding.role.map_or_else(String::new, |role| format!("{role:?}"));
    let routes = routes.collect::<Vec<_>>().join("; ");
    format!(
        "{:<64} {:<6} {}",
        finding.kind.to_string(),
        role,
        if routes.is_empty() { "tell: no subject" } else { &routes }
    )
}

fn check_facts(entry: &Entry, finding: &Finding) {
    let Entry { file, kind, resource_type, severity, oddities, .. } = entry;
    let says = |fact: &str| oddities.split("; ").any(|it| it == fact);
    assert_eq!(finding.kind.as_str(), *kind, "{file}");
    let severity = if severity.is_empty() { "0" } else { severity };
    assert_eq!(finding.severity.to_string(), severity.trim_end_matches(".0"), "{file}");
    assert_eq!(finding.sample, says("sample=true"), "{file}");
    assert_eq!(finding.archived, says("archived=true"), "{file}");
    assert_eq!(finding.role == Some(ResourceRole::Actor), says("role=ACTOR"), "{file}");
    assert_eq!(finding.role == Some(ResourceRole::Target), says("role=TARGET"), "{file}");
    assert_eq!(finding.kind.is_known(), !says("type not in the catalogue"), "{file}");
    assert!(!finding.subjects.is_empty() || matches!(*resource_type, "" | "AttackSequence"), "{file} is about nothing");
    if let Some(count) = oddities.split("; ").find_map(|it| it.strip_prefix("count=")) {
        assert_eq!(finding.count.to_string(), count, "{file}");
    }
    let stored = serde_json::to_string(finding).unwrap_or_default();
    assert_eq!(serde_json::from_str::<Finding>(&stored).ok().as_ref(), Some(finding), "{file}");
}
