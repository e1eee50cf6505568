//! Which operation a request asks for, who signed it, and what it says.

use std::collections::BTreeMap;

use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// As in the signature's scope, which is also the prefix in policies: `iam`, `ec2`, `sns`.
    pub service: String,
    /// As in policies: `UpdateAccessKey`. A REST call that the table does not know is its method and path.
    pub operation: String,
    pub region: String,
    /// The access key id that signed; empty for the few calls that are not signed.
    pub key: String,
    /// Form fields as strings, or the JSON body.
    pub parameters: Value,
    pub protocol: Protocol,
}

/// How a service puts an error into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// IAM, SNS, STS.
    Query,
    /// EC2's own dialect of it.
    Ec2,
    /// DynamoDB, CloudTrail, SSM: JSON with the operation in a header.
    Json,
    /// GuardDuty, Lambda, Security Hub: JSON with the operation in the path.
    RestJson,
    /// S3.
    RestXml,
}

/// REST operations, by service, method, path (`*` is one segment, `**` all that follow) and, for S3, the
/// sub-resource in the query.
const REST: &[(&str, &str, &str, &str, &str)] = &[
    ("guardduty", "GET", "/detector", "", "ListDetectors"),
    ("guardduty", "POST", "/detector/*/findings/get", "", "GetFindings"),
    ("guardduty", "POST", "/detector/*/findings/archive", "", "ArchiveFindings"),
    ("lambda", "POST", "/2015-03-31/functions/*/invocations", "", "Invoke"),
    ("lambda", "GET", "/2019-09-30/functions/*/concurrency", "", "GetFunctionConcurrency"),
    ("lambda", "PUT", "/2017-10-31/functions/*/concurrency", "", "PutFunctionConcurrency"),
    ("lambda", "DELETE", "/2017-10-31/functions/*/concurrency", "", "DeleteFunctionConcurrency"),
    ("s3", "GET", "/*", "publicAccessBlock", "GetBucketPublicAccessBlock"),
    ("s3", "PUT", "/*", "publicAccessBlock", "PutBucketPublicAccessBlock"),
    ("s3", "DELETE", "/*", "publicAccessBlock", "DeleteBucketPublicAccessBlock"),
    ("s3", "GET", "/*/**", "", "GetObject"),
    ("s3", "PUT", "/*/**", "", "PutObject"),
    ("securityhub", "PATCH", "/findings/batchupdate", "", "BatchUpdateFindings"),
];

/// Reads a request's head and body.
pub fn name(head: &Parts, body: &[u8]) -> Asked {
    let (key, region, service) = scope(head);
    let query = fields(head.uri.query().unwrap_or_default());
    let form = if query.contains_key("Action") { query } else { fields(&String::from_utf8_lossy(body)) };
    if let Some(operation) = form.get("Action").cloned() {
        let protocol = if service == "ec2" { Protocol::Ec2 } else { Protocol::Query };
        return Asked { service, operation, region, key, parameters: object(form), protocol };
    }
    let parameters = serde_json::from_slice(body).unwrap_or_else(|_| object(fields(head.uri.query().unwrap_or(""))));
    if let Some(target) = header(head, "x-amz-target") {
        let operation = target.rsplit('.').next().unwrap_or(target).to_owned();
        return Asked { service, operation, region, key, parameters, protocol: Protocol::Json };
    }
    let protocol = if service == "s3" { Protocol::RestXml } else { Protocol::RestJson };
    let operation = rest_operation(&service, head);
    Asked { service, operation, region, key, parameters, protocol }
}

/// Access key id, region and service from `AWS4-HMAC-SHA256 Credential=KEY/date/region/service/aws4_request, …`, or from
/// the query of a presigned request.
fn scope(head: &Parts) -> (String, String, String) {
    let authorization = header(head, "authorization").unwrap_or("");
    let presigned = fields(head.uri.query().unwrap_or_default()).remove("X-Amz-Credential").unwrap_or_default();
    let scope = authorization.split_once("Credential=").map_or(presigned.as_str(), |(_, rest)| rest);
    let mut parts = scope.split(',').next().unwrap_or("").split('/').map(str::to_owned);
    let key = parts.next().unwrap_or_default();
    let _date = parts.next();
    (key, parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

pub fn header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

pub fn fields(form: &str) -> BTreeMap<String, String> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn object(fields: BTreeMap<String, String>) -> Value {
    fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}

fn rest_operation(service: &str, head: &Parts) -> String {
    let (method, path) = (head.method.as_str(), head.uri.path());
    let query = fields_present(head.uri.query().unwrap_or(""));
    let known = REST.iter().find(|&&(of, by, shape, marker, _)| {
        (of, by) == (service, method) && fits(shape, path) && (marker.is_empty() || query.contains(&marker))
    });
    known.map_or_else(|| format!("{method} {path}"), |&(.., operation)| operation.to_owned())
}

/// The names in a query string, including those without a value, as in `?publicAccessBlock`.
fn fields_present(query: &str) -> Vec<&str> {
    query.split('&').filter_map(|pair| pair.split('=').next()).collect()
}

fn fits(shape: &str, path: &str) -> bool {
    let (mut shape, mut path) = (shape.split('/'), path.trim_end_matches('/').split('/'));
    loop {
        match (shape.next(), path.next()) {
            (None, None) | (Some("**"), Some(_)) => return true,
            (Some(want), Some(is)) if want == "*" || want == is => {}
            _ => return false,
        }
    }
}
