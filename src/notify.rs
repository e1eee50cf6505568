//! Every word that people read, rendered from the record of an incident and from nothing else.
//!
//! One message goes out for each finding, whatever became of it; what waits beyond an hour's limit shares one (`together`).
//! SNS gives each subscriber its own form of it: people get text, chats get the schema that AWS's chat integration reads,
//! everything else gets structured JSON. No text of a finding reaches any of them unescaped (`escape`), and no finding is so
//! large that its message cannot be sent (`fit`).

mod chat;
mod escape;
mod facts;
mod fit;
mod json;
mod log;
mod metric;
mod no_ledger;
pub mod sns;
#[cfg(test)]
mod tests;
mod text;
mod together;
mod words;

pub use chat::chat;
pub use json::json;
pub use log::log_lines;
pub use metric::metrics;
pub use no_ledger::{Whose, no_ledger};
pub use text::text;
pub use together::{TOGETHER, together};

use crate::incident::{Incident, Part};
use std::collections::{BTreeMap, BTreeSet};

/// The most that SNS takes for everything that is published together: body, subject and attributes.
const LARGEST: usize = 262_144;
/// More than subject and attributes can ever need.
const BESIDE_THE_BODY: usize = 4_096;

/// What is published to the topic, with the message structure `json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// ASCII, below 100 characters, no line break.
    pub subject: String,
    /// A JSON object with one string for each protocol, as text.
    pub body: String,
    /// What subscriptions can filter on.
    pub attributes: BTreeMap<&'static str, Attribute>,
}

/// A message attribute. Filter policies read both forms alike: a list matches if one of its values does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    Text(String),
    List(Vec<String>),
}

impl Attribute {
    /// The data type as SNS names it.
    #[must_use]
    pub fn data_type(&self) -> &'static str {
        match self {
            Self::Text(_) => "String",
            Self::List(_) => "String.Array",
        }
    }

    /// The string value: a list is a JSON array.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(texts) => serde_json::Value::from(texts.clone()).to_string(),
        }
    }
}

/// Renders the one message of a finding. Never fails, and is never too large to send.
///
/// `default` is what the protocols without a key of their own get: SQS, Lambda, HTTP, Firehose and e-mail as JSON. AWS's
/// chat integration subscribes by HTTPS.
#[must_use]
pub fn message(incident: &Incident) -> Message {
    let whole = serde_json::json!({
        "default": json(incident).to_string(),
        "email": text(incident),
        "https": chat(incident).to_string(),
        "sms": words::sms(incident),
    });
    // The parts are cut so that they fit together. Should that ever be wrong, a headline is better than silence.
    let fits = |body: &String| body.len() <= LARGEST - BESIDE_THE_BODY;
    let headline = || serde_json::json!({ "default": words::headline(incident) }).to_string();
    let body = Some(whole.to_string()).filter(fits).unwrap_or_else(headline);
    Message { subject: words::subject(incident), body, attributes: attributes(incident) }
}

fn attributes(incident: &Incident) -> BTreeMap<&'static str, Attribute> {
    let finding = &incident.finding;
    BTreeMap::from([
        ("verdict", Attribute::Text(incident.verdict().token().to_owned())),
        ("severity", Attribute::Text(finding.severity.band().to_string())),
        ("account", Attribute::Text(finding.at.account.to_string())),
        ("region", Attribute::Text(finding.at.region.to_string())),
        ("finding_type", Attribute::Text(escape::plain(finding.kind.as_str(), 200))),
        ("remediation", Attribute::List(remediations(&incident.parts))),
    ])
}

/// The remediations that planned something, or `none`: filter policies cannot match an empty list.
fn remediations(parts: &[Part]) -> Vec<String> {
    let name = |part: &Part| part.plan.remediation.as_deref().map(|name| escape::plain(name, 64));
    let names: BTreeSet<String> = parts.iter().filter_map(name).collect();
    let names: Vec<String> = names.into_iter().take(16).collect();
    if names.is_empty() { vec!["none".to_owned()] } else { names }
}
