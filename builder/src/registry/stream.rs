//! Streams: a layer's bytes in order, whatever happens to the connections that bring them.
//! In: a blob's address and size. Out: exactly that many bytes, as the HTTP client gives them. Hashes nothing.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::{
    StatusCode,
    header::{CONTENT_RANGE, RANGE},
};

use super::{
    error::{Error, Hope},
    exchange::{Call, Registry},
    transport::Answer,
};

/// A blob that breaks off more often than this will not come.
const RESUMPTIONS_MAX: u32 = 5;

/// The bytes of one blob.
pub struct BlobStream {
    registry: Arc<Registry>,
    call: Call,
    size: u64,
    /// Bytes given out.
    at: u64,
    bytes_read: u64,
    resumed: u32,
    body: Option<Body>,
}

/// A body that is being read.
struct Body {
    answer: Answer,
    /// Bytes before the place where we were, from a registry that ignores ranges.
    skip: u64,
}

impl BlobStream {
    pub(super) fn new(registry: Arc<Registry>, call: Call, size: u64) -> Self {
        Self {
            registry,
            call,
            size,
            at: 0,
            bytes_read: 0,
            resumed: 0,
            body: None,
        }
    }

    /// The next bytes, never an empty piece; none after the last. To be dropped after an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
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
                    self.at += chunk.len() as u64;
                    if self.at > self.size {
                        return Err(self.size_error(self.at));
                    }
                    if !chunk.is_empty() {
                        return Ok(Some(chunk));
                    }
                }
                Ok(None) if self.at == self.size => return Ok(None),
                Ok(None) => return Err(self.size_error(self.at)),
                // All is there; how the connection ends does not matter.
                Err(_) if self.at == self.size => return Ok(None),
                Err(error) => self.prepare_to_resume(error).await?,
            }
        }
    }

    /// Bytes that came over the network, those that came twice included.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Asks the registry again, and not the storage that it sent us to: that address may have expired.
    async fn open(&self) -> Result<Body, Error> {
        let mut call = self.call.clone();
        if self.at > 0 {
            call = call.with(RANGE, format!("bytes={}-", self.at));
        }
        let answer = self.registry.open(&call).await?;
        let (skip, start) = match answer.status() {
            StatusCode::PARTIAL_CONTENT if self.at > 0 => {
                self.check_range(&answer)?;
                (0, self.at)
            }
            StatusCode::OK => (self.at, 0),
            other => {
                return Err(answer.refuse(format!("the registry answered {other}, not the blob")));
            }
        };
        match answer.content_length() {
            Some(length) if start + length != self.size => Err(Error::Size {
                request: answer.request,
                found: start + length,
                expected: self.size,
            }),
            _ => Ok(Body { answer, skip }),
        }
    }

    /// The part must be what was asked for: from here to the end.
    fn check_range(&self, answer: &Answer) -> Result<(), Error> {
        let found = answer.header(CONTENT_RANGE).unwrap_or_default();
        let from_here = format!("bytes {}-{}/", self.at, self.size - 1);
        let total = found.strip_prefix(&from_here);
        if total.is_some_and(|total| total == "*" || total == self.size.to_string()) {
            return Ok(());
        }
        Err(answer.refuse(format!(
            "the registry resumed with range {found:?}, expected \"{from_here}{}\"",
            self.size
        )))
    }

    async fn prepare_to_resume(&mut self, error: Error) -> Result<(), Error> {
        let request = match self.body.take() {
            Some(body) if error.hope() != Hope::None => body.answer.request,
            _ => return Err(error),
        };
        if self.resumed == RESUMPTIONS_MAX {
            return Err(Error::Broken {
                request,
                at: self.at,
                resumed: self.resumed,
                source: Box::new(error),
            });
        }
        self.resumed += 1;
        tokio::time::sleep(self.registry.retry.pause(self.resumed, None)).await;
        Ok(())
    }

    fn size_error(&self, found: u64) -> Error {
        Error::Size {
            request: super::Request::new(&self.call.method, &self.call.url),
            found,
            expected: self.size,
        }
    }
}
