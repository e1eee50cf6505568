//! Clients for the account and region a finding is about.

use crate::cloud_error::{CloudError, Kind};
use crate::id::{AccountId, FindingId, Place, Region};
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sts::config::SharedCredentialsProvider;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

pub const PERMISSIONS: &[&str] = &["sts:AssumeRole"];

/// The longest that AWS lets a role session's name be.
const SESSION_NAME: usize = 64;

/// The most that one try to publish may take, so that a topic that hangs does not take a tick's whole time.
const PUBLISHING: Duration = Duration::from_millis(2_500);

/// How to reach accounts other than the function's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRole {
    /// The role's name, the same in every member account.
    pub name: String,
    pub external_id: Option<String>,
}

/// Clients for one account and region, for one invocation.
#[derive(Debug, Clone)]
pub struct Cloud {
    pub at: Place,
    pub iam: aws_sdk_iam::Client,
    pub ec2: aws_sdk_ec2::Client,
    /// Classic Load Balancers.
    pub elb: aws_sdk_elasticloadbalancing::Client,
    /// All other load balancers.
    pub elbv2: aws_sdk_elasticloadbalancingv2::Client,
    pub guardduty: aws_sdk_guardduty::Client,
    sts: aws_sdk_sts::Client,
    identity: Arc<OnceCell<Identity>>,
}

/// Whether our credentials are those of the account we mean to act in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    account: String,
    arn: String,
}

/// All accounts and regions met so far. Configuration, connections and credentials are kept between invocations.
#[derive(Debug)]
pub struct Clouds {
    base: SdkConfig,
    /// The function's own account, where it is known; any other is reached through the member role.
    own: Option<AccountId>,
    member: Option<MemberRole>,
    opened: Mutex<HashMap<(AccountId, Region), Opened>>,
}

#[derive(Debug, Clone)]
struct Opened {
    config: SdkConfig,
    identity: Arc<OnceCell<Identity>>,
}

/// Loads what all clients share: region, credentials, connections.
///
/// The first draw from AWS-LC's random generator and the parsing of the root certificates happen with the first
/// connection; see "Starting cold" in ARCHITECTURE.md for what was measured and decided.
pub async fn load() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await
}

impl Clouds {
    #[must_use]
    pub fn new(base: SdkConfig, own: Option<AccountId>, member: Option<MemberRole>) -> Self {
        Self { base, own, member, opened: Mutex::default() }
    }

    /// Clients for `place`, whose calls end before `deadline`.
    ///
    /// The member role's session carries the id of the finding that opened it; a later finding in the same account
    /// goes on with that session until its credentials expire.
    ///
    /// # Errors
    /// Says why the account cannot be reached: it is not the function's own, and no member role is configured.
    pub async fn at(&self, place: &Place, finding: &FindingId, deadline: Instant) -> Result<Cloud, CloudError> {
        let opened = match self.known(place) {
            Some(opened) => opened,
            None => self.open(place, finding).await?,
        };
        let config = opened.config.to_builder().timeout_config(timeouts(deadline)).retry_config(retries()).build();
        Ok(Cloud {
            at: place.clone(),
            iam: aws_sdk_iam::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
            elb: aws_sdk_elasticloadbalancing::Client::new(&config),
            elbv2: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            guardduty: aws_sdk_guardduty::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            identity: opened.identity,
        })
    }

    /// A client for the topic, which lives with the function. It does not try again: who publishes must know.
    #[must_use]
    pub fn sns(&self, deadline: Instant) -> aws_sdk_sns::Client {
        let once = RetryConfig::disabled();
        let left = deadline.saturating_duration_since(Instant::now());
        let attempt = (left / 4).clamp(Duration::from_millis(100), PUBLISHING);
        let timeouts = timeouts(deadline).to_builder().operation_attempt_timeout(attempt).build();
        let config = self.base.to_builder().timeout_config(timeouts).retry_config(once).build();
        aws_sdk_sns::Client::new(&config)
    }

    /// A client for the ledger, which lives with the function. Its calls are short, and in the way of everything.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(Duration::from_millis(1500))
            .operation_timeout(Duration::from_secs(4))
            .build();
        let config = self.base.to_builder().timeout_config(timeouts).retry_config(retries()).build();
        aws_sdk_dynamodb::Client::new(&config)
    }

    /// A client for the kill switch, which lives with the function.
    #[must_use]
    pub fn ssm(&self, deadline: Instant) -> aws_sdk_ssm::Client {
        let config = self.base.to_builder().timeout_config(timeouts(deadline)).retry_config(retries()).build();
        aws_sdk_ssm::Client::new(&config)
    }

    /// A client for asking AWS who somebody is.
    #[must_use]
    pub fn sts(&self, deadline: Instant) -> aws_sdk_sts::Client {
        let config = self.base.to_builder().timeout_config(timeouts(deadline)).retry_config(retries()).build();
        aws_sdk_sts::Client::new(&config)
    }

    fn known(&self, place: &Place) -> Option<Opened> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.get(&(place.account.clone(), place.region.clone())).cloned()
    }

    async fn open(&self, place: &Place, finding: &FindingId) -> Result<Opened, CloudError> {
        if !place.account.is_known() {
            return Err(no_way("the finding does not say in which account"));
        }
        let region = aws_config::Region::new(place.region.to_string());
        let is_own = self.own.as_ref().is_none_or(|own| *own == place.account);
        let builder = self.base.to_builder().region(region.clone());
        let config = match &self.member {
            _ if is_own => builder.build(),
            Some(role) => {
                let provider = self.assume(role, place, finding, region).await;
                builder.credentials_provider(provider).build()
            }
            None => {
                let account = &place.account;
                return Err(no_way(&format!("account {account} is not our own and no member role is configured")));
            }
        };
        let opened = Opened { config, identity: Arc::default() };
        let mut all = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((place.account.clone(), place.region.clone()), opened.clone());
        Ok(opened)
    }

    async fn assume(
        &self,
        role: &MemberRole,
        place: &Place,
        finding: &FindingId,
        region: aws_config::Region,
    ) -> SharedCredentialsProvider {
        let arn = format!("arn:{}:iam::{}:role/{}", place.partition, place.account, role.name);
        let session: String = format!("quell-{finding}").chars().take(SESSION_NAME).collect();
        let provider = AssumeRoleProvider::builder(arn).session_name(session).region(region).configure(&self.base);
        let provider = match &role.external_id {
            Some(id) => provider.external_id(id),
            None => provider,
        };
        SharedCredentialsProvider::new(provider.build().await)
    }
}

impl Cloud {
    /// Who we are there, as an ARN; none before [`Cloud::verify_identity`] has asked.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        self.identity.get().map(|identity| identity.arn.as_str())
    }

    /// Asks AWS once whose credentials these are. Nothing may be written before this said yes.
    ///
    /// # Errors
    /// Refused where they are another account's; otherwise why AWS could not be asked.
    pub async fn verify_identity(&self) -> Result<(), CloudError> {
        const OPERATION: &str = "sts:GetCallerIdentity";
        let identity = self.identity.get_or_try_init(|| async {
            let answer = self.sts.get_caller_identity().send().await;
            let answer = answer.map_err(|error| CloudError::new(OPERATION, &error))?;
            let account = answer.account().ok_or_else(|| CloudError::unreadable(OPERATION, "no account"))?;
            Ok(Identity { account: account.to_owned(), arn: answer.arn().unwrap_or_default().to_owned() })
        });
        let Identity { account, arn: _ } = identity.await?;
        if account == self.at.account.as_str() {
            return Ok(());
        }
        Err(CloudError {
            operation: OPERATION,
            kind: Kind::Refused,
            code: "wrong account".to_owned(),
            message: format!("our credentials are those of account {account}, the resource is in {}", self.at),
        })
    }
}

fn no_way(why: &str) -> CloudError {
    let (operation, code) = ("sts:AssumeRole", "no way in".to_owned());
    CloudError { operation, kind: Kind::Refused, code, message: why.to_owned() }
}

/// An attempt gets a third of what is left, so that one that hangs leaves room for two more.
fn timeouts(deadline: Instant) -> TimeoutConfig {
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1).min(left))
        .operation_attempt_timeout((left / 3).max(Duration::from_millis(100)))
        .operation_timeout(left)
        .build()
}

/// Short waits: the operation's own timeout ends the trying, and Lambda's retries come after.
fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(2))
}
