//! The two servers, the registry's and its storage's, on a thread of their own.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use http_body_util::BodyExt;
use hyper::{Request, body::Incoming};
use tokio::{runtime, sync::oneshot};

use super::{
    Recorded, State,
    answer::{Answer, error},
    faults::Route,
    routes::{self, Addresses},
};
use crate::http::{Server, free_port, serve};

/// A running server; stopped on drop.
pub(super) struct Running {
    pub(super) home: SocketAddr,
    pub(super) storage: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(state: Arc<Mutex<State>>) -> Self {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let listeners = [free_port().unwrap(), free_port().unwrap()];
        let [home, storage] = listeners.each_ref().map(|one| one.local_addr().unwrap());
        let addresses = Addresses {
            home: home.to_string(),
            storage: storage.to_string(),
        };
        let servers = listeners.map(|listener| {
            let stored = listener.local_addr().unwrap() == storage;
            let (state, addresses) = (Arc::clone(&state), addresses.clone());
            let connection = move |stream| {
                let (state, addresses) = (Arc::clone(&state), addresses.clone());
                serve(stream, move |request| {
                    handle(request, stored, Arc::clone(&state), addresses.clone())
                })
            };
            Server::connections(listener, connection).unwrap()
        });
        drop(entered);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let _ = runtime.block_on(stopped);
            drop(servers);
        });
        Self {
            home,
            storage,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn handle(
    request: Request<Incoming>,
    stored: bool,
    state: Arc<Mutex<State>>,
    addresses: Addresses,
) -> Option<Answer> {
    let (head, body) = request.into_parts();
    let recorded = Recorded {
        route: Route::of(&head.method, head.uri.path(), stored),
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: match body.collect().await {
            Ok(body) => body.to_bytes(),
            // Cut on its way: nothing is done about it, and nobody is there to answer.
            Err(_) => return Some(error(400, "SIZE_INVALID", "the body broke off")),
        },
    };
    let meeting = state.lock().unwrap().next_meeting(recorded.route);
    if let Some(meeting) = meeting {
        meeting.wait().await;
    }
    Some(routes::answer(&state, &addresses, &recorded))
}
