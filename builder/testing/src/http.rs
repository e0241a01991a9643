//! The server: everything on loopback that plays a part of the world accepts its connections here.
//! In: what to do with a connection or a request. Out: an address that is served until the server is dropped, its open
//! connections included. Knows nothing of what is served.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Body, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// Before the next try where no connection can be accepted: out of file descriptors, most likely, and some will be given back.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

/// What a handler says of a request.
pub enum Reply {
    Response(Response<Bytes>),
    /// None: the connection is cut.
    Cut,
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
    /// Serves requests on a free port, each read whole.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start<H, F>(handler: H) -> io::Result<Self>
    where
        H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::on(free_port()?, handler)
    }

    /// Serves requests on a port that is bound already, each read whole.
    ///
    /// # Errors
    /// Where the listener is no longer good.
    pub fn on<H, F>(listener: TcpListener, handler: H) -> io::Result<Self>
    where
        H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let handler = Arc::new(handler);
        Self::connections(listener, move |stream| {
            let handler = Arc::clone(&handler);
            serve(stream, move |request| {
                let handler = Arc::clone(&handler);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.ok()?.to_bytes();
                    match handler(Request::from_parts(head, body)).await {
                        Reply::Response(response) => Some(response.map(Full::new)),
                        Reply::Cut => None,
                    }
                }
            })
        })
    }

    /// Serves connections on a port that is bound already, whatever comes through them.
    ///
    /// # Errors
    /// Where the listener is no longer good.
    pub fn connections<H, F>(listener: TcpListener, handler: H) -> io::Result<Self>
    where
        H: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, handler));
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

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A listener on a free loopback port, for the runtime that this is called in.
///
/// # Errors
/// Where there is none.
pub fn free_port() -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Takes connections until it is aborted; the set then ends them too.
async fn accept<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(handler(stream));
                }
                Err(_) => sleep(ACCEPT_AGAIN).await,
            },
        }
    }
}

/// Serves the requests of one connection as they stream in. Where the handler gives `None`, the connection is cut.
pub async fn serve<S, H, F, B>(stream: S, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Option<Response<B>>>,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    let service = service_fn(|request| {
        let reply = handler(request);
        async {
            reply
                .await
                .ok_or_else(|| io::Error::other("cut on purpose"))
        }
    });
    // An error here is a client that went away, or a cut that was asked for: the client sees it too.
    let _ended = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Headers as text, names in lower case; of several with one name the last.
pub fn header_texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect()
}

/// Sends one request on a connection of its own and reads the whole response.
///
/// # Errors
/// Where nobody listens, or the connection ends before the response does.
pub async fn send(to: SocketAddr, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(to).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let response = sender
        .send_request(request.map(Full::new))
        .await
        .map_err(io::Error::other)?;
    let (mut head, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    connection.abort();
    // The body is whole now, and of this connection nothing is left.
    head.headers.remove(header::TRANSFER_ENCODING);
    head.headers.remove(header::CONNECTION);
    Ok(Response::from_parts(head, body))
}
