//! Streams: a layer's bytes in order, all or a part of them, whatever happens to the connections that bring them.
//! In: a blob's address and size. Out: exactly those bytes, as the HTTP client gives them. Hashes nothing.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use reqwest::{
    StatusCode,
    header::{CONTENT_RANGE, RANGE},
};

use super::{
    error::{Error, RetryClass},
    exchange::{Call, Registry},
    log::chain,
    transport::RegistryResponse,
};

/// Retries of a blob that gets hardly further in between.
const RESUMPTIONS_MAX: u32 = 5;

/// So many bytes since the last break are no little: the connection was good. Storage that hands out gigabytes drops some
/// connections on the way, above all those of layers that wait for a core.
const GOOD_CONNECTION: u64 = 16 << 20;

/// The bytes of one blob, or a part of them.
pub struct BlobStream {
    registry: Arc<Registry>,
    call: Call,
    size: u64,
    range: Range<u64>,
    /// Whether a registry that ignores ranges is read all the same.
    takes_whole: bool,
    /// The next byte to give out.
    at: u64,
    bytes_read: u64,
    /// How often it broke off with little in between, and where it did last.
    resumed: u32,
    broken_at: u64,
    body: Option<Body>,
}

/// A body that is being read.
struct Body {
    answer: RegistryResponse,
    /// Bytes before the place where we were, from a registry that ignores ranges.
    skip: u64,
}

impl BlobStream {
    /// The bytes `range` of a blob of `size` bytes; they must lie within it.
    pub(super) fn new(registry: Arc<Registry>, call: Call, size: u64, range: Range<u64>) -> Self {
        Self {
            registry,
            call,
            size,
            takes_whole: true,
            at: range.start,
            bytes_read: 0,
            resumed: 0,
            broken_at: range.start,
            body: None,
            range,
        }
    }

    /// The same bytes, but an error from a registry that would send the whole blob for them.
    pub(super) fn without_the_rest(self) -> Self {
        Self {
            takes_whole: false,
            ..self
        }
    }

    /// Ends the stream earlier, at a byte that it has not given out yet.
    pub(super) fn end_at(&mut self, end: u64) {
        self.range.end = end;
    }

    /// The next bytes, never an empty piece; none after the last. To be dropped after an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.is_part() && self.at >= self.range.end {
                // The answer may hold more, which nobody reads.
                self.body = None;
                return Ok(None);
            }
            let body = match &mut self.body {
                Some(body) => body,
                None => {
                    let opened = self.open().await?;
                    self.body.insert(opened)
                }
            };
            match body.answer.chunk().await {
                Ok(Some(mut chunk)) => {
                    let length = chunk.len() as u64;
                    self.bytes_read += length;
                    let skipped = body.skip.min(length);
                    body.skip -= skipped;
                    if let Ok(skipped) = usize::try_from(skipped) {
                        chunk = chunk.split_off(skipped);
                    }
                    let left = self.range.end - self.at;
                    if chunk.len() as u64 > left {
                        if !self.is_part() {
                            return Err(self.size_error(self.at + chunk.len() as u64));
                        }
                        // From a registry that ignores ranges.
                        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    }
                    self.at += chunk.len() as u64;
                    if !chunk.is_empty() {
                        return Ok(Some(chunk));
                    }
                }
                Ok(None) if self.at == self.range.end => return Ok(None),
                Ok(None) => return Err(self.size_error(self.at)),
                // All is there; how the connection ends does not matter.
                Err(_) if self.at == self.range.end => return Ok(None),
                Err(error) => self.prepare_to_resume(error).await?,
            }
        }
    }

    /// Bytes that came over the network, including those received twice.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn is_part(&self) -> bool {
        self.range != (0..self.size)
    }

    /// Asks the registry again, and not the storage that it sent us to: that address may have expired.
    async fn open(&self) -> Result<Body, Error> {
        let mut call = self.call.clone();
        let is_part = self.at > 0 || self.is_part();
        if is_part {
            let end = match self.range.end {
                end if end == self.size => String::new(),
                end => (end - 1).to_string(),
            };
            call = call.with(RANGE, format!("bytes={}-{end}", self.at));
        }
        let answer = match self.registry.open(&call).await {
            // Some registries refuse every part of a blob and serve the whole of it.
            Err(error) if is_part && self.takes_whole && error.is_range_refusal() => {
                self.registry.open(&self.call).await?
            }
            answer => answer?,
        };
        let (skip, comes) = match answer.status() {
            StatusCode::PARTIAL_CONTENT if is_part => {
                self.check_range(&answer)?;
                (0, self.at..self.range.end)
            }
            StatusCode::OK if !is_part || self.takes_whole => (self.at, 0..self.size),
            other => {
                return Err(answer.refuse(format!("expected the blob, got status {other}")));
            }
        };
        match answer.content_length() {
            Some(length) if comes.start.saturating_add(length) != comes.end => Err(Error::Size {
                request: answer.request,
                found: comes.start.saturating_add(length),
                expected: comes.end,
            }),
            _ => Ok(Body { answer, skip }),
        }
    }

    /// The part must be what was asked for: from here to the end of the range.
    fn check_range(&self, answer: &RegistryResponse) -> Result<(), Error> {
        let found = answer.header(CONTENT_RANGE).unwrap_or_default();
        let from_here = format!("bytes {}-{}/", self.at, self.range.end - 1);
        let total = found.strip_prefix(&from_here);
        if total.is_some_and(|total| total == "*" || total == self.size.to_string()) {
            return Ok(());
        }
        Err(answer.refuse(format!(
            "the registry answered with range {found:?}, expected \"{from_here}{}\"",
            self.size
        )))
    }

    async fn prepare_to_resume(&mut self, error: Error) -> Result<(), Error> {
        let request = match self.body.take() {
            Some(body) if error.retry_class() != RetryClass::Permanent => body.answer.request,
            _ => return Err(error),
        };
        if self.at - self.broken_at >= GOOD_CONNECTION {
            self.resumed = 0;
        }
        self.broken_at = self.at;
        if self.resumed == RESUMPTIONS_MAX {
            return Err(Error::Broken {
                request,
                at: self.at,
                resumed: self.resumed,
                source: Box::new(error),
            });
        }
        self.resumed += 1;
        let at = self.at;
        let reason = || format!("resuming at byte {at}: {}", chain(&error));
        self.registry.log.line(reason);
        tokio::time::sleep(self.registry.retry.pause(self.resumed, None)).await;
        Ok(())
    }

    fn size_error(&self, found: u64) -> Error {
        Error::Size {
            request: super::Request::new(&self.call.method, &self.call.url),
            found,
            expected: self.range.end,
        }
    }
}
