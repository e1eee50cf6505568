//! The Lambda itself: the real binary under AWS's runtime interface emulator.
//!
//! One emulator is one execution environment. Its first invocation is a cold start, the next are warm, and after
//! a timeout or a kill the next is cold again. The emulator freezes nothing between invocations.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::sleep;

use super::process::{Tethered, free_port, in_package};
use super::{Cloud, Credentials, REGION};

/// How often an emulator is started anew because another process took its port first.
const ATTEMPTS: usize = 5;

/// A running execution environment.
pub struct Lambda {
    port: u16,
    emulator: Tethered,
    logs: Arc<Mutex<Logs>>,
}

/// What was printed so far, by whom.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// The function's standard output and standard error, which the emulator does not tell apart.
    pub function: Vec<String>,
    /// `START`, `END` and `REPORT` lines, whose figures are dummies, and the emulator's own, whose are not.
    pub emulator: Vec<String>,
}

/// The outcome of one invocation.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the function returned, or what became of it.
    pub body: String,
    /// From the request to the answer; of a cold start, the initialisation is part of it.
    pub wall: Duration,
}

/// What the function's process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub peak_memory_kib: u64,
    /// In steps of ten milliseconds, which is how the kernel counts.
    pub cpu: Duration,
}

impl Answer {
    /// The answer as JSON; a timeout is told as text, which is null here.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Whether Lambda would count the invocation as an error, and try it again. The emulator answers 200 all the
    /// same, unless the function's process died.
    pub fn failed(&self) -> bool {
        let body = self.json();
        body.is_null() && self.body != "null" || body.get("errorType").is_some()
    }
}

impl Lambda {
    /// Starts the emulator for a program with its arguments; the program itself starts at the first invocation.
    ///
    /// The function sees the variables that Lambda sets, the cloud as its endpoint, the given credentials, and
    /// what `environment` adds or overrides; nothing of the machine's own environment reaches it.
    pub async fn start(cloud: &Cloud, role: &Credentials, program: &[&str], environment: &[(&str, &str)]) -> Lambda {
        for _ in 0..ATTEMPTS {
            let (port, runtime_port) = (free_port(), free_port());
            let mut command = emulator(port, runtime_port, program);
            command
                .env("AWS_ENDPOINT_URL", cloud.url())
                .envs(lambda_environment(role))
                .envs(environment.iter().copied());
            let mut emulator = Tethered::start(&mut command).expect("the emulator starts");
            let logs = collect_logs(&mut emulator);
            if listens(&mut emulator, [port, runtime_port]).await {
                return Lambda { port, emulator, logs };
            }
        }
        panic!("the emulator found no free port in {ATTEMPTS} attempts");
    }

    /// Invokes the function once and waits for its answer.
    pub async fn invoke(&self, payload: &str) -> Answer {
        let reports = self.reports();
        let start = Instant::now();
        let (status, body) = post(self.port, payload.to_owned().into()).await;
        let wall = start.elapsed();
        // A function that died (502) gets no report.
        while status == StatusCode::OK && self.reports() == reports {
            sleep(Duration::from_millis(1)).await;
        }
        Answer { body: String::from_utf8_lossy(&body).into_owned(), wall }
    }

    /// Lets whoever invokes a function of this name in the cloud reach this one.
    pub fn serve(&self, cloud: &Cloud, name: &str) {
        cloud.proxy.functions.lock().expect("no holder panics").insert(name.to_owned(), self.port);
    }

    /// What was printed so far. All lines of an invocation are there when it returns.
    pub fn logs(&self) -> Logs {
        self.logs.lock().expect("no holder panics").clone()
    }

    /// Kills the function's process without warning, as Lambda does after a timeout; the next start is cold.
    pub fn kill(&self) {
        if let Some(function) = self.function() {
            Command::new("kill").args(["-KILL", &function]).status().expect("kill runs");
        }
    }

    /// What the function's process has used, if it runs.
    pub fn usage(&self) -> Option<Usage> {
        let function = self.function()?;
        let status = fs::read_to_string(format!("/proc/{function}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let stat = fs::read_to_string(format!("/proc/{function}/stat")).ok()?;
        // The second field, the name in parentheses, may contain anything; user and system time are 14 and 15.
        let (_, after_name) = stat.rsplit_once(')')?;
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let peak_memory_kib = peak.trim().trim_end_matches(" kB").parse().ok()?;
        Some(Usage { peak_memory_kib, cpu: Duration::from_millis(ticks * 10) })
    }

    /// The function's process id: the emulator's only child.
    fn function(&self) -> Option<String> {
        let emulator = self.emulator.child.id();
        let tasks = fs::read_dir(format!("/proc/{emulator}/task")).ok()?;
        let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
        children.collect::<String>().split_whitespace().next().map(str::to_owned)
    }

    /// How many invocations the emulator has reported as ended, which it prints after all of their lines.
    fn reports(&self) -> usize {
        self.logs().emulator.iter().filter(|line| line.starts_with("REPORT ")).count()
    }
}

/// Hands a payload to the emulator at this port, and gives its answer.
pub(super) async fn post(port: u16, payload: Bytes) -> (StatusCode, Bytes) {
    let uri = format!("http://127.0.0.1:{port}/2015-03-31/functions/function/invocations");
    let request = Request::post(uri).body(Full::<Bytes>::from(payload)).expect("a well-formed request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await.expect("the emulator answers").into_parts();
    (head.status, body.collect().await.expect("the emulator finishes its answer").to_bytes())
}

fn emulator(port: u16, runtime_port: u16, program: &[&str]) -> Command {
    let mut command = Command::new(in_package("samcli/local/rapid/aws-lambda-rie-x86_64"));
    command
        .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{port}")])
        .args(["--runtime-api-address", &format!("127.0.0.1:{runtime_port}")])
        .args(program)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn lambda_environment(role: &Credentials) -> [(&'static str, &str); 9] {
    [
        ("AWS_ACCESS_KEY_ID", &role.key),
        ("AWS_SECRET_ACCESS_KEY", &role.secret),
        ("AWS_SESSION_TOKEN", &role.token),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_LAMBDA_FUNCTION_NAME", "quell"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "60"),
        ("TZ", ":UTC"),
    ]
}

/// Waits until the emulator answers at both ports; false if it ended instead, as it does when one is taken.
async fn listens(emulator: &mut Tethered, ports: [u16; 2]) -> bool {
    loop {
        let connected = ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok());
        if emulator.child.try_wait().expect("a child can be asked for").is_some() {
            return false;
        }
        if connected {
            return true;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// Reads both pipes line by line until they close.
fn collect_logs(emulator: &mut Tethered) -> Arc<Mutex<Logs>> {
    let logs = Arc::new(Mutex::new(Logs::default()));
    let stdout = emulator.child.stdout.take().expect("stdout is piped");
    let stderr = emulator.child.stderr.take().expect("stderr is piped");
    let is_emulators = |line: &str| ["START ", "END ", "REPORT "].iter().any(|prefix| line.starts_with(prefix));
    follow(stdout, Arc::clone(&logs), move |logs, line| {
        if is_emulators(&line) { logs.emulator.push(line) } else { logs.function.push(line) }
    });
    follow(stderr, Arc::clone(&logs), |logs, line| logs.emulator.push(line));
    logs
}

fn follow(pipe: impl Read + Send + 'static, logs: Arc<Mutex<Logs>>, sort: impl Fn(&mut Logs, String) + Send + 'static) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            sort(&mut logs.lock().expect("no holder panics"), line);
        }
    });
}
