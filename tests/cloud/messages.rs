//! What people were told through SNS.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::Call;

/// One published message.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: String,
    pub subject: Option<String>,
    /// The text for each protocol (`default`, `email`, `https`, …); a message without structure has only `default`.
    pub bodies: BTreeMap<String, String>,
    pub attributes: BTreeMap<String, String>,
}

impl Message {
    /// The message, if the call published one, even if the publisher never learnt of it.
    pub fn published(call: &Call) -> Option<Message> {
        if call.action() != "sns:Publish" || !call.accepted {
            return None;
        }
        let field = |name: &str| call.parameters[name].as_str().map(str::to_owned);
        let message = field("Message")?;
        let bodies = if field("MessageStructure").as_deref() == Some("json") {
            serde_json::from_str(&message).expect("a structured message is an object of texts")
        } else {
            BTreeMap::from([("default".to_owned(), message)])
        };
        Some(Message {
            topic: field("TopicArn")?,
            subject: field("Subject"),
            bodies,
            attributes: attributes(&call.parameters),
        })
    }
}

/// `MessageAttributes.entry.1.Name`, `MessageAttributes.entry.1.Value.StringValue`, and so on.
fn attributes(parameters: &Value) -> BTreeMap<String, String> {
    let entry = |number: usize, field: &str| {
        parameters[format!("MessageAttributes.entry.{number}.{field}")].as_str().map(str::to_owned)
    };
    (1..).map_while(|number| Some((entry(number, "Name")?, entry(number, "Value.StringValue")?))).collect()
}
