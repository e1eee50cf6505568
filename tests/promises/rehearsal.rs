//! Quell in this process, on the emulated cloud: killed where a test wants, and as late as a test wants.
//!
//! The handler is the one that the Lambda runs. A kill drops its work at a call, and whatever it had in memory.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

use crate::cloud::{
    Account, Breakpoint, Call, Cloud, EXTERNAL_ID, Fault, Message, Pause, REGION, Rule, TABLE, breakpoint, differences,
};
use crate::stage::know;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_iam::config::Credentials;
use jiff::SignedDuration;
use quell::clock;
use quell::config::Config;
use quell::handler::{Handler, Invocation};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What the template gives the function for one invocation, less the wait.
pub const TIMEOUT: Duration = Duration::from_secs(20);

pub struct Rehearsal {
    pub cloud: Cloud,
    pub account: Account,
    policy: String,
    settings: Vec<(&'static str, String)>,
    function: &'static str,
    alias: &'static str,
}

impl Rehearsal {
    pub async fn of(policy: &str) -> Self {
        let cloud = Cloud::start().await;
        let account = Account::seed(&cloud).await;
        Self { cloud, account, policy: policy.to_owned(), settings: Vec::new(), function: "quell", alias: "" }
    }

    /// Invokes the function by an alias, which follows its name: `:operate`.
    pub fn by(&mut self, alias: &'static str) {
        self.alias = alias;
    }

    /// The function's name.
    pub fn called(&mut self, function: &'static str) {
        self.function = function;
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// The team changes its policy: later processes have it.
    pub fn decide(&mut self, policy: &str) {
        policy.clone_into(&mut self.policy);
    }

    /// A process that has just started, and knows nothing.
    pub async fn process(&self) -> Handler {
        let function = &self.account.function;
        let token = Some(function.token.clone()).filter(|token| !token.is_empty());
        let credentials = Credentials::new(&function.key, &function.secret, token, None, "rehearsal");
        let aws = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .endpoint_url(self.cloud.url())
            // The cloud is asked without TLS, and reading the root certificates takes a third of a process's time.
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(credentials);
        let setting = |name: &str| match name {
            "QUELL_ACCOUNT" => Some(self.cloud.account_id.clone()),
            "QUELL_TOPIC_ARN" => Some(self.account.topic()),
            "QUELL_TABLE" => Some(TABLE.to_owned()),
            "QUELL_POLICY" => Some(self.policy.clone()),
            "QUELL_MEMBER_ROLE" => Some("QuellMember".to_owned()),
            "QUELL_MEMBER_EXTERNAL_ID" => Some(EXTERNAL_ID.to_owned()),
            _ => self.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
        };
        Handler::new(Config::read(setting).unwrap(), aws.load().await)
    }

    /// An event, as it would come from this cloud, and GuardDuty knows the finding in it.
    pub fn event(&self, event: &str) -> Value {
        let event = self.account.localise(event);
        know(&self.cloud, &event);
        serde_json::from_str(&event).unwrap()
    }

    /// A new process handles an event, so many seconds from now: what it answers, or why it failed.
    pub async fn handle(&self, event: Value, later: i64) -> Result<Value, String> {
        self.handle_in(&self.process().await, event, later).await
    }

    /// The same in a process that may have handled others.
    pub async fn handle_in(&self, handler: &Handler, event: Value, later: i64) -> Result<Value, String> {
        let deadline = Instant::now() + TIMEOUT + self.linger();
        let Self { function, alias, .. } = self;
        let function = format!("arn:aws:lambda:{REGION}:{}:function:{function}{alias}", self.cloud.account_id);
        let invocation = Invocation { request: "rehearsal".to_owned(), function, deadline };
        let work = Box::pin(handler.handle(event, &invocation));
        clock::ahead(SignedDuration::from_secs(later), work).await.map_err(|error| error.to_string())
    }

    /// The wait, which the template gives it on top.
    fn linger(&self) -> Duration {
        let linger = self.settings.iter().find(|(name, _)| *name == "QUELL_LINGER");
        Duration::from_secs(linger.map_or(0, |(_, seconds)| seconds.parse().unwrap()))
    }

    /// A new process handles an event until a call stands at the breakpoint; then it is killed.
    ///
    /// The call itself is lost: it never happened, or nobody hears its answer. Says whether it came to that.
    pub async fn handle_until(&self, event: Value, later: i64, mut breakpoint: Breakpoint) -> bool {
        let handled = self.handle(event, later);
        tokio::select! {
            _ = handled => false,
            () = breakpoint.reached() => true,
        }
    }

    /// A new process handles an event and is killed at a call: before AWS hears it, or before anybody hears AWS's answer.
    pub async fn killed_at(&self, call: &str, when: fn(Pause) -> Fault, event: Value, later: i64) {
        let (pause, reached) = breakpoint();
        self.cloud.inject(Rule::on(call, when(pause)));
        assert!(self.handle_until(event, later, reached).await, "it comes to {call}: {:?}", self.told());
        self.cloud.heal();
    }

    /// Delivers an event now.
    pub async fn deliver(&self, event: &str) -> Result<Value, String> {
        self.handle(self.event(event), 0).await
    }

    /// The sweep, so many seconds from now.
    pub async fn tick(&self, later: i64) -> Result<Value, String> {
        self.handle(json!({ "quell": "tick" }), later).await
    }

    /// An operator's order, so many seconds from now.
    pub async fn order(&self, order: Value, later: i64) -> Value {
        let mut order = order;
        order["by"] = json!("arn:aws:iam::111122223333:user/olga");
        self.handle(json!({ "quell": order }), later).await.unwrap()
    }

    /// An order about the incident of a finding.
    pub async fn order_about(&self, command: &str, finding: &str, later: i64) -> Value {
        let mut order = json!({ "command": command, "incident": self.incident(finding) });
        if command == "reject" {
            // What was read is the newest plan.
            let show = json!({ "command": "show", "incident": order["incident"] });
            order["plan"] = self.order(show, later).await["ok"]["incident"]["approval"]["plan"].clone();
        }
        self.order(order, later).await
    }

    /// An order that approves the plan of this number.
    pub async fn approve(&self, finding: &str, plan: u32, later: i64) -> Value {
        let incident = self.incident(finding);
        self.order(json!({ "command": "approve", "incident": incident, "plan": plan }), later).await
    }

    /// The incident's id, by that of its finding in the main account.
    pub fn incident(&self, finding: &str) -> String {
        incident_in(&self.cloud.account_id, finding)
    }

    /// What is different, with the fixed ids, a line each.
    pub fn changes(&self, before: &Value, after: &Value) -> Vec<String> {
        let told = differences(before, after).into_iter().map(|each| self.account.delocalise(&each.to_string()));
        let mut lines: Vec<String> =
            told.flat_map(|each| each.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        lines.sort_unstable();
        lines
    }

    /// The subjects of what was told since the calls were last forgotten, with the fixed ids.
    pub fn told(&self) -> Vec<String> {
        self.cloud
            .messages()
            .iter()
            .map(|message| self.account.delocalise(message.subject.as_deref().unwrap()))
            .collect()
    }

    /// The verdicts of what was told, in words.
    pub fn verdicts(&self) -> Vec<String> {
        self.told().iter().map(|told| told.split(':').next().unwrap_or_default().to_owned()).collect()
    }

    /// The e-mail that went out last.
    pub fn email(&self) -> String {
        let messages: Vec<Message> = self.cloud.messages();
        messages.last().map(|message| self.account.delocalise(&message.bodies["email"])).unwrap_or_default()
    }

    /// The calls since they were last forgotten.
    pub fn calls(&self) -> Vec<Call> {
        self.cloud.calls()
    }
}

/// The incident's id, by that of its finding in an account.
pub fn incident_in(account: &str, finding: &str) -> String {
    format!("{account}/{REGION}/{finding}")
}
