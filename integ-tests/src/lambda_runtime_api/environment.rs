//! One execution environment: a process, and the runtime API that is its own. In: one invocation at a time. Out: how it
//! ended. The process is really killed at the timeout. Knows nothing of retries.

use std::{
    collections::BTreeMap,
    io,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode, header::HeaderValue};
use soci_testing::http::{Reply, Server};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, interval, sleep_until},
};

use super::{Function, unix_millis, uuid};
use crate::{
    account::{ACCOUNT_ID, REGION},
    lock::lock,
};

/// How often a process's memory is looked at.
const MEMORY_LOOKS: Duration = Duration::from_millis(10);

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Returned(Bytes),
    /// With an error that the function reported.
    Failed(Bytes),
    /// The process ended or was killed.
    Died(String),
    /// It took too long and was killed.
    TimedOut,
}

/// A process and its runtime API.
pub(super) struct Environment {
    inbox: mpsc::Sender<Invocation>,
    exited: watch::Receiver<Option<String>>,
    kill: Arc<Notify>,
    output: Arc<Mutex<String>>,
    logs: bool,
    started: Instant,
    pid: Option<u32>,
    _server: Server,
}

struct Invocation {
    request_id: String,
    payload: Bytes,
    deadline_unix_millis: u128,
    arn: String,
    done: oneshot::Sender<Outcome>,
}

/// What the runtime API knows: the invocation that is out, and those that wait.
struct Api {
    inbox: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    current: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
}

impl Environment {
    pub(super) async fn start(function: &Function) -> io::Result<Self> {
        let logs = (function.role_may)("logs:CreateLogStream", None).await
            && (function.role_may)("logs:PutLogEvents", None).await;
        let (inbox, waiting) = mpsc::channel(1);
        let api = Arc::new(Api {
            inbox: tokio::sync::Mutex::new(waiting),
            current: Mutex::default(),
        });
        let server = Server::start(move |request| {
            let api = Arc::clone(&api);
            async move { api.answer(request).await }
        })
        .await?;
        let mut child = command(function, &server).spawn()?;
        let started = Instant::now();
        let output = Arc::new(Mutex::new(String::new()));
        let readers = [
            child
                .stdout
                .take()
                .map(|pipe| tokio::spawn(keep(pipe, Arc::clone(&output)))),
            child
                .stderr
                .take()
                .map(|pipe| tokio::spawn(keep(pipe, Arc::clone(&output)))),
        ];
        let pid = child.id();
        let kill = Arc::new(Notify::new());
        let (exit, exited) = watch::channel(None);
        let killed = Arc::clone(&kill);
        let bytes_max = function.memory_mib << 20;
        tokio::spawn(async move {
            let status = tokio::select! {
                status = wait(child, &killed, &exit) => status,
                () = outgrow(pid, bytes_max, &killed) => String::new(),
            };
            for reader in readers.into_iter().flatten() {
                let _read = reader.await;
            }
            exit.send_replace(Some(status));
        });
        Ok(Self {
            inbox,
            exited,
            kill,
            output,
            logs,
            started,
            pid,
            _server: server,
        })
    }

    pub(super) fn alive(&self) -> bool {
        self.exited.borrow().is_none()
    }

    pub(super) fn logs(&self) -> bool {
        self.logs
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn printed(&self) -> String {
        lock(&self.output).clone()
    }

    /// `VmHWM` of the process, while it lives.
    pub(super) fn peak_memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        kib(&status, "VmHWM:")
    }

    /// Kills the process; comes back when it is gone and its output read.
    pub(super) async fn kill(&self) {
        self.kill.notify_one();
        self.gone().await;
    }

    async fn gone(&self) -> String {
        let mut exited = self.exited.clone();
        let status = exited.wait_for(Option::is_some).await;
        status
            .ok()
            .and_then(|status| status.clone())
            .unwrap_or_default()
    }

    /// Hands the process one invocation and waits for its end.
    pub(super) async fn run(
        &self,
        request_id: &str,
        payload: Bytes,
        arn: String,
        time: Duration,
    ) -> Outcome {
        let (done, ended) = oneshot::channel();
        let deadline = Instant::now() + time;
        let invocation = Invocation {
            request_id: request_id.to_owned(),
            payload,
            deadline_unix_millis: unix_millis(SystemTime::now() + time),
            arn,
            done,
        };
        if self.inbox.send(invocation).await.is_err() {
            return Outcome::Died("the runtime API is gone".to_owned());
        }
        tokio::select! {
            // What was reported counts, whatever became of the process then.
            biased;
            Ok(outcome) = ended => outcome,
            status = self.gone() => Outcome::Died(status),
            () = sleep_until(deadline) => {
                self.kill().await;
                Outcome::TimedOut
            }
        }
    }
}

/// A process with Lambda's own variables, then the function's. Nothing of this process's environment is passed on.
fn command(function: &Function, server: &Server) -> Command {
    let mut command = Command::new(&function.program);
    command
        .arg0("bootstrap")
        .env_clear()
        .envs(variables(function))
        .env("AWS_LAMBDA_RUNTIME_API", server.address().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What Lambda sets, but for the runtime API's address, and what the function's settings add.
pub(super) fn variables(function: &Function) -> BTreeMap<String, String> {
    let group = format!("/aws/lambda/{}", function.name);
    let memory = function.memory_mib.to_string();
    let own = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
        ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/22/[$LATEST]0"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCOUNT_ID),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.into_iter()
        .chain(function.environment.clone())
        .collect()
}

/// Waits for the end of a process, and brings it about where that is asked for or nobody is left to ask.
async fn wait(mut child: Child, kill: &Notify, exit: &watch::Sender<Option<String>>) -> String {
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.notified() => end(&mut child).await,
        () = exit.closed() => end(&mut child).await,
    };
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// Has the process killed once it holds more than its memory; never ends.
async fn outgrow(pid: Option<u32>, bytes_max: u64, kill: &Notify) {
    let mut looks = interval(MEMORY_LOOKS);
    loop {
        looks.tick().await;
        let status =
            pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok());
        let resident = status.as_deref().and_then(|status| kib(status, "VmRSS:"));
        if resident.is_some_and(|kib| kib << 10 > bytes_max) {
            kill.notify_one();
        }
    }
}

/// A line of `/proc/<pid>/status`.
fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

async fn end(child: &mut Child) -> io::Result<ExitStatus> {
    child.start_kill()?;
    child.wait().await
}

async fn keep(pipe: impl AsyncRead + Unpin, output: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let mut output = lock(&output);
        output.push_str(&String::from_utf8_lossy(&line));
        output.push('\n');
    }
}

impl Api {
    async fn answer(&self, request: Request<Bytes>) -> Reply {
        let path = request.uri().path().to_owned();
        let Some(path) = path.strip_prefix("/2018-06-01/runtime/") else {
            return Reply::new(StatusCode::NOT_FOUND, "");
        };
        let words: Vec<&str> = path.split('/').collect();
        match (request.method(), words.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => {
                self.end(id, Outcome::Returned(request.into_body()))
            }
            (&Method::POST, ["invocation", id, "error"]) => {
                self.end(id, Outcome::Failed(request.into_body()))
            }
            // The process ends itself after it; that is what counts.
            (&Method::POST, ["init", "error"]) => Reply::new(StatusCode::ACCEPTED, ""),
            _ => Reply::new(StatusCode::NOT_FOUND, ""),
        }
    }

    async fn next(&self) -> Reply {
        let Some(invocation) = self.inbox.lock().await.recv().await else {
            return Reply::Cut;
        };
        let headers = [
            (
                "lambda-runtime-aws-request-id",
                invocation.request_id.clone(),
            ),
            (
                "lambda-runtime-deadline-ms",
                invocation.deadline_unix_millis.to_string(),
            ),
            ("lambda-runtime-invoked-function-arn", invocation.arn),
            (
                "lambda-runtime-trace-id",
                format!("Root=1-67408000-{};Sampled=0", &uuid()[..8]),
            ),
            ("content-type", "application/json".to_owned()),
        ];
        let mut response = Response::new(invocation.payload);
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        *lock(&self.current) = Some((invocation.request_id, invocation.done));
        Reply::Response(response)
    }

    fn end(&self, id: &str, outcome: Outcome) -> Reply {
        let mut current = lock(&self.current);
        match current.take_if(|(out, _)| out == id) {
            Some((_, done)) => {
                let _given_up = done.send(outcome);
                Reply::new(StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
            }
            None => Reply::new(
                StatusCode::BAD_REQUEST,
                r#"{"errorType":"InvalidRequestID"}"#,
            ),
        }
    }
}
