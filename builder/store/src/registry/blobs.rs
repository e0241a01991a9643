//! Blobs: whether they are there, and small ones whole.
//! In: digests. Out: sizes, and bytes that match their descriptor. Layers are streamed elsewhere.

use std::ops::Range;

use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_RANGE, RANGE},
};
use soci_format::{digest::Digest, oci::Descriptor};

use super::{
    Connections, LayerStream, Repository, error::Error, exchange::Call, manifests::announced,
    stream::BlobStream, transport::RegistryResponse,
};

/// Bytes that are counted where a registry does not tell a blob's size: more than a config or most ztocs have.
const COUNTED_MAX: u64 = 16 << 20;

/// Rejects a response about another blob.
fn about(answer: &RegistryResponse, digest: &Digest) -> Result<(), Error> {
    match announced(answer) {
        Some(other) if other != *digest => {
            Err(answer.refuse(format!("the registry responded with blob {other}")))
        }
        _ => Ok(()),
    }
}

impl Repository {
    /// The size of a blob, where the repository has it.
    pub async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let head = self.call(Method::HEAD, "blobs", &digest.to_string());
        match self.registry.open(&head).await {
            Ok(answer) => {
                about(&answer, digest)?;
                if let Some(size) = answer.content_length() {
                    return Ok(Some(size));
                }
            }
            Err(error) if self.registry.may_refuse_head(&error) => {}
            Err(error) => return Err(error),
        }
        self.size_by_get(digest).await
    }

    /// The same from registries that refuse HEAD, with 404 too, or say no length to it: the first byte comes with the length of all.
    async fn size_by_get(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let get = self.call(Method::GET, "blobs", &digest.to_string());
        let first = get.clone().with(RANGE, "bytes=0-0");
        let answer = match self.registry.open(&first).await {
            // It is empty, or there are no ranges here.
            Err(error) if error.is_range_refusal() => self.registry.open(&get).await,
            answer => answer,
        };
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        about(&answer, digest)?;
        let announced = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.header(CONTENT_RANGE).unwrap_or_default();
                range.rsplit_once('/').and_then(|(_, all)| all.parse().ok())
            }
            _ => answer.content_length(),
        };
        if announced.is_some() {
            return Ok(announced);
        }
        let mut size = 0;
        while let Some(chunk) = answer.chunk().await? {
            size += chunk.len() as u64;
            if size > COUNTED_MAX || answer.status() == StatusCode::PARTIAL_CONTENT {
                return Err(answer.refuse("the registry did not report the blob's size"));
            }
        }
        Ok(Some(size))
    }

    /// Whether a blob need not be pushed. Where that cannot be said, it is.
    pub(super) async fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let head = self.call(Method::HEAD, "blobs", &digest.to_string());
        match self.registry.open(&head).await {
            Ok(answer) => Ok(about(&answer, digest).is_ok()),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) if self.registry.may_refuse_head(&error) => {
                let size = self.size_by_get(digest).await;
                Ok(matches!(size, Ok(Some(_))))
            }
            Err(error) => Err(error),
        }
    }

    /// A blob that fits into memory: a config, a ztoc.
    pub async fn blob(&self, descriptor: &Descriptor) -> Result<Bytes, Error> {
        let call = self.call(Method::GET, "blobs", &descriptor.digest.to_string());
        let mut attempts = self.registry.attempts();
        let (answer, bytes) = loop {
            match self.small_blob(&call, descriptor.size).await {
                Ok(fetched) => break fetched,
                Err(error) => attempts.again(error).await?,
            }
        };
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(Error::Digest {
                request: answer,
                found,
                expected: descriptor.digest,
            });
        }
        Ok(bytes)
    }

    /// Streams a blob; nothing is sent before the first bytes are asked for.
    pub fn blob_stream(&self, descriptor: &Descriptor) -> BlobStream {
        self.blob_part(descriptor, 0..descriptor.size)
    }

    /// Streams the bytes `range` of a blob, which must lie within it; nothing is sent before the first bytes are asked for.
    pub(crate) fn blob_part(&self, descriptor: &Descriptor, range: Range<u64>) -> BlobStream {
        let call = self.call(Method::GET, "blobs", &descriptor.digest.to_string());
        BlobStream::new(self.registry.clone(), call, descriptor.size, range)
    }

    /// Streams a layer over as many of these connections as pay; nothing is sent before the first bytes are asked for.
    pub fn layer_stream(&self, layer: &Descriptor, connections: &Connections) -> LayerStream {
        LayerStream::new(self.clone(), layer.clone(), connections.clone())
    }

    async fn small_blob(
        &self,
        call: &Call,
        expected: u64,
    ) -> Result<(super::Request, Bytes), Error> {
        let mut answer = self.registry.once(call).await?;
        let announced = answer.content_length();
        match answer.body(expected).await? {
            Some(bytes) if bytes.len() as u64 == expected => Ok((answer.request, bytes)),
            cut => Err(Error::Size {
                found: cut
                    .map(|bytes| bytes.len() as u64)
                    .or(announced)
                    .unwrap_or(expected + 1),
                expected,
                request: answer.request,
            }),
        }
    }
}
