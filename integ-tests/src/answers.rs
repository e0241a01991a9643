//! The response endpoint: the presigned URL that CloudFormation sends with each request. In: a PUT. Out: the
//! first response to each request, which is the one that counts, and any later ones.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use hyper::{Method, Request, StatusCode, header};
use serde_json::Value;
use soci_testing::http::{Reply, Server, free_port, header_texts};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    time::{Instant, timeout},
};

use crate::lock::lock;

/// Connections that wait to be taken.
const BACKLOG: u32 = 128;

/// How an unavailable endpoint behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// Connections are refused.
    Refused,
    /// Every attempt gets 503.
    Unavailable,
    /// The connection is closed after the body was read, and the response is lost.
    Cut,
}

/// One PUT that was accepted.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The raw body.
    pub body: Bytes,
    /// The parsed body.
    pub json: Value,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// When it was complete.
    pub at: Instant,
}

impl Answer {
    /// A field of the answer as text; empty where it is not there.
    pub fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }

    /// An attribute as text; empty where it is not there.
    pub fn data(&self, name: &str) -> &str {
        self.json["Data"][name].as_str().unwrap_or_default()
    }

    /// Whether the status is `SUCCESS`.
    pub fn succeeded(&self) -> bool {
        self.text("Status") == "SUCCESS"
    }
}

/// The response URL of one request.
#[derive(Clone, Debug)]
pub struct Place {
    /// The presigned URL, a secret.
    pub url: String,
    /// Its signature, the part that must never be seen elsewhere.
    pub signature: String,
    target: String,
}

/// The endpoint.
#[derive(Clone)]
pub struct Answers {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    server: Mutex<Option<Server>>,
    /// The port while nobody listens there.
    port: Mutex<Option<TcpSocket>>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// Accepted answers by request target; a target that was not given out has no entry.
    accepted: HashMap<String, Vec<Answer>>,
    refused: Vec<String>,
    down: Option<(Down, usize)>,
}

impl Answers {
    /// Starts an endpoint.
    ///
    /// # Errors
    /// If no port is available.
    pub async fn start() -> io::Result<Self> {
        let listener = free_port()?;
        let answers = Self {
            shared: Arc::new(Shared {
                address: listener.local_addr()?,
                server: Mutex::default(),
                port: Mutex::default(),
                state: Mutex::default(),
                changed: watch::Sender::new(()),
            }),
        };
        answers.listen(listener)?;
        Ok(answers)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// A new place, its address at `host`: the endpoint itself, or one that passes requests on to it. `age` is how long ago
    /// it was signed.
    pub fn place(&self, host: SocketAddr, age: Duration) -> Place {
        let signed = amz_date(SystemTime::now() - age);
        let hex =
            |digits: usize| -> String { (0..digits).map(|_| fastrand::char('a'..='f')).collect() };
        let signature = hex(64);
        // The shape of a real one, percent signs included: a client that writes it anew breaks its signature.
        let target = format!(
            "/arn%3Aaws%3Acloudformation%3Aus-east-1%3A000000000000%3Astack/Demo/{}%7CIndex%7C{}?X-Amz-Security-Token=\
             {}%2F%2F%2F%2F%3D%3D&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={signed}&X-Amz-SignedHeaders=host\
             &X-Amz-Expires=7200&X-Amz-Credential=ASIA{}%2F{}%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature={signature}",
            hex(32),
            hex(32),
            hex(80),
            hex(16),
            &signed[..8],
        );
        self.state().accepted.insert(target.clone(), Vec::new());
        Place {
            url: format!("http://{host}{target}"),
            signature,
            target,
        }
    }

    /// The first answer at that place.
    ///
    /// # Errors
    /// If none was received in time; the text contains all rejected requests.
    pub async fn first(&self, place: &Place, limit: Duration) -> Result<Answer, Missing> {
        let mut changed = self.shared.changed.subscribe();
        let arrived = async {
            loop {
                if let Some(answer) = self.all(place).into_iter().next() {
                    return answer;
                }
                // The sender lives in `self`.
                let _sent = changed.changed().await;
            }
        };
        timeout(limit, arrived).await.map_err(|_| Missing {
            limit,
            refused: self.refused(),
        })
    }

    /// Returns when this many attempts were rejected.
    pub async fn refused_times(&self, times: usize) {
        let mut changed = self.shared.changed.subscribe();
        while self.state().refused.len() < times {
            // The sender lives in `self`.
            let _sent = changed.changed().await;
        }
    }

    /// All answers at that place, in order.
    pub fn all(&self, place: &Place) -> Vec<Answer> {
        let state = self.state();
        state
            .accepted
            .get(&place.target)
            .cloned()
            .unwrap_or_default()
    }

    /// What was refused, one line each.
    pub fn refused(&self) -> Vec<String> {
        self.state().refused.clone()
    }

    /// Makes the endpoint unavailable for this many attempts, or with `usize::MAX` until `up`. Refused connections
    /// cannot be counted, so `Refused` always lasts until `up`.
    ///
    /// # Errors
    /// Where the port cannot be kept.
    pub async fn down(&self, how: Down, tries: usize) -> io::Result<()> {
        if how == Down::Refused {
            let server = lock(&self.shared.server).take();
            if let Some(server) = server {
                server.stop().await;
            }
            // Bound and not listened at: nobody else gets the port meanwhile, and who connects is refused.
            let port = TcpSocket::new_v4()?;
            port.set_reuseaddr(true)?;
            port.bind(self.shared.address)?;
            *lock(&self.shared.port) = Some(port);
        }
        self.state().down = Some((how, tries));
        Ok(())
    }

    /// Makes it available again.
    ///
    /// # Errors
    /// Where its port cannot be listened at.
    pub fn up(&self) -> io::Result<()> {
        self.state().down = None;
        let port = lock(&self.shared.port).take();
        match port {
            Some(port) => self.listen(port.listen(BACKLOG)?),
            None => Ok(()),
        }
    }

    fn listen(&self, listener: TcpListener) -> io::Result<()> {
        // Weak, or server and state would keep each other.
        let shared = Arc::downgrade(&self.shared);
        let server = Server::on(listener, move |request| {
            let shared = shared.clone();
            async move {
                shared
                    .upgrade()
                    .map_or(Reply::Cut, |shared| shared.take(&request))
            }
        })?;
        *lock(&self.shared.server) = Some(server);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn take(&self, request: &Request<Bytes>) -> Reply {
        let reply = self.judge(request);
        self.changed.send_replace(());
        reply
    }

    /// As S3 does with a presigned PUT: everything that was signed must be there as it was signed.
    fn judge(&self, request: &Request<Bytes>) -> Reply {
        let mut state = self.state();
        if let Some((how, tries)) = state.down.take() {
            if tries > 1 {
                state.down = Some((how, tries.saturating_sub(1)));
            }
            state.refused.push(format!("{how:?}"));
            return match how {
                Down::Unavailable => {
                    Reply::new(StatusCode::SERVICE_UNAVAILABLE, "<Code>SlowDown</Code>")
                }
                Down::Refused | Down::Cut => Reply::Cut,
            };
        }
        let headers = header_texts(request.headers());
        let fault = if request.method() != Method::PUT {
            Some("not a PUT")
        } else if headers
            .get(header::CONTENT_TYPE.as_str())
            .is_some_and(|kind| !kind.is_empty())
        {
            Some("a content type, which was not signed")
        } else if headers.contains_key(header::TRANSFER_ENCODING.as_str()) {
            Some("a body without a length")
        } else {
            None
        };
        if let Some(fault) = fault {
            state.refused.push(fault.to_owned());
            return Reply::new(StatusCode::FORBIDDEN, "<Code>SignatureDoesNotMatch</Code>");
        }
        let target = request.uri().to_string();
        let Some(answers) = state.accepted.get_mut(&target) else {
            state
                .refused
                .push("an address that was not given out".to_owned());
            return Reply::new(StatusCode::FORBIDDEN, "<Code>SignatureDoesNotMatch</Code>");
        };
        answers.push(Answer {
            body: request.body().clone(),
            json: serde_json::from_slice(request.body()).unwrap_or_default(),
            headers,
            at: Instant::now(),
        });
        Reply::new(StatusCode::OK, "")
    }
}

/// `20261122T181523Z`, in UTC.
fn amz_date(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year}{month:02}{:02}T{hour:02}{minute:02}{:02}Z",
        days + 1,
        second % 60
    )
}

/// No response was received.
#[derive(Debug, thiserror::Error)]
#[error("no response within {limit:?}; rejected: {refused:?}")]
pub struct Missing {
    limit: Duration,
    refused: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_signed_today() {
        // date -u -d @… +%Y%m%dT%H%M%SZ
        for (seconds, date) in [
            (0, "19700101T000000Z"),
            (1_709_251_199, "20240229T235959Z"),
            (1_709_251_200, "20240301T000000Z"),
            (1_795_371_323, "20261122T181523Z"),
            (1_798_761_599, "20261231T235959Z"),
        ] {
            assert_eq!(amz_date(UNIX_EPOCH + Duration::from_secs(seconds)), date);
        }
    }
}
