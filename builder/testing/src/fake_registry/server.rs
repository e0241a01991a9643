//! The two listeners, the registry's and its storage's, on a thread of their own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use http_body_util::BodyExt;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::oneshot};

use super::{
    Recorded, State,
    answer::{Outcome, error},
    faults::Route,
    routes::{self, Addresses},
};

/// A running server; stopped on drop.
pub(super) struct Running {
    pub(super) home: SocketAddr,
    pub(super) storage: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(state: Arc<Mutex<State>>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let bind = || {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            (listener, address)
        };
        let (home, home_address) = bind();
        let (storage, storage_address) = bind();
        let addresses = Addresses {
            home: home_address.to_string(),
            storage: storage_address.to_string(),
        };
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .unwrap();
            runtime.block_on(async {
                let home = TcpListener::from_std(home).unwrap();
                let storage = TcpListener::from_std(storage).unwrap();
                tokio::select! {
                    () = serve(home, false, &state, &addresses) => {}
                    () = serve(storage, true, &state, &addresses) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            home: home_address,
            storage: storage_address,
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

async fn serve(
    listener: TcpListener,
    stored: bool,
    state: &Arc<Mutex<State>>,
    addresses: &Addresses,
) {
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        let state = Arc::clone(state);
        let addresses = addresses.clone();
        let service = service_fn(move |request| {
            handle(request, stored, Arc::clone(&state), addresses.clone())
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
    }
}

async fn handle(
    request: Request<Incoming>,
    stored: bool,
    state: Arc<Mutex<State>>,
    addresses: Addresses,
) -> Outcome {
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
            Err(_) => return Ok(error(400, "SIZE_INVALID", "the body broke off")),
        },
    };
    let meeting = state.lock().unwrap().next_meeting(recorded.route);
    if let Some(meeting) = meeting {
        meeting.wait().await;
    }
    Ok(routes::answer(&state, &addresses, &recorded))
}
