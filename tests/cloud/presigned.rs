//! Requests that are signed in their query. moto takes every signature; of these the proxy verifies it, since who signed
//! them is all that they are for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sts::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use hyper::http::request::Parts;
use hyper::{Method, Request};
use jiff::Timestamp;
use jiff::fmt::strtime;

use super::naming::{fields, header};
use super::refusal::Refusal;

/// The query of a presigned request; none of any other.
pub fn query(head: &Parts) -> Option<BTreeMap<String, String>> {
    let query = fields(head.uri.query().unwrap_or_default());
    query.contains_key("X-Amz-Signature").then_some(query)
}

/// Says whether AWS would take the signature, made with this secret.
pub fn verify(head: &Parts, query: &BTreeMap<String, String>, secret: &str) -> Result<(), Refusal> {
    let said = |name: &str| query.get(name).map(String::as_str).ok_or(Refusal::BadSignature);
    let signed_at = strtime::parse("%Y%m%dT%H%M%S%z", format!("{}+0000", said("X-Amz-Date")?.trim_end_matches('Z')));
    let signed_at: Timestamp = signed_at.and_then(|time| time.to_timestamp()).map_err(|_| Refusal::BadSignature)?;
    let lives = said("X-Amz-Expires")?.parse().map(Duration::from_secs).map_err(|_| Refusal::BadSignature)?;
    let age = Timestamp::now().duration_since(signed_at);
    if age.is_negative() || age > lives.try_into().expect("an age is a duration") {
        return Err(Refusal::BadSignature);
    }

    let scope: Vec<&str> = said("X-Amz-Credential")?.split('/').collect();
    let [key, _, region, service, "aws4_request"] = scope.as_slice() else { return Err(Refusal::BadSignature) };
    let token = query.get("X-Amz-Security-Token").cloned();
    let identity = Credentials::new(*key, secret, token, None, "presigned").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(lives);
    let params = SigningParams::builder().identity(&identity).region(region).name(service);
    let params = params.time(signed_at.into()).settings(settings).build().expect("nothing is missing").into();

    let own = query.iter().filter(|(name, _)| !name.starts_with("X-Amz-"));
    let own: Vec<String> = own.map(|(name, value)| format!("{name}={value}")).collect();
    let host = header(head, "host").unwrap_or_default();
    let address = format!("http://{host}{}?{}", head.uri.path(), own.join("&"));
    let covered: Vec<&str> = said("X-Amz-SignedHeaders")?.split(';').collect();
    let headers = covered.iter().filter(|name| **name != "host").map(|name| (*name, header(head, name).unwrap_or("")));
    let request = SignableRequest::new(head.method.as_str(), address, headers, SignableBody::Bytes(&[]));
    let (instructions, signature) =
        sign(request.expect("a well-formed request"), &params).expect("signed").into_parts();
    let same = |(name, value): &(&str, Cow<str>)| said(name).is_ok_and(|said| said == value.as_ref());
    let all = instructions.params().iter().all(same) && signature == said("X-Amz-Signature")?;
    if all { Ok(()) } else { Err(Refusal::BadSignature) }
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
