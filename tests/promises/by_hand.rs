//! The commands that people are shown do what Quell does, and take it back: run by a shell, with AWS's own command line.

#![expect(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]

use crate::cloud::REGION;
use crate::crash::scene::{self, Scene};
use crate::operator::Desk;
use crate::rehearsal::Rehearsal;
use crate::stage::CONTAIN;
use crate::taking_back::verdict;
use serde_json::Value;
use std::process::Stdio;
use tokio::process::Command;

const AWS_CLI: &str = concat!(env!("QUELL_VENV"), "/bin");

/// Runs the lines as somebody who pasted them would.
async fn run(quell: &Rehearsal, lines: &[String]) {
    let keys = quell.cloud.operator();
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &lines.join("\n")]).env_clear().stdin(Stdio::null());
    shell.env("PATH", format!("{AWS_CLI}:/usr/bin:/bin")).env("AWS_ENDPOINT_URL", quell.cloud.url());
    shell.env("AWS_ACCESS_KEY_ID", &keys.key).env("AWS_SECRET_ACCESS_KEY", &keys.secret);
    let ran = shell.env("AWS_DEFAULT_REGION", REGION).output().await.unwrap();
    assert!(ran.status.success(), "{}\n{}", lines.join("\n"), String::from_utf8_lossy(&ran.stderr));
}

fn lines(plan: &Value, which: &str) -> Vec<String> {
    let commands = plan["parts"].as_array().unwrap().iter().flat_map(|part| part[which].as_array().unwrap());
    commands.map(|command| command.as_str().unwrap().to_owned()).collect()
}

async fn check(scene: Scene) {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&scene.event()).await), "contained", "{scene}");
    let contained = quell.changes(&before, &quell.cloud.world().await);
    quell.order_about("undo", scene.finding, 1).await;
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{scene}");

    let keys = quell.cloud.operator();
    let desk = Desk::new(CONTAIN).with_keys(&keys.key, &keys.secret);
    let line = format!("plan --endpoint-url {} --output json -", quell.cloud.url());
    let plan = desk.run_with(&line, &quell.account.localise(&scene.event())).await.json();
    run(&quell, &lines(&plan, "commands")).await;
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), contained, "{scene}");
    run(&quell, &lines(&plan, "undo_commands")).await;
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{scene}");
}

#[tokio::test]
async fn a_key() {
    check(scene::KEY).await;
}

#[tokio::test]
async fn a_session() {
    check(scene::SESSION).await;
}

#[tokio::test]
async fn an_instance() {
    check(scene::INSTANCE).await;
}

#[tokio::test]
async fn a_port() {
    check(scene::PORT).await;
}

#[tokio::test]
async fn a_port_within_a_range() {
    check(scene::PORT_OF_A_RANGE).await;
}
