//! A finding that is damaged in any way is refused or understood: never a panic, never an endless wait, and what is
//! understood holds only ids that are ids.
//!
//! The seeds are one finding of each shape; the public findings join them where `QUELL_FINDINGS` names their folder.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use quell::finding::{Finding, Subject, SubjectKind, parse};
use quell::id::KeyLife;
use serde_json::{Value, json};
use std::{env, fs, sync::LazyLock};

const SEEDS: &[&str] = &[
    include_str!("seeds/access_key.json"),
    include_str!("seeds/instance.json"),
    include_str!("seeds/sequence.json"),
    include_str!("seeds/stored.json"),
];

/// The largest event that EventBridge carries.
const LARGEST: usize = 1024 * 1024;

/// What is done to one node of a finding.
#[derive(Debug, Clone)]
enum Mutation {
    Remove,
    Replace(Value),
    /// Puts another node of the same finding here.
    Copy(Index),
    Repeat,
    /// Puts this into the text at the node.
    Insert(String),
    /// Puts so many arrays around the node.
    Bury(usize),
    Capitals,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_finding_is_refused_or_understood(
        seed in any::<Index>(),
        mutations in prop::collection::vec((any::<Index>(), mutation()), 1..6),
    ) {
        let mut finding = seed.get(&SOURCES).clone();
        for (node, mutation) in mutations {
            mutate(&mut finding, node, mutation);
        }
        check(finding);
    }
}

#[test]
fn a_huge_finding_is_understood_in_time() {
    let text = "é".repeat(LARGEST / 2);
    let many = |item: Value, size: usize| Value::Array(vec![item; LARGEST / size]);
    for (path, value) in [
        ("/resource/accessKeyDetails/userName", json!(text)),
        ("/resource/s3BucketDetails/0/name", json!(text)),
        ("/resource/s3BucketDetails", many(json!({"name": "logs"}), 16)),
        ("/service/action/portProbeAction/portProbeDetails", many(json!({"localPortDetails": {"port": 22}}), 32)),
        ("/service/additionalInfo/value", json!("[".repeat(LARGEST))),
        ("/description", json!(text)),
    ] {
        for mut finding in SOURCES.clone() {
            if let Some(node) = finding.pointer_mut(path) {
                *node = value.clone();
                check(finding);
            }
        }
    }
    // All different, so that leaving out repeats has the most to do.
    let instance = |n: usize| json!({"resourceType": "EC2_INSTANCE", "uid": format!("i-{n:x}")});
    let resources: Vec<_> = (0..LARGEST / 50).map(instance).collect();
    let mut finding = SOURCES[2].clone();
    finding["service"]["detection"]["sequence"]["resources"] = json!(resources);
    assert!(parse(finding).unwrap().subjects.len() >= resources.len(), "subjects are never dropped");
}

#[test]
fn every_seed_is_understood_as_it_is() {
    for seed in SEEDS {
        let finding = parse(serde_json::from_str(seed).unwrap()).unwrap();
        assert!(!finding.subjects.is_empty(), "{seed}");
        assert!(!finding.subjects.iter().any(|it| matches!(it.kind, SubjectKind::Unknown { .. })), "{seed}");
    }
}

static SOURCES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let folder = env::var_os("QUELL_FINDINGS").and_then(|folder| fs::read_dir(folder).ok());
    let files = folder.into_iter().flatten().filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
    let public = files.filter_map(|text| serde_json::from_str::<Value>(&text).ok());
    let public = public.map(|mut event| event.get_mut("detail").map(Value::take).unwrap_or(event));
    SEEDS.iter().map(|seed| serde_json::from_str(seed).unwrap_or_default()).chain(public).collect()
});

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        Just(Mutation::Remove),
        select(wrong_values()).prop_map(Mutation::Replace),
        any::<Index>().prop_map(Mutation::Copy),
        Just(Mutation::Repeat),
        select(vec!["\0", "\n", "\u{1b}[2J", "\u{202e}", "é", "/", "*", "${aws:userid}", "\"}", " "])
            .prop_map(|text| Mutation::Insert(text.to_owned())),
        any::<String>().prop_map(Mutation::Insert),
        // serde_json refuses text that is nested deeper than 128.
        (1_usize..120).prop_map(Mutation::Bury),
        Just(Mutation::Capitals),
    ]
}

fn wrong_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!(""),
        json!("null"),
        json!("\u{0}"),
        json!("x".repeat(100_000)),
        json!([]),
        json!([[], {}, null, "AKIAIOSFODNN7EXAMPLE"]),
        json!({}),
        json!({"": {"": ""}}),
    ]
}

fn mutate(finding: &mut Value, node: Index, mutation: Mutation) {
    let paths = paths(finding);
    let path = node.get(&paths);
    let copied = |other: Index| finding.pointer(other.get::<String>(&paths)).cloned().unwrap_or_default();
    let mutation = match mutation {
        Mutation::Remove => return remove(finding, path),
        Mutation::Copy(other) => Mutation::Replace(copied(other)),
        Mutation::Replace(_) | Mutation::Repeat | Mutation::Insert(_) | Mutation::Bury(_) | Mutation::Capitals => {
            mutation
        }
    };
    let Some(node) = finding.pointer_mut(path) else { return };
    match mutation {
        Mutation::Remove | Mutation::Copy(_) => {}
        Mutation::Replace(value) => *node = value,
        Mutation::Repeat => *node = json!([node.clone(), node.clone()]),
        Mutation::Insert(text) => insert(node, &text),
        Mutation::Bury(depth) => *node = (0..depth).fold(node.take(), |inner, _| json!([inner])),
        Mutation::Capitals => capitals(node),
    }
}

/// The JSON pointers of every node, the finding itself first.
fn paths(finding: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    let mut open = vec![(String::new(), finding)];
    while let Some((path, node)) = open.pop() {
        match node {
            Value::Object(map) => {
                let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
                open.extend(map.iter().map(|(key, value)| (format!("{path}/{}", escaped(key)), value)));
            }
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(at, value)| (format!("{path}/{at}"), value)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        paths.push(path);
    }
    paths
}

fn remove(finding: &mut Value, path: &str) {
    let Some((parent, key)) = path.rsplit_once('/') else { return };
    let Some(parent) = finding.pointer_mut(parent) else { return };
    if let Value::Object(map) = parent {
        map.remove(key);
    } else if let Value::Array(items) = parent {
        items.pop();
    }
}

fn insert(node: &mut Value, inserted: &str) {
    if let Value::String(text) = node {
        let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.insert_str(middle, inserted);
    }
}

fn capitals(node: &mut Value) {
    if let Value::Object(map) = node {
        let upper = |key: String| key.chars().take(1).flat_map(char::to_uppercase).chain(key.chars().skip(1)).collect();
        *map = std::mem::take(map).into_iter().map(|(key, value)| (upper(key), value)).collect();
    }
}

fn check(finding: Value) {
    match parse(finding) {
        Ok(finding) => check_ids(&finding),
        Err(error) => assert!(error.to_string().chars().count() < 300, "{error}"),
    }
}

/// Stores the finding and reads it back, which makes every id once more from its text.
fn check_ids(finding: &Finding) {
    let stored = serde_json::to_string(finding).unwrap_or_default();
    assert_eq!(serde_json::from_str::<Finding>(&stored).ok().as_ref(), Some(finding), "{stored}");
    for Subject { kind, .. } in &finding.subjects {
        if let SubjectKind::UserKey { key, .. } = kind {
            assert_eq!(key.life(), KeyLife::LongTerm);
        }
        if let SubjectKind::UserSession { key: Some(key), .. } | SubjectKind::RoleSession { key: Some(key), .. } = kind
        {
            assert_eq!(key.life(), KeyLife::Temporary);
        }
    }
}
