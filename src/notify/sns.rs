//! The topic.

use super::{Message, Whose, message, no_ledger, together};
use crate::cloud_error::{CloudError, Kind};
use crate::incident::Incident;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use std::time::Duration;
use tokio::time::sleep;

pub const PERMISSIONS: &[&str] = &["sns:Publish"];

/// The waits between tries. The client's timeout of one attempt leaves time for as many and one more, and for writing down
/// what came of it.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Publishes to the topic what became of an incident. A topic takes the same message twice for two: where it is not known
/// whether one went out, the next says that it may be a repeat. So the client must not try again by itself.
///
/// # Errors
/// Why AWS did not take it.
pub async fn publish(sns: &Client, topic: &str, incident: &Incident) -> Result<(), CloudError> {
    send_or_repeat(sns, topic, |repeated| of_one(incident, repeated)).await.map_err(|unsent| unsent.error)
}

/// Why a message did not go out, and whether it may have all the same.
#[derive(Debug)]
pub struct Unsent {
    pub error: CloudError,
    pub may_have_landed: bool,
}

/// Publishes in one message what waits beyond the hour's limit; of a single one, its own. `known` if people may have been
/// told of some.
///
/// # Errors
/// Why AWS did not take it.
pub async fn publish_together(sns: &Client, topic: &str, incidents: &[&Incident], known: bool) -> Result<(), Unsent> {
    match incidents {
        [] => Ok(()),
        [one] => send_or_repeat(sns, topic, |repeated| of_one(one, known || repeated)).await,
        many => send_or_repeat(sns, topic, |repeated| together(many, known || repeated)).await,
    }
}

/// Publishes that the ledger cannot be asked.
///
/// # Errors
/// Why AWS did not take it.
pub async fn publish_no_ledger(sns: &Client, topic: &str, whose: &Whose<'_>, why: &str) -> Result<(), CloudError> {
    send_or_repeat(sns, topic, |repeated| no_ledger(whose, why, repeated)).await.map_err(|unsent| unsent.error)
}

fn of_one(incident: &Incident, repeated: bool) -> Message {
    let mut incident = incident.clone();
    incident.beside.repeated |= repeated;
    message(&incident)
}

/// Tries again what may pass; `render` is told whether people may have got it already.
async fn send_or_repeat(sns: &Client, topic: &str, render: impl Fn(bool) -> Message) -> Result<(), Unsent> {
    let mut repeated = false;
    let mut waits = WAITS.into_iter();
    loop {
        let Err(error) = send(sns, topic, &render(repeated)).await else { return Ok(()) };
        repeated |= error.may_have_landed();
        match waits.next() {
            Some(wait) if error.kind == Kind::Transient => sleep(wait).await,
            _ => return Err(Unsent { error, may_have_landed: repeated }),
        }
    }
}

/// Sends a message, for each protocol in its own shape.
async fn send(sns: &Client, topic: &str, message: &Message) -> Result<(), CloudError> {
    const OPERATION: &str = "sns:Publish";
    let mut call = sns.publish().topic_arn(topic).subject(&message.subject).message(&message.body);
    for (name, attribute) in &message.attributes {
        let value = MessageAttributeValue::builder().data_type(attribute.data_type()).string_value(attribute.value());
        let value = value.build().map_err(|error| CloudError::unreadable(OPERATION, &error.to_string()))?;
        call = call.message_attributes(*name, value);
    }
    let sent = call.message_structure("json").send().await;
    sent.map(drop).map_err(|error| CloudError::new(OPERATION, &error))
}
