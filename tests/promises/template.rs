//! The templates grant what the code calls and nothing else, and let through every finding.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the helpers are part of the tests as well"
)]

use quell::remediation;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the role needs though no line of ours calls it, and what for.
const INFRASTRUCTURE: &[(&str, &str)] = &[
    ("kms:Decrypt", "SNS asks for it in the publisher's name, as the topic is encrypted"),
    ("kms:GenerateDataKey*", "the same"),
    ("logs:CreateLogStream", "Lambda writes what the function prints"),
    ("logs:PutLogEvents", "the same"),
    ("sqs:SendMessage", "Lambda puts a finding that failed at every attempt in the failed queue"),
];

/// Actions of Quell's own account only; the member role has no topic, no ledger and no switch, and assumes nothing.
const HOME_ONLY: &[&str] = &[
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
    "sns:Publish",
    "ssm:GetParameter",
    "sts:AssumeRole",
];

#[test]
fn the_role_may_do_what_the_code_calls_and_nothing_else() {
    let Templates { home, .. } = templates();
    let needed: BTreeSet<_> =
        quell::permissions().into_iter().chain(INFRASTRUCTURE.iter().map(|(it, _)| *it)).collect();
    same("template.yaml", &granted(&home["QuellPermissions"]), &needed);
}

#[test]
fn the_member_role_may_do_the_same_to_its_own_account() {
    let Templates { home, member } = templates();
    let needed = quell::permissions().into_iter().filter(|it| !HOME_ONLY.contains(it)).collect();
    same("member-role.yaml", &granted(&member["MemberPermissions"]), &needed);

    let home = by_sid(&home["QuellPermissions"]);
    for (sid, statement) in by_sid(&member["MemberPermissions"]) {
        if sid != "KeepOffOwnRole" {
            assert_eq!(Some(&statement), home.get(&sid), "{sid} differs between template.yaml and member-role.yaml");
        }
    }
}

#[test]
fn neither_role_can_change_itself() {
    let Templates { home, member } = templates();
    for (permissions, role) in [(&home["QuellPermissions"], "QuellRole"), (&member["MemberPermissions"], "MemberRole")]
    {
        let expected = json!({
            "Sid": "KeepOffOwnRole",
            "Effect": "Deny",
            "NotAction": ["iam:Get*", "iam:List*"],
            "Resource": { "Fn::GetAtt": [role, "Arn"] },
        });
        assert_eq!(Some(&expected), by_sid(permissions).get("KeepOffOwnRole"), "{role}");
        assert_eq!(json!({ "Ref": role }), permissions["Properties"]["RoleName"]);
    }
}

#[test]
fn the_rule_lets_every_finding_through_and_nothing_else() {
    let Templates { home, .. } = templates();
    let pattern = &home["QuellFunction"]["Properties"]["Events"]["Finding"]["Properties"]["Pattern"];
    // EventBridge's quota for a pattern unless it is raised, in characters.
    assert!(pattern.to_string().len() <= 2_048);

    for remediation in remediation::ALL {
        for types in remediation.finding_types {
            let one = types.replace('*', "Anything");
            let event =
                json!({ "source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": { "type": one } });
            assert!(matches(pattern, &event), "{one} of {} does not get through", remediation.name);
        }
    }
    for file in fs::read_dir(root().join("events")).unwrap() {
        let path = file.unwrap().path();
        let event = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let is_finding = path.file_stem().unwrap() != "malware_protection_scan_result";
        assert_eq!(is_finding, matches(pattern, &event), "{}", path.display());
    }
}

#[test]
fn every_variable_that_the_template_sets_is_one_that_the_code_reads() {
    let Templates { home, .. } = templates();
    let set = home["QuellFunction"]["Properties"]["Environment"]["Variables"].as_object().unwrap();
    let code = sources(&root().join("src"));
    for name in set.keys() {
        assert!(code.contains(&format!("\"{name}\"")), "nothing in src reads {name}");
    }
}

#[test]
fn the_ledgers_table_is_the_one_that_the_code_expects_and_survives() {
    let Templates { home, .. } = templates();
    let table = &home["QuellLedger"];
    assert_eq!([&table["DeletionPolicy"], &table["UpdateReplacePolicy"]], ["Retain", "Retain"]);
    let table = &table["Properties"];
    assert_eq!(table["DeletionProtectionEnabled"], true);
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(table["TimeToLiveSpecification"]["AttributeName"], quell::ledger::EXPIRES);
    let emulated = crate::cloud::ledger_table();
    for name in ["KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode"] {
        assert_eq!(table[name], emulated[name], "the tests run against another {name}");
    }
}

#[test]
fn the_tick_is_one_that_the_code_understands() {
    let Templates { home, .. } = templates();
    let rule = &home["TickRule"]["Properties"];
    assert_eq!(rule["ScheduleExpression"], "rate(1 minute)");
    let target = &rule["Targets"][0];
    let event = serde_json::from_str(target["Input"].as_str().unwrap()).unwrap();
    assert_eq!(quell::request::read(event).unwrap(), quell::request::Request::Tick);
    // Where ticks are not tried again, nor land among the findings that failed.
    assert_eq!(target["Arn"], json!({ "Ref": "TickAlias" }));
    assert_eq!(home["TickPermission"]["Properties"]["FunctionName"], target["Arn"]);
    let invoked = &home["TickInvokeConfig"]["Properties"];
    assert_eq!(invoked["Qualifier"], home["TickAlias"]["Properties"]["Name"]);
    assert_eq!((&invoked["MaximumRetryAttempts"], &invoked["DestinationConfig"]), (&json!(0), &Value::Null));
}

#[test]
fn orders_that_change_something_have_one_alias_everywhere() {
    let Templates { home, .. } = templates();
    let alias = home["OperateAlias"]["Properties"]["Name"].clone();
    assert_eq!(home["QuellFunction"]["Properties"]["Environment"]["Variables"]["QUELL_OPERATE"], alias);
    assert_eq!(alias, quell::operator::OPERATE);
}

#[test]
fn every_metric_with_an_alarm_is_one_that_the_code_counts() {
    let Templates { home, .. } = templates();
    let alarms = home.as_object().unwrap().values().filter(|it| it["Properties"]["Namespace"] == "Quell");
    let names: Vec<&str> = alarms.map(|it| it["Properties"]["MetricName"].as_str().unwrap()).collect();
    assert_eq!(BTreeSet::from_iter(&names), BTreeSet::from(["MadeUp", "OverLimit", "Reopened"].each_ref()));
    let code = sources(&root().join("src/notify"));
    assert!(names.iter().all(|name| code.contains(&format!("\"{name}\""))), "{names:?}");
}

#[test]
fn the_quarantine_group_is_known_to_the_role_by_the_tag_that_the_code_gives_it() {
    let Templates { home, .. } = templates();
    let statements = by_sid(&home["QuellPermissions"]);
    let condition = |sid: &str| statements[sid]["Condition"]["StringEquals"].clone();
    assert_eq!(json!({ "aws:RequestTag/quell:managed": "quarantine" }), condition("MakeQuarantineGroup"));
    assert_eq!(json!({ "aws:ResourceTag/quell:managed": "quarantine" }), condition("KeepQuarantineGroup"));
    assert!(sources(&root().join("src/setting")).contains(r#"("quell:managed", "quarantine")"#));
}

/// The resources of template.yaml and of member-role.yaml.
struct Templates {
    home: Value,
    member: Value,
}

fn templates() -> Templates {
    let venv = env::var_os("QUELL_VENV").map_or_else(default_venv, PathBuf::from);
    let output = Command::new(venv.join("bin/python"))
        .args(["scripts/template_json.py", "template.yaml", "member-role.yaml"])
        .current_dir(root())
        .output()
        .expect("the Python environment that `make setup` makes");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [mut home, mut member]: [Value; 2] = serde_json::from_slice(&output.stdout).unwrap();
    Templates { home: home["Resources"].take(), member: member["Resources"].take() }
}

fn default_venv() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    cache.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap()).join(".cache")).join("quell/venv")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with what is to be written, and where.
fn same(template: &str, granted: &BTreeSet<String>, needed: &BTreeSet<&str>) {
    let granted: BTreeSet<&str> = granted.iter().map(String::as_str).collect();
    let missing: Vec<_> = needed.difference(&granted).collect();
    let unused: Vec<_> = granted.difference(needed).collect();
    assert!(
        missing.is_empty() && unused.is_empty(),
        "{template} does not grant what the code declares.\nto be added: {missing:?}\nto be taken out: {unused:?}",
    );
}

fn granted(permissions: &Value) -> BTreeSet<String> {
    let allowed = by_sid(permissions).into_values().filter(|statement| statement["Effect"] == "Allow");
    allowed.flat_map(|statement| texts(&statement["Action"])).collect()
}

/// The statements by their names, those under a condition of the template included.
fn by_sid(permissions: &Value) -> BTreeMap<String, Value> {
    let statements = permissions["Properties"]["PolicyDocument"]["Statement"].as_array().unwrap();
    let unconditional = |statement: &Value| statement.pointer("/Fn::If/1").unwrap_or(statement).clone();
    statements.iter().map(unconditional).map(|it| (it["Sid"].as_str().unwrap().to_owned(), it)).collect()
}

/// Whether an event matches a pattern of lists of exact values, which is all that ours uses.
fn matches(pattern: &Value, event: &Value) -> bool {
    pattern.as_object().unwrap().iter().all(|(name, wanted)| {
        let found = &event[name];
        wanted.as_array().map_or_else(|| matches(wanted, found), |values| values.contains(found))
    })
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn sources(folder: &Path) -> String {
    let read = |path: PathBuf| if path.is_dir() { sources(&path) } else { fs::read_to_string(path).unwrap() };
    fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}
