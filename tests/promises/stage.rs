//! A small AWS with Quell in it, and what a story on it looks like from outside.

use crate::cloud::{Account, Cloud, Lambda, TABLE};
use serde_json::Value;
use std::path::Path;

pub const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

/// A policy that contains everything: the guards and the remediations alone decide.
pub const CONTAIN: &str = "[[rule]]\nname = 'contain all'\ntypes = ['*']\nresponse = 'contain'\n";

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
    let event = serde_json::from_str::<Value>(event).ok();
    let finding = event.and_then(|mut event| event.get_mut("detail").map(Value::take));
    if let Some(finding) = finding {
        cloud.add_finding(finding);
    }
}

/// An event file, as it is in `events/`.
#[expect(clippy::panic, reason = "a test without its event has nothing to show")]
pub fn read(event: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(event).with_extension("json");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
