//! Who gives an order, as AWS shows it.
//!
//! Lambda does not tell a function who invoked it. So the command signs, with the caller's credentials, AWS's question
//! "whose credentials are these?" (`sts:GetCallerIdentity`, a presigned request), and the function has AWS answer it. The
//! signature covers the order too, so that it proves this order and no other, and nothing but this question can be asked
//! with it. AWS takes it for a quarter of an hour, whatever it is asked to; the function for two minutes.

use super::wire::Order;
use crate::cloud_error::{CloudError, Kind};
use aws_config::SdkConfig;
use aws_sdk_sts::config::http::HttpRequest;
use aws_sdk_sts::config::interceptors::{BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef};
use aws_sdk_sts::config::{ConfigBag, Intercept, ProvideCredentials, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

const QUESTION: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// The header that carries the order, and that the signature covers beside the host.
const ORDER: &str = "x-quell-order";

/// How old a proof may be, and how far ahead the caller's clock.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(2);

/// `SigV4` leaves only these as they are ("Create a signed AWS API request", the function `UriEncode`).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parts of a presigned request that the function cannot know by itself. Whatever else it says is the function's own
/// words, so that it can be made to ask AWS nothing else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Access key id, day, region and service: `AKIA…/20261103/eu-west-1/sts/aws4_request`.
    credential: String,
    /// `20261103T093602Z`
    date: String,
    signature: String,
    /// Of temporary credentials. Worth nothing without their secret key, which is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// No log shall have what AWS takes for a quarter of an hour.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof")
    }
}

impl Proof {
    /// Signs an order with the caller's credentials. `sts` is the address that AWS is asked at.
    ///
    /// # Errors
    /// There are no credentials, or the order cannot be put into a header.
    pub async fn sign(config: &SdkConfig, sts: &str, order: &Order) -> Result<Self, BoxError> {
        let provider = config.credentials_provider().ok_or("no credentials")?;
        let identity = provider.provide_credentials().await?.into();
        let region = config.region().ok_or("no region")?;
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(GOOD_FOR.unsigned_abs());
        let params = SigningParams::builder().identity(&identity).region(region.as_ref()).name("sts");
        let params = params.time(SystemTime::now()).settings(settings).build()?.into();
        let statement = statement(order)?;
        let headers = [(ORDER, statement.as_str())].into_iter();
        let request = SignableRequest::new("GET", format!("{sts}?{QUESTION}"), headers, SignableBody::Bytes(&[]))?;
        let (instructions, signature) = sign(request, &params)?.into_parts();
        let param = |name: &str| {
            let found = instructions.params().iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone().into_owned())
        };
        let credential = param("X-Amz-Credential").ok_or("no credential in the signature")?;
        let date = param("X-Amz-Date").ok_or("no date in the signature")?;
        Ok(Self { credential, date, signature, token: param("X-Amz-Security-Token") })
    }

    /// Has AWS say who signed the order: an ARN.
    ///
    /// # Errors
    /// It is too old, or of another order, or AWS could not be asked.
    pub async fn shown(
        &self,
        client: &aws_sdk_sts::Client,
        order: &Order,
        now: Timestamp,
    ) -> Result<String, CloudError> {
        const OPERATION: &str = "sts:GetCallerIdentity";
        if !self.is_fresh(now) {
            let (code, message) = ("the proof is too old".to_owned(), "is the caller's clock right?".to_owned());
            return Err(CloudError { operation: OPERATION, kind: Kind::Refused, code, message });
        }
        let statement = statement(order).map_err(|error| CloudError::unreadable(OPERATION, &error.to_string()))?;
        let presigned = Presigned { query: self.query(), statement };
        let answer = client.get_caller_identity().customize().interceptor(presigned).send().await;
        let answer = answer.map_err(|error| CloudError::new(OPERATION, &error))?;
        answer.arn().map(str::to_owned).ok_or_else(|| CloudError::unreadable(OPERATION, "no ARN"))
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        let signed = strtime::parse("%Y%m%dT%H%M%S%z", self.date.replace('Z', "+0000"));
        let signed = signed.and_then(|time| time.to_timestamp());
        signed.is_ok_and(|signed| now.duration_since(signed).abs() <= GOOD_FOR)
    }

    fn query(&self) -> String {
        let Self { credential, date, signature, token } = self;
        let encoded = |value: &str| utf8_percent_encode(value, ENCODED).to_string();
        let (credential, date, signature) = (encoded(credential), encoded(date), encoded(signature));
        let token = token.as_deref().map(|token| format!("&X-Amz-Security-Token={}", encoded(token)));
        format!(
            "{QUESTION}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}\
             &X-Amz-Expires={}&X-Amz-SignedHeaders=host%3B{ORDER}&X-Amz-Signature={signature}{}",
            GOOD_FOR.as_secs(),
            token.unwrap_or_default(),
        )
    }
}

/// The order, less who gives it, as both sides write it.
fn statement(order: &Order) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Order { by: None, proof: None, ..order.clone() })
}

/// Puts a presigned request in the place of the one that the client has signed itself.
#[derive(Debug)]
struct Presigned {
    query: String,
    statement: String,
}

impl Intercept for Presigned {
    fn name(&self) -> &'static str {
        "Presigned"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A new one: what the client has put into its own, above all its own signature, is not sent along.
        let mut request = HttpRequest::empty();
        request.set_uri(format!("{}?{}", context.request().uri(), self.query))?;
        request.headers_mut().try_insert(ORDER, self.statement.clone())?;
        *context.request_mut() = request;
        Ok(())
    }
}

/// Learns at which address a client asks AWS.
#[derive(Debug, Clone, Default)]
pub struct Address(Arc<Mutex<Option<String>>>);

impl Address {
    /// The address of the last call; none before there was one.
    #[must_use]
    pub fn known(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Intercept for Address {
    fn name(&self) -> &'static str {
        "Address"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.request().uri().to_owned());
        Ok(())
    }
}
