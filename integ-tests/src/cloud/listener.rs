//! HTTP servers with streaming bodies, with and without TLS. In: a handler. Out: a server.

use std::{future::Future, io};

use hyper::{Request, Response, body::Incoming};
use reqwest::Body;
use soci_testing::http::{Server, free_port, serve};
use tokio_rustls::TlsAcceptor;

/// Serves on a free port. If the handler returns `None`, the connection is closed.
pub(crate) async fn http<H, F>(tls: Option<TlsAcceptor>, handler: H) -> io::Result<Server>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Option<Response<Body>>> + Send + 'static,
{
    Server::connections(free_port()?, move |stream| {
        let (tls, handler) = (tls.clone(), handler.clone());
        let handler = move |request| {
            // A task of its own: what a client asked for is done, whether or not the client lives to see it.
            let answer = tokio::spawn(handler(request));
            async { answer.await.ok().flatten() }
        };
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
}
