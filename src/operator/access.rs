//! The operator's own AWS credentials.

use super::cli::Common;
use super::exit::Failure;
use super::proof::Address;
use crate::cloud_error::CloudError;
use crate::id::Region;
use crate::setting::rules::plain_word;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_sts::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;
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
    let config = settled(load(common, elsewhere).await?, common.profile.as_deref()).await?;
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
async fn settled(config: SdkConfig, profile: Option<&str>) -> Result<SdkConfig, Failure> {
    let Some(provider) = config.credentials_provider() else { return Ok(config) };
    match provider.provide_credentials().await {
        Ok(credentials) => {
            let provider = SharedCredentialsProvider::new(credentials);
            Ok(config.to_builder().credentials_provider(provider).build())
        }
        Err(error) => {
            let named = profile.map(str::to_owned).or_else(|| std::env::var("AWS_PROFILE").ok());
            let why = causes(&error);
            let hint = way_to_credentials(&why, named.as_deref().unwrap_or("default"));
            Err(Failure { hint, ..Failure::aws(format!("credentials: {why}")) })
        }
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
    let region = match (config.region(), elsewhere) {
        (Some(region), _) => region.clone(),
        (None, Some(region)) => aws_config::Region::new(region.to_string()),
        (None, None) => {
            return Err(Failure::asked("in which region the function is, is not known")
                .hint("name it with --region, in AWS_REGION, or in the profile"));
        }
    };
    let config = config.to_builder().region(region).build();
    Ok(match profile {
        Some(profile) => of_profile(profile, &config),
        None => config,
    })
}

/// The credentials of a profile that the command line names, whatever the environment holds: as for the AWS CLI, but not
/// for the SDK, which takes `AWS_ACCESS_KEY_ID` first, and with it perhaps another account.
fn of_profile(profile: &str, config: &SdkConfig) -> SdkConfig {
    let around = ProviderConfig::without_region()
        .with_region(config.region().cloned())
        .with_use_fips(config.use_fips())
        .with_use_dual_stack(config.use_dual_stack());
    let provider = ProfileFileCredentialsProvider::builder().configure(&around).profile_name(profile).build();
    config.to_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

/// Says why a call failed, down to the first cause, and what helps.
pub fn failed<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let why = match error.code() {
        Some(_) => CloudError::new(operation, error).to_string(),
        None => format!("{operation}: {}", causes(error)),
    };
    Failure { hint: expired(&why), ..Failure::aws(why) }
}

fn expired(why: &str) -> Option<String> {
    let expired = ["ExpiredToken", "RequestExpired"].iter().any(|code| why.contains(code));
    expired.then(|| "the credentials have expired: get new ones".to_owned())
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

/// How somebody whose profile gives no credentials gets some.
fn way_to_credentials(why: &str, profile: &str) -> Option<String> {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let profile = plain_word(profile);
    if says(&["SSO token", "sso/cache", "UnauthorizedException"]) {
        return Some(format!("aws sso login --profile {profile}"));
    }
    if says(&["Login token", "login/cache"]) {
        return Some(format!("aws login --profile {profile}"));
    }
    if says(&["AccessDenied"]) {
        return Some(format!(
            "where the role wants a code of an MFA device, get its credentials from the AWS CLI, which asks for it:\n  \
             eval \"$(aws configure export-credentials --profile {profile} --format env)\"\nand leave out --profile"
        ));
    }
    let missing =
        ["no providers in chain", "credential provider was not enabled", "could not find profile", "profile `"];
    let name = "name a profile with --profile or AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    expired(why).or_else(|| says(&missing).then(|| name.to_owned()))
}
