//! What a test compares: all that our inflater gives for a stream.

use std::io::{self, Read};

use soci_builder::inflate::{Boundary, CompressedAt, Error, Fault, Gunzip, PlainAt, Sink};

/// Everything a sink was given.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) compressed: Vec<u8>,
    pub(crate) plain: Vec<u8>,
    pub(crate) boundaries: Vec<Boundary>,
}

/// A plain length, or where the stream is wrong and how.
pub(crate) type Verdict = Result<u64, (u64, Fault)>;

impl Sink for Seen {
    type Error = std::convert::Infallible;

    fn compressed(&mut self, bytes: &[u8]) {
        self.compressed.extend(bytes);
    }

    fn plain(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.plain.extend(bytes);
        Ok(())
    }

    fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
        // A boundary stands behind all that was given before it, and so does its window.
        assert_eq!(
            boundary.compressed_at,
            CompressedAt(self.compressed.len() as u64)
        );
        assert_eq!(boundary.plain_at, PlainAt(self.plain.len() as u64));
        assert!(boundary.bits < 8);
        assert!(window == window_of(&self.plain), "window at {boundary:?}");
        self.boundaries.push(boundary);
    }
}

/// The last 32 KiB of `plain`, zeros before them where it is shorter.
pub(crate) fn window_of(plain: &[u8]) -> Vec<u8> {
    const WINDOW: usize = 32 * 1024;
    let known = plain.len().min(WINDOW);
    let mut window = vec![0; WINDOW - known];
    window.extend(&plain[plain.len() - known..]);
    window
}

/// Runs our inflater, and drains what an error leaves.
pub(crate) fn inflate(mut source: impl Read) -> (Seen, Verdict) {
    let mut seen = Seen::default();
    let mut gunzip = Gunzip::default();
    let verdict = match gunzip.run(&mut source, &mut seen) {
        Ok(PlainAt(length)) => {
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

/// Runs our inflater on bytes, and checks what holds for every stream: each byte is seen once, errors lie inside.
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
