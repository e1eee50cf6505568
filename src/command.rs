//! Carries out what an operator orders. Who may order is who may invoke the function.

use crate::change::Change;
use crate::clock;
use crate::incident::{Incident, News, Part, Verdict};
use crate::ledger::key::{HoldKey, IncidentId};
use crate::ledger::protocol::{No, NoUndo, Occasion, Seen};
use crate::ledger::record::{Approval, Entry, IncidentRecord, Status, What, Who};
use crate::ledger::{Kept, LedgerError};
use crate::notify;
use crate::operator::wire::{Acted, Command, Event, Hold, Incidents, Listed, Order, Shown};
use crate::plan::Step;
use crate::planning::plan_for;
use crate::respond::{Ending, Quiet, Responder, Run, claim, tell};
use crate::undo::{Would, loss, preview, said_by, undo};
use serde::Serialize;
use serde_json::{Value, json};
use std::num::NonZeroUsize;

/// The most that a list has: Lambda answers 6 MB.
const LARGEST: usize = 5_000_000;

/// What an order came to.
#[derive(Debug)]
pub enum Obeyed {
    /// An answer, and nothing changed.
    Answer(Value),
    /// Something changed: people are told, then the operator.
    Acted(Ending),
    /// What is wrong with the order.
    Wrong(String),
    /// What stands in its way, and may pass.
    NotNow(String),
}

/// Carries out an order.
///
/// # Errors
/// The ledger could not be asked.
pub async fn obey(responder: &Responder, run: &Run, order: Order) -> Result<Obeyed, LedgerError> {
    match order.command {
        Command::Incidents { open } => {
            let Kept { mut records, unreadable } = responder.ledger.incidents(open).await?;
            records.sort_by_key(|record| std::cmp::Reverse(record.incident.started));
            let unreadable = unreadable.iter().map(ToString::to_string).collect();
            let incidents: Vec<Listed> = records.iter().map(listed).collect();
            Ok(answer(&newest(incidents, unreadable, LARGEST)))
        }
        Command::Show { incident } => show(responder, &incident).await,
        Command::Undo { incident, step, dry_run: true } => dry_run(responder, run, &incident, step).await,
        Command::Undo { incident, step, dry_run: false } => give_back(responder, run, &incident, step).await,
        Command::Approve { incident, plan } => approve(responder, run, &incident, plan).await,
        Command::Reject { incident, plan } => reject(responder, run, &incident, plan).await,
    }
}

/// What the operator is answered once it is done; the warning says what is not known of it elsewhere.
#[must_use]
pub fn acted(incident: &Incident, warning: Option<String>) -> Value {
    // What was given back no longer is as the plan has it.
    let returned =
        if let Some(News::GivenBack { settings, .. }) = &incident.news { Some(settings.clone()) } else { None };
    let parts = || incident.parts.iter().filter(|_| returned.is_none());
    let results = parts().flat_map(|part| part.results.clone()).collect();
    let plan = parts().flat_map(|part| part.plan.steps().cloned()).collect();
    let (verdict, text) = (incident.verdict().token().to_owned(), notify::text(incident));
    json!({ "ok": Acted { plan, results, returned: returned.unwrap_or_default(), verdict, text, warning } })
}

fn answer(what: &impl Serialize) -> Obeyed {
    Obeyed::Answer(json!({ "ok": what }))
}

/// The first of them, as many as there is room for.
fn newest(mut incidents: Vec<Listed>, unreadable: Vec<String>, room: usize) -> Incidents {
    let all = incidents.len();
    let mut taken = unreadable.iter().map(String::len).sum::<usize>();
    let size = |listed: &Listed| serde_json::to_string(listed).map_or(room, |text| text.len() + 1);
    let fits = incidents.iter().take_while(|listed| {
        taken = taken.saturating_add(size(listed));
        taken <= room
    });
    incidents.truncate(fits.count());
    Incidents { older: all - incidents.len(), incidents, unreadable }
}

fn listed(record: &IncidentRecord) -> Listed {
    let Incident { finding, started, .. } = &record.incident;
    Listed {
        id: record.id.clone(),
        verdict: record.incident.verdict().token().to_owned(),
        finding_type: finding.kind.to_string(),
        severity: finding.severity,
        subjects: finding.subjects.iter().map(|subject| subject.kind.to_string()).collect(),
        started: *started,
        status: word(record.status).to_owned(),
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Containing => "containing",
        Status::Waiting => "waiting",
        Status::Held => "held",
        Status::Releasing => "releasing",
        Status::Released => "released",
        Status::Rejected => "rejected",
        Status::Closed => "closed",
    }
}

async fn show(responder: &Responder, id: &IncidentId) -> Result<Obeyed, LedgerError> {
    let record = responder.ledger.get(id).await?;
    let holds = responder.ledger.holds(&record.holds).await?;
    let holds = holds.into_iter().map(|hold| Hold {
        held_by: hold.holders.iter().map(|holder| holder.incident.clone()).collect(),
        setting: hold.setting,
        original: hold.original,
    });
    let mut incident = json!(record.incident);
    if let Value::Object(fields) = &mut incident {
        fields.insert("history".to_owned(), json!(record.history.iter().map(event).collect::<Vec<_>>()));
        fields.insert("approval".to_owned(), json!(record.approval));
        fields.insert("status".to_owned(), word(record.status).into());
    }
    Ok(answer(&Shown { incident, holds: holds.collect() }))
}

fn event(entry: &Entry) -> Event {
    let Entry { at, who, rules, what, request, writes } = entry;
    let who = match who {
        Who::Policy if !rules.is_empty() => {
            format!(
                "the policy, by rule {}",
                rules.iter().map(|rule| format!("{rule:?}")).collect::<Vec<_>>().join(", ")
            )
        }
        Who::Policy | Who::Operator { .. } | Who::Sweep => said_by(who),
    };
    let writes = if writes.is_empty() { String::new() } else { format!("; AWS requests {}", writes.join(", ")) };
    Event { at: *at, who, what: format!("{} (request {request}{writes})", said(what)) }
}

fn said(what: &What) -> String {
    match what {
        What::Claimed => "began to handle it".to_owned(),
        What::Resumed => "went on with it".to_owned(),
        What::Updated { count } => format!("GuardDuty saw it again, {count} times by now"),
        What::Finished { verdict } => format!("finished: {}", verdict.token()),
        What::Reopened { settings } => format!("found that somebody had set back {}", settings.join(", ")),
        What::Asked { plan } => format!("asked for approval of plan {plan}"),
        What::Approved { plan } => format!("approved plan {plan}"),
        What::Rejected => "rejected it".to_owned(),
        What::Expired => "nobody decided in time".to_owned(),
        What::UndoBegun => "began to undo it".to_owned(),
        What::GivenBack { setting } => format!("gave back {setting}"),
        What::Left { setting, why } => format!("left {setting}: {why}"),
        What::Released => "released it".to_owned(),
        What::LeftOut { lines, .. } => format!("{lines} lines of what went on by itself are left out"),
    }
}

async fn dry_run(
    responder: &Responder,
    run: &Run,
    id: &IncidentId,
    step: Option<NonZeroUsize>,
) -> Result<Obeyed, LedgerError> {
    let record = responder.ledger.get(id).await?;
    let keys = match keys(&record, step) {
        Ok(keys) => keys,
        Err(why) => return Ok(Obeyed::Wrong(why)),
    };
    let would = preview(responder, run, &record, keys.as_deref()).await?;
    if would.is_empty() {
        return Ok(Obeyed::Wrong(format!("there is nothing to undo: it is {}", word(record.status))));
    }
    let mut text = Vec::new();
    let mut plan = Vec::new();
    for (key, would) in would {
        match would {
            Would::GiveBack(change) => {
                text.push(format!("would give back: {change}{}", lost(&change)));
                plan.push(Step::new(change, ""));
            }
            Would::GiveBackBut { change, rules } => {
                let lost = lost(&change);
                text.push(format!("would give back: {change}{lost}, but not {rules}: somebody closed a part of that"));
                plan.push(Step::new(change, ""));
            }
            Would::Stay(why) => text.push(format!("{key} {why}")),
        }
    }
    let waits = |part: &&Part| part.verdict() == Verdict::WaitingForApproval && keys.is_none();
    let waiting = record.incident.parts.iter().filter(waits).map(|part| &part.plan.subject.kind);
    text.extend(waiting.map(|subject| format!("nobody would be asked about {subject} any more")));
    let verdict = record.incident.verdict().token().to_owned();
    let (results, returned) = (Vec::new(), Vec::new());
    Ok(answer(&Acted { plan, results, returned, verdict, text: text.join("\n"), warning: None }))
}

/// What would not be just as it was.
fn lost(back: &Change) -> String {
    loss(back).map(|loss| format!(" ({loss})")).unwrap_or_default()
}

async fn give_back(
    responder: &Responder,
    run: &Run,
    id: &IncidentId,
    step: Option<NonZeroUsize>,
) -> Result<Obeyed, LedgerError> {
    let keys = match step {
        Some(_) => match keys(&responder.ledger.get(id).await?, step) {
            Ok(keys) => keys,
            Err(why) => return Ok(Obeyed::Wrong(why)),
        },
        None => None,
    };
    Ok(match undo(responder, run, id, keys.as_deref()).await? {
        Ok(ending) => Obeyed::Acted(ending),
        Err(NoUndo::Busy { until }) => Obeyed::NotNow(format!("another run is at it until {until}: try again then")),
        Err(NoUndo::Waiting) => Obeyed::Wrong("nothing was done yet: reject it instead".to_owned()),
        Err(NoUndo::Over(status)) => Obeyed::Wrong(format!("there is nothing to undo: it is {}", word(status))),
        Err(NoUndo::NotHeld) => Obeyed::Wrong("there is nothing to undo: the incident does not hold that".to_owned()),
    })
}

/// The setting of a step, counted from one through all parts as `quell show` lists them; none for all of them.
fn keys(record: &IncidentRecord, step: Option<NonZeroUsize>) -> Result<Option<Vec<HoldKey>>, String> {
    let Some(step) = step else { return Ok(None) };
    let keys = |part: &Part| -> Vec<HoldKey> {
        part.listed().map(|change| HoldKey::of(&part.plan.subject.at, &change.setting)).collect()
    };
    let all: Vec<HoldKey> = record.incident.parts.iter().flat_map(keys).collect();
    match all.get(step.get() - 1) {
        Some(key) => Ok(Some(vec![key.clone()])),
        None => Err(format!("there is no step {step}: the incident has {}", all.len())),
    }
}

async fn approve(responder: &Responder, run: &Run, id: &IncidentId, plan: Option<u32>) -> Result<Obeyed, LedgerError> {
    let record = responder.ledger.get(id).await?;
    let plan = match as_read(&record, plan) {
        Ok(plan) => plan,
        Err(why) => return Ok(Obeyed::Wrong(why)),
    };
    let mut incident = Box::pin(plan_for(responder, record.incident.finding.clone(), run.until)).await;
    if let Some(why) = incident.unseen() {
        let again = "nothing was done: it cannot be looked at now, so give the order again";
        return Ok(Obeyed::NotNow(format!("{again}: {why}")));
    }
    incident.news = Some(News::Approved { by: said_by(&run.worker.who) });
    Ok(match claim(responder, run, incident, Occasion::Approve { plan }, Seen::early(record)).await {
        Ending::Quiet(Quiet::Known) => {
            Obeyed::Wrong("somebody decided on it meanwhile: look with \"quell show\"".to_owned())
        }
        Ending::Quiet(Quiet::Busy | Quiet::Kept | Quiet::Gathered | Quiet::Unasked) => {
            Obeyed::NotNow("another run is at it: try again in a minute".to_owned())
        }
        Ending::ComeAgain { why, .. } => Obeyed::NotNow(format!("not now: {why}")),
        told @ Ending::Tell(_) => Obeyed::Acted(told),
    })
}

/// The number of the plan that waits, if it is the one that was read; otherwise why not.
fn as_read(record: &IncidentRecord, plan: Option<u32>) -> Result<u32, String> {
    let Some(Approval { plan: newest, .. }) = record.approval.as_ref().filter(|_| record.status == Status::Waiting)
    else {
        return Err(format!("nothing waits for approval: it is {}", word(record.status)));
    };
    let several =
        || format!("more than one plan was shown: name the one that you read, --plan {newest} if it is the newest");
    let plan = plan.or_else(|| only_plan(record)).ok_or_else(several)?;
    let other = || format!("plan {newest} waits, not plan {plan}: read it with \"quell show\" first");
    if plan == *newest { Ok(plan) } else { Err(other()) }
}

/// The number of the plan, where people were shown no other: then it is the one that they read.
fn only_plan(record: &IncidentRecord) -> Option<u32> {
    Some(1).filter(|only| record.next_plan() == only + 1)
}

async fn reject(responder: &Responder, run: &Run, id: &IncidentId, plan: Option<u32>) -> Result<Obeyed, LedgerError> {
    let record = responder.ledger.get(id).await?;
    if let Err(why) = as_read(&record, plan) {
        return Ok(Obeyed::Wrong(why));
    }
    let news = News::Rejected { by: said_by(&run.worker.who) };
    Ok(match responder.ledger.reject(&record, &run.worker, No::Person, news, clock::now()).await? {
        Some(record) => Obeyed::Acted(tell(record)),
        None => Obeyed::NotNow("another run is at it: try again in a minute".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;

    #[test]
    fn a_list_has_the_newest_for_which_there_is_room() {
        let listed = |n: u32| Listed {
            id: format!("111122223333/eu-west-1/{n:032x}").parse().unwrap(),
            verdict: "contained".to_owned(),
            finding_type: "Recon:EC2/Portscan".to_owned(),
            severity: Severity::try_from(5.0).unwrap(),
            subjects: vec!["instance i-0a1b2c3d4e5f60718".to_owned()],
            started: jiff::Timestamp::UNIX_EPOCH,
            status: "held".to_owned(),
        };
        let all: Vec<Listed> = (0..20_000).map(listed).collect();
        let answer = newest(all.clone(), Vec::new(), LARGEST);
        assert!(serde_json::to_string(&answer).unwrap().len() < 6_000_000);
        assert_eq!((answer.incidents.len() + answer.older, &answer.incidents[0]), (20_000, &all[0]));
        assert!(answer.incidents.len() > 10_000, "{}", answer.incidents.len());
        let few = newest(all[..3].to_vec(), Vec::new(), LARGEST);
        assert_eq!((few.incidents.len(), few.older), (3, 0));
    }
}
