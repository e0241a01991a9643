//! What a test compares: all that our inflater gives for a stream.

use std::io::{self, Read};

use soci_format::inflate::{
    Boundary, CompressedAt, Error, Fault, Gunzip, Sink, UncompressedAt, checkpoint::WINDOW,
};

/// Everything a sink was given.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) compressed: Vec<u8>,
    pub(crate) plain: Vec<u8>,
    pub(crate) boundaries: Vec<Boundary>,
}

/// A uncompressed length, or where the stream is wrong and how.
pub(crate) type Verdict = Result<u64, (u64, Fault)>;

impl Sink for Seen {
    type Error = std::convert::Infallible;

    fn compressed(&mut self, bytes: &[u8]) {
        self.compressed.extend(bytes);
    }

    fn uncompressed(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.plain.extend(bytes);
        Ok(())
    }

    fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
        // A boundary stands behind all that was given before it, and so does its window.
        assert_eq!(
            boundary.compressed_at,
            CompressedAt(self.compressed.len() as u64)
        );
        assert_eq!(
            boundary.uncompressed_at,
            UncompressedAt(self.plain.len() as u64)
        );
        assert!(boundary.bits < 8);
        assert!(window == window_of(&self.plain), "window at {boundary:?}");
        self.boundaries.push(boundary);
    }
}

/// The last 32 KiB of `plain`, zeros before them where it is shorter.
pub(crate) fn window_of(plain: &[u8]) -> Vec<u8> {
    let known = plain.len().min(WINDOW);
    let mut window = vec![0; WINDOW - known];
    window.extend(&plain[plain.len() - known..]);
    window
}

/// Runs our inflater, and drains what an error leaves.
pub(crate) fn inflate(source: impl Read) -> (Seen, Verdict) {
    run(Gunzip::default(), source, Seen::default())
}

/// Runs our inflater on bytes, and checks what holds for every stream: each byte is seen once, errors lie inside, and
/// other instructions do the same.
pub(crate) fn inflate_bytes(stream: &[u8]) -> (Seen, Verdict) {
    let (seen, verdict) = inflate(stream);
    assert!(seen.compressed == stream, "every byte is seen once");
    if let Err((at, fault)) = verdict {
        assert!(
            at <= stream.len() as u64,
            "{fault:?} at {at} of {}",
            stream.len()
        );
    }
    let portable = run(Gunzip::default().portable(), stream, Seen::default());
    assert!(portable == (seen.clone(), verdict), "other instructions");
    (seen, verdict)
}

/// Goes on from a boundary that was `seen`, to the end of the stream. Gives what was seen before and after it.
pub(crate) fn resume(seen: &Seen, from: Boundary, window: &[u8; WINDOW]) -> (Seen, Verdict) {
    let first = from.first_byte().0 as usize;
    let before = |other: &&Boundary| other.compressed_at <= from.compressed_at;
    let so_far = Seen {
        compressed: seen.compressed[..first].to_vec(),
        plain: seen.plain[..from.uncompressed_at.0 as usize].to_vec(),
        boundaries: seen.boundaries.iter().take_while(before).copied().collect(),
    };
    run(
        Gunzip::resume(from, window),
        &seen.compressed[first..],
        so_far,
    )
}

fn run(mut gunzip: Gunzip, mut source: impl Read, mut seen: Seen) -> (Seen, Verdict) {
    let verdict = match gunzip.run(&mut source, &mut seen) {
        Ok(UncompressedAt(length)) => {
            assert_eq!(length, seen.plain.len() as u64);
            Ok(length)
        }
        Err(Error::Stream { at, fault }) => Err((at.0, fault)),
        Err(Error::Read(error)) => panic!("{error}"),
        Err(Error::Sink(never)) => match never {},
    };
    if verdict.is_err() {
        gunzip.drain(&mut source, &mut seen).unwrap();
    }
    (seen, verdict)
}

/// Gives a stream in reads of these sizes, over and over, with an interruption between two of them.
pub(crate) struct ShortReads<'a> {
    pub(crate) stream: &'a [u8],
    pub(crate) sizes: &'a [usize],
    pub(crate) turn: usize,
}

impl Read for ShortReads<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = self.sizes[self.turn % self.sizes.len()].clamp(1, buffer.len());
        self.stream.read(&mut buffer[..size])
    }
}
