//! The proxy between the code under test and moto: it records every call, and makes some of them go wrong.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::call::Call;
use super::fault::{Fault, Rules};
use super::gaps::Gaps;
use super::moto::Moto;
use super::naming::{self, Asked};
use super::principals::Principals;
use super::refusal;
use super::stale::{Past, Read};
use super::{lambda, presigned, strictness, xml};

/// What the connections share.
pub struct Proxy {
    pub moto: Moto,
    pub principals: Principals,
    pub rules: Rules,
    pub gaps: Gaps,
    /// The emulators of functions that run, by the functions' names.
    pub functions: Mutex<BTreeMap<String, u16>>,
    pub latency: Mutex<Duration>,
    /// The least that a call takes, moto's own time included.
    pub pace: Mutex<Duration>,
    pub past: Past,
    record: Mutex<Record>,
    started: Instant,
}

#[derive(Default)]
struct Record {
    arrived: usize,
    calls: Vec<Call>,
}

type Answer = Response<Bytes>;
type Body = BoxBody<Bytes, io::Error>;

/// A request, read and understood.
struct Arrived {
    asked: Asked,
    head: Parts,
    body: Bytes,
}

/// What the client gets to see of an answer.
enum Delivery {
    Whole(Answer),
    Half(Answer),
    Nothing,
}

impl Proxy {
    pub fn new(moto: Moto) -> Proxy {
        Proxy {
            principals: Principals::new(moto.clone()),
            moto,
            rules: Rules::default(),
            gaps: Gaps::default(),
            functions: Mutex::default(),
            latency: Mutex::default(),
            pace: Mutex::default(),
            past: Past::default(),
            record: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// The finished calls, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        let mut calls = self.record.lock().expect("no holder panics").calls.clone();
        calls.sort_by_key(|call| call.number);
        calls
    }

    pub fn forget_calls(&self) {
        self.record.lock().expect("no holder panics").calls.clear();
    }

    /// Answers connections for as long as the task runs.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> Result<Infallible, io::Error> {
        loop {
            let (connection, _) = listener.accept().await?;
            connection.set_nodelay(true)?;
            tokio::spawn(Arc::clone(&self).converse(connection));
        }
    }

    async fn converse(self: Arc<Self>, connection: TcpStream) {
        let service = service_fn(move |request| {
            let proxy = Arc::clone(&self);
            // In a task of its own: what reached AWS goes on there, whatever becomes of the caller.
            async move { tokio::spawn(proxy.respond(request)).await? }
        });
        // An error here is a connection that one side closed, which is often what a test wants.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
    }

    /// The way of one call.
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let arrived = Arrived { asked: naming::name(&head, &body), head, body };
        let mut call = self.begin(&arrived.asked);
        let began = Instant::now();

        let latency = *self.latency.lock().expect("no holder panics");
        if !latency.is_zero() {
            // Even a sleep of nothing takes a millisecond.
            sleep(latency).await;
        }
        let fault = self.rules.fault_for(&arrived.asked);
        call.fault = fault.as_ref().map(Fault::name);
        let mut delivery = self.deliver(fault, &arrived, &mut call).await;
        number(&mut delivery, &call.request);
        let pace = *self.pace.lock().expect("no holder panics");
        if let Some(rest) = pace.checked_sub(began.elapsed()) {
            sleep(rest).await;
        }

        self.finish(call, &delivery);
        match delivery {
            Delivery::Whole(answer) => Ok(answer.map(|body| Full::new(body).map_err(|never| match never {}).boxed())),
            Delivery::Half(answer) => Ok(cut(answer)),
            Delivery::Nothing => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    async fn deliver(&self, fault: Option<Fault>, arrived: &Arrived, call: &mut Call) -> Delivery {
        match fault {
            None => Delivery::Whole(self.act(arrived, call).await),
            Some(Fault::Refuse(refusal)) => {
                Delivery::Whole(refusal.answer(&arrived.asked.service, arrived.asked.protocol))
            }
            Some(Fault::Unreached) => Delivery::Nothing,
            Some(Fault::LostResponse) => {
                self.act(arrived, call).await;
                Delivery::Nothing
            }
            Some(Fault::Truncated) => Delivery::Half(self.act(arrived, call).await),
            Some(Fault::Stale(window)) => Delivery::Whole(if let Some(answer) = self.earlier(arrived, window) {
                answer
            } else {
                // Nothing was written before it, so it is as true as any.
                call.fault = None;
                self.act(arrived, call).await
            }),
            Some(Fault::Delay(time)) => {
                sleep(time).await;
                Delivery::Whole(self.act(arrived, call).await)
            }
            Some(Fault::PauseBefore(pause)) => {
                if pause.wait().await {
                    Delivery::Whole(self.act(arrived, call).await)
                } else {
                    Delivery::Nothing
                }
            }
            Some(Fault::PauseAfter(pause)) => {
                let answer = self.act(arrived, call).await;
                if pause.wait().await { Delivery::Whole(answer) } else { Delivery::Nothing }
            }
        }
    }

    /// Does what AWS would do.
    async fn act(&self, arrived: &Arrived, call: &mut Call) -> Answer {
        let Arrived { asked, head, body } = arrived;
        match self.principals.admit(&asked.key).await {
            Ok(account) => call.account = account,
            Err(refusal) => return refusal.answer(&asked.service, asked.protocol),
        }
        if let Some(objection) = strictness::objection(&self.moto, &call.account, asked).await {
            return objection;
        }
        let answer = match self.gaps.answer(asked) {
            Some(answer) => answer,
            None if call.action() == "lambda:Invoke" => self.invoke(head.uri.path(), body).await,
            None if call.action() == "sts:GetSessionToken" => self.principals.session_token(asked).await,
            None => match presigned::query(head) {
                Some(query) => self.presigned(&call.account, arrived, &query).await,
                None => self.forward(&call.account, arrived).await,
            },
        };
        if call.action() == "sts:AssumeRole" && answer.status().is_success() {
            let session = xml::to_value(&String::from_utf8_lossy(answer.body()));
            self.principals.learn(&session["AssumeRoleResult"]);
        }
        call.accepted = answer.status().is_success();
        match Read::of(asked, &head.uri, body) {
            Some(read) => self.past.remember_read(read, &answer),
            None if call.accepted => self.past.remember_write(&asked.service),
            None => {}
        }
        answer
    }

    /// Hands the payload to the function's emulator, as Lambda does.
    async fn invoke(&self, path: &str, payload: &Bytes) -> Answer {
        let name = path.split('/').nth(3).unwrap_or_default();
        let port = self.functions.lock().expect("no holder panics").get(name).copied();
        let Some(port) = port else {
            let answer = Response::builder().status(404).header("x-amzn-errortype", "ResourceNotFoundException");
            let body = format!(r#"{{"Type":"User","Message":"Function not found: {name}"}}"#);
            return answer.body(body.into()).expect("a well-formed answer");
        };
        let (_, body) = lambda::post(port, payload.clone()).await;
        let failed = serde_json::from_slice::<Value>(&body).is_ok_and(|body| body.get("errorType").is_some());
        let answer = Response::builder().header(CONTENT_TYPE, "application/json");
        let answer = if failed { answer.header("x-amz-function-error", "Unhandled") } else { answer };
        answer.body(body).expect("a well-formed answer")
    }

    /// Answers what was signed in its query, once the signature is verified.
    async fn presigned(&self, account: &str, arrived: &Arrived, query: &BTreeMap<String, String>) -> Answer {
        let Arrived { asked, head, body: _ } = arrived;
        let secret = self.principals.secret(&asked.key).unwrap_or_default();
        match presigned::verify(head, query, &secret) {
            Ok(()) => {
                let (head, form) = presigned::for_moto(query);
                let signed = Arrived { asked: asked.clone(), head, body: form.into() };
                self.forward(account, &signed).await
            }
            Err(refusal) => refusal.answer(&asked.service, asked.protocol),
        }
    }

    async fn forward(&self, account: &str, arrived: &Arrived) -> Answer {
        let Arrived { asked, head, body } = arrived;
        let answer = self.moto.forward(account, Request::from_parts(head.clone(), Full::new(body.clone()))).await;
        let is_page = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if is_page && !answer.status().is_success() {
            // moto answers what it lacks, and its own crashes, with a web page, which to an SDK is an outage.
            let message = format!("the emulated cloud has no {}:{}", asked.service, asked.operation);
            return refusal::answer(asked.protocol, 400, "NotEmulated", &message);
        }
        answer
    }

    fn earlier(&self, arrived: &Arrived, window: Duration) -> Option<Answer> {
        let Arrived { asked, head, body } = arrived;
        Read::of(asked, &head.uri, body).and_then(|read| self.past.answer(&read, window))
    }

    fn begin(&self, asked: &Asked) -> Call {
        let mut record = self.record.lock().expect("no holder panics");
        record.arrived += 1;
        let now = self.started.elapsed();
        Call {
            number: record.arrived,
            start: now,
            end: now,
            service: asked.service.clone(),
            operation: asked.operation.clone(),
            region: asked.region.clone(),
            account: String::new(),
            key: asked.key.clone(),
            parameters: asked.parameters.clone(),
            accepted: false,
            status: None,
            error: None,
            fault: None,
            request: format!("00000000-0000-4000-8000-{:012x}", record.arrived),
        }
    }

    fn finish(&self, mut call: Call, delivery: &Delivery) {
        call.end = self.started.elapsed();
        if let Delivery::Whole(answer) = delivery {
            call.status = Some(answer.status().as_u16());
            call.error = refusal::code_of(answer);
        }
        self.record.lock().expect("no holder panics").calls.push(call);
    }
}

/// As AWS does with every answer; moto's have no id, or all the same.
fn number(delivery: &mut Delivery, id: &str) {
    if let (Delivery::Whole(answer) | Delivery::Half(answer), Ok(id)) = (delivery, id.parse()) {
        answer.headers_mut().insert("x-amzn-requestid", id);
    }
}

/// Promises the whole body, gives half of it, and breaks off.
fn cut(answer: Answer) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    let half = Frame::data(body.slice(..body.len() / 2));
    let broken = async {
        // The half must have left before the break, or the client gets nothing at all.
        sleep(Duration::from_millis(5)).await;
        Err(io::ErrorKind::ConnectionAborted.into())
    };
    let frames = stream::once(async { Ok(half) }).chain(stream::once(broken));
    Response::from_parts(head, BodyExt::boxed(StreamBody::new(frames)))
}
