//! One finding, handled once cold and once warm, and put back as it was.

use crate::cloud::{Account, Call, Cloud, Lambda, rounds_until};
use crate::contender::{Contender, SWITCH};
use crate::event;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const USER: &str = "ann";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const INSTANCE: &str = "i-0c1b2c3d4e5f60718";
const INTERFACE: &str = "eni-0c1b2c3d4e5f60001";
const GROUP: &str = "sg-0c1b2c3d4e5f60030";
const QUARANTINE: &str = "quell-quarantine";

/// The emulated AWS, and how to put it back as it was.
pub struct Scene {
    cloud: Cloud,
    account: Account,
    release: PathBuf,
    /// Started with the cloud, within microseconds: the calls' times count from here.
    clock: Instant,
    findings: u128,
}

/// A finding about an access key, first in a function that does not run yet, then in one that does.
pub struct AccessKey {
    pub cold: Duration,
    pub warm: Duration,
    /// None where there is nothing to contain with.
    pub contained: Option<Containment>,
    pub calls: usize,
    pub cpu: Duration,
    pub memory_kib: u64,
}

/// A finding about an instance, in a function that does not run yet.
pub struct Instance {
    pub cold: Duration,
    pub contained: Containment,
    pub calls: usize,
}

/// When the last containing write was acknowledged.
#[derive(Clone, Copy)]
pub struct Containment {
    /// Since the event.
    pub after: Duration,
    /// Of that, while at least one call was under way.
    pub waiting: Duration,
    /// Round trips in sequence, the write's own among them.
    pub rounds: usize,
}

/// One invocation, and the calls it made.
struct Invocation {
    start: Duration,
    wall: Duration,
    calls: Vec<Call>,
}

impl Scene {
    pub async fn set(release: &Path, pace: Duration) -> Result<Self, String> {
        for binary in ["bootstrap", "bare"] {
            let path = release.join(binary);
            if !path.exists() {
                return Err(format!("{} is missing: run make build first", path.display()));
            }
        }
        let cloud = Cloud::start().await;
        let clock = Instant::now();
        let account = Account::seed(&cloud).await;
        cloud.set_parameter(SWITCH, "contain").await;
        cloud.pace(pace);
        Ok(Self { cloud, account, release: release.to_owned(), clock, findings: 0 })
    }

    /// Measures one cold start and the invocation after it.
    pub async fn access_key(&mut self, contender: Contender) -> Result<AccessKey, String> {
        let lambda = contender.start(&self.release, &self.cloud, &self.account).await;
        let cold = self.key_invocation(&lambda, contender).await?;
        let usage = lambda.usage().ok_or("the function ended after its first answer")?;
        let warm = self.key_invocation(&lambda, contender).await?;
        let contained = contender.contains().then(|| cold.containment(&["UpdateAccessKey", "PutUserPolicy"]));
        Ok(AccessKey {
            cold: cold.wall,
            warm: warm.wall,
            contained: contained.transpose()?,
            calls: cold.calls.len(),
            cpu: usage.cpu,
            memory_kib: usage.peak_memory_kib,
        })
    }

    /// Measures one cold start; `first` in its VPC, so that the quarantine group must be made.
    pub async fn instance(&mut self, first: bool) -> Result<Instance, String> {
        self.free_instance(first).await;
        let lambda = Contender::Quell.start(&self.release, &self.cloud, &self.account).await;
        let invocation = self.invoke(&lambda, "instance_mines_bitcoin").await?;
        let groups = self.cloud.main().interface_groups(self.account.real(INSTANCE)).await;
        let original = self.account.real(GROUP);
        if groups.values().flatten().any(|group| group == original) || groups.is_empty() {
            return Err(format!("the instance is not isolated: {groups:?}"));
        }
        let contained = invocation.containment(&["ModifyNetworkInterfaceAttribute"])?;
        Ok(Instance { cold: invocation.wall, contained, calls: invocation.calls.len() })
    }

    /// Sends the finding about a key that works, and reads from the account what became of it.
    async fn key_invocation(&mut self, lambda: &Lambda, contender: Contender) -> Result<Invocation, String> {
        self.free_user().await;
        let invocation = self.invoke(lambda, "access_key_used_from_tor").await?;
        let view = self.cloud.main();
        let inactive = view.key_status(USER, self.account.real(KEY)).await == "Inactive";
        let denied = view.user_policies(USER).await.values().any(denies_all);
        let told = self.cloud.messages().len() == 1;
        if [inactive, denied, told] == [contender.contains(); 3] {
            return Ok(invocation);
        }
        Err(format!("key inactive: {inactive}, user denied: {denied}, people told once: {told}"))
    }

    async fn invoke(&mut self, lambda: &Lambda, name: &str) -> Result<Invocation, String> {
        let mut event = event::fresh(name)?;
        self.findings += 1;
        event["detail"]["id"] = json!(format!("{:032x}", self.findings));
        let event: Value = serde_json::from_str(&self.account.localise(&event.to_string())).unwrap_or_default();
        // GuardDuty knows the finding, and Quell has never seen the account.
        self.cloud.add_finding(event["detail"].clone());
        self.cloud.forget_ledger().await;
        let event = event.to_string();
        self.cloud.forget_calls();
        let start = self.clock.elapsed();
        let answer = lambda.invoke(&event).await;
        if answer.failed() {
            return Err(format!("the function failed: {}", answer.body));
        }
        Ok(Invocation { start, wall: answer.wall, calls: self.cloud.calls() })
    }

    /// Makes the user's key work again.
    async fn free_user(&self) {
        let iam = self.cloud.moto().service("iam", &self.cloud.account_id);
        let key = self.account.real(KEY);
        iam.call("UpdateAccessKey", &[("UserName", USER), ("AccessKeyId", key), ("Status", "Active")]).await;
        for (name, document) in self.cloud.main().user_policies(USER).await {
            if denies_all(&document) {
                iam.call("DeleteUserPolicy", &[("UserName", USER), ("PolicyName", &name)]).await;
            }
        }
    }

    /// Gives the instance its group back, and removes the quarantine group where none should be.
    async fn free_instance(&self, remove_group: bool) {
        let ec2 = self.cloud.moto().service("ec2", &self.cloud.account_id);
        let interface = self.account.real(INTERFACE);
        let back = [("NetworkInterfaceId", interface), ("SecurityGroupId.1", self.account.real(GROUP))];
        ec2.call("ModifyNetworkInterfaceAttribute", &back).await;
        let named = [("Filter.1.Name", "group-name"), ("Filter.1.Value.1", QUARANTINE)];
        let found = ec2.call("DescribeSecurityGroups", &named).await;
        for group in found["securityGroupInfo"].as_array().into_iter().flatten() {
            if let (true, Some(id)) = (remove_group, group["groupId"].as_str()) {
                ec2.call("DeleteSecurityGroup", &[("GroupId", id)]).await;
            }
        }
    }
}

impl Invocation {
    /// When the last of these writes was acknowledged.
    fn containment(&self, writes: &[&str]) -> Result<Containment, String> {
        let is_write = |call: &&Call| call.accepted && writes.contains(&call.operation.as_str());
        let last = self.calls.iter().filter(is_write).max_by_key(|call| call.end);
        let last = last.ok_or_else(|| format!("none of {writes:?} was called"))?;
        Ok(Containment {
            after: last.end.saturating_sub(self.start),
            waiting: busy(&self.calls, last.end),
            rounds: rounds_until(&self.calls, last),
        })
    }
}

/// How long at least one call was under way until `end`.
fn busy(calls: &[Call], end: Duration) -> Duration {
    let mut calls: Vec<&Call> = calls.iter().filter(|call| call.start < end).collect();
    calls.sort_by_key(|call| call.start);
    let (mut total, mut reached) = (Duration::ZERO, Duration::ZERO);
    for call in calls {
        total += call.end.min(end).saturating_sub(call.start.max(reached));
        reached = reached.max(call.end.min(end));
    }
    total
}

fn denies_all(document: &Value) -> bool {
    let statements = document["Statement"].as_array().into_iter().flatten();
    statements.into_iter().any(|statement| statement["Effect"] == "Deny" && statement["Action"] == "*")
}
