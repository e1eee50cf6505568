//! Error answers in the shape that each AWS protocol gives them.

use hyper::Response;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::naming::Protocol;

/// Why AWS says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Throttled,
    Denied,
    /// 500: AWS may or may not have acted; here it has not.
    Failure,
    /// 503.
    Unavailable,
    /// The access key is unknown or inactive.
    BadKey,
    /// The signature is not that of the key, or no longer good.
    BadSignature,
    /// EC2 does not know yet the security group that it has just made.
    NoSuchGroup,
    /// DynamoDB is writing one of the transaction's items for somebody else. moto never says so: it writes one after the other.
    Conflict,
}

impl Refusal {
    /// The refusal as a name for records.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Throttled => "throttled",
            Refusal::Denied => "denied",
            Refusal::Failure => "failure",
            Refusal::Unavailable => "unavailable",
            Refusal::BadKey => "bad key",
            Refusal::BadSignature => "bad signature",
            Refusal::NoSuchGroup => "no such group",
            Refusal::Conflict => "conflict",
        }
    }

    /// The answer that says so.
    pub fn answer(self, service: &str, protocol: Protocol) -> Response<Bytes> {
        let (status, code) = self.status_and_code(service, protocol);
        if self == Refusal::Conflict {
            let reasons = json!([{ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" }]);
            let body = json!({ "__type": code, "Message": self.message(), "CancellationReasons": reasons });
            return whole(status, code, "application/json", body.to_string());
        }
        answer(protocol, status, code, self.message())
    }

    /// Every service has its own words for the same thing, and SDKs decide by them whether to try again.
    fn status_and_code(self, service: &str, protocol: Protocol) -> (u16, &'static str) {
        use Protocol::{Ec2, Json, Query, RestJson, RestXml};
        match (self, protocol) {
            (Refusal::Throttled, Query) => (400, "Throttling"),
            (Refusal::Throttled, Ec2) => (503, "RequestLimitExceeded"),
            (Refusal::Throttled, Json) => (400, "ThrottlingException"),
            (Refusal::Throttled, RestJson) => (429, "TooManyRequestsException"),
            (Refusal::Throttled, RestXml) => (503, "SlowDown"),
            (Refusal::Denied, Query) if service == "sns" => (403, "AuthorizationError"),
            (Refusal::Denied, Query | RestXml) => (403, "AccessDenied"),
            (Refusal::Denied, Ec2) => (403, "UnauthorizedOperation"),
            (Refusal::Denied, Json) => (400, "AccessDeniedException"),
            (Refusal::Denied, RestJson) => (403, "AccessDeniedException"),
            (Refusal::Failure, Query) => (500, "InternalFailure"),
            (Refusal::Failure, Ec2 | RestXml) => (500, "InternalError"),
            (Refusal::Failure, Json) => (500, "InternalServerError"),
            (Refusal::Failure, RestJson) => (500, "InternalServerErrorException"),
            (Refusal::Unavailable, Ec2) => (503, "Unavailable"),
            (Refusal::Unavailable, Query | RestXml) => (503, "ServiceUnavailable"),
            (Refusal::Unavailable, Json | RestJson) => (503, "ServiceUnavailableException"),
            (Refusal::BadKey, Query) => (403, "InvalidClientTokenId"),
            (Refusal::BadKey | Refusal::BadSignature, Ec2) => (401, "AuthFailure"),
            (Refusal::BadKey, Json) => (400, "UnrecognizedClientException"),
            (Refusal::BadKey, RestJson) => (403, "UnrecognizedClientException"),
            (Refusal::BadKey, RestXml) => (403, "InvalidAccessKeyId"),
            (Refusal::BadSignature, Json | RestJson) => (403, "InvalidSignatureException"),
            (Refusal::BadSignature, Query | RestXml) => (403, "SignatureDoesNotMatch"),
            (Refusal::NoSuchGroup, _) => (400, "InvalidGroup.NotFound"),
            (Refusal::Conflict, _) => (400, "TransactionCanceledException"),
        }
    }

    fn message(self) -> &'static str {
        match self {
            Refusal::Throttled => "Rate exceeded",
            Refusal::Denied => "The caller is not authorized to perform this operation",
            Refusal::Failure => "The request processing has failed because of an unknown error",
            Refusal::Unavailable => "The service is unavailable, try again shortly",
            Refusal::BadKey => "The security token included in the request is invalid",
            Refusal::NoSuchGroup => "The security group does not exist",
            Refusal::Conflict => {
                "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]"
            }
            Refusal::BadSignature => "The request signature we calculated does not match the one that came",
        }
    }
}

/// An error answer with any code.
pub fn answer(protocol: Protocol, status: u16, code: &str, message: &str) -> Response<Bytes> {
    let (kind, body) = match protocol {
        Protocol::Query => (
            XML,
            wrapped(
                "ErrorResponse",
                "RequestId",
                &format!("<Error><Type>Sender</Type>{}</Error>", detail(code, message)),
            ),
        ),
        Protocol::Ec2 => (
            XML,
            wrapped("Response", "RequestID", &format!("<Errors><Error>{}</Error></Errors>", detail(code, message))),
        ),
        Protocol::RestXml => (XML, wrapped("Error", "RequestId", &detail(code, message))),
        Protocol::Json | Protocol::RestJson => {
            ("application/json", json!({"__type": code, "message": message}).to_string())
        }
    };
    whole(status, code, kind, body)
}

fn whole(status: u16, code: &str, kind: &str, body: String) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .header("content-type", kind)
        // REST services name the error here, and a client that finds neither sees an unknown error.
        .header("x-amzn-errortype", code)
        .body(Bytes::from(body))
        .expect("a well-formed answer")
}

const XML: &str = "text/xml";

fn wrapped(root: &str, request_id: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><{root}>{content}<{request_id}>00000000-0000-4000-8000-000000000000</{request_id}></{root}>"
    )
}

fn detail(code: &str, message: &str) -> String {
    format!("<Code>{code}</Code><Message>{message}</Message>")
}

/// The error code in an answer of any protocol.
pub fn code_of(answer: &Response<Bytes>) -> Option<String> {
    if answer.status().is_success() {
        return None;
    }
    let text = String::from_utf8_lossy(answer.body());
    let code = match serde_json::from_str::<Value>(&text) {
        Ok(body) => body["__type"].as_str().and_then(|kind| kind.rsplit('#').next()).map(str::to_owned),
        Err(_) => text.split_once("<Code>").and_then(|(_, rest)| rest.split('<').next()).map(str::to_owned),
    };
    Some(code.unwrap_or_else(|| answer.status().to_string()))
}
