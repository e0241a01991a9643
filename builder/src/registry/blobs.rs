//! Blobs: small ones whole, and uploads.
//! In: digests, bytes. Out: bytes that match their descriptor. Layers are streamed elsewhere.

use std::ops::Range;

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap},
};

use super::{
    Repository,
    error::{Error, Hope},
    exchange::Call,
    manifests::announced,
    stream::BlobStream,
};
use crate::{digest::Digest, oci::Descriptor};

impl Repository {
    /// The size of a blob, where the repository has it.
    pub async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let call = self.call(Method::HEAD, "blobs", &digest.to_string());
        match self.registry.open(&call).await {
            Ok(answer) => match (announced(&answer), answer.content_length()) {
                (Some(other), _) if other != *digest => {
                    Err(answer.refuse(format!("the registry answered about the blob {other}")))
                }
                (_, Some(size)) => Ok(Some(size)),
                (_, None) => Err(answer.refuse("the registry does not tell the blob's size")),
            },
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A blob that fits into memory: a config, a ztoc.
    pub async fn blob(&self, descriptor: &Descriptor) -> Result<Bytes, Error> {
        let call = self.call(Method::GET, "blobs", &descriptor.digest.to_string());
        let mut tries = self.registry.retry.tries();
        let (answer, bytes) = loop {
            match self.small_blob(&call, descriptor.size).await {
                Ok(fetched) => break fetched,
                Err(error) => tries.again(error).await?,
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
    pub fn blob_part(&self, descriptor: &Descriptor, range: Range<u64>) -> BlobStream {
        let call = self.call(Method::GET, "blobs", &descriptor.digest.to_string());
        BlobStream::new(self.registry.clone(), call, descriptor.size, range)
    }

    /// Puts a blob there, unless it is there already; says whether it was not.
    pub async fn push_blob(&self, digest: &Digest, bytes: Bytes) -> Result<bool, Error> {
        if self.blob_size(digest).await?.is_some() {
            return Ok(false);
        }
        let mut tries = self.registry.retry.tries();
        loop {
            let error = match self.upload(digest, bytes.clone()).await {
                Ok(()) => return Ok(true),
                Err(error) => error,
            };
            // Another client may have finished the same upload first, which some registries refuse to repeat.
            let refused = error.hope() == Hope::None && error.status().is_some();
            if refused && matches!(self.blob_size(digest).await, Ok(Some(_))) {
                return Ok(false);
            }
            tries.again(error).await?;
        }
    }

    /// One upload, from the start: `POST`, then all bytes in one `PUT`, which every registry takes.
    async fn upload(&self, digest: &Digest, bytes: Bytes) -> Result<(), Error> {
        let start = self.call(Method::POST, "blobs", "uploads");
        let start = Call {
            url: {
                // The specification's path ends in a slash.
                let mut url = start.url.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.push("");
                }
                url
            },
            body: Some(Bytes::new()),
            ..start
        };
        let answer = self.registry.once(&start).await?;
        let mut url = self.registry.location(&answer)?;
        // Appended, and not parsed and written again: a signed query must stay as it is.
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
            _ => format!("digest={digest}"),
        };
        url.set_query(Some(&query));
        let put = Call {
            method: Method::PUT,
            url,
            headers: HeaderMap::new(),
            body: Some(bytes),
            scope: start.scope,
        };
        let put = put.with(CONTENT_TYPE, "application/octet-stream");
        self.registry.once(&put).await.map(drop)
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
