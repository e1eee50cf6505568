//! The moto servers that the emulated clouds of a test run share, and a client that asks them directly.
//!
//! The client is deliberately not the AWS SDK: what a test arranges and reads back must not go through the
//! library that the code under test relies on.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::process::{Tethered, in_venv};
use super::xml;

/// The region that everything regional is in.
pub const REGION: &str = "eu-west-1";

/// moto serves any number of accounts; this header says which one a request is for.
const ACCOUNT: HeaderName = HeaderName::from_static("x-moto-account-id");

/// As many as tests run side by side on two cores: one server handles one call at a time.
const SERVERS: usize = 2;

/// A client of a shared moto server.
#[derive(Clone)]
pub struct Moto {
    port: u16,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Moto {
    /// Connects to the servers in turn, and starts one first if this is its first use in this process.
    pub fn shared() -> Moto {
        static RUNNING: [OnceLock<Server>; SERVERS] = [const { OnceLock::new() }; SERVERS];
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let server = RUNNING[TURN.fetch_add(1, Ordering::Relaxed) % SERVERS].get_or_init(Server::start);
        Moto { port: server.port, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Forwards a request as it is, into one account.
    pub async fn forward(&self, account: &str, mut request: Request<Full<Bytes>>) -> Response<Bytes> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = self.uri(path);
        request.headers_mut().insert(ACCOUNT, HeaderValue::from_str(account).expect("an account id is digits"));
        let (mut head, body) = self.client.request(request).await.expect("moto answers").into_parts();
        // These describe the connection to moto, not the answer.
        head.headers.remove(CONNECTION);
        head.headers.remove(TRANSFER_ENCODING);
        let body = body.collect().await.expect("moto finishes its answer");
        Response::from_parts(head, body.to_bytes())
    }

    /// One service in one account, for calls past the proxy.
    pub fn service(&self, name: &'static str, account: &str) -> Service {
        Service { moto: self.clone(), name, account: account.to_owned() }
    }

    fn uri(&self, path: &str) -> Uri {
        format!("http://127.0.0.1:{}{path}", self.port).parse().expect("a path stays a path")
    }
}

/// One service in one account, asked directly.
pub struct Service {
    moto: Moto,
    name: &'static str,
    account: String,
}

impl Service {
    /// Makes one call, and gives its result.
    ///
    /// # Panics
    /// When moto refuses the call: the test or the seeding is wrong then.
    pub async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.attempt(action, parameters).await;
        answer.unwrap_or_else(|error| panic!("{}:{action} {parameters:?}: {error}", self.name))
    }

    /// Makes one call; a refusal is an error with the text of the answer.
    pub async fn attempt(&self, action: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let request = Request::post("/")
            .header(AUTHORIZATION, unsigned(self.name))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form(self.name, action, parameters)))
            .expect("a well-formed request");
        let answer = self.moto.forward(&self.account, request).await;
        let text = String::from_utf8_lossy(answer.body());
        if answer.status().is_success() { Ok(result(action, xml::to_value(&text))) } else { Err(text.into_owned()) }
    }
}

/// Names service and region as a signature does; moto routes by them and verifies nothing.
fn unsigned(service: &str) -> String {
    // Both sign alike, and are told apart by their version.
    let service = if service.starts_with("elb") { "elasticloadbalancing" } else { service };
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAQUELLOUTSIDEVIEW/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=none"
    )
}

fn form(service: &str, action: &str, parameters: &[(&str, &str)]) -> String {
    let version = match service {
        "ec2" => "2016-11-15",
        "elb" => "2012-06-01",
        "elbv2" => "2015-12-01",
        "iam" => "2010-05-08",
        "sns" => "2010-03-31",
        "sts" => "2011-06-15",
        other => panic!("{other} is not a query service that the emulated cloud asks"),
    };
    let fixed = [("Action", action), ("Version", version)];
    let pairs = fixed.iter().chain(parameters);
    pairs
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect::<Vec<_>>()
        .join("&")
}

/// Takes the result out of its wrapper, which EC2 does without.
fn result(action: &str, mut answer: Value) -> Value {
    match answer.get_mut(format!("{action}Result")) {
        Some(result) => result.take(),
        None => answer,
    }
}

struct Server {
    port: u16,
    _process: Tethered,
}

impl Server {
    fn start() -> Server {
        let mut process = Tethered::start(
            Command::new(in_venv("bin/python"))
                .args(["-c", include_str!("moto_server.py")])
                // It would put every request into one account, whatever the header says.
                .env_remove("MOTO_ACCOUNT_ID")
                // Without its 1,300 default images, an account's first EC2 call takes milliseconds, not a second.
                .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
                .stdin(Stdio::null())
                .stdout(Stdio::piped()),
        )
        .expect("python starts");
        let mut port = String::new();
        let stdout = process.child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut port).expect("moto prints its port");
        Server { port: port.trim().parse().expect("moto starts (its complaint is above)"), _process: process }
    }
}
