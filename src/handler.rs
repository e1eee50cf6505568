//! One invocation, from event to answer.

mod tick;

use crate::aws::Clouds;
use crate::clock;
use crate::cloud_error::CloudError;
use crate::command::{Obeyed, acted, obey};
use crate::config::Config;
use crate::finding::{Finding, ParseError};
use crate::guard::Own;
use crate::incident::{Incident, News};
use crate::ledger::key::IncidentId;
use crate::ledger::record::{IncidentRecord, Status, Who, Worker};
use crate::ledger::{Ledger, LedgerError};
use crate::notify::{self, sns};
use crate::operator::wire::Order;
use crate::request::{self, Request};
use crate::respond::{ENOUGH, Ending, Quiet, Responder, Run, Story, respond};
use crate::sweep;
use aws_config::SdkConfig;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Kept back from the invocation's time for telling people, at the most.
const TELLING: Duration = Duration::from_secs(5);

/// Lambda may let a function live a little longer than it says; the lease must last longer than that.
const GRACE: Duration = Duration::from_secs(3);

/// How long an order waits for AWS to say who gives it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a look takes, with room to spare.
const MOMENT: Duration = Duration::from_secs(1);

/// All that is kept between invocations.
#[derive(Debug)]
pub struct Handler {
    responder: Responder,
    topic: String,
    linger: Duration,
    /// When people were last told that the ledger cannot be asked, as far as this process knows.
    said_no_ledger: Mutex<Option<Timestamp>>,
    /// The alias for orders that change something.
    operate: Option<String>,
}

/// An invocation: its id, and when it must be over.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub request: String,
    /// The ARN by which the function was invoked; the alias is its last part, if it was by one.
    pub function: String,
    pub deadline: Instant,
}

/// Why an invocation failed. Lambda tries again, and then hands the event to the on-failure destination.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    #[error("the finding cannot be read: {0}")]
    Broken(#[from] ParseError),
    #[error("people could not be told: {0}")]
    NotTold(#[from] CloudError),
    #[error("something that may pass stood in the way; people were told, and it is tried again")]
    TryAgain,
    #[error("not now: {0}")]
    ComeAgain(String),
    #[error("{0}")]
    Ledger(#[from] LedgerError),
}

impl Handler {
    #[must_use]
    pub fn new(config: Config, aws: SdkConfig) -> Self {
        let Config { topic, table, account, member, policy, kill_switch, linger, stack, operate } = config;
        if let Err(why) = &policy {
            error!("{why}");
        }
        let own = Own { stack, ..Own::default() };
        let clouds = Clouds::new(aws, account, member);
        let ledger = Ledger::new(clouds.dynamodb(), &table);
        let responder = Responder { clouds, ledger, policy, kill_switch, own };
        Self { responder, topic, linger, operate, said_no_ledger: Mutex::default() }
    }

    /// Answers an event before the invocation's deadline.
    ///
    /// # Errors
    /// A broken finding; people who could not be told; a failure that may pass.
    pub async fn handle(&self, event: Value, invocation: &Invocation) -> Result<Value, HandlerError> {
        match request::read(event)? {
            // On the heap: each is a deep nest of calls, and the three of them side by side are not needed.
            Request::Finding(finding) => Box::pin(self.finding(finding.as_of(clock::now()), invocation)).await,
            Request::Tick => Box::pin(self.tick(invocation)).await,
            Request::Order(order) => Ok(Box::pin(self.order(order, invocation)).await),
            Request::NoOrder(why) => Ok(json!({ "error": why })),
            Request::Other(what) => {
                info!(what, "ignored: not a finding");
                Ok(json!({ "ignored": what }))
            }
        }
    }

    async fn finding(&self, finding: Finding, invocation: &Invocation) -> Result<Value, HandlerError> {
        let id = finding.id.clone();
        let mut told: Option<Incident> = None;
        // Where people were told something else first, or what it adds could not be seen, it is responded to once more.
        loop {
            let is_second = told.is_some();
            let ending = Box::pin(respond(&self.responder, finding.clone(), &run(invocation, Who::Policy))).await;
            let (incident, comes_again) = match ending {
                Ending::Tell(story) => {
                    let comes_again = story.comes_again;
                    (self.tell(*story, invocation).await?, comes_again)
                }
                Ending::Quiet(why) => {
                    info!(finding = %id, ?why, "nothing to tell");
                    let Some(incident) = told else {
                        return Ok(json!({ "finding": id, "quiet": format!("{why:?}").to_lowercase() }));
                    };
                    (incident, false)
                }
                Ending::ComeAgain { why, .. } => {
                    if let Some(incident) = told {
                        self.linger(&incident, invocation).await;
                    }
                    return Err(HandlerError::ComeAgain(why));
                }
            };
            if comes_again && !is_second && Instant::now() + ENOUGH + TELLING < invocation.deadline {
                told = Some(incident);
                continue;
            }
            self.linger(&incident, invocation).await;
            if comes_again {
                return Err(HandlerError::TryAgain);
            }
            return Ok(json!({ "finding": id, "verdict": incident.verdict().token() }));
        }
    }

    /// Stays to look whether containment lasts: the minute's tick may come too late for the first looks. Whatever goes
    /// wrong here is the sweep's to mend.
    async fn linger(&self, incident: &Incident, invocation: &Invocation) {
        let id = IncidentId::of(&incident.finding);
        let ends = invocation.deadline.min(Instant::now() + self.linger);
        while let Some(due) = self.next_look(&id).await {
            let wait = Duration::try_from(due.duration_since(clock::now())).unwrap_or_default();
            let run = run(invocation, Who::Sweep);
            if Instant::now() + wait + MOMENT > ends.min(run.until) {
                break;
            }
            tokio::time::sleep(wait).await;
            match self.look_after(&id, &run, invocation).await {
                Ok(_) => {}
                Err(why) => {
                    error!(incident = %id, %why, "a look at what was contained failed; the sweep looks again");
                    break;
                }
            }
        }
    }

    /// Does what is due about an incident, and tells what came of it, or why there is nothing to tell.
    async fn look_after(
        &self,
        id: &IncidentId,
        run: &Run,
        invocation: &Invocation,
    ) -> Result<Option<Quiet>, HandlerError> {
        self.tell_of(sweep::look_after(&self.responder, run, id).await?, invocation).await
    }

    /// Tells what the sweep came to, or says why there is nothing to tell.
    async fn tell_of(&self, ending: Ending, invocation: &Invocation) -> Result<Option<Quiet>, HandlerError> {
        match ending {
            Ending::Tell(story) => {
                let is_known = story.is_known;
                let unasked = story.record.as_ref().is_some_and(IncidentRecord::is_unasked).then_some(Quiet::Unasked);
                match self.tell(*story, invocation).await {
                    // The sweep's next try comes by the clock, not by an error that rings an alarm each time.
                    Err(HandlerError::TryAgain) if is_known => Ok(unasked),
                    told => told.map(|_| unasked),
                }
            }
            Ending::Quiet(why) => Ok(Some(why)),
            Ending::ComeAgain { why, .. } => Err(HandlerError::ComeAgain(why)),
        }
    }

    /// When something held is looked at next; none where nothing is held, or somebody else is at it.
    async fn next_look(&self, id: &IncidentId) -> Option<Timestamp> {
        if self.linger.is_zero() {
            return None;
        }
        let record = self.responder.ledger.get(id).await.ok()?;
        let is_held = matches!(record.status, Status::Held | Status::Waiting) && !record.holds.is_empty();
        record.due.filter(|_| is_held && record.lease.is_none())
    }

    /// An operator waits for the answer, and is told what is wrong; nothing is tried again behind their back.
    async fn order(&self, order: Order, invocation: &Invocation) -> Value {
        let wrong = |why: String| json!({ "error": why });
        let not_now = |why: String| json!({ "not_now": why });
        let alias = self.operate.as_ref().filter(|_| order.command.changes());
        if let Some(alias) = alias.filter(|alias| invocation.function.split(':').nth(7) != Some(alias.as_str())) {
            return wrong(format!("what changes something is taken by the function's alias {alias:?} alone"));
        }
        let run = run(invocation, self.who(&order, invocation).await);
        match obey(&self.responder, &run, order).await {
            Ok(Obeyed::Answer(answer)) => answer,
            Ok(Obeyed::Wrong(why)) => wrong(why),
            Ok(Obeyed::NotNow(why)) => not_now(why),
            Ok(Obeyed::Acted(Ending::Tell(story))) => {
                let incident = story.incident.clone();
                let is_undone = matches!(incident.news, Some(News::GivenBack { .. }));
                let is_made = incident.parts.iter().any(|part| !part.results.is_empty());
                let is_done = story.record.is_some() || is_undone || is_made;
                // It is done, whoever knows of it.
                let warning = match self.tell(*story, invocation).await {
                    Ok(_) | Err(HandlerError::TryAgain) => incident.beside.failure.clone(),
                    Err(error) => Some(error.to_string()),
                };
                match warning {
                    Some(why) if !is_done => not_now(why),
                    warning => acted(&incident, warning),
                }
            }
            Ok(Obeyed::Acted(Ending::Quiet(why))) => not_now(format!("nothing was done: {why:?}")),
            Ok(Obeyed::Acted(Ending::ComeAgain { why, .. })) => not_now(format!("not now: {why}")),
            Err(error) if error.is_about_the_order() => wrong(error.to_string()),
            Err(error) => not_now(error.to_string()),
        }
    }

    /// Who gives the order: as they say, and as AWS shows it, where it does. Nothing is decided on it: who may order is who
    /// may invoke the function.
    async fn who(&self, order: &Order, invocation: &Invocation) -> Who {
        let says = order.by.clone().unwrap_or_else(|| "an operator".to_owned());
        let deadline = invocation.deadline.min(Instant::now() + PATIENCE);
        let identity = match order.proof.as_ref().filter(|_| order.command.changes()) {
            Some(proof) => {
                let shown = proof.shown(&self.responder.clouds.sts(deadline), order, clock::now()).await;
                // What AWS says may repeat what was sent, and with it what should be in no log.
                shown.inspect_err(|error| warn!(code = error.code, "AWS does not show who gives an order")).ok()
            }
            None => None,
        };
        Who::Operator { says, identity }
    }

    /// Tells people, and only then writes down that they were told.
    async fn tell(&self, story: Story, invocation: &Invocation) -> Result<Incident, HandlerError> {
        let Story { incident, record, is_known, is_one_of_many, comes_again: _, unwritten: _ } = story;
        write_down(&incident);
        let Responder { clouds, ledger, .. } = &self.responder;
        if is_known {
            if let Some(record) = &record {
                ledger.put_down(record, clock::now()).await?;
            }
        } else if let Some(record) = record.as_ref().filter(|_| is_one_of_many) {
            ledger.gather(record, clock::now()).await?;
        } else {
            let sns = clouds.sns(invocation.deadline);
            let told = sns::publish(&sns, &self.topic, &incident).await;
            match (&told, &record) {
                (Ok(()), Some(record)) => drop(ledger.told(record, clock::now()).await?),
                // Whoever comes next tells it.
                (Err(_), Some(record)) => drop(ledger.put_down(record, clock::now()).await?),
                (_, None) => {}
            }
            told?;
        }
        let is_tried_again = record.is_none_or(|record| record.status == Status::Containing);
        if (incident.is_worth_retrying() && is_tried_again) || incident.beside.failure.is_some() {
            return Err(HandlerError::TryAgain);
        }
        Ok(incident)
    }
}

/// A run of this invocation, with a lease of its own.
fn run(invocation: &Invocation, who: Who) -> Run {
    let left = invocation.deadline.saturating_duration_since(Instant::now());
    let until = invocation.deadline.checked_sub(TELLING.min(left / 3)).unwrap_or(invocation.deadline);
    let lease = SignedDuration::try_from(left + GRACE).unwrap_or(SignedDuration::from_mins(15));
    let lease = clock::now().saturating_add(lease).unwrap_or(Timestamp::MAX);
    Run { worker: Worker::new(who, &invocation.request, lease), until }
}

/// Log lines and metrics are rendered from the record, once. Both are JSON lines on standard output.
#[expect(
    clippy::print_stdout,
    reason = "Lambda's log is standard output, and embedded metrics must stand alone on a line"
)]
fn write_down(incident: &Incident) {
    for line in notify::log_lines(incident) {
        println!("{line}");
    }
    println!("{}", notify::metrics(incident, clock::now()));
}
