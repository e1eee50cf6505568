//! The tick of each minute: what is due is done, and told.

use super::{Handler, HandlerError, Invocation, TELLING, run};
use crate::clock;
use crate::cloud_error::Kind;
use crate::id::AccountId;
use crate::incident::Incident;
use crate::ledger::LedgerError;
use crate::ledger::key::IncidentId;
use crate::ledger::record::{IncidentRecord, Who};
use crate::notify::sns::Unsent;
use crate::notify::{self, Whose, sns};
use crate::respond::{Quiet, Responder, Run, Story};
use crate::sweep;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::slice;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tracing::error;

/// What takes longer may be waiting for an answer that does not come.
const LONG: Duration = Duration::from_secs(4);

/// To write and to read back what IAM shows late takes so long.
const ENOUGH: Duration = Duration::from_secs(8);

/// How often people are told that the ledger cannot be asked.
const SAID: SignedDuration = SignedDuration::from_hours(1);

impl Handler {
    /// Looks after what is due, one incident after the other, as long as there is time. One that fails does not keep
    /// the others from their turn.
    pub(super) async fn tick(&self, invocation: &Invocation) -> Result<Value, HandlerError> {
        let due = match sweep::due(&self.responder).await {
            Ok(due) => due,
            Err(why) => return Err(self.tell_no_ledger(why, invocation).await),
        };
        let mut swept = Swept::default();
        self.sweep(due, &mut swept, false, invocation).await;
        if let Err(why) = self.tell_together(&swept.together, invocation).await {
            swept.failed = graver(swept.failed, why);
        }
        if let Err(why) = self.ask_again(&swept.unasked, invocation).await {
            swept.failed = graver(swept.failed, why);
        }
        let put_off = mem::take(&mut swept.put_off);
        self.sweep(put_off, &mut swept, true, invocation).await;
        let Swept { looked, failed, .. } = swept;
        match failed {
            None => Ok(json!({ "swept": looked })),
            Some(HandlerError::Ledger(why)) if why.is_outage() => Err(self.tell_no_ledger(why, invocation).await),
            Some(why) => Err(why),
        }
    }

    /// Where one takes long, AWS may not answer: the others of that place are put off until all else is done, which is
    /// when this `is_last`.
    async fn sweep(&self, due: Vec<IncidentId>, swept: &mut Swept, is_last: bool, invocation: &Invocation) {
        let mut slow = BTreeSet::new();
        for id in due {
            if !has_time(invocation) {
                break;
            }
            let place = (id.account.clone(), id.region.clone());
            let is_slow = slow.contains(&place) && !is_last;
            if is_slow && !sweep::asks_nobody(&self.responder, &id).await.is_ok_and(|it| it) {
                swept.put_off.push(id);
                continue;
            }
            swept.looked += 1;
            let began = Instant::now();
            let ended = self.look_after(&id, &share(run(invocation, Who::Sweep)), invocation).await;
            if began.elapsed() > LONG {
                slow.insert(place);
            }
            match ended {
                Ok(Some(Quiet::Gathered)) => swept.together.push(id),
                Ok(Some(Quiet::Unasked)) => swept.unasked.push(id),
                Ok(_) => {}
                Err(why) => {
                    error!(incident = %id, %why, "the sweep failed on an incident");
                    swept.failed = graver(swept.failed.take(), why);
                }
            }
        }
    }

    /// Asks again what could not be asked. Where there is no answer once more, there is none for the others of that place.
    async fn ask_again(&self, ids: &[IncidentId], invocation: &Invocation) -> Result<(), HandlerError> {
        let (mut failed, mut silent) = (None, BTreeSet::new());
        for id in ids {
            if !has_time(invocation) {
                break;
            }
            if silent.contains(&(&id.account, &id.region)) {
                if let Err(why) = sweep::put_off(&self.responder, id).await {
                    failed = graver(failed, why.into());
                }
                continue;
            }
            let told = match sweep::ask_again(&self.responder, &share(run(invocation, Who::Sweep)), id).await {
                Ok(ending) => self.tell_of(ending, invocation).await,
                Err(why) => Err(why.into()),
            };
            match told {
                Ok(Some(Quiet::Unasked)) => drop(silent.insert((&id.account, &id.region))),
                Ok(_) => {}
                Err(why) => {
                    error!(incident = %id, %why, "the sweep failed on an incident");
                    failed = graver(failed, why);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Tells of all that waits beyond the hour's limit, in one message for each account, or as many as there is time for.
    async fn tell_together(&self, ids: &[IncidentId], invocation: &Invocation) -> Result<(), HandlerError> {
        let mut accounts: BTreeMap<&AccountId, Vec<&IncidentId>> = BTreeMap::new();
        for id in ids {
            accounts.entry(&id.account).or_default().push(id);
        }
        let mut failed = None;
        for some in accounts.values().flat_map(|all| all.chunks(notify::TOGETHER)) {
            // What is taken without time to tell it would be told as something that people may know.
            if !has_time(invocation) {
                break;
            }
            if let Err(why) = self.tell_some_together(some, invocation).await {
                failed = graver(failed, why);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn tell_some_together(&self, ids: &[&IncidentId], invocation: &Invocation) -> Result<(), HandlerError> {
        let mut failed = None;
        let mut taken = Vec::new();
        let takes = ids.iter().map(|id| async {
            let run = run(invocation, Who::Sweep);
            sweep::gathered(&self.responder, &run, id).await
        });
        for (id, took) in ids.iter().zip(join_all(takes).await) {
            match took {
                Ok(took) => taken.extend(took),
                Err(why) => {
                    error!(incident = %id, %why, "what waits beyond the limit could not be taken to be told");
                    failed = graver(failed, why.into());
                }
            }
        }
        let told = self.tell_taken(&taken, invocation).await;
        let is_refused = told.as_ref().is_err_and(|unsent| unsent.error.kind != Kind::Transient);
        if is_refused && taken.len() > 1 {
            // One of them may be what SNS does not take.
            for one in &taken {
                let told = self.tell_taken(slice::from_ref(one), invocation).await;
                if let Err(why) = self.note_told(slice::from_ref(one), told).await {
                    failed = graver(failed, why);
                }
            }
        } else if let Err(why) = self.note_told(&taken, told).await {
            failed = graver(failed, why);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn tell_taken(&self, taken: &[(IncidentRecord, bool)], invocation: &Invocation) -> Result<(), Unsent> {
        let stories: Vec<Story> = taken.iter().map(|(record, _)| Story::of(record.clone())).collect();
        let incidents: Vec<&Incident> = stories.iter().map(|story| &story.incident).collect();
        let is_known = taken.iter().any(|(_, is_known)| *is_known);
        let sns = self.responder.clouds.sns(invocation.deadline);
        sns::publish_together(&sns, &self.topic, &incidents, is_known).await
    }

    async fn note_told(&self, taken: &[(IncidentRecord, bool)], told: Result<(), Unsent>) -> Result<(), HandlerError> {
        let (ledger, now) = (&self.responder.ledger, clock::now());
        let told_of = &told;
        let written = taken.iter().map(|(record, is_known)| async move {
            match told_of {
                Ok(()) => ledger.told(record, now).await,
                // It goes out with the next tick, as what nobody has heard of.
                Err(unsent) if !unsent.may_have_landed && !is_known => ledger.gather(record, now).await,
                Err(_) => ledger.put_down(record, now).await,
            }
        });
        let written = join_all(written).await.into_iter().find_map(Result::err);
        told.map_err(|unsent| unsent.error)?;
        written.map_or(Ok(()), |why| Err(why.into()))
    }

    /// Nothing is looked after without the ledger: people are told, not each minute. The error is the ledger's, or why people
    /// could not be told.
    async fn tell_no_ledger(&self, why: LedgerError, invocation: &Invocation) -> HandlerError {
        let now = clock::now();
        let said = *self.said_no_ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_some_and(|said| now.duration_since(said) < SAID) {
            return why.into();
        }
        let Responder { clouds, ledger, .. } = &self.responder;
        let whose = Whose { table: ledger.table(), function: &invocation.function };
        let sns = clouds.sns(invocation.deadline);
        if let Err(unsent) = sns::publish_no_ledger(&sns, &self.topic, &whose, &why.to_string()).await {
            error!(%why, "the ledger cannot be asked, and people could not be told");
            return unsent.into();
        }
        *self.said_no_ledger.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        why.into()
    }
}

/// What a tick has come to so far.
#[derive(Default)]
struct Swept {
    looked: usize,
    failed: Option<HandlerError>,
    /// What waits beyond the limit, to be told with others.
    together: Vec<IncidentId>,
    /// What could not be asked, to be asked again.
    unasked: Vec<IncidentId>,
    /// What comes after all else.
    put_off: Vec<IncidentId>,
}

/// A run that leaves half of the time to the others, where that is enough for it.
fn share(run: Run) -> Run {
    let left = run.until.saturating_duration_since(Instant::now());
    Run { until: Instant::now() + (left / 2).max(left.min(ENOUGH)), ..run }
}

/// Whether there is time for one thing more. What is begun without would be told as a failure.
fn has_time(invocation: &Invocation) -> bool {
    invocation.deadline.saturating_duration_since(Instant::now()) >= 2 * TELLING
}

/// What a tick answers where several things failed: that the ledger cannot be used, before all else.
fn graver(known: Option<HandlerError>, new: HandlerError) -> Option<HandlerError> {
    let is_outage = |error: &HandlerError| matches!(error, HandlerError::Ledger(why) if why.is_outage());
    known.filter(is_outage).or(Some(new))
}
