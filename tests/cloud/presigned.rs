//! Requests that are signed in their query. moto takes every signature; of these the proxy verifies it, since who signed
//! them is all that they are for.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::naming::{fields, header};
use super::refusal::Refusal;

/// The query of a presigned request; none of any other.
pub fn query(head: &Parts) -> Option<BTreeMap<String, String>> {
    let query = fields(head.uri.query().unwrap_or_default());
    query.contains_key("X-Amz-Signature").then_some(query)
}

/// AWS takes a presigned `GetCallerIdentity` for so long, whatever its `X-Amz-Expires` says.
const TAKEN_FOR: SignedDuration = SignedDuration::from_mins(15);

/// What `UriEncode` of `SigV4` leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Says whether AWS would take the signature, made with this secret. The request to be signed is put together here as AWS's
/// documentation says ("Create a signed AWS API request"), and not by the code that puts it together to sign it.
pub fn verify(head: &Parts, query: &BTreeMap<String, String>, secret: &str) -> Result<(), Refusal> {
    let said = |name: &str| query.get(name).map(String::as_str).ok_or(Refusal::BadSignature);
    let date = said("X-Amz-Date")?;
    let signed_at = strtime::parse("%Y%m%dT%H%M%S%z", date.replace('Z', "+0000"));
    let signed_at = signed_at.and_then(|time| time.to_timestamp()).map_err(|_| Refusal::BadSignature)?;
    let (_, scope) = said("X-Amz-Credential")?.split_once('/').ok_or(Refusal::BadSignature)?;
    let [day, region, service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err(Refusal::BadSignature);
    };
    let is_fresh = Timestamp::now().duration_since(signed_at).abs() <= TAKEN_FOR;
    if !is_fresh || !date.starts_with(day) || said("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
        return Err(Refusal::BadSignature);
    }

    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let unsigned = query.iter().filter(|(name, _)| *name != "X-Amz-Signature");
    let mut parameters: Vec<String> =
        unsigned.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    parameters.sort_unstable();
    let covered = said("X-Amz-SignedHeaders")?;
    let line = |name: &str| Some(format!("{name}:{}\n", header(head, name)?.trim()));
    let lines: Option<String> = covered.split(';').map(line).collect();
    let request = [
        head.method.as_str(),
        head.uri.path(),
        &parameters.join("&"),
        &lines.ok_or(Refusal::BadSignature)?,
        covered,
        &sha256(""),
    ];
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(&request.join("\n")));
    let key = generate_signing_key(secret, signed_at.into(), region, service);
    let signature = calculate_signature(key, text.as_bytes());
    if signature == said("X-Amz-Signature")? { Ok(()) } else { Err(Refusal::BadSignature) }
}

fn sha256(text: &str) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(text) {
        write!(hex, "{byte:02x}").expect("a string takes everything");
    }
    hex
}

/// The same request with its signature in a header, where moto looks for the key.
pub fn for_moto(query: &BTreeMap<String, String>) -> (Parts, String) {
    let form: Vec<String> = query
        .iter()
        .filter(|(name, _)| !name.starts_with("X-Amz-"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let credential = &query["X-Amz-Credential"];
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=verified-already");
    let request = Request::builder()
        .method(Method::POST)
        .uri("/")
        .header("authorization", authorization)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(())
        .expect("a well-formed request");
    (request.into_parts().0, form.join("&"))
}
