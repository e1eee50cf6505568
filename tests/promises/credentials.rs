//! The operator's credentials are those that the AWS CLI would take, and what is missing is said.

#![expect(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]

use crate::cloud::{Account, Call, Cloud, Credentials, Fault, Refusal, Rule};
use crate::operator::Desk;
use crate::stage::{CONTAIN, read};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::fmt::Write;
use std::future::ready;
use tokio::net::TcpListener;

const CONFIG: &str = ".aws/config";
const TOMORROW: &str = "2999-01-01T00:00:00Z";
/// Keys that somebody left in the environment.
const LEFT: &str = "AKIALEFTBEHINDEXAMPL";

struct Place {
    cloud: Cloud,
    account: Account,
    olga: Credentials,
}

impl Place {
    async fn new() -> Self {
        let cloud = Cloud::start().await;
        let account = Account::seed(&cloud).await;
        let olga = cloud.user("olga").await;
        Self { cloud, account, olga }
    }

    /// A home with the profile `olga`, whose keys are in a file of their own, and these.
    fn desk(&self, config: &str) -> Desk {
        let desk = Desk::new(CONTAIN).with("AWS_ENDPOINT_URL_STS", &self.cloud.url());
        let Credentials { key, secret, .. } = &self.olga;
        desk.file(".aws/credentials", &format!("[olga]\naws_access_key_id={key}\naws_secret_access_key={secret}\n"));
        desk.file(CONFIG, &format!("[profile olga]\nregion = eu-west-1\n{config}"));
        desk
    }

    /// Plans with the profile, and gives the calls that took.
    async fn plan(&self, desk: &Desk, more: &str) -> Vec<Call> {
        self.cloud.forget_calls();
        let line = format!("plan --endpoint-url {} {more} -", self.cloud.url());
        let event = self.account.localise(&read("access_key_used_from_tor"));
        desk.run_with(&line, &event).await.said(0, &["Nothing was changed. The plan has 2 changes."]);
        self.cloud.calls()
    }

    #[track_caller]
    fn signed(&self, calls: &[Call]) {
        assert!(!calls.is_empty() && calls.iter().all(|call| call.key == self.olga.key), "{calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_named_comes_before_keys_in_the_environment() {
    let place = Place::new().await;
    let desk = place.desk("").with_keys(LEFT, "secret");
    place.signed(&place.plan(&desk, "--profile olga").await);
    // One that only the environment names does not: there the keys are as much meant.
    let desk = desk.with("AWS_PROFILE", "olga");
    let event = place.account.localise(&read("access_key_used_from_tor"));
    place.cloud.forget_calls();
    desk.run_with(&format!("plan --endpoint-url {} -", place.cloud.url()), &event)
        .await
        .said(3, &["InvalidClientTokenId"]);
    assert!(place.cloud.calls().iter().all(|call| call.key == LEFT));
    let desk = place.desk("").with("AWS_PROFILE", "olga");
    place.signed(&place.plan(&desk, "").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_a_profile_is_assumed_once() {
    let place = Place::new().await;
    let role = format!("arn:aws:iam::{}:role/web-server", place.cloud.account_id);
    let desk = place.desk(&format!("[profile role]\nregion = eu-west-1\nrole_arn = {role}\nsource_profile = olga\n"));
    let calls = place.plan(&desk, "--profile role").await;
    let (first, rest) = calls.split_first().unwrap();
    assert_eq!((first.action().as_str(), &first.key), ("sts:AssumeRole", &place.olga.key));
    assert!(
        rest.len() > 1 && rest.iter().all(|call| call.key.starts_with("ASIA") && call.key == rest[0].key),
        "{rest:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_process_is_asked() {
    let place = Place::new().await;
    let desk = place.desk("[profile vault]\nregion = eu-west-1\ncredential_process = cat keys.json\n");
    let Credentials { key, secret, .. } = &place.olga;
    desk.file("keys.json", &json!({ "Version": 1, "AccessKeyId": key, "SecretAccessKey": secret }).to_string());
    place.signed(&place.plan(&desk, "--profile vault").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_the_identity_center_is_used_or_the_way_to_one_is_said() {
    let place = Place::new().await;
    let sso = "[sso-session team]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n\
        [profile sso]\nregion = eu-west-1\nsso_session = team\nsso_account_id = 111122223333\nsso_role_name = Responder\n";
    let Credentials { key, secret, token } = &place.olga;
    let credentials = json!({ "accessKeyId": key, "secretAccessKey": secret, "sessionToken": token, "expiration": 32_472_144_000_000_u64 });
    let desk = place.desk(sso).with("AWS_ENDPOINT_URL_SSO", &portal(&json!({ "roleCredentials": credentials })).await);
    let missing = desk.run("incidents --profile sso").await;
    missing.said(3, &["error: credentials: ", "hint: aws sso login --profile sso"]);
    // The SHA-1 of the session's name, as the AWS CLI keeps it.
    let kept = json!({ "accessToken": "token", "expiresAt": TOMORROW, "region": "eu-west-1" }).to_string();
    desk.file(".aws/sso/cache/d25187dc137f35c88bc80ec8c3ffbdb17b5eb873.json", &kept);
    place.signed(&place.plan(&desk, "--profile sso").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_the_console_is_used_or_the_way_to_one_is_said() {
    let place = Place::new().await;
    let arn = "arn:aws:iam::111122223333:user/olga";
    let desk = place.desk(&format!("[profile console]\nregion = eu-west-1\nlogin_session = {arn}\n"));
    desk.run("incidents --profile console")
        .await
        .said(3, &["error: credentials: ", "hint: aws login --profile console"]);
    let Credentials { key, secret, .. } = &place.olga;
    let token = json!({
        "accessKeyId": key, "secretAccessKey": secret, "sessionToken": "token", "accountId": "111122223333", "expiresAt": TOMORROW,
    });
    let kept = json!({ "accessToken": token, "tokenType": "aws_sigv4", "refreshToken": "refresh", "clientId": "cli", "dpopKey": "key" });
    let name = Sha256::digest(arn).iter().fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}").unwrap();
        name
    });
    desk.file(&format!(".aws/login/cache/{name}.json"), &kept.to_string());
    place.signed(&place.plan(&desk, "--profile console").await);
}

#[tokio::test]
async fn what_credentials_are_missing_is_said() {
    let desk = Desk::new(CONTAIN);
    desk.run("incidents --region eu-west-1").await.said(3, &["error: credentials: ", "hint: name a profile"]);
    desk.run("incidents").await.said(1, &["in which region the function is, is not known"]);
    desk.run("incidents --profile none --region eu-west-1").await.said(3, &["hint: name a profile"]);
    desk.file(CONFIG, "[profile vault]\ncredential_process = echo locked >&2; exit 1\n");
    desk.run("incidents --profile vault --region eu-west-1").await.said(3, &["locked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_refused_may_want_a_code() {
    let place = Place::new().await;
    let role = format!("arn:aws:iam::{}:role/none", place.cloud.account_id);
    let desk = place.desk(&format!("[profile role]\nregion = eu-west-1\nrole_arn = {role}\nsource_profile = olga\nmfa_serial = arn:aws:iam::111122223333:mfa/olga\n"));
    place.cloud.inject(Rule::on("sts:AssumeRole", Fault::Refuse(Refusal::Denied)));
    desk.run("incidents --profile role")
        .await
        .said(3, &["AccessDenied", "aws configure export-credentials --profile role"]);
}

/// A portal of the identity center that gives these credentials to everybody.
async fn portal(credentials: &Value) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let credentials = credentials.to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let credentials = credentials.clone();
            let service = service_fn(move |request: Request<_>| {
                ready(Ok::<_, Infallible>(answer(request.uri().path() == "/federation/credentials", &credentials)))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

fn answer(known: bool, body: &str) -> Response<Full<Bytes>> {
    let status = if known { 200 } else { 404 };
    Response::builder().status(status).body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}
