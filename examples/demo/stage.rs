//! A small AWS with Quell in it.

use crate::cloud::{
    Account, Call, Cloud, Credentials, Difference, EXTERNAL_ID, Lambda, Message, REGION, TABLE, differences, in_venv,
    rounds_until,
};
use crate::event;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// How much longer than the emulator needs every call takes, which is about what AWS takes.
const LATENCY: Duration = Duration::from_millis(20);

/// The emulated AWS, and the Lambda in it, which does not run yet.
pub struct Stage {
    pub cloud: Cloud,
    pub account: Account,
    lambda: Lambda,
    /// A person of the team, who may give orders.
    operator: Credentials,
    /// Started with the cloud, within microseconds: the calls' times count from here.
    clock: Instant,
    /// The operator's command, which was built beside the Lambda.
    quell: PathBuf,
}

/// What an operator's command came to.
pub struct Ordered {
    /// The line that was typed.
    pub line: String,
    /// What the terminal showed.
    pub shown: Vec<String>,
    pub succeeded: bool,
    pub differences: Vec<Difference>,
    /// The verdicts of the messages that went out.
    pub told: Vec<String>,
}

/// What became of a finding, seen from outside. All ids are those of the event files.
pub struct Handled {
    /// As GuardDuty has it.
    pub finding: Vec<String>,
    /// What Quell answered: its verdict.
    pub verdict: String,
    pub subject: String,
    pub email: String,
    /// The message for machines, as Quell sent it.
    pub message: Value,
    /// The forms that it went out in.
    pub forms: Vec<String>,
    /// How many messages went out.
    pub messages: usize,
    pub differences: Vec<Difference>,
    /// The calls that change something, in order.
    pub writes: Vec<String>,
    /// From the event to the last of them being acknowledged, and the round trips in sequence until then.
    pub contained: Option<(Duration, usize)>,
    /// From the event to the message being accepted.
    pub told: Duration,
}

impl Stage {
    /// Sets the stage in the account that Quell runs in, with the way into the member account.
    pub async fn set(bootstrap: &Path, policy: &str) -> Self {
        let cloud = Cloud::start().await;
        let clock = Instant::now();
        let account = Account::seed(&cloud).await;
        let operator = cloud.user("olga").await;
        cloud.latency(LATENCY);
        let (program, topic) = (bootstrap.display().to_string(), account.topic());
        let environment = [
            ("QUELL_ACCOUNT", cloud.account_id.as_str()),
            ("QUELL_TOPIC_ARN", &topic),
            ("QUELL_TABLE", TABLE),
            ("QUELL_POLICY", policy),
            ("QUELL_MEMBER_ROLE", "QuellMember"),
            ("QUELL_MEMBER_EXTERNAL_ID", EXTERNAL_ID),
        ];
        let lambda = Lambda::start(&cloud, &account.function, &[&program], &environment).await;
        lambda.serve(&cloud, "quell");
        Self { cloud, account, lambda, operator, clock, quell: bootstrap.with_file_name("quell") }
    }

    /// Sends an event to the Lambda, and looks at AWS before and after.
    pub async fn handle(&self, event: &Value) -> Result<Handled, String> {
        let before = self.cloud.world().await;
        self.cloud.forget_calls();
        let start = self.clock.elapsed();
        let event_here: Value = serde_json::from_str(&self.account.localise(&event.to_string())).unwrap_or_default();
        self.cloud.add_finding(event_here["detail"].clone());
        let answer = self.lambda.invoke(&event_here.to_string()).await;
        let after = self.cloud.world().await;
        if answer.failed() {
            return Err(format!("the function failed: {}", answer.body));
        }
        let calls = self.cloud.calls();
        let writes: Vec<&Call> = calls.iter().filter(|call| call.accepted && is_write(call)).collect();
        let last = writes.iter().max_by_key(|call| call.end);
        let messages = self.cloud.messages();
        let message = messages.last();
        let body = |form: &str| {
            let body = message.and_then(|message| message.bodies.get(form));
            self.account.delocalise(body.map_or("", String::as_str))
        };
        let answered = answer.json();
        let verdict = answered["verdict"].as_str().or_else(|| answered["quiet"].as_str());
        let told = calls.iter().find(|call| call.operation == "Publish").map(|call| call.end);
        Ok(Handled {
            finding: described(event),
            verdict: verdict.unwrap_or(&answer.body).to_owned(),
            subject: self.account.delocalise(message.and_then(|it| it.subject.as_deref()).unwrap_or_default()),
            email: body("email"),
            message: serde_json::from_str(&body("default")).unwrap_or_default(),
            forms: message.map(|message| message.bodies.keys().cloned().collect()).unwrap_or_default(),
            messages: messages.len(),
            differences: self.differences(&before, &after),
            writes: writes.iter().map(|call| call.action()).collect(),
            contained: last.map(|call| (call.end.saturating_sub(start), rounds_until(&calls, call))),
            told: told.unwrap_or_default().saturating_sub(start),
        })
    }

    /// Sends the event file of this name, as if GuardDuty had just found it.
    pub async fn send(&self, name: &str) -> Result<Handled, String> {
        self.handle(&event::fresh(name)?).await
    }

    /// Types a line of the operator's command, and looks at AWS before and after.
    pub async fn order(&self, line: &str) -> Result<Ordered, String> {
        let before = self.cloud.world().await;
        self.cloud.forget_calls();
        let typed = self.account.localise(line);
        let output = Command::new(&self.quell)
            .args(typed.split_whitespace().skip(1))
            .env_clear()
            .env("AWS_ENDPOINT_URL", self.cloud.url())
            .env("AWS_ACCESS_KEY_ID", &self.operator.key)
            .env("AWS_SECRET_ACCESS_KEY", &self.operator.secret)
            .env("AWS_REGION", REGION)
            .output();
        let output = output.await.map_err(|why| format!("{}: {why}", self.quell.display()))?;
        let after = self.cloud.world().await;
        let shown = [output.stdout, output.stderr].concat();
        let shown = self.account.delocalise(&String::from_utf8_lossy(&shown));
        let told = self.cloud.messages();
        let verdict = |message: &Message| message.attributes.get("verdict").cloned().unwrap_or_default();
        Ok(Ordered {
            line: line.to_owned(),
            shown: shown.lines().map(str::to_owned).collect(),
            succeeded: output.status.success(),
            differences: self.differences(&before, &after),
            told: told.iter().map(verdict).collect(),
        })
    }

    /// Lists the account's instances with these credentials and AWS's own client for Python: `works`, or AWS's refusal.
    pub async fn attempt(&self, credentials: &Credentials) -> Result<String, String> {
        let output = Command::new(in_venv("bin/python"))
            .args(["-c", include_str!("../../tests/cloud/boto.py"), "ec2.describe_instances()"])
            .env_clear()
            .env("AWS_ENDPOINT_URL", self.cloud.url())
            .env("AWS_ACCESS_KEY_ID", &credentials.key)
            .env("AWS_SECRET_ACCESS_KEY", &credentials.secret)
            .envs((!credentials.token.is_empty()).then_some(("AWS_SESSION_TOKEN", &credentials.token)))
            .output();
        let output = output.await.map_err(|why| format!("python: {why}"))?;
        let answers: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        match (answers[0]["result"]["Reservations"].as_array(), answers[0]["error"].as_str()) {
            (Some(_), _) => Ok("works".to_owned()),
            (None, Some(code)) => Ok(format!("refused ({code})")),
            (None, None) => Err(format!("boto3: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// In the order of the ids of the event files.
    fn differences(&self, before: &Value, after: &Value) -> Vec<Difference> {
        let all = differences(before, after).into_iter().map(|each| self.named(each));
        let mut all: Vec<Difference> = all.collect();
        all.sort_by(|one, other| one.thing.cmp(&other.thing));
        all
    }

    fn named(&self, difference: Difference) -> Difference {
        let Difference { thing, property, before, after } = difference;
        let all = |values: Vec<String>| values.iter().map(|value| self.account.delocalise(value)).collect();
        Difference { thing: self.account.delocalise(&thing), property, before: all(before), after: all(after) }
    }
}

impl Handled {
    /// What Quell says that it plans, or why it plans nothing.
    pub fn plan(&self) -> Vec<String> {
        let parts = self.message["parts"].as_array().into_iter().flatten();
        parts.flat_map(plan_of).collect()
    }

    /// The lines of a section of the e-mail, with its heading; none if there is no such section.
    pub fn section(&self, heading: &str) -> Vec<String> {
        let from = self.email.lines().skip_while(|line| *line != heading);
        let (heading, rest) = (from.clone().take(1), from.skip(1));
        // A section ends where the next heading stands after an empty line.
        let mut lines: Vec<String> = heading.map(str::to_owned).collect();
        let mut rest = rest.peekable();
        while let Some(line) = rest.next() {
            if line.is_empty() && rest.peek().is_some_and(|next| is_heading(next)) {
                break;
            }
            lines.push(line.to_owned());
        }
        lines
    }

    /// The difference of a thing, by a part of its name.
    pub fn differs(&self, thing: &str) -> Option<&Difference> {
        self.differences.iter().find(|difference| difference.thing.contains(thing))
    }
}

fn is_heading(line: &str) -> bool {
    !line.is_empty() && line.chars().all(|c| c.is_ascii_uppercase() || " ,".contains(c))
}

fn plan_of(part: &Value) -> Vec<String> {
    let changes = part["changes"].as_array().into_iter().flatten();
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let about = text(&part["subject"], "words");
    let lines: Vec<String> = changes
        .map(|change| match (text(change, "from"), text(change, "to")) {
            (from, to) if from == to => format!("{}: {to} already", text(change, "setting")),
            (from, to) => format!("{}: {from} -> {to}", text(change, "setting")),
        })
        .collect();
    if lines.is_empty() { vec![format!("nothing for {about}: {}", text(&part["no_steps"], "why"))] } else { lines }
}

fn described(event: &Value) -> Vec<String> {
    let finding = &event["detail"];
    let text = |field: &str| finding[field].as_str().unwrap_or_default();
    vec![format!("{}, severity {}", text("type"), finding["severity"]), text("title").to_owned()]
}

fn is_write(call: &Call) -> bool {
    let reads = ["Get", "List", "Describe"].iter().any(|verb| call.operation.starts_with(verb));
    !reads && ["iam", "ec2"].contains(&call.service.as_str())
}
