//! Gzip streams: compressed bytes in, uncompressed bytes and block boundaries out, in one pass and constant memory.
//! Multi-member streams are decoded on, with offsets running on. Knows nothing of tar, of digests or of the network.

#![forbid(unsafe_code)]

mod buffers;
mod decode;
mod fault;
mod gzip;
mod huffman;
mod lengths;
mod raw;

pub mod checkpoint;

use std::{fmt, io};

use buffers::{INPUT_MAX, INPUT_SLACK, InputBuffer, OutputBuffer, WINDOW};
pub use fault::Fault;
pub(crate) use gzip::MAGIC;
use raw::{Engine, Stop};

/// A position in the compressed stream, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompressedAt(pub u64);

/// A position in the uncompressed stream, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UncompressedAt(pub u64);

/// A place where inflation can start again: after a gzip header, or between two blocks of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// The first compressed byte that is not fully used.
    pub compressed_at: CompressedAt,
    /// Bits of the byte before it that are still to be used: 0..7.
    pub bits: u8,
    /// Where the uncompressed bytes go on.
    pub uncompressed_at: UncompressedAt,
}

/// Takes what a stream gives, in order: the compressed bytes used, the uncompressed bytes made of them, and then the boundary
/// that lies behind both.
pub trait Sink {
    /// What stops the pass besides the stream itself.
    type Error;
    /// Compressed bytes, each exactly once.
    fn compressed(&mut self, bytes: &[u8]);
    /// Uncompressed bytes.
    fn uncompressed(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// A boundary, with the 32 KiB of uncompressed bytes before it (zeros where there are fewer).
    fn boundary(&mut self, boundary: Boundary, window: &[u8]);
}

/// Why a pass over a gzip stream stopped early.
#[derive(Debug)]
pub enum Error<E> {
    /// The stream is invalid at this compressed byte.
    Stream {
        /// The compressed byte, counted from the start of the stream.
        at: CompressedAt,
        /// What is wrong there.
        fault: Fault,
    },
    /// The compressed bytes could not be read.
    Read(io::Error),
    /// The sink refused the uncompressed bytes.
    Sink(E),
}

impl Boundary {
    /// The first compressed byte that is needed from here on: the one before, where some of its bits are still to be used.
    pub fn first_byte(self) -> CompressedAt {
        let unused = u64::from(self.bits > 0);
        CompressedAt(self.compressed_at.0.saturating_sub(unused))
    }
}

impl fmt::Display for CompressedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for UncompressedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Decodes one gzip stream.
pub struct Gunzip {
    engine: Engine,
    /// `[what is left of the last read | what was read | slack]`
    input: Box<InputBuffer>,
    input_at: usize,
    input_end: usize,
    input_ended: bool,
    /// `[32 KiB of history | uncompressed bytes | slack]`
    output: Box<OutputBuffer>,
    output_at: usize,
    /// Where the member starts in `output`; 0 once it has slid out.
    member_floor: usize,
    compressed: CompressedAt,
    uncompressed: UncompressedAt,
    start: Start,
}

/// Where decoding starts.
#[derive(Clone, Copy)]
enum Start {
    /// At a member's header.
    Header,
    /// Between two blocks. Of the first byte, this many bits are still to be used: 0 for all of them.
    Block { bits: u8 },
}

impl Default for Gunzip {
    fn default() -> Self {
        Self {
            engine: Engine::new(),
            input: zeros(),
            input_at: 0,
            input_end: 0,
            input_ended: false,
            output: zeros(),
            output_at: WINDOW,
            member_floor: WINDOW,
            compressed: CompressedAt(0),
            uncompressed: UncompressedAt(0),
            start: Start::Header,
        }
    }
}

/// A buffer on the heap, without a copy of it on the stack first.
fn zeros<const N: usize>() -> Box<[u8; N]> {
    vec![0; N]
        .into_boxed_slice()
        .try_into()
        .expect("the length is the same")
}

impl Gunzip {
    /// Goes on at a checkpoint, as if all before it had been decoded: offsets run on from there. Its source starts with
    /// [`Boundary::first_byte`]. The member it lies in began earlier, so that member's CRC-32 and length are not checked.
    pub fn resume(from: Boundary, window: &[u8; WINDOW]) -> Self {
        let mut gunzip = Self {
            compressed: from.first_byte(),
            uncompressed: from.uncompressed_at,
            start: Start::Block { bits: from.bits },
            ..Self::default()
        };
        gunzip.output[..WINDOW].copy_from_slice(window);
        gunzip
    }

    /// Does without the instructions that only some processors have: slower, with the same results. To test what others run.
    #[must_use]
    pub fn portable(mut self) -> Self {
        self.engine.make_portable();
        self
    }

    /// Decodes all of `source` into `sink`. Gives the uncompressed length.
    pub fn run<S: Sink>(
        &mut self,
        source: &mut impl io::Read,
        sink: &mut S,
    ) -> Result<UncompressedAt, Error<S::Error>> {
        if let Start::Block { bits } = self.start {
            self.start = Start::Header;
            if bits > 0 {
                let byte = self
                    .next_byte(source, sink)?
                    .ok_or_else(|| self.fault(Fault::Truncated))?;
                self.engine.go_on(byte, bits);
            }
            // Any of the window may belong to the member.
            self.member_floor = 0;
            self.member(source, sink, None)?;
        }
        while self.header(source, sink)? {
            self.engine.restart();
            sink.boundary(self.here(), self.window());
            self.member_floor = self.output_at;
            let checks = Some((crc32fast::Hasher::new(), self.uncompressed));
            self.member(source, sink, checks)?;
        }
        Ok(self.uncompressed)
    }

    /// Gives the rest of `source` to `sink` as compressed bytes only: after an error, for whoever still wants the digest.
    pub fn drain<S: Sink>(&mut self, source: &mut impl io::Read, sink: &mut S) -> io::Result<()> {
        loop {
            sink.compressed(&self.input[self.input_at..self.input_end]);
            self.compressed.0 += (self.input_end - self.input_at) as u64;
            self.input_at = self.input_end;
            if !self.fill(source)? {
                return Ok(());
            }
        }
    }

    /// Reads a member's header. False at the end of a stream that has had at least one member.
    fn header<S: Sink>(
        &mut self,
        source: &mut impl io::Read,
        sink: &mut S,
    ) -> Result<bool, Error<S::Error>> {
        let mut header = gzip::Header::default();
        let is_first = self.compressed == CompressedAt(0);
        loop {
            let Some(byte) = self.next_byte(source, sink)? else {
                return if header.is_empty() && !is_first {
                    Ok(false)
                } else {
                    Err(self.fault(Fault::Truncated))
                };
            };
            if header
                .push(byte)
                .map_err(|fault| self.fault_before(fault))?
            {
                return Ok(true);
            }
        }
    }

    /// Decodes a member's blocks and reads its trailer. `checks` is the checksum and where its uncompressed bytes start; nothing
    /// where decoding did not start there.
    fn member<S: Sink>(
        &mut self,
        source: &mut impl io::Read,
        sink: &mut S,
        mut checks: Option<(crc32fast::Hasher, UncompressedAt)>,
    ) -> Result<(), Error<S::Error>> {
        loop {
            let (in_from, out_from) = (self.input_at, self.output_at);
            let input = buffers::Input {
                bytes: &self.input,
                end: self.input_end,
                last: self.input_ended,
            };
            let mut output = buffers::Output {
                bytes: &mut self.output,
                floor: self.member_floor,
            };
            let stop =
                self.engine
                    .run(&input, &mut self.input_at, &mut output, &mut self.output_at);

            sink.compressed(&self.input[in_from..self.input_at]);
            self.compressed.0 += (self.input_at - in_from) as u64;
            // What the engine decoded from the zeros behind a cut stream was never in it.
            if stop == Err(Fault::Truncated) {
                self.output_at = out_from;
            }
            // What stands before any other fault goes out first: if the sink refuses it, that is what the stream's reader
            // meets first, however the bytes arrived.
            let bytes = &self.output[out_from..self.output_at];
            if let Some((checksum, _)) = &mut checks {
                checksum.update(bytes);
            }
            self.uncompressed.0 += bytes.len() as u64;
            sink.uncompressed(bytes).map_err(Error::Sink)?;
            match stop.map_err(|fault| self.fault(fault))? {
                Stop::Input => {
                    self.fill(source).map_err(Error::Read)?;
                }
                Stop::Output => self.slide(),
                Stop::Block => sink.boundary(self.here(), self.window()),
                Stop::End => break,
            }
        }
        let ended = self.uncompressed;
        let mut trailer = gzip::Trailer::of(
            checks.map(|(checksum, started)| (checksum.finalize(), ended.0 - started.0)),
        );
        loop {
            let byte = self
                .next_byte(source, sink)?
                .ok_or_else(|| self.fault(Fault::Truncated))?;
            if trailer
                .push(byte)
                .map_err(|fault| self.fault_before(fault))?
            {
                return Ok(());
            }
        }
    }

    fn here(&self) -> Boundary {
        Boundary {
            compressed_at: self.compressed,
            bits: self.engine.unused_bits(),
            uncompressed_at: self.uncompressed,
        }
    }

    fn window(&self) -> &[u8] {
        &self.output[self.output_at - WINDOW..self.output_at]
    }

    /// Moves the history to the front, so that there is room for more output.
    fn slide(&mut self) {
        let by = self.output_at - WINDOW;
        self.output.copy_within(by..self.output_at, 0);
        self.output_at = WINDOW;
        self.member_floor = self.member_floor.saturating_sub(by);
    }

    /// Moves what is left of the input to the front and reads more behind it. False at the end of the source.
    fn fill(&mut self, source: &mut impl io::Read) -> io::Result<bool> {
        self.input.copy_within(self.input_at..self.input_end, 0);
        self.input_end -= self.input_at;
        self.input_at = 0;
        while !self.input_ended {
            match source.read(&mut self.input[self.input_end..INPUT_MAX]) {
                Ok(0) => {
                    self.input_ended = true;
                    self.input[self.input_end..self.input_end + INPUT_SLACK].fill(0);
                }
                Ok(n) => {
                    self.input_end += n;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn next_byte<S: Sink>(
        &mut self,
        source: &mut impl io::Read,
        sink: &mut S,
    ) -> Result<Option<u8>, Error<S::Error>> {
        if self.input_at == self.input_end && !self.fill(source).map_err(Error::Read)? {
            return Ok(None);
        }
        let byte = self.input[self.input_at];
        sink.compressed(&[byte]);
        self.input_at += 1;
        self.compressed.0 += 1;
        Ok(Some(byte))
    }

    fn fault<E>(&self, fault: Fault) -> Error<E> {
        Error::Stream {
            at: self.compressed,
            fault,
        }
    }

    /// For a fault of the byte just read.
    fn fault_before<E>(&self, fault: Fault) -> Error<E> {
        Error::Stream {
            at: CompressedAt(self.compressed.0 - 1),
            fault,
        }
    }
}
