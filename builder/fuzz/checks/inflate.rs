//! Gzip streams: any split gives the same, zlib agrees, and every checkpoint leads on.

use std::{convert::Infallible, io};

use soci_format::inflate::{
    Boundary, CompressedAt, Error, Fault, Gunzip, Sink, UncompressedAt, checkpoint::WINDOW,
};

use super::judges::zlib;

/// Boundaries that decoding is resumed from; every one of a stream of thousands would take too long.
const RESUMED_MAX: usize = 4;

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

    fn uncompressed(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.plain.extend(bytes);
        Ok(())
    }

    fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
        let known = window.len().min(self.plain.len());
        assert!(window.ends_with(&self.plain[self.plain.len() - known..]));
        self.boundaries.push(boundary);
    }
}

type Verdict = Result<UncompressedAt, (CompressedAt, Fault)>;

fn run(mut gunzip: Gunzip, mut source: impl io::Read) -> (Seen, Verdict) {
    let mut seen = Seen::default();
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

impl io::Read for Few<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let few = buffer.len().min(1 + self.0.len() % 7);
        self.0.read(&mut buffer[..few])
    }
}

/// In one piece or in many, and whatever instructions the processor has: the same verdict, bytes and boundaries, and every byte is seen once. zlib finds the same streams
/// valid, with the same bytes. From a boundary on, nothing is different.
pub(crate) fn inflate(bytes: &[u8]) {
    let (whole, verdict) = run(Gunzip::default(), bytes);
    let (pieces, verdict_of_pieces) = run(Gunzip::default().portable(), Few(bytes));
    assert_eq!(verdict, verdict_of_pieces);
    assert!(whole.compressed == bytes && pieces.compressed == bytes);
    if verdict.is_err_and(|(_, fault)| fault == Fault::Truncated) {
        // How much was decoded before the end was missed depends on when it was.
        assert!(pieces.plain.starts_with(&whole.plain));
        assert!(pieces.boundaries.starts_with(&whole.boundaries));
    } else {
        assert!(whole == pieces);
    }
    match (zlib(bytes), verdict) {
        (Some(theirs), Ok(_)) => assert!(theirs == whole.plain, "zlib gives other bytes"),
        (None, Err(_)) => {}
        (theirs, ours) => panic!("{ours:?}, but zlib says valid: {}", theirs.is_some()),
    }
    let step = whole.boundaries.len().div_ceil(RESUMED_MAX).max(1);
    for boundary in whole.boundaries.iter().step_by(step) {
        resume(bytes, *boundary, &whole, verdict);
    }
}

fn resume(bytes: &[u8], from: Boundary, whole: &Seen, verdict: Verdict) {
    let uncompressed_at = usize::try_from(from.uncompressed_at.0).expect("it was in memory");
    let first = usize::try_from(from.first_byte().0).expect("it was in memory");
    let before = &whole.plain[..uncompressed_at];
    let mut window = [0; WINDOW];
    let known = before.len().min(WINDOW);
    window[WINDOW - known..].copy_from_slice(&before[before.len() - known..]);
    let (resumed, verdict_of_resumed) = run(Gunzip::resume(from, &window), &bytes[first..]);
    let wanted = &whole.plain[uncompressed_at..];
    let common = wanted.len().min(resumed.plain.len());
    assert!(
        wanted[..common] == resumed.plain[..common],
        "from {from:?} come other bytes"
    );
    assert!(resumed.compressed == bytes[first..]);
    // What only the start of a member tells (its checksum, how far back it reaches) cannot be told from its middle.
    if verdict.is_ok() {
        assert_eq!(verdict_of_resumed, verdict);
        assert_eq!(wanted.len(), common);
        let behind = whole
            .boundaries
            .iter()
            .filter(|other| other.compressed_at > from.compressed_at);
        let found = resumed
            .boundaries
            .iter()
            .filter(|other| other.compressed_at > from.compressed_at);
        assert!(behind.eq(found), "other boundaries from {from:?} on");
    }
}
