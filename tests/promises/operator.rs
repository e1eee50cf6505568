//! What an operator asks for is shown, done by the function, or refused with the way out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    reason = "a test that panics has said what it has to say"
)]

use crate::cloud::{Account, Cloud, differences, just_now};
use crate::stage::{CONTAIN, Stage, read};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

const QUELL: &str = env!("CARGO_BIN_EXE_quell");
const ID: &str = "111122223333/eu-west-1/6ab6e6ee780ed494f3b7ca56acdc74df";

/// What the command printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    code: i32,
    out: String,
    complaint: String,
}

/// A folder with a policy in it, and the settings that the command finds around it.
pub struct Desk {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Desk {
    pub fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
        let environment =
            vec![("AWS_EC2_METADATA_DISABLED", "true".to_owned()), ("HOME", folder.path().display().to_string())];
        Self { folder, environment }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub fn with_keys(self, key: &str, secret: &str) -> Self {
        self.with("AWS_ACCESS_KEY_ID", key).with("AWS_SECRET_ACCESS_KEY", secret).with("AWS_REGION", "eu-west-1")
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub async fn run(&self, line: &str) -> Ran {
        self.run_with(line, "").await
    }

    pub async fn run_with(&self, line: &str, input: &str) -> Ran {
        let mut command = Command::new(QUELL);
        command.args(line.split_whitespace()).current_dir(&self.folder).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), complaint: text(output.stderr) }
    }
}

impl Ran {
    #[track_caller]
    pub fn said(&self, code: i32, expect: &[&str]) {
        let all = format!("{}{}", self.out, self.complaint);
        assert_eq!(self.code, code, "{all}");
        for expect in expect {
            assert!(all.contains(expect), "{expect:?} is not in:\n{all}");
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

#[tokio::test]
async fn a_policy_is_fine_or_every_problem_in_it_is_told_with_its_place() {
    let desk = Desk::new(CONTAIN);
    desk.run("check").await.said(0, &["policy.toml: fine"]);
    assert!(desk.run("check --output json").await.json().is_object());
    let bad = desk.file("bad.toml", "[[rule]]\nresponse = 'contian'\nsevrity = 7\n");
    let ran = desk.run(&format!("check {}", bad.display())).await;
    let problems =
        ["bad.toml:2:12: unknown response \"contian\"; did you mean \"contain\"?", "bad.toml:3:1: unknown key"];
    ran.said(1, &problems);
    let json = desk.run(&format!("check --output json {}", bad.display())).await;
    json.said(1, &["did you mean"]);
    assert_eq!(json.json()["problems"][1]["line"], 3, "{json:?}");
    let failed: Value = serde_json::from_str(&desk.run("check absent.toml --output json").await.complaint).unwrap();
    assert_eq!(failed["hint"], "the team's policy.toml is named with --policy", "{failed}");
    desk.run("check absent.toml").await.said(1, &["error: absent.toml: cannot be read: No such file"]);
    desk.run("coverage --policy absent.toml").await.said(1, &["hint: the team's policy.toml is named with --policy"]);
}

#[tokio::test]
async fn every_type_of_finding_is_covered_on_a_page() {
    let desk = Desk::new(include_str!("../../policy.toml"));
    let table = desk.run("coverage").await;
    table.said(0, &["FINDING TYPE", "CryptoCurrency:\n  EC2/BitcoinTool.A", "For severity high, account 123456789012"]);
    let groups = table.out.lines().skip(2).take_while(|line| !line.is_empty());
    for line in groups.clone().chain(table.out.lines()) {
        assert!(line.chars().count() <= 100 && line == line.trim_end(), "{line:?}");
    }
    let broken = groups.filter(|line| !line.starts_with("  ") && !line.ends_with(':'));
    assert_eq!(broken.collect::<Vec<_>>(), [""; 0], "rows stand under their group");
    let rows = desk.run("coverage --output json").await.json();
    let rows = rows["coverage"].as_array().unwrap();
    assert!(
        rows.iter().any(|row| row["finding_type"] == "Recon:EC2/Portscan" && row["response"] == "plan"),
        "{rows:?}"
    );
    let text = desk.run("coverage --output text").await.out;
    assert!(text.contains("Recon:EC2/Portscan\tinstance\teverything else\tplan\tcompromised-instance\n"), "{text}");
    let named: BTreeSet<&str> = rows.iter().filter_map(|row| row["finding_type"].as_str()).collect();
    let known: BTreeSet<String> = quell::finding::known_types().iter().map(ToString::to_string).collect();
    assert!(known.iter().all(|name| named.contains(name.as_str())), "{:?}", known.len());
}

#[tokio::test]
async fn a_finding_is_explained_without_aws() {
    let desk = Desk::new(CONTAIN);
    let event = desk.file("event.json", &just_now(&read("access_key_used_from_tor")));
    let expect = [
        "access key AKIAIOSFODNN7EXAMPLE of user ann",
        "\"contain all\" says contain",
        "compromised-access-key",
        "it is contained",
    ];
    desk.run(&format!("explain {}", event.display())).await.said(0, &expect);
    let old = read("access_key_used_from_tor");
    desk.run_with("explain -", &old).await.said(0, &["lowered to approve: the finding was last updated"]);
    let archived = old.replace("\"archived\": false", "\"archived\": true");
    desk.run_with("explain -", &archived).await.said(0, &["lowered to plan: the finding is archived"]);
    let protect = "[[protect]]\narns = ['arn:aws:iam::*:user/ann']\nowner = 'ops'\nreason = 'wages'\n";
    let guarded = Desk::new(&format!("{CONTAIN}{protect}"));
    let says = "user ann is protected (ops): wages";
    guarded.run_with("explain -", &just_now(&read("access_key_used_from_tor"))).await.said(0, &[says]);
    desk.run_with("explain -", &read("root_credentials_used"))
        .await
        .said(0, &["no policy in the account limits the root user"]);
    desk.run_with("explain -", "{}")
        .await
        .said(1, &["error: standard input: the finding cannot be read: type: missing"]);
    desk.run_with("explain -", &read("malware_protection_scan_result")).await.said(1, &["holds no finding, but:"]);
    let json = desk.run(&format!("explain --output json {}", event.display())).await.json();
    assert_eq!(json["subjects"][0]["decision"]["response"], "contain");
}

#[tokio::test]
async fn a_hostile_finding_does_not_speak_to_the_terminal() {
    let desk = Desk::new(CONTAIN);
    let ran = desk.run_with("explain -", &read("hostile_texts")).await;
    ran.said(0, &["Title"]);
    let hidden = |c: char| c != '\n' && (c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c));
    assert!(!ran.out.contains(hidden), "{}", ran.out);
}

#[tokio::test]
async fn a_wrong_line_is_a_usage_error_and_help_names_every_exit_code() {
    let desk = Desk::new("");
    desk.run("undo 0a1b").await.said(2, &["ACCOUNT/REGION/FINDING"]);
    desk.run("aprove").await.said(2, &["approve"]);
    let codes = ["0  done", "1  what was asked for is wrong", "2  the command line", "3  AWS", "4  asked and answered"];
    desk.run("--help").await.said(0, &codes);
    let man = desk.run("man").await;
    man.said(0, &[".TH quell 1", "QUELL_FUNCTION", "quell\\-undo"]);
    assert!(codes.iter().all(|code| man.out.contains(&code[3..])), "{}", man.out);
    desk.run("man undo").await.said(0, &[".TH quell-undo 1", "dry\\-run"]);
    desk.run("man nothing").await.said(1, &["there is: incidents, show, undo"]);
    for shell in ["bash", "zsh", "fish"] {
        desk.run(&format!("completions {shell}")).await.said(0, &["coverage", "dry-run"]);
    }
}

#[tokio::test]
async fn programs_get_json_whatever_they_ask() {
    let desk = Desk::new("");
    for (line, says) in [
        ("undo 0a1b --output json", "ACCOUNT/REGION/FINDING"),
        ("aprove --output=json", "approve"),
        ("--output json", "Usage: quell"),
        ("coverage --severity hihg --output json", "there is: low, medium, high, critical"),
    ] {
        let ran = desk.run(line).await;
        let failed: Value = serde_json::from_str(&ran.complaint).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert!(failed["error"].as_str().is_some_and(|why| why.contains(says)), "{line}: {failed}");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}");
    }
    for (line, name, says) in [
        ("man undo --output json", "man", ".TH quell-undo 1"),
        ("completions bash --output json", "completions", "complete -F"),
        ("undo --help --output json", "help", "Usage: quell undo"),
        ("--output json --version", "help", "quell 0."),
    ] {
        let ran = desk.run(line).await;
        assert!(ran.code == 0 && ran.json()[name].as_str().is_some_and(|text| text.contains(says)), "{line}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_shown_with_its_commands_and_nothing_is_changed() {
    let cloud = Cloud::start().await;
    let account = Account::seed(&cloud).await;
    let keys = cloud.operator();
    let desk = Desk::new(CONTAIN).with_keys(&keys.key, &keys.secret);
    let before = cloud.world().await;
    cloud.forget_calls();
    let line = format!("plan --endpoint-url {} -", cloud.url());
    let key = desk.run_with(&line, &account.localise(&read("access_key_used_from_tor"))).await;
    let out = account.delocalise(&key.out);
    key.said(0, &["Nothing was changed. The plan has 2 changes."]);
    for expect in [
        "access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive",
        "\naws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive\n",
        "\naws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Active\n",
        "\naws iam delete-user-policy --user-name ann --policy-name QuellQuarantine\n",
        "All that user ann does stops",
    ] {
        assert!(out.contains(expect), "{expect:?} is not in:\n{out}");
    }
    let instance = desk.run_with(&line, &account.localise(&read("instance_mines_bitcoin"))).await;
    instance
        .said(0, &["contain: this would be done", "aws ec2 create-security-group", "aws ec2 delete-security-group"]);
    let json = desk.run_with(&format!("{line} --output json"), &account.localise(&read("port_probe"))).await.json();
    assert_eq!(json["parts"][0]["plan"]["remediation"], "exposed-port");
    assert!(!json["parts"][0]["undo_commands"].as_array().unwrap().is_empty());
    assert_eq!(cloud.world().await, before);
    for call in cloud.calls() {
        let verb = call.action().split(':').nth(1).unwrap_or_default().to_owned();
        assert!(["Get", "List", "Describe"].iter().any(|reading| verb.starts_with(reading)), "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_resource_is_not_looked_at_with_these_credentials() {
    let cloud = Cloud::start().await;
    let account = Account::seed(&cloud).await;
    let keys = cloud.operator();
    let desk = Desk::new(CONTAIN).with_keys(&keys.key, &keys.secret);
    let line = format!("plan --endpoint-url {} -", cloud.url());
    let ran = desk.run_with(&line, &account.localise(&read("member_account_access_key"))).await;
    ran.said(3, &["could not be looked at", "wrong account", "choose that account's with --profile"]);
}

/// A function that gives these answers, and remembers what it was asked.
struct Function {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Function {
    async fn that_answers(answer: Value, error: Option<&'static str>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, seen) = (answer.to_string(), Arc::clone(&seen));
                let service = service_fn(move |request| serve(request, answer.clone(), error, Arc::clone(&seen)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    request: Request<Incoming>,
    answer: String,
    error: Option<&'static str>,
    seen: Arc<Mutex<Vec<Value>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().map(str::to_owned);
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let answered =
        |status: u16, body: String| Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap();
    Ok(match path.as_str() {
        "/" => answered(200, WHO.to_owned()),
        "/2015-03-31/functions/quell/invocations" => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let asked = |field: &str| body.pointer(&format!("/quell/{field}")).cloned().unwrap_or_default();
            let changes = ["undo", "approve", "reject"].iter().any(|name| asked("command") == *name);
            let by = (changes && asked("dry_run") != true).then_some("Qualifier=operate");
            assert_eq!(query.as_deref(), by, "{body}");
            seen.lock().unwrap().push(body);
            let mut response = answered(200, answer);
            if let Some(error) = error {
                response.headers_mut().insert("X-Amz-Function-Error", error.parse().unwrap());
            }
            response
        }
        _ => {
            let mut response = answered(404, r#"{"Type":"User","Message":"Function not found"}"#.to_owned());
            response.headers_mut().insert("x-amzn-ErrorType", "ResourceNotFoundException".parse().unwrap());
            response
        }
    })
}

const WHO: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
    <Arn>arn:aws:iam::111122223333:user/olga</Arn><UserId>AIDAOLGA</UserId><Account>111122223333</Account>\
    </GetCallerIdentityResult></GetCallerIdentityResponse>";

/// Asks a function that answers so, and says what it was asked.
async fn ask(line: &str, answer: Value) -> (Ran, Vec<Value>) {
    let function = Function::that_answers(answer, None).await;
    let desk = Desk::new("").with_keys("AKIAEXAMPLE", "secret");
    let ran = desk.run(&format!("{line} --endpoint-url {}", function.url)).await;
    (ran, function.asked())
}

#[tokio::test]
async fn incidents_are_listed_as_the_function_knows_them() {
    let listed = json!({
        "id": ID, "verdict": "contained", "finding_type": "UnauthorizedAccess:IAMUser/TorIPCaller", "severity": 8.0,
        "subjects": ["access key AKIAIOSFODNN7EXAMPLE of user ann", "bucket b"], "started": "2026-11-03T09:36:02Z",
        "status": "open",
    });
    let answer = json!({ "ok": { "incidents": [listed] } });
    let (ran, asked) = ask("incidents --open", answer.clone()).await;
    ran.said(0, &["STARTED", "2026-11-03 09:36Z", "contained", "and 1 more", ID]);
    assert!(ran.out.lines().all(|line| line.chars().count() <= 100), "{}", ran.out);
    let order = json!({ "command": "incidents", "open": true, "by": "arn:aws:iam::111122223333:user/olga" });
    assert_eq!(asked, [json!({ "quell": order })]);
    let (ran, _) = ask("incidents --output json", answer.clone()).await;
    assert_eq!(ran.json(), answer["ok"]);
    let (ran, _) = ask("incidents --output text", answer).await;
    assert!(ran.out.contains(&format!("\tcontained\topen\thigh\t{ID}\t")), "{}", ran.out);
    let (ran, _) = ask("incidents", json!({ "ok": { "incidents": [] } })).await;
    ran.said(0, &["There is no incident."]);
}

#[tokio::test]
async fn an_incident_is_shown_with_its_steps_its_holds_and_its_history() {
    let (ran, _) = ask(&format!("show {ID}"), json!({ "ok": { "incident": record(), "holds": [hold()] } })).await;
    ran.said(
        0,
        &[
            "CONTAINED",
            "1.  access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive",
            "done, read back",
            "Holds",
            "was Active",
            "History",
            "by rule \"misused credentials\"",
        ],
    );
    let (ran, _) = ask(&format!("show {ID}"), json!({ "ok": { "incident": { "schema": 99 } } })).await;
    ran.said(0, &["of another release", "\"schema\": 99"]);
    let (ran, _) = ask(&format!("show {ID}"), json!({ "error": "there is no such incident" })).await;
    ran.said(1, &["error: there is no such incident"]);
}

#[tokio::test]
async fn an_order_goes_to_the_function_and_its_end_is_the_exit_code() {
    let step =
        json!({ "change": { "setting": setting(), "from": { "status": "Inactive" }, "to": { "status": "Active" } } });
    let changed = json!({ "change": step["change"], "outcome": "changed" });
    let done = |verdict: &str| json!({ "ok": { "results": [changed.clone()], "verdict": verdict, "text": "olga gave it back." } });
    // Something of what was asked for did not come back.
    let returned = json!([{ "setting": "the key", "became": "still held", "is_back": false }]);
    let kept = json!({ "ok": { "verdict": "released", "text": "", "returned": returned } });
    let (ran, _) = ask(&format!("undo {ID} --step 1"), kept).await;
    ran.said(4, &["RELEASED"]);
    // Somebody pulled the kill switch meanwhile: nothing was carried out.
    let (ran, _) = ask(&format!("approve {ID}"), json!({ "ok": { "verdict": "planned", "text": "" } })).await;
    ran.said(4, &["PLANNED"]);
    let (ran, asked) = ask(&format!("undo {ID} --step 2"), done("released")).await;
    ran.said(0, &["RELEASED", "Inactive -> Active", "olga gave it back."]);
    let by = "arn:aws:iam::111122223333:user/olga";
    let proof = &asked[0]["quell"]["proof"];
    let credential = proof["credential"].as_str().unwrap_or_default();
    assert!(credential.starts_with("AKIAEXAMPLE/") && credential.ends_with("/eu-west-1/sts/aws4_request"), "{proof}");
    let order = json!({ "command": "undo", "incident": ID, "step": 2, "dry_run": false, "by": by, "proof": proof });
    assert_eq!(asked, [json!({ "quell": order })]);
    let (ran, _) = ask(&format!("undo {ID}"), done("partial")).await;
    ran.said(4, &["PARTIAL"]);
    let drifted = json!({ "change": step["change"], "outcome": { "refused": { "why": "it is no longer ours" } } });
    let (ran, _) = ask(&format!("undo {ID}"), json!({ "ok": { "results": [drifted], "verdict": "released" } })).await;
    ran.said(4, &["refused: it is no longer ours"]);
    let planned = json!({ "change": step["change"], "why": "no other incident holds it" });
    let (ran, asked) =
        ask(&format!("undo {ID} --dry-run"), json!({ "ok": { "plan": [planned], "verdict": "contained" } })).await;
    ran.said(0, &["Nothing was changed. Undo would be:", "no other incident holds it"]);
    assert_eq!((&asked[0]["quell"]["dry_run"], &asked[0]["quell"]["proof"]), (&json!(true), &Value::Null));
    let (ran, _) = ask(&format!("approve {ID} --plan 1"), done("waiting-for-approval")).await;
    ran.said(4, &["WAITING FOR APPROVAL"]);
    let (ran, asked) = ask(&format!("reject {ID}"), json!({ "ok": { "verdict": "rejected" } })).await;
    ran.said(0, &["REJECTED"]);
    assert_eq!(asked[0]["quell"]["command"], "reject");
}

#[tokio::test]
async fn a_function_that_fails_or_is_not_there_is_told_apart_from_a_wrong_order() {
    let function = Function::that_answers(json!({ "errorMessage": "out of time" }), Some("Unhandled")).await;
    let desk = Desk::new("").with_keys("AKIAEXAMPLE", "secret");
    let failed = desk.run(&format!("undo {ID} --endpoint-url {}", function.url)).await;
    failed.said(3, &["the function failed: out of time", "may have happened"]);
    let missing = desk.run(&format!("incidents --function other --endpoint-url {}", function.url)).await;
    missing.said(3, &["ResourceNotFoundException", "there is no function \"other\" here"]);
    let (ran, _) = ask("incidents", json!({ "ignored": "x" })).await;
    ran.said(3, &["is it Quell, and of this release?"]);
    desk.run("incidents --endpoint-url http://127.0.0.1:1").await.said(3, &["sts:GetCallerIdentity"]);
}

fn setting() -> Value {
    json!({ "setting": "access-key-status", "user": "ann", "key": "AKIAIOSFODNN7EXAMPLE" })
}

fn hold() -> Value {
    json!({ "setting": setting(), "original": { "status": "Active" }, "held_by": [ID] })
}

fn record() -> Value {
    let change = json!({ "setting": setting(), "from": { "status": "Active" }, "to": { "status": "Inactive" } });
    let at = json!({ "partition": "aws", "account": "111122223333", "region": "eu-west-1" });
    let subject = json!({ "at": at, "kind": { "kind": "user-key", "user": "ann", "key": "AKIAIOSFODNN7EXAMPLE" } });
    json!({
        "finding": {
            "id": "6ab6e6ee780ed494f3b7ca56acdc74df", "arn": "", "kind": "UnauthorizedAccess:IAMUser/TorIPCaller",
            "severity": 8.0, "at": at, "title": "Tor", "description": "", "created": null, "updated": null,
            "first_seen": null, "last_seen": null, "count": 1, "sample": false, "archived": false, "role": null,
            "remotes": [], "ports": [], "action": null, "subjects": [subject],
        },
        "parts": [{
            "plan": {
                "subject": subject, "remediation": "compromised-access-key",
                "stages": [[{ "change": change, "why": "the key stops working" }]], "no_steps": null, "notes": [],
                "residual": [], "manual": [], "at_most": null,
            },
            "decision": { "response": "contain", "rule": "misused credentials", "lowered": [] },
            "results": [{ "change": change, "outcome": "changed" }],
        }],
        "started": "2026-11-03T09:36:02Z",
        "contained": "2026-11-03T09:36:03Z",
        "status": "open",
        "history": [{ "at": "2026-11-03T09:36:03Z", "who": "the policy, by rule \"misused credentials\"", "what": "contained" }],
    })
}

#[tokio::test]
async fn the_function_lists_shows_approves_and_undoes_and_says_so_to_people() {
    let approve = CONTAIN.replace("'contain'", "'approve'");
    let stage = Stage::set(&approve).await;
    stage.lambda.serve(&stage.cloud, "quell");
    let olga = stage.cloud.user("olga").await;
    let desk = Desk::new("").with_keys(&olga.key, &olga.secret);
    let shown = format!("arn:aws:iam::{}:user/olga, as AWS shows", stage.cloud.account_id);
    let id = format!("{}/eu-west-1/5e8e95fc4de1f034e96967422b76b5c7", stage.cloud.account_id);
    let run = async |line: &str| desk.run(&format!("{line} --endpoint-url {}", stage.cloud.url())).await;
    let before = stage.cloud.world().await;
    assert_eq!(stage.story("access_key_used_from_tor").await.end, "waiting-for-approval");

    run("incidents --open").await.said(0, &["waiting", &id]);
    run(&format!("approve {id} --plan 1")).await.said(0, &["CONTAINED", &format!("Approved by {shown}.")]);
    assert!(!differences(&before, &stage.cloud.world().await).is_empty());
    let says = ["held", "approved plan 1", "was Active", "Holds", "All that user ann does stops", &shown];
    run(&format!("show {id}")).await.said(0, &says);
    run(&format!("undo {id} --dry-run")).await.said(0, &["would give back"]);
    let would = run(&format!("undo {id} --dry-run --output json")).await.json();
    assert_eq!(would["plan"].as_array().map(Vec::len), Some(2), "{would}");
    let listed = run("incidents --output json").await.json();
    assert_eq!(listed["incidents"][0]["id"], json!(id), "{listed}");
    // All that was asked for came back, and the other step stays.
    run(&format!("undo {id} --step 1")).await.said(0, &["PARTLY RELEASED", "1 other was not asked for"]);
    run(&format!("undo {id}")).await.said(0, &["RELEASED", "given back, read back", &format!("Undone by {shown}.")]);
    assert_eq!(differences(&before, &stage.cloud.world().await), []);
    run(&format!("undo {id}")).await.said(1, &["there is nothing to undo: it is released"]);
    assert_eq!(run(&format!("show {id} --output json")).await.json()["incident"]["status"], "released");
    let told: Vec<String> = stage.cloud.messages().into_iter().filter_map(|message| message.subject).collect();
    let verdicts: Vec<&str> = told.iter().filter_map(|subject| subject.split(':').next()).collect();
    assert_eq!(verdicts, ["WAITING FOR APPROVAL", "CONTAINED", "PARTLY RELEASED", "RELEASED"]);

    // The same for a program, and a step at a time.
    let session = format!("{}/eu-west-1/c6c9af66c89db32765c152270257a69e", stage.cloud.account_id);
    assert_eq!(stage.story("instance_credentials_used_outside_aws").await.end, "waiting-for-approval");
    let approved = run(&format!("approve {session} --plan 1 --output json")).await.json();
    assert_eq!((&approved["verdict"], &approved["results"][0]["outcome"]), (&json!("contained"), &json!("changed")));
    let undone = run(&format!("undo {session} --step 1 --output json")).await.json();
    assert_eq!((&undone["verdict"], &undone["returned"][0]["is_back"]), (&json!("released"), &json!(true)), "{undone}");
    let wrong = run(&format!("undo {session} --step 1 --output json")).await;
    wrong.said(1, &["{\"error\":\"there is nothing to undo"]);
    let port = format!("{}/eu-west-1/f351532bafcc77f8c3301b51d22f8d61", stage.cloud.account_id);
    assert_eq!(stage.story("port_probe").await.end, "waiting-for-approval");
    assert_eq!(run(&format!("reject {port} --output json")).await.json()["verdict"], "rejected");
    assert_eq!(differences(&before, &stage.cloud.world().await), []);
}
