//! Records the calls of a program. In: the addresses of services. Out: a proxy address for each, which forwards
//! and records every request, and pauses the one at which a test wants to stop.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use hyper::{Request, Response};
use soci_testing::http::{Reply, Server, header_texts, send};
use tokio::{sync::oneshot, time::Instant};

/// When a paused call stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it has any effect.
    Before,
    /// After its effect, before the caller gets the response.
    After,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number, from 1 on.
    pub number: usize,
    /// The service in front of which it came in.
    pub service: &'static str,
    /// The last word of `X-Amz-Target`, or method and path.
    pub operation: String,
    /// Path and query.
    pub target: String,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The request's body.
    pub body: Bytes,
    /// When it came in.
    pub at: Instant,
    /// The response's status, once there is one.
    pub status: Option<u16>,
    /// The response's body, likewise.
    pub response: Bytes,
}

/// All calls of one program.
#[derive(Clone, Default)]
pub struct Calls {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    fronts: Mutex<Vec<Server>>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    hold: Option<Hold>,
}

struct Hold {
    which: Which,
    moment: Moment,
    arrived: oneshot::Sender<()>,
    release: oneshot::Receiver<()>,
}

enum Which {
    Number(usize),
    Operation(String, usize),
}

/// A call that is or will be paused. On drop its connection is closed.
#[derive(Debug)]
pub struct Held {
    arrived: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Returns when the call is paused; never, if it is not made.
    pub async fn arrived(&mut self) {
        if (&mut self.arrived).await.is_err() {
            std::future::pending().await
        }
    }

    /// Resumes it.
    pub fn release(self) {
        let _gone = self.release.send(());
    }
}

impl Calls {
    /// Puts an address in front of a service.
    ///
    /// # Errors
    /// If no port is available.
    pub async fn front(&self, service: &'static str, behind: SocketAddr) -> io::Result<SocketAddr> {
        // Weak, or the state and the servers would keep each other.
        let shared = Arc::downgrade(&self.shared);
        let server = Server::start(move |request| {
            let shared = shared.clone();
            async move {
                match shared.upgrade() {
                    Some(shared) => shared.pass(service, behind, request).await,
                    None => Reply::Cut,
                }
            }
        })
        .await?;
        let address = server.address();
        let mut fronts = self
            .shared
            .fronts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        fronts.push(server);
        Ok(address)
    }

    /// All calls so far.
    pub fn all(&self) -> Vec<Call> {
        self.shared.state().calls.clone()
    }

    /// All calls of one operation so far.
    pub fn of(&self, operation: &str) -> Vec<Call> {
        let state = self.shared.state();
        let calls = state.calls.iter();
        calls
            .filter(|call| call.operation == operation)
            .cloned()
            .collect()
    }

    /// Pauses the call with that number, counting from 1. Only one call can be paused at a time.
    pub fn hold(&self, number: usize, moment: Moment) -> Held {
        self.hold_which(Which::Number(number), moment)
    }

    /// Pauses the next call of that operation, after skipping this many.
    pub fn hold_operation(&self, operation: &str, after: usize, moment: Moment) -> Held {
        self.hold_which(Which::Operation(operation.to_owned(), after), moment)
    }

    fn hold_which(&self, which: Which, moment: Moment) -> Held {
        let (arrived, arrival) = oneshot::channel();
        let (releaser, release) = oneshot::channel();
        self.shared.state().hold = Some(Hold {
            which,
            moment,
            arrived,
            release,
        });
        Held {
            arrived: arrival,
            release: releaser,
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(
        &self,
        service: &'static str,
        behind: SocketAddr,
        request: Request<Bytes>,
    ) -> Reply {
        let (index, mut hold) = self.record(service, &request);
        if let Some(held) = hold.take_if(|hold| hold.moment == Moment::Before)
            && !stand_still(held).await
        {
            return Reply::Cut;
        }
        // A task of its own: the service goes on even where the caller is killed meanwhile.
        let Ok(Ok(response)) = tokio::spawn(async move { send(behind, request).await }).await
        else {
            return Reply::Cut;
        };
        self.keep(index, &response);
        if let Some(held) = hold
            && !stand_still(held).await
        {
            return Reply::Cut;
        }
        Reply::Response(response)
    }

    fn record(&self, service: &'static str, request: &Request<Bytes>) -> (usize, Option<Hold>) {
        let headers = header_texts(request.headers());
        let operation = headers
            .get("x-amz-target")
            .and_then(|target| target.rsplit('.').next().map(str::to_owned))
            .unwrap_or_else(|| format!("{} {service}", request.method()));
        let mut state = self.state();
        let number = state.calls.len() + 1;
        let hold = match &mut state.hold {
            Some(Hold {
                which: Which::Number(wanted),
                ..
            }) if *wanted == number => state.hold.take(),
            Some(Hold {
                which: Which::Operation(wanted, after),
                ..
            }) if *wanted == operation => {
                if *after == 0 {
                    state.hold.take()
                } else {
                    *after -= 1;
                    None
                }
            }
            _ => None,
        };
        state.calls.push(Call {
            number,
            service,
            operation,
            target: request.uri().to_string(),
            headers,
            body: request.body().clone(),
            at: Instant::now(),
            status: None,
            response: Bytes::new(),
        });
        (number - 1, hold)
    }

    fn keep(&self, index: usize, response: &Response<Bytes>) {
        if let Some(call) = self.state().calls.get_mut(index) {
            call.status = Some(response.status().as_u16());
            call.response = response.body().clone();
        }
    }
}

/// Reports that the call has arrived and waits; true if it was resumed, false if its connection is to be closed.
async fn stand_still(hold: Hold) -> bool {
    let _unwatched = hold.arrived.send(());
    hold.release.await.is_ok()
}
