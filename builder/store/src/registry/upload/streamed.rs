//! Uploads of blobs that are not held: their bytes are sent on as they come.
//! In: pieces. Out: a blob in the registry, once its bytes have turned out to be the right ones.
//!
//! ```text
//! begin_streamed ─▶ Upload ─start─▶ Pieces (bytes go in) and Sending ─commit─▶ the blob
//! ```
//!
//! The bytes are sent in one PATCH, as docker does it: registries take that, and nothing counts before the PUT that follows.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::{Method, header::CONTENT_TYPE};
use soci_format::{digest::Digest, oci::Descriptor};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use url::Url;

use super::{
    super::{Repository, error::Error, exchange::Call, request::Request, retry::Attempts},
    with_digest,
};

/// Pieces that wait to be sent at most. The HTTP client holds up to 400 KiB more, and a piece, of each upload.
const QUEUE: usize = 1;

/// Registries look at all bytes of a blob once more before they say that they have it; none does that more slowly: 10 MiB/s.
const SLOWEST_CHECK: u64 = 10 << 20;

/// An upload that has begun, and has no bytes yet.
pub struct Upload {
    repository: Repository,
    url: Url,
    size: u64,
}

/// Where the bytes of an upload go in.
pub struct Pieces {
    pieces: mpsc::Sender<Bytes>,
    done: oneshot::Sender<()>,
    patience: Duration,
}

/// An upload whose bytes are on their way.
pub struct Sending {
    repository: Repository,
    size: u64,
    /// Gives the address that ends the upload.
    sent: Aborted<Result<Url, Error>>,
}

/// A task that ends when nobody waits for it any more.
struct Aborted<T>(JoinHandle<T>);

impl<T> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of the request that carries the bytes.
pub(in crate::registry) struct UploadBody {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
    /// Told when all bytes have been given; dropped where they will not come.
    pub(in crate::registry) done: Option<oneshot::Receiver<()>>,
    /// How long the registry may take for its answer after that.
    pub(in crate::registry) patience: Duration,
}

impl Repository {
    /// Begins the upload of `blob`, or has it taken over from the repository `from` where that is one of the same registry; `None` where
    /// that was enough.
    pub async fn begin_streamed(
        &self,
        blob: &Descriptor,
        from: Option<&Self>,
    ) -> Result<Option<Upload>, Error> {
        let begun = match from.filter(|from| self.can_mount_from(from)) {
            Some(from) => match self.mount(&blob.digest, from).await {
                Ok(None) => return Ok(None),
                Ok(url) => url,
                // The registry mounts nothing, or not for us.
                Err(_) => None,
            },
            None => None,
        };
        let url = match begun {
            Some(url) => url,
            None => {
                let answer = self.registry.open(&self.upload_call()).await?;
                self.upload_url(&answer)?
            }
        };
        Ok(Some(Upload {
            repository: self.clone(),
            url,
            size: blob.size,
        }))
    }

    /// Counts the attempts of an upload.
    pub(crate) fn upload_attempts(&self) -> UploadAttempts<'_> {
        UploadAttempts(self.registry.attempts())
    }
}

/// The attempts of one upload.
pub(crate) struct UploadAttempts<'a>(Attempts<'a>);

impl UploadAttempts<'_> {
    /// Returns after a pause where another attempt can help; gives the error back where not. Bytes that were right when they were sent, and
    /// of which the registry says that they are not, were corrupted in transit.
    pub(crate) async fn again(&mut self, error: Error) -> Result<(), Error> {
        let code = error.status().map(|status| status.code.as_str());
        match code {
            Some("DIGEST_INVALID") => self.0.again_if(true, error).await,
            _ => self.0.again(error).await,
        }
    }
}

impl Upload {
    /// Starts to send what goes into the pieces; must be called within a tokio runtime.
    pub fn start(self) -> (Pieces, Sending) {
        let Self {
            repository,
            url,
            size,
        } = self;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (done, all_given) = oneshot::channel();
        let idle_timeout = repository.registry.retry.idle_timeout;
        let body = UploadBody {
            pieces: receiver,
            left: size,
            done: Some(all_given),
            patience: idle_timeout + checking(size),
        };
        let pieces = Pieces {
            pieces: sender,
            done,
            patience: idle_timeout,
        };
        let to = repository.clone();
        let sent = tokio::spawn(async move { to.send_pieces(url, body).await });
        let sent = Aborted(sent);
        let sending = Sending {
            repository,
            size,
            sent,
        };
        (pieces, sending)
    }
}

impl Pieces {
    /// Gives the next bytes; waits while the registry takes them more slowly than they come. Says whether it takes any more: not
    /// where the upload has failed, or the registry has not taken anything for too long.
    pub async fn give(&self, piece: Bytes) -> bool {
        matches!(
            timeout(self.patience, self.pieces.send(piece)).await,
            Ok(Ok(()))
        )
    }

    /// All bytes have been given. Where this is not said, the upload ends there.
    pub fn finish(self) {
        // Fails where the upload has ended already.
        let _ = self.done.send(());
    }
}

impl Sending {
    /// Ends the upload once all bytes are there: now the registry has the blob. To be called only where the bytes were those of `digest`.
    pub async fn commit(mut self, digest: &Digest) -> Result<(), Error> {
        let url = self.ended().await?;
        self.repository.commit_upload(url, digest, self.size).await
    }

    /// Why the upload takes no more bytes.
    pub async fn failure(mut self) -> Error {
        match self.ended().await {
            Err(error) => error,
            Ok(url) => Error::InvalidResponse {
                request: Request::elsewhere(&Method::PATCH, &url),
                reason: "the registry ended the upload before all bytes were sent".to_owned(),
            },
        }
    }

    /// How the request ended that carried the bytes.
    async fn ended(&mut self) -> Result<Url, Error> {
        let sent = (&mut self.sent.0).await;
        sent.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))
    }
}

impl Repository {
    /// Sends the bytes of an upload; gives the address that ends it.
    async fn send_pieces(&self, url: Url, body: UploadBody) -> Result<Url, Error> {
        let call = Call {
            url: url.clone(),
            ..self.call(Method::PATCH, "blobs", "uploads")
        };
        let call = call.with(CONTENT_TYPE, "application/octet-stream");
        let answer = self.registry.once_streaming(&call, body).await?;
        self.next_url(&answer, url)
    }

    async fn commit_upload(&self, url: Url, digest: &Digest, size: u64) -> Result<(), Error> {
        let call = Call {
            url: with_digest(url, digest),
            body: Some(Bytes::new()),
            patience: checking(size),
            ..self.call(Method::PUT, "blobs", "uploads")
        };
        self.registry.open(&call).await.map(drop)
    }
}

/// How long a registry may look at a blob of that size.
fn checking(size: u64) -> Duration {
    Duration::from_secs(size / SLOWEST_CHECK)
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(context));
        Poll::Ready(Some(match piece {
            Some(piece) if piece.len() as u64 <= self.left => {
                self.left -= piece.len() as u64;
                Ok(Frame::data(piece))
            }
            Some(_) => Err(io::Error::other(
                "the blob is longer than its descriptor says",
            )),
            None => Err(io::Error::other("the blob could not be read to its end")),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
