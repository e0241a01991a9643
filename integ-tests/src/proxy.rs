//! A proxy that knows ECR's registry hosts only: `CONNECT <account>.dkr.ecr.<region>.amazonaws.com:443` leads to our registry host.
//! In: its address. Out: a proxy that refuses, counts and names everything else. Reads nothing of what goes through.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use soci_testing::http::{Server, free_port};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::TcpStream,
};

/// A request's lines up to the empty one; no client sends more.
const HEAD_BYTES_MAX: u64 = 16 * 1024;

/// The proxy.
pub struct Proxy {
    listener: Server,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    tunnels: usize,
    refused: Vec<String>,
}

impl Proxy {
    /// Starts one in front of the registry host.
    pub(crate) async fn start(target: SocketAddr) -> io::Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = seen.clone();
        let listener = Server::connections(free_port()?, move |client| {
            let noted = noted.clone();
            async move {
                // A client or a server that goes away ends the tunnel.
                let _ = tunnel(client, target, &noted).await;
            }
        })?;
        Ok(Self { listener, seen })
    }

    /// For `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// How many connections were let through.
    pub fn tunnels(&self) -> usize {
        self.seen().tunnels
    }

    /// First lines of the requests that were refused: what was asked of the world beyond ECR.
    pub fn refused(&self) -> Vec<String> {
        self.seen().refused.clone()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn tunnel(client: TcpStream, target: SocketAddr, seen: &Mutex<Seen>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    let mut limited = (&mut client).take(HEAD_BYTES_MAX);
    while !head.ends_with("\r\n\r\n") && limited.read_line(&mut head).await? > 0 {}
    let first = head.lines().next().unwrap_or_default();
    {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if is_ecr(first) {
            seen.tunnels += 1;
        } else {
            seen.refused.push(first.to_owned());
        }
    }
    if !is_ecr(first) {
        let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(refusal).await;
    }
    let mut server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

fn is_ecr(request: &str) -> bool {
    let host = request
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|authority| authority.strip_suffix(".amazonaws.com:443"));
    let Some((account, region)) = host.and_then(|host| host.split_once(".dkr.ecr.")) else {
        return false;
    };
    account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !region.is_empty()
        && region
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::is_ecr;

    #[test]
    fn nothing_but_ecr_passes() {
        for (request, passes) in [
            (
                "CONNECT 000000000000.dkr.ecr.us-east-1.amazonaws.com:443 HTTP/1.1",
                true,
            ),
            (
                "CONNECT 00000000000.dkr.ecr.us-east-1.amazonaws.com:443 HTTP/1.1",
                false,
            ),
            (
                "CONNECT 000000000000.dkr.ecr.us-east-1.amazonaws.com:80 HTTP/1.1",
                false,
            ),
            (
                "CONNECT 000000000000.dkr.ecr.a.b.amazonaws.com:443 HTTP/1.1",
                false,
            ),
            (
                "CONNECT x.example/000000000000.dkr.ecr.r.amazonaws.com:443 HTTP/1.1",
                false,
            ),
            ("CONNECT sts.amazonaws.com:443 HTTP/1.1", false),
            (
                "GET http://000000000000.dkr.ecr.us-east-1.amazonaws.com:443/ HTTP/1.1",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(is_ecr(request), passes, "{request}");
        }
    }
}
