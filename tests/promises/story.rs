//! One invocation, seen from outside: its end, what is different in the accounts, what was asked of AWS and told.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

use crate::cloud::{Call, Cloud, Credentials, Lambda, Message, differences};
use crate::stage::{Stage, know, read};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// What an event came to.
#[derive(Debug)]
pub struct Story {
    /// The verdict, or why there was nothing to tell; of a failed invocation `error: ` and the reason; of an event that is no finding `ignored`.
    pub end: String,
    /// What is different in both accounts, with the fixed ids, sorted.
    pub changes: Vec<String>,
    pub calls: Vec<Call>,
    pub messages: Vec<Message>,
    /// What the function logged.
    pub log: Vec<Value>,
    pub took: Duration,
}

impl Stage {
    /// Sends an event of `events/` and watches.
    pub async fn story(&self, event: &str) -> Story {
        self.story_of(&self.lambda, &read(event)).await
    }

    /// Sends an event of `events/` with some texts replaced, each of which must be there, and watches.
    pub async fn story_but(&self, event: &str, replaced: &[(&str, &str)]) -> Story {
        self.story_of(&self.lambda, &but(event, replaced)).await
    }

    /// Sends the text of an event to one execution environment, and watches.
    pub async fn story_of(&self, lambda: &Lambda, event: &str) -> Story {
        let before = self.cloud.world().await;
        let story = self.glance(lambda, event).await;
        let after = self.cloud.world().await;
        let told = differences(&before, &after).into_iter().map(|each| self.account.delocalise(&each.to_string()));
        // Some take several lines.
        let mut changes: Vec<String> =
            told.flat_map(|each| each.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        changes.sort_unstable();
        Story { changes, ..story }
    }

    /// The same without a look at the accounts, which takes longer than all the rest.
    pub async fn glance(&self, lambda: &Lambda, event: &str) -> Story {
        know(&self.cloud, &self.account.localise(event));
        self.made_up(lambda, event).await
    }

    /// The same, and nobody tells GuardDuty of the finding.
    pub async fn made_up(&self, lambda: &Lambda, event: &str) -> Story {
        let logged = lambda.logs().function.len();
        self.cloud.forget_calls();
        let event = self.account.localise(event);
        let answer = lambda.invoke(&event).await;
        let log = lambda.logs().function.split_off(logged);
        let log = log.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.as_str().into()));
        let story = Story {
            end: self.account.delocalise(&end(&answer.json(), &answer.body)),
            changes: Vec::new(),
            calls: self.cloud.calls(),
            messages: self.cloud.messages(),
            log: log.collect(),
            took: answer.wall,
        };
        story.messages.iter().for_each(|message| self.is_well_formed(message));
        story
    }

    /// Whatever happened and whatever a finding says, every message keeps these rules.
    fn is_well_formed(&self, message: &Message) {
        let subject = message.subject.as_deref().unwrap();
        assert!(subject.len() < 100 && subject.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{subject:?}");
        assert_eq!(message.topic, self.account.topic());
        let words = [
            "NOT CONTAINED",
            "PARTLY CONTAINED",
            "FAILED",
            "WAITING FOR APPROVAL",
            "REFUSED",
            "PARTLY RELEASED",
            "RELEASED",
            "REJECTED",
            "PLANNED ONLY",
            "CONTAINED",
            "FOR YOUR ATTENTION",
            "RESOURCE GONE",
            "NOTHING TO DO",
        ];
        let verdict = words.into_iter().find(|words| subject.starts_with(words)).unwrap();
        let email = &message.bodies["email"];
        assert!(email.starts_with(verdict), "{email}");
        let mut set = BTreeSet::new();
        for line in email.lines() {
            set.extend(line.split_once('=').map(|(name, _)| name).filter(|name| name.starts_with("QUARANTINE_")));
            let used = line.split('$').skip(1).filter_map(|rest| rest.split('"').next());
            let mut used = used.filter(|name| name.starts_with("QUARANTINE"));
            assert!(used.all(|name| set.contains(name)), "a command uses what none before it sets: {line}\n{email}");
        }
        let attributes: Vec<&str> = message.attributes.keys().map(String::as_str).collect();
        assert_eq!(attributes, ["account", "finding_type", "region", "remediation", "severity", "verdict"]);
        assert!(message.attributes.values().all(|value| !value.is_empty()), "{:?}", message.attributes);
        for protocol in ["default", "email", "https", "sms"] {
            assert!(message.bodies.contains_key(protocol), "{:?}", message.bodies.keys());
        }
    }

    /// The e-mail of the one message that the story told, with the fixed ids.
    pub fn email_of(&self, story: &Story) -> String {
        assert_eq!(story.messages.len(), 1, "{}: people are told once", story.end);
        self.account.delocalise(&story.messages[0].bodies["email"])
    }

    /// Whether the holder of these credentials can still do anything in AWS.
    pub async fn works(&self, credentials: &Credentials) -> bool {
        works(&self.cloud, credentials).await
    }
}

impl Story {
    /// What Quell tried to change, by the names of the calls, sorted. Telling people, assuming a role and writing in the
    /// ledger are none.
    pub fn writes(&self) -> Vec<String> {
        let writes = self.calls.iter().filter(|call| is_write(call));
        let mut names: Vec<String> = writes.map(Call::action).collect();
        names.sort_unstable();
        names
    }

    /// The end, and what is different.
    pub fn told(&self) -> Vec<&str> {
        [&self.end].into_iter().chain(&self.changes).map(String::as_str).collect()
    }

    /// The line of the log with the metrics.
    pub fn metrics(&self) -> &Value {
        self.log.iter().find(|line| line.get("_aws").is_some()).unwrap()
    }
}

pub fn is_write(call: &Call) -> bool {
    let reads = ["Describe", "Get", "List", "Lookup"].iter().any(|verb| call.operation.starts_with(verb));
    !reads && call.service != "dynamodb" && !["sns:Publish", "sts:AssumeRole"].contains(&call.action().as_str())
}

/// An event of `events/` with some texts replaced, each of which must be there.
pub fn but(event: &str, replaced: &[(&str, &str)]) -> String {
    replaced.iter().fold(read(event), |text, (from, to)| {
        assert!(text.contains(from), "{event} has no {from}");
        text.replace(from, to)
    })
}

/// The event once more as GuardDuty sends it when the finding goes on: a minute later, and counted one higher.
pub fn newer(event: &str) -> String {
    let mut event: Value = serde_json::from_str(event).unwrap();
    let updated: Timestamp = event["detail"]["updatedAt"].as_str().unwrap().parse().unwrap();
    event["detail"]["updatedAt"] = json!(updated + SignedDuration::from_mins(1));
    let count = event["detail"]["service"]["count"].as_u64().unwrap();
    event["detail"]["service"]["count"] = json!(count + 1);
    event.to_string()
}

fn end(answer: &Value, body: &str) -> String {
    let field = |name: &str| answer[name].as_str().map(str::to_owned);
    let error = || field("errorMessage").map(|message| format!("error: {message}"));
    let ignored = || answer.get("ignored").map(|_| "ignored".to_owned());
    field("verdict").or_else(|| field("quiet")).or_else(error).or_else(ignored).unwrap_or_else(|| body.to_owned())
}

/// Asks who one is, which AWS answers to everyone who is not denied everything.
pub async fn works(cloud: &Cloud, credentials: &Credentials) -> bool {
    let scope = format!("{}/20260101/eu-west-1/sts/aws4_request", credentials.key);
    let request = Request::post(cloud.url())
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from_static(b"Action=GetCallerIdentity&Version=2011-06-15")));
    let client = Client::builder(TokioExecutor::new()).build_http();
    client.request(request.unwrap()).await.unwrap().status().is_success()
}
