//! Layers, and what stands in them.

use std::{io::Write, path::Path};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use soci_format::digest::Digest;

use super::Types;

pub const GZIP: &str = Types::Oci.layer();
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A layer, and what the manifest says of it.
#[derive(Clone)]
pub struct Layer {
    pub media_type: &'static str,
    /// Digest of its archive without compression, where it is one; of its bytes elsewhere.
    pub diff_id: Digest,
    /// Its digest as the manifest has it.
    pub digest: Digest,
    /// Its size as the manifest has it.
    pub size: usize,
    /// Its bytes as they are stored.
    pub bytes: Bytes,
    /// Where else they are, as the manifest has it.
    pub urls: Vec<String>,
}

impl Layer {
    /// A layer of these bytes.
    pub fn of(media_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            media_type,
            diff_id: Digest::of(&bytes),
            digest: Digest::of(&bytes),
            size: bytes.len(),
            bytes,
            urls: Vec::new(),
        }
    }

    /// A tar archive in gzip.
    pub fn gzip(tar: &[u8]) -> Self {
        Self {
            diff_id: Digest::of(tar),
            ..Self::of(GZIP, gzip(tar))
        }
    }

    /// A tar archive as it is.
    pub fn plain(tar: Vec<u8>) -> Self {
        Self::of(PLAIN, tar)
    }

    /// Bytes that claim to be compressed with zstd.
    pub fn zstd() -> Self {
        Self::of(
            ZSTD,
            [&[0x28, 0xb5, 0x2f, 0xfd], &noise(4, 4096)[..]].concat(),
        )
    }

    /// `size_bytes` of noise in one file, in gzip.
    pub fn noise(seed: u64, size_bytes: usize) -> Self {
        Self::gzip(&tar_of([("noise", noise(seed, size_bytes))]))
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that no compression makes smaller.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// A tar archive of files.
pub fn tar_of<N: AsRef<Path>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (N, B)>) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let bytes = bytes.as_ref();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    archive.into_inner().unwrap()
}
