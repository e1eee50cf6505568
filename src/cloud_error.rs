//! What AWS's errors mean to us.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use std::fmt;

/// A call that failed, and what its failure means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudError {
    /// As the permission is written, `iam:UpdateAccessKey`.
    pub operation: &'static str,
    pub kind: Kind,
    /// AWS's error code, or what kept the call from an answer.
    pub code: String,
    /// AWS's words. They may quote attacker-chosen names.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The resource does not exist.
    Gone,
    /// What we wanted to make is there already.
    Exists,
    /// AWS does not let us; trying again does not help.
    Refused,
    /// Throttled, unavailable, or no answer: the call may even have landed.
    Transient,
    Other,
}

const NO_TIME: &str = "no time left";

impl CloudError {
    /// Reads the meaning of a failed call off its error code, and off the HTTP status of a code that is not known here: each
    /// service has names of its own for what is AWS's failure.
    pub fn new<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if let Some(error) = no_credentials(error) {
            let code = error.code().unwrap_or_default();
            let message = error.message().unwrap_or_default().to_owned();
            return Self { operation: "sts:AssumeRole", kind: kind_of(code), code: code.to_owned(), message };
        }
        let (kind, code) = match (error, error.code()) {
            (SdkError::ServiceError(_), Some(code)) => {
                let status = error.raw_response().map(|answer| answer.status().as_u16());
                (kind_by(code, status), code.to_owned())
            }
            (SdkError::ConstructionFailure(_), _) => (Kind::Other, "the request could not be made".to_owned()),
            (SdkError::TimeoutError(_), _) => (Kind::Transient, "no answer in time".to_owned()),
            (_, Some(code)) => (Kind::Transient, code.to_owned()),
            (_, None) => (Kind::Transient, "no answer, or one that cannot be read".to_owned()),
        };
        Self { operation, kind, code, message: error.message().unwrap_or_default().to_owned() }
    }

    /// Whether AWS may have done what was asked: all but a refusal for there being too many requests.
    #[must_use]
    pub fn may_have_landed(&self) -> bool {
        self.kind == Kind::Transient && !THROTTLED.contains(&self.code.as_str())
    }

    /// An answer that came, but does not say what it must.
    #[must_use]
    pub fn unreadable(operation: &'static str, what: &str) -> Self {
        Self { operation, kind: Kind::Other, code: "unexpected answer".to_owned(), message: what.to_owned() }
    }

    /// The invocation ends before the work does; the next one goes on.
    #[must_use]
    pub fn out_of_time(operation: &'static str) -> Self {
        let (code, message) = (NO_TIME.to_owned(), "the invocation is about to end".to_owned());
        Self { operation, kind: Kind::Transient, code, message }
    }

    /// Whether nobody was asked, or there was no time to wait for the answer.
    #[must_use]
    pub fn is_out_of_time(&self) -> bool {
        self.code == NO_TIME
    }

    /// The named resource is missing from an answer that should list it.
    #[must_use]
    pub fn gone(operation: &'static str, what: impl fmt::Display) -> Self {
        Self { operation, kind: Kind::Gone, code: "not there".to_owned(), message: what.to_string() }
    }
}

impl std::error::Error for CloudError {}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, kind: _, code, message } = self;
        write!(f, "{operation}: {code}")?;
        if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
    }
}

/// Why the member role gave us no credentials, where that is why a call was never made. The SDK reports it as a call
/// that got no answer, deep in its sources.
fn no_credentials<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a AssumeRoleError> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// What AWS says to those who ask too much; the first two are SNS's words.
const THROTTLED: &[&str] = &[
    "Throttled",
    "KMSThrottling",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
];

/// The retry classes of IAM and EC2 ("Common errors", and each operation's own list).
fn kind_of(code: &str) -> Kind {
    match code {
        "NoSuchEntity"
        | "InvalidInstanceID.NotFound"
        | "InvalidInstanceID.Malformed"
        | "InvalidGroup.NotFound"
        | "InvalidSecurityGroupID.NotFound"
        | "InvalidNetworkInterfaceID.NotFound"
        | "InvalidVpcID.NotFound"
        | "InvalidPermission.NotFound"
        | "InvalidSecurityGroupRuleId.NotFound"
        | "LoadBalancerNotFound"
        | "TargetGroupNotFound" => Kind::Gone,
        "EntityAlreadyExists" | "InvalidGroup.Duplicate" | "InvalidPermission.Duplicate" => Kind::Exists,
        throttled if THROTTLED.contains(&throttled) => Kind::Transient,
        "ServiceUnavailable"
        | "Unavailable"
        | "InternalError"
        | "InternalFailure"
        | "ServiceFailure"
        | "RequestTimeout"
        | "ConcurrentModification"
        // What still uses it is about to let go, or will not; trying again tells.
        | "DependencyViolation"
        | "EntityTemporarilyUnmodifiable" => Kind::Transient,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthFailure"
        | "UnmodifiableEntity"
        | "OperationNotPermitted"
        | "LimitExceeded"
        | "RulesPerSecurityGroupLimitExceeded"
        | "SecurityGroupLimitExceeded"
        | "SecurityGroupsPerInterfaceLimitExceeded"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "OptInRequired" => Kind::Refused,
        code if code.starts_with('5') => Kind::Transient,
        _ => Kind::Other,
    }
}

/// What a code means that an answer of this HTTP status has.
fn kind_by(code: &str, status: Option<u16>) -> Kind {
    match (kind_of(code), status) {
        (Kind::Other, Some(429 | 500..=599)) => Kind::Transient,
        (kind, _) => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_whether_trying_again_can_help() {
        let check = |code, expect| assert_eq!(kind_of(code), expect, "{code}");
        check("NoSuchEntity", Kind::Gone);
        check("InvalidGroup.Duplicate", Kind::Exists);
        check("RequestLimitExceeded", Kind::Transient);
        check("UnauthorizedOperation", Kind::Refused);
        check("UnmodifiableEntity", Kind::Refused);
        check("InvalidParameterValue", Kind::Other);
        let check = |code, status, expect| assert_eq!(kind_by(code, Some(status)), expect, "{code} {status}");
        check("InternalServerErrorException", 500, Kind::Transient);
        check("ServiceUnavailableException", 503, Kind::Transient);
        check("LimitReached", 429, Kind::Transient);
        check("BadRequestException", 400, Kind::Other);
        check("NoSuchEntity", 500, Kind::Gone);
    }
}
