//! A manifest as a store has it. In: its bytes. Out: the same, read.

use bytes::Bytes;

use super::{Descriptor, InvalidManifest, Manifest};

/// A manifest with the bytes that its digest is of.
#[derive(Clone, Debug)]
pub struct StoredManifest {
    /// Its type, digest and size.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Bytes,
    /// What they say.
    pub manifest: Manifest,
}

impl StoredManifest {
    /// Reads the bytes of a manifest; `descriptor` is what the store says of them. The type that the manifest itself states counts.
    ///
    /// # Errors
    /// Where they are no manifest.
    pub fn parse(descriptor: Descriptor, bytes: Bytes) -> Result<Self, InvalidManifest> {
        let manifest = Manifest::parse(&descriptor.media_type, &bytes)?;
        let descriptor = Descriptor {
            media_type: manifest.media_type_or(&descriptor.media_type),
            ..descriptor
        };
        Ok(Self {
            descriptor,
            bytes,
            manifest,
        })
    }
}
