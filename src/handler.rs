//! One invocation, from event to answer.

use crate::aws::Clouds;
use crate::cloud_error::CloudError;
use crate::config::Config;
use crate::finding::{Finding, ParseError};
use crate::incident::Incident;
use crate::notify::{self, sns};
use crate::request::{self, Request};
use crate::respond::{Responder, respond};
use aws_config::SdkConfig;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tracing::{error, info};

/// Kept back from the invocation's time for telling people, at the most.
const TELLING: Duration = Duration::from_secs(5);

/// All that is kept between invocations.
#[derive(Debug)]
pub struct Handler {
    responder: Responder,
    topic: String,
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
}

impl Handler {
    #[must_use]
    pub fn new(config: Config, aws: SdkConfig) -> Self {
        let Config { topic, account, member, policy } = config;
        if let Err(why) = &policy {
            error!("{why}");
        }
        Self { responder: Responder { clouds: Clouds::new(aws, account, member), policy }, topic }
    }

    /// Answers an event before `deadline`.
    ///
    /// # Errors
    /// A broken finding; people who could not be told; a failure that may pass.
    pub async fn handle(&self, event: Value, deadline: Instant) -> Result<Value, HandlerError> {
        match request::read(event)? {
            Request::Finding(finding) => self.finding(*finding, deadline).await,
            Request::Other(what) => {
                info!(what, "ignored: not a finding");
                Ok(json!({ "ignored": what }))
            }
        }
    }

    async fn finding(&self, finding: Finding, deadline: Instant) -> Result<Value, HandlerError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let until = deadline.checked_sub(TELLING.min(left / 3)).unwrap_or(deadline);
        let incident = respond(&self.responder, finding, until).await;
        write_down(&incident);
        let sns = self.responder.clouds.sns(deadline);
        sns::publish(&sns, &self.topic, &notify::message(&incident)).await?;
        if incident.is_worth_retrying() {
            return Err(HandlerError::TryAgain);
        }
        Ok(json!({ "finding": incident.finding.id, "verdict": incident.verdict().token() }))
    }
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
    println!("{}", notify::metrics(incident));
}
