//! The operator's own AWS credentials.

use super::cli::Common;
use super::exit::Failure;
use super::proof::Address;
use crate::cloud_error::CloudError;
use crate::id::Region;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sts::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Credentials that AWS knows, and the ARN of whose they are.
#[derive(Debug, Clone)]
pub struct Access {
    pub config: SdkConfig,
    pub arn: String,
    /// The address at which AWS said so.
    pub sts: Option<String>,
}

/// Loads the credentials as the AWS CLI does, and asks AWS whose they are. `elsewhere` is the region to ask in where none
/// is set.
pub async fn access(common: &Common, elsewhere: Option<&Region>) -> Result<Access, Failure> {
    let config = settled(load(common, elsewhere).await?).await?;
    let address = Address::default();
    let asking = aws_sdk_sts::Client::new(&config).get_caller_identity().customize();
    let answer = asking.interceptor(address.clone()).send().await;
    let answer = answer.map_err(|error| failed("sts:GetCallerIdentity", &error))?;
    match answer.arn() {
        Some(arn) => Ok(Access { arn: arn.to_owned(), config, sts: address.known() }),
        None => Err(Failure::aws("sts:GetCallerIdentity: AWS did not say whose credentials these are")),
    }
}

/// The same credentials for every call: a profile's role would otherwise be assumed anew for each, as another session.
async fn settled(config: SdkConfig) -> Result<SdkConfig, Failure> {
    let Some(provider) = config.credentials_provider() else { return Ok(config) };
    match provider.provide_credentials().await {
        Ok(credentials) => {
            let provider = SharedCredentialsProvider::new(credentials);
            Ok(config.to_builder().credentials_provider(provider).build())
        }
        Err(error) => Err(hinted(format!("credentials: {}", causes(&error)))),
    }
}

async fn load(common: &Common, elsewhere: Option<&Region>) -> Result<SdkConfig, Failure> {
    let Common { profile, region, endpoint_url, .. } = common;
    let waits = TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(waits);
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = region {
        loader = loader.region(aws_config::Region::new(region.clone()));
    }
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let config = loader.load().await;
    match (config.region(), elsewhere) {
        (Some(_), _) => Ok(config),
        (None, Some(region)) => Ok(config.to_builder().region(aws_config::Region::new(region.to_string())).build()),
        (None, None) => Err(Failure::asked("in which region the function is, is not known")
            .hint("name it with --region, in AWS_REGION, or in the profile")),
    }
}

/// Says why a call failed, down to the first cause, and what helps.
pub fn failed<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug + 'static,
{
    let why = match error.code() {
        Some(_) => CloudError::new(operation, error).to_string(),
        None => format!("{operation}: {}", causes(error)),
    };
    hinted(why)
}

fn hinted(why: String) -> Failure {
    let hint = hint(&why);
    Failure { hint: hint.map(str::to_owned), ..Failure::aws(why) }
}

fn causes(error: &dyn Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
        next = error.source();
    }
    said.join(": ")
}

fn hint(why: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if says(&["requires following cargo feature"]) {
        return Some(
            "quell reads profiles with static keys, and roles assumed with such a profile. For SSO, a credential \
             process or a console session, get the keys from the AWS CLI first:\n  \
             eval \"$(aws configure export-credentials --profile NAME --format env)\"\nand leave out --profile",
        );
    }
    if says(&[
        "no providers in chain",
        "the credential provider was not enabled",
        "could not find profile",
        "profile `",
    ]) {
        return Some(
            "name a profile with --profile or AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        );
    }
    if says(&["ExpiredToken", "RequestExpired"]) {
        return Some("the credentials have expired: get new ones");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_can_do_is_said() {
        let check = |why: &str, expect: &str| assert!(hint(why).unwrap_or("none").contains(expect), "{why}");
        check("This behavior requires following cargo feature(s) enabled: sso. In order to …", "export-credentials");
        check(
            "sts:GetCallerIdentity: ExpiredToken: The security token included in the request is expired",
            "get new ones",
        );
        check("no providers in chain provided credentials", "--profile");
        check("sts:GetCallerIdentity: InternalFailure", "none");
    }
}
