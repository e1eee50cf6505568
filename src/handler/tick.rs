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
use crate::respond::{Quiet, Responder, Story};
use crate::sweep;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Instant;
use tracing::error;

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
        let (mut looked, mut failed, mut together, mut unasked) = (0, None, Vec::new(), Vec::new());
        for id in due {
            let run = run(invocation, Who::Sweep);
            // One that is begun without time would be told as a failure.
            if invocation.deadline.saturating_duration_since(Instant::now()) < 2 * TELLING {
                break;
            }
            looked += 1;
            match self.look_after(&id, &run, invocation).await {
                Ok(Some(Quiet::Gathered)) => together.push(id),
                Ok(Some(Quiet::Unasked)) => unasked.push(id),
                Ok(_) => {}
                Err(why) => {
                    error!(incident = %id, %why, "the sweep failed on an incident");
                    failed = Some(why);
                }
            }
        }
        if let Err(why) = self.tell_together(&together, invocation).await {
            failed = Some(why);
        }
        if let Err(why) = self.ask_again(&unasked, invocation).await {
            failed = Some(why);
        }
        failed.map_or(Ok(json!({ "swept": looked })), Err)
    }

    /// Asks again what could not be asked. Where there is no answer once more, there is none for the others of that place.
    async fn ask_again(&self, ids: &[IncidentId], invocation: &Invocation) -> Result<(), HandlerError> {
        let (mut failed, mut silent) = (None, BTreeSet::new());
        for id in ids {
            if invocation.deadline.saturating_duration_since(Instant::now()) < 2 * TELLING {
                break;
            }
            if silent.contains(&(&id.account, &id.region)) {
                if let Err(why) = sweep::put_off(&self.responder, id).await {
                    failed = Some(why.into());
                }
                continue;
            }
            let told = match sweep::ask_again(&self.responder, &run(invocation, Who::Sweep), id).await {
                Ok(ending) => self.tell_of(ending, invocation).await,
                Err(why) => Err(why.into()),
            };
            match told {
                Ok(Some(Quiet::Unasked)) => drop(silent.insert((&id.account, &id.region))),
                Ok(_) => {}
                Err(why) => {
                    error!(incident = %id, %why, "the sweep failed on an incident");
                    failed = Some(why);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Tells of all that waits beyond the hour's limit, in one message for each account.
    async fn tell_together(&self, ids: &[IncidentId], invocation: &Invocation) -> Result<(), HandlerError> {
        let Responder { clouds, ledger, .. } = &self.responder;
        let mut failed = None;
        let mut accounts: BTreeMap<AccountId, Vec<(Incident, IncidentRecord)>> = BTreeMap::new();
        let responder = &self.responder;
        let taken = ids.iter().map(|id| async move { (id, gathered(responder, id, invocation).await) });
        for (id, taken) in join_all(taken).await {
            match taken {
                Ok(Some(Story { incident, record: Some(record), .. })) => {
                    accounts.entry(incident.finding.at.account.clone()).or_default().push((incident, record));
                }
                Ok(_) => {}
                Err(why) => {
                    error!(incident = %id, %why, "what waits beyond the limit could not be taken to be told");
                    failed = Some(HandlerError::from(why));
                }
            }
        }
        let sns = clouds.sns(invocation.deadline);
        for many in accounts.into_values() {
            for some in many.chunks(notify::TOGETHER) {
                let (incidents, records): (Vec<&Incident>, Vec<&IncidentRecord>) =
                    some.iter().map(|(incident, record)| (incident, record)).unzip();
                let told = sns::publish_together(&sns, &self.topic, &incidents).await;
                let now = clock::now();
                let written = records.into_iter().map(|record| async {
                    match &told {
                        Ok(()) => ledger.told(record, now).await,
                        // It goes out with the next tick. Where it may have gone out, each says so by itself; where it will
                        // not, there may be one that does.
                        Err(Unsent { error, may_have_landed: false }) if error.kind == Kind::Transient => {
                            ledger.gather(record, now).await
                        }
                        Err(_) => ledger.put_down(record, now).await,
                    }
                });
                let written = join_all(written).await.into_iter().find_map(Result::err);
                failed = told
                    .err()
                    .map(|unsent| HandlerError::from(unsent.error))
                    .or(written.map(HandlerError::from))
                    .or(failed);
            }
        }
        failed.map_or(Ok(()), Err)
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

async fn gathered(
    responder: &Responder,
    id: &IncidentId,
    invocation: &Invocation,
) -> Result<Option<Story>, LedgerError> {
    sweep::gathered(responder, &run(invocation, Who::Sweep), id).await
}
