//! What must hold for any bytes at all, one function per parser. The fuzz targets call them, and so does
//! `tests/fuzz.rs` with a fixed seed, so that they are kept true where no fuzzer can run.

use std::convert::Infallible;

use soci_builder::{
    inflate::{Boundary, CompressedAt, Error, Fault, Gunzip, PlainAt, Sink},
    oci::{Manifest, Reference, to_go_json},
    tar::TarReader,
    ztoc::Ztoc,
};

#[derive(Default, PartialEq)]
struct Seen {
    compressed: Vec<u8>,
    plain: Vec<u8>,
    boundaries: Vec<Boundary>,
}

impl Sink for Seen {
    type Error = Infallible;

    fn compressed(&mut self, bytes: &[u8]) {
        self.compressed.extend(bytes);
    }

    fn plain(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.plain.extend(bytes);
        Ok(())
    }

    fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
        let known = window.len().min(self.plain.len());
        assert!(window.ends_with(&self.plain[self.plain.len() - known..]));
        self.boundaries.push(boundary);
    }
}

fn inflated(mut source: impl std::io::Read) -> (Seen, Result<PlainAt, (CompressedAt, Fault)>) {
    let (mut gunzip, mut seen) = (Gunzip::default(), Seen::default());
    let verdict = match gunzip.run(&mut source, &mut seen) {
        Ok(length) => Ok(length),
        Err(Error::Stream { at, fault }) => Err((at, fault)),
        Err(Error::Read(error)) => panic!("{error}"),
        Err(Error::Sink(never)) => match never {},
    };
    gunzip
        .drain(&mut source, &mut seen)
        .expect("memory can be read");
    (seen, verdict)
}

/// Gives a few bytes at a time.
struct Few<'a>(&'a [u8]);

impl std::io::Read for Few<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let few = buffer.len().min(1 + self.0.len() % 7);
        self.0.read(&mut buffer[..few])
    }
}

/// In one piece or in many: the same verdict, bytes and boundaries; and every byte is seen once.
pub(crate) fn inflate(bytes: &[u8]) {
    let (whole, verdict) = inflated(bytes);
    let (pieces, verdict_of_pieces) = inflated(Few(bytes));
    assert_eq!(verdict, verdict_of_pieces);
    assert!(whole.compressed == bytes && pieces.compressed == bytes);
    if verdict.is_err_and(|(_, fault)| fault == Fault::Truncated) {
        // How much was decoded before the end was missed depends on when it was.
        assert!(pieces.plain.starts_with(&whole.plain));
        assert!(pieces.boundaries.starts_with(&whole.boundaries));
    } else {
        assert!(whole == pieces);
    }
}

/// In one piece or in many: the same members and the same end.
pub(crate) fn tar(bytes: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut reader, mut seen) = (TarReader::new(), Vec::new());
        for piece in pieces {
            let pushed = reader.push(piece, &mut |entry| seen.push(format!("{entry:?}")));
            if pushed.is_err() {
                break;
            }
        }
        (seen, reader.finish())
    };
    assert_eq!(read(&mut [bytes].into_iter()), read(&mut bytes.chunks(13)));
}

/// A ztoc that parses can be used, and written so that it reads back equal.
pub(crate) fn ztoc(bytes: &[u8]) {
    if let Ok(ztoc) = Ztoc::parse(bytes) {
        assert_eq!(ztoc.span_starts().len(), ztoc.span_digests.len());
        assert!(Ztoc::parse(&ztoc.clone().into_bytes()) == Ok(ztoc));
    }
}

/// A manifest that parses is the same manifest after it was written.
pub(crate) fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse("", bytes) {
        let media_type = manifest.media_type_or("");
        let written = match &manifest {
            Manifest::Image(image) => to_go_json(image),
            Manifest::Index(index) => to_go_json(index),
        };
        assert_eq!(Manifest::parse(&media_type, &written).ok(), Some(manifest));
    }
}

/// A reference into a registry that parses is the same reference after it was shown.
pub(crate) fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(reference) = text.parse::<Reference>() {
        let shown = reference.to_string();
        let again = shown.parse::<Reference>();
        // A path may end in a colon that a layout's reference does not keep.
        if let Reference::Registry(_) = reference {
            assert_eq!(again.ok(), Some(reference));
        }
    }
}
