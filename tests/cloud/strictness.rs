//! What AWS refuses and moto lets pass, as far as containment can run into it.

use hyper::Response;
use hyper::body::Bytes;
use serde_json::Value;

use super::moto::Moto;
use super::naming::Asked;
use super::principals::{document, entries, text};
use super::refusal::{Refusal, answer};

/// Paths of roles that belong to AWS.
const RESERVED: &[&str] = &["/aws-reserved/", "/aws-service-role/"];

/// SNS counts bytes, over all protocols of a structured message.
const LONGEST_MESSAGE: usize = 262_144;

/// AWS's refusal, if it has one.
pub async fn objection(moto: &Moto, account: &str, asked: &Asked) -> Option<Response<Bytes>> {
    match (asked.service.as_str(), asked.operation.as_str()) {
        ("sts", "AssumeRole") if !may_assume(moto, asked).await => Some(Refusal::Denied.answer("sts", asked.protocol)),
        ("sns", "Publish") => publish_fault(&asked.parameters)
            .map(|fault| answer(asked.protocol, 400, "InvalidParameter", &format!("Invalid parameter: {fault}"))),
        ("ec2", "DeleteSecurityGroup") if is_used(moto, account, asked).await => {
            let message = format!("resource {} has a dependent object", text(&asked.parameters, "GroupId"));
            Some(answer(asked.protocol, 400, "DependencyViolation", &message))
        }
        ("ec2", "ModifyNetworkInterfaceAttribute") => {
            let group = missing_group(moto, account, asked).await?;
            let message = format!("The security group '{group}' does not exist");
            Some(answer(asked.protocol, 400, "InvalidGroup.NotFound", &message))
        }
        ("iam", operation) if !reads(operation) && is_reserved(moto, account, asked).await => {
            let message = "Cannot perform the operation on the protected role: it is only modifiable by AWS";
            Some(answer(asked.protocol, 400, "UnmodifiableEntity", message))
        }
        _ => None,
    }
}

fn reads(operation: &str) -> bool {
    operation.starts_with("Get") || operation.starts_with("List")
}

/// The role must exist, and one statement of its trust must ask for no other external id than the one given. Who
/// asks is not looked at.
async fn may_assume(moto: &Moto, asked: &Asked) -> bool {
    let arn = asked.parameters["RoleArn"].as_str().unwrap_or_default();
    // arn:aws:iam::ACCOUNT:role/PATH/NAME
    let (account, name) = (arn.split(':').nth(4).unwrap_or_default(), arn.rsplit('/').next().unwrap_or_default());
    let Ok(role) = moto.service("iam", account).attempt("GetRole", &[("RoleName", name)]).await else { return false };
    let trust = document(&text(&role["Role"], "AssumeRolePolicyDocument"));
    entries(&trust, "Statement").iter().any(|statement| {
        let wanted = &statement["Condition"]["StringEquals"]["sts:ExternalId"];
        wanted.is_null() || *wanted == asked.parameters["ExternalId"]
    })
}

/// Whether an interface is in the group. That another group's rule names it, which counts for AWS as well, is not looked at.
async fn is_used(moto: &Moto, account: &str, asked: &Asked) -> bool {
    let group = text(&asked.parameters, "GroupId");
    let inside = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group.as_str())];
    let found = moto.service("ec2", account).call("DescribeNetworkInterfaces", &inside).await;
    !entries(&found, "networkInterfaceSet").is_empty()
}

/// A group that an interface is to be in, and that is not there; moto takes it for no group.
async fn missing_group(moto: &Moto, account: &str, asked: &Asked) -> Option<String> {
    let numbered = |n: i32| asked.parameters[format!("SecurityGroupId.{n}")].as_str().map(str::to_owned);
    let wanted: Vec<String> = (1..).map_while(numbered).collect();
    let found = moto.service("ec2", account).call("DescribeSecurityGroups", &[]).await;
    let known: Vec<String> = entries(&found, "securityGroupInfo").iter().map(|group| text(group, "groupId")).collect();
    wanted.into_iter().find(|group| !known.contains(group))
}

async fn is_reserved(moto: &Moto, account: &str, asked: &Asked) -> bool {
    let Some(name) = asked.parameters["RoleName"].as_str() else { return false };
    let role = moto.service("iam", account).attempt("GetRole", &[("RoleName", name)]).await;
    role.is_ok_and(|role| RESERVED.iter().any(|path| text(&role["Role"], "Path").starts_with(path)))
}

fn publish_fault(parameters: &Value) -> Option<&'static str> {
    let message = parameters["Message"].as_str().unwrap_or_default();
    let structured = parameters["MessageStructure"] == "json";
    if message.is_empty() {
        return Some("Empty message");
    }
    if message.len() > LONGEST_MESSAGE {
        return Some("Message too long");
    }
    if structured && !serde_json::from_str(message).is_ok_and(|bodies: Value| bodies["default"].is_string()) {
        return Some("Message Structure - No default entry in JSON message body");
    }
    let subject = parameters["Subject"].as_str()?;
    let sound =
        !subject.is_empty() && subject.len() < 100 && subject.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
    (!sound).then_some("Subject")
}
