//! The instrument itself: what the emulated cloud promises to the tests that stand on it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Command;

use crate::cloud::{Account, Cloud, Credentials, Fault, Lambda, Refusal, Rule, breakpoint, rounds, rounds_until, in_venv};

/// Runs Python with one client a service, named after it, as a second opinion on what the proxy answers. The result
/// is what the expression gives, or the error's class and code.
async fn boto(cloud: &Cloud, credentials: &Credentials, expression: &str) -> Result<Value, String> {
    let output = Command::new(in_venv("bin/python"))
        .args(["-c", include_str!("../cloud/boto.py"), expression])
        .env_clear()
        .env("AWS_ENDPOINT_URL", cloud.url())
        .env("AWS_ACCESS_KEY_ID", &credentials.key)
        .env("AWS_SECRET_ACCESS_KEY", &credentials.secret)
        .envs((!credentials.token.is_empty()).then_some(("AWS_SESSION_TOKEN", &credentials.token)))
        .stderr(Stdio::inherit())
        .output()
        .await
        .expect("python runs");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    match answer.get("error") {
        Some(error) => Err(error.as_str().expect("an error is text").to_owned()),
        None => Ok(answer["result"].clone()),
    }
}
#[tokio::test]
async fn scratch() {
    let cloud = Cloud::start().await;
    let t = Instant::now();
    let account = Account::seed(&cloud).await;
    println!("seeded in {:?}", t.elapsed());
    let t = Instant::now();
    let world = cloud.world().await;
    println!("world in {:?}", t.elapsed());
    std::fs::write("/tmp/world.json", serde_json::to_string_pretty(&world).unwrap()).unwrap();
    for (id, what) in crate::cloud::FIXED { println!("{id} {} {what}", account.real(id)); }
    for g in ["sg-0a1b2c3d4e5f60030","sg-0b1b2c3d4e5f60030"] { println!("{:#?}", cloud.main().ingress(account.real(g)).await); }
    println!("{:#?}", cloud.main().interface_groups(account.real("i-0a1b2c3d4e5f60718")).await);
    println!("{:#?}", cloud.main().user_policies("ann").await);
    let ann = account.credentials("AKIAIOSFODNN7EXAMPLE");
    println!("{:?}", boto(&cloud, ann, "sts.get_caller_identity()").await);
    let session = account.credentials("ASIAIOSFODNN7EXAMPLE");
    println!("{:?}", boto(&cloud, session, "sts.get_caller_identity()").await);
    println!("{:?}", boto(&cloud, account.credentials("AKIAQUELLMALLEXAMPLE"), "sts.get_caller_identity()").await);
    println!("{:?}", boto(&cloud, account.credentials("AKIAQUELLMEMBEREXAMP"), "sts.get_caller_identity()").await);
    println!("{:#?}", cloud.calls());
    println!("{}", world == cloud.world().await);
}
