//! A small AWS with Quell in it, and what a story on it looks like from outside.

use crate::cloud::{Account, Answer, Cloud, Lambda, TABLE, differences};
use serde_json::Value;
use std::path::Path;

pub const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

/// A policy that contains everything, however old: the other guards and the remediations alone decide.
pub const CONTAIN: &str =
    "[guards]\nstale_after = '100000h'\n[[rule]]\nname = 'contain all'\ntypes = ['*']\nresponse = 'contain'\n";

/// The emulated cloud, its accounts, and the Lambda in a cold execution environment.
pub struct Stage {
    pub cloud: Cloud,
    pub account: Account,
    pub lambda: Lambda,
}

impl Stage {
    pub async fn set(policy: &str) -> Self {
        Self::set_with(policy, &[]).await
    }

    /// Sets the stage, with these environment variables beside the usual ones.
    pub async fn set_with(policy: &str, environment: &[(&str, &str)]) -> Self {
        let cloud = Cloud::start().await;
        let account = Account::seed(&cloud).await;
        let lambda = lambda(&cloud, &account, policy, environment).await;
        Self { cloud, account, lambda }
    }

    /// Sends the event of this name, with the cloud's own ids in it.
    pub async fn send(&self, event: &str) -> Answer {
        let event = self.account.localise(&read(event));
        know(&self.cloud, &event);
        self.lambda.invoke(&event).await
    }

    /// Sends an event that must not fail, and says what became of the account: the verdict, then what is different.
    pub async fn tell(&self, event: &str) -> Vec<String> {
        let before = self.cloud.world().await;
        let answer = self.send(event).await;
        let after = self.cloud.world().await;
        let verdict = answer.json()["verdict"].as_str().map_or_else(|| answer.body.clone(), str::to_owned);
        let differences = differences(&before, &after);
        let mut lines: Vec<String> =
            differences.iter().map(|difference| self.account.delocalise(&difference.to_string())).collect();
        // They came in the order of the real ids, which is another in every run.
        lines.sort_unstable();
        [verdict].into_iter().chain(lines).collect()
    }

    /// The e-mail that went out last.
    pub fn email(&self) -> String {
        let messages = self.cloud.messages();
        let email = messages.last().and_then(|message| message.bodies.get("email").cloned());
        self.account.delocalise(&email.unwrap_or_default())
    }
}

/// A new execution environment for the same cloud: its first invocation is a cold start.
pub async fn lambda(cloud: &Cloud, account: &Account, policy: &str, environment: &[(&str, &str)]) -> Lambda {
    let topic = account.topic();
    let usual = [
        ("QUELL_ACCOUNT", cloud.account_id.as_str()),
        ("QUELL_TOPIC_ARN", &topic),
        ("QUELL_TABLE", TABLE),
        ("QUELL_POLICY", policy),
    ];
    let environment: Vec<(&str, &str)> = usual.into_iter().chain(environment.iter().copied()).collect();
    Lambda::start(cloud, &account.function, &[BOOTSTRAP], &environment).await
}

/// Lets GuardDuty know the finding in an event, so that it is not taken for made up.
pub fn know(cloud: &Cloud, event: &str) {
    if let Some(finding) = serde_json::from_str::<Value>(event).ok().and_then(|mut event| event.get_mut("detail").map(Value::take)) {
        cloud.add_finding(finding);
    }
}

/// An event file, as it is in `events/`.
pub fn read(event: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(event).with_extension("json");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
