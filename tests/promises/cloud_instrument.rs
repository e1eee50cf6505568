//! The instrument itself: what the emulated cloud promises to the tests that stand on it.
//!
//! boto3 asks, because it is AWS's own reading of what an answer means.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::cloud::{
    Account, Call, Cloud, Credentials, EXTERNAL_ID, FIXED, Fault, Lambda, Refusal, Rule, breakpoint, in_venv, rounds,
    rounds_until,
};

/// Makes boto3 calls one after the other, each once, and gives their results or error codes.
async fn boto(cloud: &Cloud, credentials: &Credentials, calls: &[&str]) -> Vec<Result<Value, String>> {
    let output = Command::new(in_venv("bin/python"))
        .args(["-c", include_str!("../cloud/boto.py")])
        .args(calls)
        .env_clear()
        .env("AWS_ENDPOINT_URL", cloud.url())
        .env("AWS_ACCESS_KEY_ID", &credentials.key)
        .env("AWS_SECRET_ACCESS_KEY", &credentials.secret)
        .envs((!credentials.token.is_empty()).then_some(("AWS_SESSION_TOKEN", &credentials.token)))
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts")
        .wait_with_output()
        .await
        .expect("python runs");
    let outcomes: Vec<Value> = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    outcomes
        .into_iter()
        .map(|outcome| match outcome["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(outcome["result"].clone()),
        })
        .collect()
}

/// Makes one call.
async fn ask(cloud: &Cloud, credentials: &Credentials, call: &str) -> Result<Value, String> {
    boto(cloud, credentials, &[call]).await.remove(0)
}

/// The error codes of calls that must all fail.
async fn refused(cloud: &Cloud, credentials: &Credentials, calls: &[&str]) -> Vec<String> {
    boto(cloud, credentials, calls).await.into_iter().map(|outcome| outcome.expect_err("the call is refused")).collect()
}

/// The policy language's version, which moto insists on.
const VERSION: &str = "2012-10-17";

const WHO: &str = "sts.get_caller_identity()['Arn']";

#[tokio::test]
async fn every_call_is_named_whatever_its_protocol() {
    let cloud = Cloud::start().await;
    let calls = [
        "iam.list_users(MaxItems=7)",
        "ec2.describe_vpcs()",
        "sns.list_topics()",
        "dynamodb.list_tables()",
        "ssm.describe_parameters()",
        "s3.create_bucket(Bucket='quell-named', CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})",
        "s3.put_object(Bucket='quell-named', Key='evidence/a', Body=b'a')",
        "guardduty.list_detectors()",
    ];
    boto(&cloud, &cloud.operator(), &calls).await;
    let seen = cloud.calls();
    let names: Vec<String> = seen.iter().map(Call::action).collect();
    let expected = [
        "iam:ListUsers",
        "ec2:DescribeVpcs",
        "sns:ListTopics",
        "dynamodb:ListTables",
        "ssm:DescribeParameters",
        "s3:PUT /quell-named",
        "s3:PutObject",
        "guardduty:ListDetectors",
    ];
    assert_eq!(names, expected);
    assert!(seen.iter().all(|call| call.accepted && call.account == cloud.account_id), "{seen:#?}");
    assert_eq!((seen[1].region.as_str(), seen[0].parameters["MaxItems"].as_str()), ("eu-west-1", Some("7")));
}

#[tokio::test]
async fn a_refusal_reads_as_each_service_words_it() {
    let calls = ["iam.list_users()", "ec2.describe_vpcs()", "dynamodb.list_tables()", "guardduty.list_detectors()"];
    let words = [
        (Refusal::Throttled, ["Throttling", "RequestLimitExceeded", "ThrottlingException", "TooManyRequestsException"]),
        (Refusal::Denied, ["AccessDenied", "UnauthorizedOperation", "AccessDeniedException", "AccessDeniedException"]),
        (Refusal::Failure, ["InternalFailure", "InternalError", "InternalServerError", "InternalServerErrorException"]),
        (
            Refusal::BadKey,
            ["InvalidClientTokenId", "AuthFailure", "UnrecognizedClientException", "UnrecognizedClientException"],
        ),
    ];
    let cloud = Cloud::start().await;
    for (refusal, codes) in words {
        cloud.inject(Rule::on("*", Fault::Refuse(refusal)));
        assert_eq!(refused(&cloud, &cloud.operator(), &calls).await, codes, "{refusal:?}");
        cloud.heal();
    }
    let seen: Vec<_> = cloud.calls().into_iter().map(|call| (call.error, call.fault, call.accepted)).collect();
    assert_eq!(seen[0], (Some("Throttling".to_owned()), Some("throttled"), false));
}

#[tokio::test]
async fn a_connection_closes_before_or_after_aws_acts() {
    let cloud = Cloud::start().await;
    cloud.inject(Rule::on("CreateUser", Fault::Unreached).containing("never"));
    cloud.inject(Rule::on("CreateUser", Fault::LostResponse).containing("unheard"));
    cloud.inject(Rule::on("CreateUser", Fault::Truncated).containing("halved"));
    let calls = ["never", "unheard", "halved"].map(|name| format!("iam.create_user(UserName='{name}')"));
    let errors = refused(&cloud, &cloud.operator(), &calls.each_ref().map(String::as_str)).await;
    assert_eq!(errors, ["ConnectionClosedError", "ConnectionClosedError", "ResponseParserError"]);
    let users = ask(&cloud, &cloud.operator(), "[user['UserName'] for user in iam.list_users()['Users']]").await;
    assert_eq!(users, Ok(json!(["unheard", "halved"])));
    let accepted: Vec<bool> = cloud.calls().iter().map(|call| call.accepted).collect();
    assert_eq!(accepted, [false, true, true, true]);
}

#[tokio::test]
async fn a_stale_read_answers_as_before_the_write_until_its_time_is_over() {
    let cloud = Cloud::start().await;
    cloud.inject(Rule::on("ListUsers", Fault::Stale(Duration::from_secs(1))));
    let count = "len(iam.list_users()['Users'])";
    let soon = boto(&cloud, &cloud.operator(), &[count, "iam.create_user(UserName='new')", count]).await;
    assert_eq!((&soon[0], &soon[2]), (&Ok(json!(0)), &Ok(json!(0))));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(&cloud, &cloud.operator(), count).await, Ok(json!(1)));
}

#[tokio::test]
async fn a_rule_can_pick_the_nth_call_or_the_first_few() {
    let cloud = Cloud::start().await;
    cloud.inject(Rule::on("sts:*", Fault::Refuse(Refusal::Unavailable)).nth(2));
    cloud.inject(Rule::on("iam:ListUsers", Fault::Refuse(Refusal::Unavailable)).times(2));
    let [who, list] = [WHO, "iam.list_users()"];
    let outcomes = boto(&cloud, &cloud.operator(), &[who, who, who, list, list, list]).await;
    let fine: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(fine, [true, false, true, false, false, true]);
}

#[tokio::test]
async fn time_can_be_added_to_every_call_or_to_one() {
    let cloud = Cloud::start().await;
    cloud.latency(Duration::from_millis(20));
    cloud.inject(Rule::on("ListUsers", Fault::Delay(Duration::from_millis(100))));
    boto(&cloud, &cloud.operator(), &[WHO, "iam.list_users()"]).await;
    let took: Vec<Duration> = cloud.calls().iter().map(Call::took).collect();
    assert!(took[0] >= Duration::from_millis(20) && took[1] >= Duration::from_millis(120), "{took:?}");
}

#[tokio::test]
async fn a_breakpoint_holds_a_call_until_it_is_resumed_or_lost() {
    let cloud = Cloud::start().await;
    let operator = cloud.operator();
    let create = "iam.create_user(UserName='held')['User']['UserName']";
    let exists = "len(iam.list_users()['Users'])";

    let (pause, mut held) = breakpoint();
    cloud.inject(Rule::on("CreateUser", Fault::PauseBefore(pause)));
    let (lost, ()) = tokio::join!(ask(&cloud, &operator, create), async {
        held.reached().await;
        drop(held);
    });
    assert_eq!(lost, Err("ConnectionClosedError".to_owned()));
    assert_eq!(ask(&cloud, &operator, exists).await, Ok(json!(0)));
    cloud.heal();

    let (pause, mut held) = breakpoint();
    cloud.inject(Rule::on("CreateUser", Fault::PauseAfter(pause)));
    let (created, seen) = tokio::join!(ask(&cloud, &operator, create), async {
        held.reached().await;
        let seen = ask(&cloud, &operator, exists).await;
        held.resume();
        seen
    });
    assert_eq!((created, seen), (Ok(json!("held")), Ok(json!(1))));
}

#[tokio::test]
async fn a_key_works_until_it_is_inactive_or_its_user_is_denied() {
    let cloud = Cloud::start().await;
    let account = Account::seed(&cloud).await;
    let stranger = Credentials { key: "AKIANOBODYHASTHISKEY".to_owned(), ..cloud.operator() };
    assert_eq!(ask(&cloud, &stranger, WHO).await, Err("InvalidClientTokenId".to_owned()));
    let revoked = account.credentials("AKIAQUELLMALLEXAMPLE");
    assert_eq!(ask(&cloud, revoked, WHO).await, Err("InvalidClientTokenId".to_owned()));

    let key = account.credentials("AKIAQUELLBUILDEXAMPL");
    let session = ask(&cloud, key, "sts.get_session_token()['Credentials']").await.expect("the key works");
    let session = Credentials::from(&session);
    assert!(ask(&cloud, &session, WHO).await.is_ok());
    let deny = json!({"Version": VERSION, "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}).to_string();
    let policy = [("UserName", "build-pipeline"), ("PolicyName", "deny"), ("PolicyDocument", deny.as_str())];
    cloud.moto().service("iam", &cloud.account_id).call("PutUserPolicy", &policy).await;
    for credentials in [key, &session] {
        let codes = refused(&cloud, credentials, &[WHO, "ec2.describe_vpcs()", "dynamodb.list_tables()"]).await;
        assert_eq!(codes, ["AccessDenied", "UnauthorizedOperation", "AccessDeniedException"]);
    }
}

#[tokio::test]
async fn a_conditional_denial_hits_only_the_sessions_that_it_means() {
    let cloud = Cloud::start().await;
    let account = Account::seed(&cloud).await;
    let stolen = account.credentials("ASIAIOSFODNN7EXAMPLE");
    let other = cloud.assume_role(&cloud.account_id, "web-server", "another").await;
    let userid = format!("{}:{}", account.real("AROADBQP57FF2AEXAMPLE"), account.real("i-0a1b2c3d4e5f60718"));
    let conditions = [
        (json!({"StringEquals": {"aws:userid": userid}}), [false, true]),
        (json!({"StringLike": {"aws:userid": ["nobody", "AROA*:i-*"]}}), [false, true]),
        (json!({"DateLessThan": {"aws:TokenIssueTime": "2999-01-01T00:00:00Z"}}), [false, false]),
        (json!({"DateLessThan": {"aws:TokenIssueTime": "2001-01-01T00:00:00Z"}}), [true, true]),
    ];
    for (condition, expected) in conditions {
        let statement = json!({"Effect": "Deny", "Action": ["*"], "Resource": "*", "Condition": condition});
        let deny = json!({"Version": VERSION, "Statement": [statement]});
        let policy = [("RoleName", "web-server"), ("PolicyName", "deny"), ("PolicyDocument", &deny.to_string())];
        cloud.moto().service("iam", &cloud.account_id).call("PutRolePolicy", &policy).await;
        let works = [ask(&cloud, stolen, WHO).await.is_ok(), ask(&cloud, &other, WHO).await.is_ok()];
        assert_eq!(works, expected, "{condition}");
    }
}

#[tokio::test]
async fn accounts_are_apart_and_a_role_leads_from_one_to_the_other() {
    let (cloud, elsewhere) = (Cloud::start().await, Cloud::start().await);
    let account = Account::seed(&cloud).await;
    assert_eq!(ask(&elsewhere, &elsewhere.operator(), "iam.list_users()['Users']").await, Ok(json!([])));

    let arn = format!("arn:aws:iam::{}:role/QuellMember", cloud.member_id);
    let assume = format!("sts.assume_role(RoleArn='{arn}', RoleSessionName='quell'");
    let without = format!("{assume})");
    let missing = without.replace("QuellMember", "Missing");
    let refusals = refused(&cloud, &account.function, &[&without, &missing]).await;
    assert_eq!(refusals, ["AccessDenied", "AccessDenied"]);
    let with = format!("{assume}, ExternalId='{EXTERNAL_ID}')['Credentials']");
    let member = Credentials::from(&ask(&cloud, &account.function, &with).await.expect("the role lets Quell in"));
    let users = ask(&cloud, &member, "[user['UserName'] for user in iam.list_users()['Users']]").await;
    assert_eq!(users, Ok(json!(["deploy"])));
    assert_eq!(cloud.calls().last().map(|call| call.account.clone()), Some(cloud.member_id.clone()));
}

#[tokio::test]
async fn what_aws_refuses_is_refused() {
    let cloud = Cloud::start().await;
    let account = Account::seed(&cloud).await;
    let topic = account.topic();
    let publish = |rest: &str| format!("sns.publish(TopicArn='{topic}', {rest})");
    let (interface, group) = (account.real("eni-0b1b2c3d4e5f60001"), account.real("sg-0b1b2c3d4e5f60030"));
    let calls = [
        publish("Message=' '[:0]"),
        publish("Message='text', Subject='two\\nlines'"),
        publish("Message='{}', MessageStructure='json'"),
        "iam.put_role_policy(RoleName='AWSServiceRoleForECS', PolicyName='deny', PolicyDocument='{}')".to_owned(),
        format!("ec2.modify_network_interface_attribute(NetworkInterfaceId='{interface}', Groups=['sg-0a1b'])"),
        format!("ec2.delete_security_group(GroupId='{group}')"),
        "guardduty.list_members(DetectorId='12abc34d567e8fa901bc2d34e56789f0')".to_owned(),
    ];
    let codes = refused(&cloud, &account.function, &calls.each_ref().map(String::as_str)).await;
    let of_messages = ["InvalidParameter"; 3];
    let of_others = ["UnmodifiableEntity", "InvalidGroup.NotFound", "DependencyViolation", "NotEmulated"];
    assert_eq!(codes, [&of_messages[..], &of_others].concat());
}

#[tokio::test]
async fn messages_are_read_from_the_record() {
    let cloud = Cloud::start().await;
    let account = Account::seed(&cloud).await;
    cloud.inject(Rule::on("sns:Publish", Fault::LostResponse));
    let publish = format!(
        "sns.publish(TopicArn='{}', Subject='Contained', Message='{{\"default\": \"a & b\", \"email\": \"c\"}}', \
         MessageStructure='json', MessageAttributes={{'verdict': {{'DataType': 'String', 'StringValue': 'contained'}}}})",
        account.topic()
    );
    ask(&cloud, &account.function, &publish).await.expect_err("the response is lost");
    let message = cloud.messages().remove(0);
    assert_eq!((message.topic, message.subject), (account.topic(), Some("Contained".to_owned())));
    assert_eq!((message.bodies["default"].as_str(), message.bodies["email"].as_str()), ("a & b", "c"));
    assert_eq!(message.attributes["verdict"], "contained");
}

#[tokio::test]
async fn the_trail_and_the_findings_are_what_the_test_supplies() {
    let cloud = Cloud::start().await;
    for minute in 0..60 {
        cloud.record_event(json!({
            "eventID": format!("event-{minute}"), "eventName": "GetObject", "eventSource": "s3.amazonaws.com",
            "eventTime": format!("2026-11-03T09:{minute:02}:00Z"), "readOnly": true,
            "userIdentity": {"type": "AssumedRole", "principalId": "AROA1:i-1", "accessKeyId": "ASIA1"},
        }));
    }
    cloud.add_finding(json!({"id": "f1", "service": {"archived": false}}));
    let by_key = "LookupAttributes=[{'AttributeKey': 'AccessKeyId', 'AttributeValue': 'ASIA1'}]";
    let calls = [
        format!("[(p['Events'][0]['EventId'], len(p['Events'])) for p in cloudtrail.get_paginator('lookup_events').paginate({by_key})]"),
        "len(cloudtrail.lookup_events(LookupAttributes=[{'AttributeKey': 'Username', 'AttributeValue': 'i-2'}])['Events'])".to_owned(),
        "len(cloudtrail.lookup_events(StartTime='2026-11-03T09:50:00Z', EndTime='2026-11-03T09:52:00Z')['Events'])".to_owned(),
        "guardduty.list_detectors()['DetectorIds']".to_owned(),
        "guardduty.archive_findings(DetectorId='d', FindingIds=['f1'])".to_owned(),
        "guardduty.get_findings(DetectorId='d', FindingIds=['f1', 'f2'])['Findings'][0]['Service']['Archived']".to_owned(),
        "securityhub.batch_update_findings(FindingIdentifiers=[{'Id': 'a', 'ProductArn': 'b'}])['ProcessedFindings']".to_owned(),
    ];
    let answers = boto(&cloud, &cloud.operator(), &calls.each_ref().map(String::as_str)).await;
    let answers: Vec<Value> = answers.into_iter().map(|answer| answer.expect("every call is answered")).collect();
    assert_eq!(answers[0], json!([["event-59", 50], ["event-9", 10]]));
    assert_eq!((&answers[1], &answers[2]), (&json!(0), &json!(3)));
    assert_eq!(answers[3], json!(["12abc34d567e8fa901bc2d34e56789f0"]));
    assert_eq!((&answers[5], &answers[6]), (&json!(true), &json!([{"Id": "a", "ProductArn": "b"}])));
    assert_eq!(cloud.findings()[0]["service"]["archived"], true);
}

#[tokio::test]
async fn every_fixed_id_stands_for_something_real() {
    let cloud = Cloud::start().await;
    let account = Account::seed(&cloud).await;
    let table = FIXED.iter().map(|(id, _)| *id).collect::<Vec<_>>().join(" ");
    let local = account.localise(&table);
    assert!(FIXED.iter().all(|(id, _)| !local.contains(id)), "{local}");
    assert_eq!(cloud.main().key_status("ann", account.real("AKIAIOSFODNN7EXAMPLE")).await, "Active");
    assert_eq!(cloud.main().interface_groups(account.real("i-0a1b2c3d4e5f60718")).await.len(), 3);
    assert_eq!(cloud.main().ingress(account.real("sg-0c1b2c3d4e5f60030")).await[0].from, 20);
    assert_eq!(cloud.world().await, cloud.world().await);
}

#[test]
fn rounds_count_the_longest_chain() {
    // Two reads side by side, then one write, then two writes of which one is slow.
    let calls: Vec<Call> = [(0, 20), (1, 22), (25, 45), (50, 70), (50, 95)].map(|(start, end)| call(start, end)).into();
    assert_eq!(rounds(&calls), 3);
    assert_eq!((rounds_until(&calls, &calls[1]), rounds_until(&calls, &calls[2])), (1, 2));
    assert_eq!(rounds(&[]), 0);
}

fn call(start: u64, end: u64) -> Call {
    Call {
        number: 0,
        start: Duration::from_millis(start),
        end: Duration::from_millis(end),
        service: String::new(),
        operation: String::new(),
        region: String::new(),
        account: String::new(),
        key: String::new(),
        parameters: Value::Null,
        accepted: true,
        status: Some(200),
        error: None,
        fault: None,
        request: String::new(),
    }
}

#[tokio::test]
async fn a_lambda_runs_fails_times_out_and_starts_again() {
    let cloud = Cloud::start().await;
    let account = Account::seed(&cloud).await;
    let python = in_venv("bin/python");
    let program = [python.to_str().expect("a plain path"), "-m", "awslambdaric", "echo.handler"];
    let handler = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cloud");
    let environment = [("PYTHONPATH", handler), ("PYTHONDONTWRITEBYTECODE", "1"), ("AWS_LAMBDA_FUNCTION_TIMEOUT", "2")];
    let lambda = Lambda::start(&cloud, &account.function, &program, &environment).await;
    assert!(lambda.usage().is_none(), "the function starts at the first invocation");

    let answer = lambda.invoke("{}").await;
    assert!(!answer.failed() && answer.wall > Duration::ZERO, "{answer:?}");
    let role = format!("arn:aws:sts::{}:assumed-role/quell-function/quell", cloud.account_id);
    assert_eq!(answer.json()["caller"], role);
    assert_eq!(answer.json()["environment"]["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "512");
    assert!(answer.json()["environment"].get("HOME").is_none());
    assert_eq!(lambda.logs().function, ["the function prints a line"]);
    assert!(lambda.usage().is_some_and(|usage| usage.peak_memory_kib > 1000 && !usage.cpu.is_zero()));

    let failure = lambda.invoke(r#"{"fail": "no"}"#).await;
    assert!(failure.failed() && failure.json()["errorMessage"] == "no", "{failure:?}");
    let (killed, ()) = tokio::join!(lambda.invoke(r#"{"sleep": 1}"#), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        lambda.kill();
    });
    assert!(killed.failed() && killed.body.contains("signal: killed"), "{killed:?}");
    let start = Instant::now();
    let late = lambda.invoke(r#"{"sleep": 5}"#).await;
    assert!(late.failed() && start.elapsed() < Duration::from_secs(4), "{late:?}");
    assert!(!lambda.invoke("{}").await.failed());
}
