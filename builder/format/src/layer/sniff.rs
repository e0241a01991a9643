//! What a layer is, by its first bytes. In: a source and its media type's word. Out: its encoding, and the bytes that were read for that.

use std::io::{self, Read};

use crate::{
    inflate::MAGIC as GZIP_MAGIC,
    oci::LayerEncoding,
    tar::{HEADER_BYTES, is_header},
};

/// Compressions that cannot be indexed, by how they begin.
const OTHERS: [(&[u8], &str); 4] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
    (b"BZh", "bzip2"),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4"),
];

/// The first bytes of a layer.
pub(super) struct Head {
    pub(super) bytes: io::Cursor<Vec<u8>>,
    /// The encoding they show, or the name of one that we cannot index.
    pub(super) encoding: Result<LayerEncoding, &'static str>,
}

/// Reads the first block of `source`.
pub(super) fn sniff(source: &mut impl Read, declared: &LayerEncoding) -> io::Result<Head> {
    let mut bytes = Vec::new();
    source.take(HEADER_BYTES).read_to_end(&mut bytes)?;
    Ok(Head {
        encoding: encoding_of(&bytes, declared),
        bytes: io::Cursor::new(bytes),
    })
}

/// An archive starts with a file's name, which may begin as any compression does. Its header has a checksum, and they have none:
/// where that is right, the bytes are an archive unless the media type says what they begin with.
fn encoding_of(first: &[u8], declared: &LayerEncoding) -> Result<LayerEncoding, &'static str> {
    let is_gzip = first.starts_with(&GZIP_MAGIC);
    let other = OTHERS.iter().find(|(magic, _)| first.starts_with(magic));
    let is_declared = match declared {
        LayerEncoding::Gzip => is_gzip,
        LayerEncoding::Other(name) => other.is_some_and(|(_, found)| found == name),
        _ => false,
    };
    match other {
        _ if !is_declared && is_header(first) => Ok(LayerEncoding::Uncompressed),
        Some((_, name)) => Err(*name),
        None if is_gzip => Ok(LayerEncoding::Gzip),
        None => Ok(LayerEncoding::Uncompressed),
    }
}
