//! A small HTTP server on a free loopback port. In: a function from request to response. Out: an address that serves until
//! the server is dropped, its open connections included. Knows nothing of what is served.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// The largest body that is read whole: far above what any of the served protocols sends.
const BODY_MAX: usize = 64 << 20;

/// What a handler says of a request.
pub enum Reply {
    /// This response.
    Response(Response<Bytes>),
    /// None: the connection is cut.
    Cut,
}

/// Headers as text, names in lower case; of several with one name the last.
pub fn header_texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect()
}

impl Reply {
    /// A response with nothing but a status and a body.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        Self::Response(response)
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Serves on a free port.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start<H, F>(handler: H) -> io::Result<Self>
    where
        H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::on(free_port().await?, handler)
    }

    /// Serves on a port that is bound already.
    ///
    /// # Errors
    /// Where the listener is no longer good.
    pub fn on<H, F>(listener: TcpListener, handler: H) -> io::Result<Self>
    where
        H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, Arc::new(handler)));
        Ok(Self { address, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and comes back when nothing listens any more.
    pub async fn stop(mut self) {
        self.accepting.abort();
        let _cancelled = (&mut self.accepting).await;
    }
}

/// A listener on a free loopback port.
///
/// # Errors
/// Where there is none.
pub async fn free_port() -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes connections until it is aborted; the set then ends them too.
async fn accept<H, F>(listener: TcpListener, handler: Arc<H>)
where
    H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, Arc::clone(&handler)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve<H, F>(stream: TcpStream, handler: Arc<H>)
where
    H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move {
            let (head, incoming) = request.into_parts();
            let read = Limited::new(incoming, BODY_MAX).collect().await;
            let body = read.map_err(|_| Cut)?.to_bytes();
            match handler(Request::from_parts(head, body)).await {
                Reply::Response(response) => Ok::<_, Cut>(response.map(Full::new)),
                Reply::Cut => Err(Cut),
            }
        }
    });
    // An error here is a client that went away, or a cut that was asked for.
    let _ended = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Tells hyper to end the connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on demand")]
struct Cut;

/// Sends one request on a connection of its own and reads the whole response.
///
/// # Errors
/// Where nobody listens, or the connection ends before the response does.
pub async fn send(to: SocketAddr, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let response = sender
        .send_request(request.map(Full::new))
        .await
        .map_err(io::Error::other)?;
    let (mut head, incoming) = response.into_parts();
    let body = Limited::new(incoming, BODY_MAX)
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    connection.abort();
    // The body is whole now, and of this connection nothing is left.
    head.headers.remove(header::TRANSFER_ENCODING);
    head.headers.remove(header::CONNECTION);
    Ok(Response::from_parts(head, body))
}
