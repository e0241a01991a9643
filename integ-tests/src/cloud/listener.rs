//! Servers on loopback, with and without TLS.
//! In: a handler. Out: an address. The server and its connections end when the listener is dropped.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use reqwest::Body;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// A server that runs until it is dropped.
pub(crate) struct Listener {
    address: SocketAddr,
    task: AbortHandle,
}

impl Listener {
    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves HTTP on a free port. A handler that answers `None` has the connection cut.
    pub(crate) async fn http<H, F>(tls: Option<TlsAcceptor>, handler: H) -> io::Result<Self>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Option<Response<Body>>> + Send + 'static,
    {
        Self::raw(move |stream| {
            let (tls, handler) = (tls.clone(), handler.clone());
            async move {
                match tls {
                    None => serve(stream, handler).await,
                    // A client that does not trust us goes away; that is its business.
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, handler).await;
                        }
                    }
                }
            }
        })
        .await
    }

    /// Serves connections on a free port.
    pub(crate) async fn raw<H, F>(handler: H) -> io::Result<Self>
    where
        H: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // Dropped with this task, and its connections with it.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Some(_) = connections.join_next() => {}
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            let _ = stream.set_nodelay(true);
                            connections.spawn(handler(stream));
                        }
                        // Out of file descriptors, most likely: some will be given back.
                        Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                    }
                }
            }
        });
        Ok(Self {
            address,
            task: task.abort_handle(),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
struct Cut;

async fn serve<S, H, F>(stream: S, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Option<Response<Body>>> + Send + 'static,
{
    let service = service_fn(|request| {
        // A task of its own: what a client asked for is done, whether or not the client lives to see it.
        let answer = tokio::spawn(handler(request));
        async { answer.await.ok().flatten().ok_or(Cut) }
    });
    // What goes wrong here the client sees too, and says.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
