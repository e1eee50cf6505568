//! The topic.

use super::Message;
use crate::cloud_error::CloudError;
use aws_sdk_sns::types::MessageAttributeValue;

pub const PERMISSIONS: &[&str] = &["sns:Publish"];

/// Publishes a message to the topic, for each protocol in its own shape.
///
/// # Errors
/// Why AWS did not take it.
pub async fn publish(sns: &aws_sdk_sns::Client, topic: &str, message: &Message) -> Result<(), CloudError> {
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
