//! A proxy for CloudFormation's `ResponseURL`. In: responses. Out: the same responses, at the emulator; and a
//! record of them, which the emulator does not keep.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use hyper::{Method, Request};
use serde_json::Value;
use soci_testing::http::{Reply, Server, send};
use tokio::net::TcpListener;

/// Not the emulator's own, so that both can have the port that stands in the URL.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PATH: &str = "/_ministack/cfn-response/";

/// What a provider answered to CloudFormation.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The body: `Status`, `RequestId`, `Data`, ….
    pub body: Value,
    /// What makes the URL a secret.
    pub secret: String,
}

/// The listening proxy.
#[derive(Debug)]
pub(super) struct ResponseProxy {
    _server: Server,
    answers: Arc<Mutex<Vec<Answered>>>,
}

/// A port that is free on both addresses, held on ours.
pub(super) async fn port() -> io::Result<TcpListener> {
    loop {
        let ours = TcpListener::bind((HOST, 0)).await?;
        let theirs = (Ipv4Addr::LOCALHOST, ours.local_addr()?.port());
        if TcpListener::bind(theirs).await.is_ok() {
            return Ok(ours);
        }
    }
}

impl ResponseProxy {
    /// Passes all that comes on to the emulator at the same port.
    pub(super) fn open(listener: TcpListener) -> io::Result<Self> {
        let emulator = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr()?.port()));
        let answers = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&answers);
        let server = Server::on(listener, move |request| {
            record
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(answer(&request));
            async move {
                send(emulator, request)
                    .await
                    .map_or(Reply::Cut, Reply::Response)
            }
        })?;
        Ok(Self {
            _server: server,
            answers,
        })
    }

    /// All answers so far.
    pub(super) fn answers(&self) -> Vec<Answered> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.clone()
    }
}

fn answer(request: &Request<Bytes>) -> Option<Answered> {
    let secret = request.uri().path().strip_prefix(PATH)?;
    (request.method() == Method::PUT).then(|| Answered {
        body: serde_json::from_slice(request.body()).unwrap_or(Value::Null),
        secret: secret.to_owned(),
    })
}
