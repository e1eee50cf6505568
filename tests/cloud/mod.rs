//! The emulated cloud: the real Lambda binary under the real runtime interface emulator, against moto, with a
//! proxy between that records every call and makes calls fail.
//!
//! Tests, the demonstration and the benchmark all stand on it. It shares no code with what it tests: it asks moto
//! by its own client, so that what a test reads back is not seen through the library under test.

#![allow(dead_code, unused_imports, reason = "each crate that includes this module uses a part of it")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "an instrument that is out of order must stop the test, not be worked around"
)]

mod account;
mod balancers;
mod call;
mod denial;
mod difference;
mod fault;
mod gaps;
mod hosts;
pub mod identities;
mod lambda;
mod ledger;
mod messages;
mod moto;
mod naming;
mod presigned;
mod principals;
mod process;
mod proxy;
mod refusal;
mod stale;
mod strictness;
mod view;
mod world;
mod xml;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use account::{Account, EXTERNAL_ID, FIXED, just_now};
pub use call::{Call, rounds, rounds_until};
pub use difference::{Difference, differences};
pub use fault::{Breakpoint, Fault, Pause, Rule, breakpoint};
pub use lambda::{Answer, Lambda, Logs, Usage};
pub use ledger::{TABLE, ledger_table};
pub use messages::Message;
pub use moto::{Moto, REGION};
pub use process::in_venv;
pub use refusal::Refusal;
pub use view::{IngressRule, View};

use principals::text;
use proxy::Proxy;

/// One test's own AWS: two accounts that no other test sees, behind a proxy of its own.
pub struct Cloud {
    /// The account that Quell runs in.
    pub account_id: String,
    /// A second account, reached through a role.
    pub member_id: String,
    port: u16,
    proxy: Arc<Proxy>,
    server: JoinHandle<()>,
}

/// What signs calls. Secrets do not matter: nothing here verifies signatures.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub key: String,
    pub secret: String,
    /// Empty for a long-term key.
    pub token: String,
}

impl From<&Value> for Credentials {
    fn from(issued: &Value) -> Credentials {
        Credentials {
            key: text(issued, "AccessKeyId"),
            secret: text(issued, "SecretAccessKey"),
            token: issued["SessionToken"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

impl Cloud {
    /// Starts a proxy with two fresh accounts.
    pub async fn start() -> Cloud {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the loopback interface has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let moto = tokio::task::spawn_blocking(Moto::shared).await.expect("moto starts");
        let proxy = Arc::new(Proxy::new(moto));
        let serving = Arc::clone(&proxy).serve(listener);
        let server = tokio::spawn(async { serving.await.map(|never| match never {}).expect("the proxy serves") });
        let cloud = Cloud { account_id: fresh_account(), member_id: fresh_account(), port, proxy, server };
        cloud.trust(&cloud.operator());
        cloud
    }

    /// The endpoint that the code under test is given as `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Credentials in the main account that are never refused.
    pub fn operator(&self) -> Credentials {
        Credentials { key: format!("AKIAQUEL{}", self.account_id), secret: "secret".to_owned(), token: String::new() }
    }

    /// Exempts credentials of the main account from being refused, and from the look-ups that this takes.
    pub fn trust(&self, credentials: &Credentials) {
        self.proxy.principals.trust(&credentials.key, &credentials.secret, &self.account_id);
    }

    /// A user who may do everything, with a key that signs.
    pub async fn user(&self, name: &str) -> Credentials {
        let iam = self.moto().service("iam", &self.account_id);
        iam.call("CreateUser", &[("UserName", name)]).await;
        let issued = &iam.call("CreateAccessKey", &[("UserName", name)]).await["AccessKey"];
        let credentials = Credentials::from(issued);
        self.trust(&credentials);
        credentials
    }

    /// Makes every call take this much longer.
    pub fn latency(&self, latency: Duration) {
        *self.proxy.latency.lock().expect("no holder panics") = latency;
    }

    /// Makes every call take at least this long, moto's own time included. Calls side by side, which queue in moto, are then
    /// answered side by side, as AWS does.
    pub fn pace(&self, pace: Duration) {
        *self.proxy.pace.lock().expect("no holder panics") = pace;
    }

    /// Puts a rule in force, after those that are.
    pub fn inject(&self, rule: Rule) {
        self.proxy.rules.add(rule);
    }

    /// Ends all rules.
    pub fn heal(&self) {
        self.proxy.rules.clear();
    }

    /// The finished calls, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.proxy.calls()
    }

    pub fn forget_calls(&self) {
        self.proxy.forget_calls();
    }

    /// As if nothing was written for a while: no read is stale.
    pub fn settle(&self) {
        self.proxy.past.settle();
    }

    /// Adds a record for `LookupEvents`, in the form that CloudTrail writes it.
    pub fn record_event(&self, event: Value) {
        self.proxy.gaps.record(event);
    }

    /// Adds a finding for GuardDuty's own operations.
    pub fn add_finding(&self, finding: Value) {
        self.proxy.gaps.find(finding);
    }

    /// GuardDuty's findings, with `service.archived` as the calls left it.
    pub fn findings(&self) -> Vec<Value> {
        self.proxy.gaps.findings()
    }

    /// Switches GuardDuty off in all accounts.
    pub fn switch_guardduty_off(&self) {
        self.proxy.gaps.switch_off();
    }

    /// Begins a session of a role, as `AssumeRole` would, and watches it as one that a finding may be about.
    pub async fn assume_role(&self, account: &str, role: &str, session_name: &str) -> Credentials {
        let arn = format!("arn:aws:iam::{account}:role/{role}");
        let named = [("RoleArn", arn.as_str()), ("RoleSessionName", session_name)];
        let session = self.moto().service("sts", account).call("AssumeRole", &named).await;
        self.proxy.principals.learn(&session);
        Credentials::from(&session["Credentials"])
    }

    /// What is true in the main account, asked past the proxy.
    pub fn main(&self) -> View {
        View::new(self.moto(), &self.account_id)
    }

    /// What is true in the member account, asked past the proxy.
    pub fn member(&self) -> View {
        View::new(self.moto(), &self.member_id)
    }

    /// Everything in both accounts that containment could touch, sorted, to be compared as a whole.
    pub async fn world(&self) -> Value {
        json!({
            "main": world::of(self.moto(), &self.account_id).await,
            "member": world::of(self.moto(), &self.member_id).await,
        })
    }

    /// What containment changes in an account by one service, `iam` or `ec2`: quicker to ask than all.
    pub async fn part_of_world(&self, account: &str, service: &str) -> Value {
        let name = if account == self.member_id { "member" } else { "main" };
        json!({ name: world::part_of(self.moto(), account, service).await })
    }

    /// What was published to SNS topics, in the order of arrival.
    pub fn messages(&self) -> Vec<Message> {
        self.calls().iter().filter_map(Message::published).collect()
    }

    /// moto itself, past the proxy: for arranging and for reading back.
    pub fn moto(&self) -> &Moto {
        &self.proxy.moto
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An account id that no other cloud of this process has; all processes have a moto of their own.
fn fresh_account() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:012}", 100_000_000_000 + NEXT.fetch_add(1, Ordering::Relaxed))
}
