//! The proxy: what the builder takes for the registry, and for the storage that the registry sends it to.
//! In: the registry's addresses, faults. Out: exchanges that went wrong as planned, and a journal of them. Stopped on drop.

use std::{io, sync::Arc, time::Duration};

use soci_testing::http::{Server, free_port};
use tokio::{net::TcpStream, runtime::Handle, time::timeout};

use crate::{
    faults::{Fault, Hurt, Planned, Way},
    journal::{Journal, Occasion},
    wire::{Came, Message, Wire, damaged},
};

/// What was damaged may leave the registry waiting; the network gives such a connection up.
const DAMAGED_LIVES: Duration = Duration::from_millis(500);

/// A request that is to be late waits no longer than that for others.
const LATE: Duration = Duration::from_millis(200);

/// A proxy that runs.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    _servers: Vec<Server>,
}

/// What all connections know.
struct Shared {
    journal: Journal,
    /// Addresses of the registry and of its storage, and of the proxy in their place.
    ends: Vec<(String, String)>,
}

impl Proxy {
    /// Starts in front of `upstream`: the registry, and its storage where it has one.
    pub(crate) fn start(runtime: &Handle, upstream: &[String], faults: Vec<Planned>) -> Self {
        let _entered = runtime.enter();
        let listeners: Vec<_> = upstream.iter().map(|_| free_port().unwrap()).collect();
        let ours = listeners.iter().map(|one| one.local_addr().unwrap());
        let ends = upstream
            .iter()
            .cloned()
            .zip(ours.map(|one| one.to_string()));
        let ends = ends.collect();
        let shared = Arc::new(Shared {
            journal: Journal::new(faults),
            ends,
        });
        let servers = listeners
            .into_iter()
            .enumerate()
            .map(|(end, listener)| {
                let shared = Arc::clone(&shared);
                let serve = move |stream| {
                    let shared = Arc::clone(&shared);
                    async move {
                        // An error is an end as good as any: what the registry or the builder broke off is broken off.
                        let _ = Connection::serve(Wire::new(stream), end, &shared).await;
                    }
                };
                Server::connections(listener, serve).unwrap()
            })
            .collect();
        Self {
            shared,
            _servers: servers,
        }
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn host(&self) -> &str {
        &self.shared.ends[0].1
    }

    /// Asks for paths of the registry, as somebody else did before, so that there are other answers to mix up.
    pub(crate) async fn ask(&self, paths: &[String]) -> io::Result<()> {
        let mut registry = connect(&self.shared.ends[0].0).await?;
        for (method, path) in paths
            .iter()
            .flat_map(|path| [("GET", path), ("HEAD", path)])
        {
            let host = self.host().to_owned();
            let request = Message::new(
                &format!("{method} {path} HTTP/1.1"),
                &[("host", host)],
                Vec::new(),
            );
            registry.send(&request.bytes(), None).await?;
            let answer = registry.answer(method == "HEAD").await?;
            let occasion = Occasion::of(&request, false);
            self.shared.journal.remember(&occasion, &answer);
        }
        Ok(())
    }

    /// What went wrong.
    pub(crate) fn journal(&self) -> &Journal {
        &self.shared.journal
    }
}

async fn connect(address: &str) -> io::Result<Wire> {
    TcpStream::connect(address).await.map(Wire::new)
}

/// A connection of the builder, and ours to the registry for it.
struct Connection<'a> {
    builder: Wire,
    registry: Wire,
    shared: &'a Shared,
}

impl<'a> Connection<'a> {
    async fn serve(builder: Wire, end: usize, shared: &'a Shared) -> io::Result<()> {
        let registry = connect(&shared.ends[end].0).await?;
        let mut connection = Self {
            builder,
            registry,
            shared,
        };
        while let Some(request) = connection.builder.request().await? {
            let occasion = Occasion::of(&request, end > 0);
            let fault = shared.journal.begin(&occasion);
            let came = connection.exchange(request, &occasion, fault).await;
            shared.journal.done();
            if came? == Came::Broken {
                break;
            }
        }
        Ok(())
    }

    /// One request and its answer.
    async fn exchange(
        &mut self,
        request: Message,
        occasion: &Occasion,
        fault: Option<Fault>,
    ) -> io::Result<Came> {
        let Some(fault) = fault else {
            let answer = self.ask(&request, occasion).await?;
            return self.tell(&answer, None).await;
        };
        match fault {
            Fault::Bytes(Way::ToRegistry, hurt) => self.hurt(&request, occasion, &hurt).await,
            Fault::Bytes(Way::ToBuilder, hurt) => {
                let answer = self.ask(&request, occasion).await?;
                self.tell(&answer, Some(&hurt)).await
            }
            Fault::Twice => {
                self.ask(&request, occasion).await?;
                let answer = self.ask(&request, occasion).await?;
                self.tell(&answer, None).await
            }
            Fault::Lost => {
                self.ask(&request, occasion).await?;
                Ok(Came::Broken)
            }
            Fault::Other { pick } => {
                let other = self.shared.journal.other(occasion, pick);
                self.ask(&request, occasion).await?;
                self.tell(&other, None).await
            }
            Fault::Refused {
                status,
                retry_after,
            } => {
                self.tell(&refusal(occasion, status, retry_after), None)
                    .await
            }
            Fault::Length { by } => {
                let answer = self.ask(&request, occasion).await?;
                let length = answer.body.len().saturating_add_signed(by.into());
                let answer = answer.with("content-length", Some(&length.to_string()));
                self.tell(&answer, None).await?;
                Ok(Came::Broken)
            }
            Fault::Late { others } => {
                let wait = self.shared.journal.wait_for(others.into());
                let _ = timeout(LATE, wait).await;
                let answer = self.ask(&request, occasion).await?;
                self.tell(&answer, None).await
            }
            Fault::WholeBlob => {
                let request = request.with("range", None);
                let answer = self.ask(&request, occasion).await?;
                self.tell(&answer, None).await
            }
            Fault::OtherPart { by } => {
                let answer = self.ask(&request, occasion).await?;
                let range = answer.header("content-range").unwrap_or_default();
                let start: u64 = range
                    .trim_start_matches("bytes ")
                    .split('-')
                    .next()
                    .and_then(|start| start.parse().ok())
                    .unwrap_or_default();
                let range = range.replacen(
                    &start.to_string(),
                    &(start + 1 + u64::from(by)).to_string(),
                    1,
                );
                self.tell(&answer.with("content-range", Some(&range)), None)
                    .await
            }
        }
    }

    /// Has the registry answer.
    async fn ask(&mut self, request: &Message, occasion: &Occasion) -> io::Result<Message> {
        self.registry.send(&request.bytes(), None).await?;
        let answer = self.registry.answer(occasion.is_head()).await?;
        let answer = self
            .shared
            .ends
            .iter()
            .fold(answer, |answer, (from, to)| answer.rewritten(from, to));
        self.shared.journal.remember(occasion, &answer);
        Ok(answer)
    }

    /// Tells the builder; afterwards the connection ends where the registry wants it to.
    async fn tell(&mut self, answer: &Message, hurt: Option<&Hurt>) -> io::Result<Came> {
        let came = self.builder.send(&answer.bytes(), hurt).await?;
        Ok(match answer.header("connection") {
            Some("close") => Came::Broken,
            _ => came,
        })
    }

    /// Has the registry answer a request that is hurt on its way.
    async fn hurt(
        &mut self,
        request: &Message,
        occasion: &Occasion,
        hurt: &Hurt,
    ) -> io::Result<Came> {
        let bytes = request.bytes();
        if self.registry.send(&bytes, Some(hurt)).await? == Came::Whole {
            let answer = self.registry.answer(occasion.is_head()).await?;
            return self.tell(&answer, None).await;
        }
        if matches!(hurt, Hurt::Cut { .. }) {
            return Ok(Came::Broken);
        }
        self.shared.journal.altered(damaged(&bytes, hurt));
        let answer = self.registry.answer(occasion.is_head());
        if let Ok(answer) = timeout(DAMAGED_LIVES, answer).await {
            self.tell(&answer?, None).await?;
        }
        Ok(Came::Broken)
    }
}

fn refusal(occasion: &Occasion, status: u16, retry_after: bool) -> Message {
    let code = match status {
        429 => "TOOMANYREQUESTS",
        503 => "UNAVAILABLE",
        _ => "UNKNOWN",
    };
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"not now"}}]}}"#).into_bytes();
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if retry_after {
        headers.push(("retry-after", "1".to_owned()));
    }
    let mut answer = Message::new(&format!("HTTP/1.1 {status} Not Now"), &headers, body);
    if occasion.is_head() {
        answer.body.clear();
    }
    answer
}

impl Occasion {
    fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}
