//! The deflate engine: bits in, plain bytes out, one stop at the end of every block.
//! Knows nothing of gzip, members, buffers or files. It never reads or writes outside what it is given, has no slow path
//! for the ends of its buffers (the caller keeps some slack there), and is safe Rust throughout.

#![allow(
    clippy::cast_possible_truncation,
    reason = "every cast is of a value that was just masked or read as a few bits"
)]

use super::{
    Fault,
    huffman::{
        self, DISTANCE_BITS, DISTANCE_ENTRIES, LENGTH_BITS, LENGTH_ENTRIES, LITERAL_BITS,
        LITERAL_ENTRIES,
    },
};

/// Sizes of both buffers are powers of two, so that a mask proves to the compiler what we know of every position in the
/// hot loop: that it lies inside. From 128 KiB to 4 MiB speed hardly changes; this stays in the second-level cache.
const BUFFER: usize = 1 << 18;
const MASK: usize = BUFFER - 1;

/// Compressed bytes; the last eight are only there to be read as part of a word.
pub(super) type InputBuffer = [u8; BUFFER + 8];
/// Bytes that input may fill. Behind them is room for zeros at the end of a stream: reading into those means "truncated".
pub(super) const INPUT_MAX: usize = BUFFER - INPUT_SLACK;
pub(super) const INPUT_SLACK: usize = 1024;

/// Plain bytes; the last 16 are only there to be overwritten by the end of a copy.
pub(super) type OutputBuffer = [u8; BUFFER + 16];
/// Where output stops. One round may still write three literals and a match of 258 behind it.
const OUTPUT_MAX: usize = BUFFER - 384;

/// The farthest back a match may reach, and the size of a checkpoint's window.
pub(super) const WINDOW: usize = 32 * 1024;

/// A block header of 3 + 14 + 19 × 3 + 318 × 14 bits at most must be there whole.
const LONGEST_HEADER: usize = 640;
/// One round of the loop reads at most two words of 8 bytes.
const ROUND_INPUT: usize = 32;

/// What the engine reads: `bytes[..end]`, where `end` is at most [`INPUT_MAX`].
pub(super) struct Input<'a> {
    pub(super) bytes: &'a InputBuffer,
    pub(super) end: usize,
    /// Nothing follows `end`.
    pub(super) last: bool,
}

/// What the engine writes: `bytes`, with the output before `at` for matches to copy from.
pub(super) struct Output<'a> {
    pub(super) bytes: &'a mut OutputBuffer,
    /// Matches may copy from here on.
    pub(super) floor: usize,
}

/// Why the engine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It needs more input.
    Input,
    /// The output is full.
    Output,
    /// A block ended, and another follows.
    Block,
    /// The last block ended.
    End,
}

#[derive(Clone, Copy)]
enum State {
    Header,
    Stored(usize),
    Huffman,
    Done,
}

/// One deflate stream.
pub(super) struct Engine {
    state: State,
    last_block: bool,
    /// Bits read but not used; between calls 0..7 of them, exactly a checkpoint's `bits`.
    bits: u64,
    count: u32,
    literals: Box<[u32; LITERAL_ENTRIES]>,
    distances: Box<[u32; DISTANCE_ENTRIES]>,
}

/// The bit buffer and where it reads next; kept in locals while the engine runs.
struct Bits<'a> {
    bytes: &'a InputBuffer,
    at: usize,
    bits: u64,
    count: u32,
}

impl Bits<'_> {
    /// Makes at least 56 bits ready. Bits above `count` are true bits of the stream too, and are only read again.
    #[inline(always)]
    fn refill(&mut self) {
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[self.at & MASK..][..8]);
        self.bits |= u64::from_le_bytes(word) << self.count;
        self.at += (63 - self.count as usize) >> 3;
        self.count |= 56;
    }

    #[inline(always)]
    fn drop(&mut self, n: u32) {
        self.bits >>= n;
        self.count -= n;
    }

    fn take(&mut self, n: u32) -> usize {
        let value = (self.bits & ((1 << n) - 1)) as usize;
        self.drop(n);
        value
    }
}

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            state: State::Header,
            last_block: false,
            bits: 0,
            count: 0,
            literals: Box::new([0; LITERAL_ENTRIES]),
            distances: Box::new([0; DISTANCE_ENTRIES]),
        }
    }

    /// Makes ready for another stream, at a byte boundary.
    pub(super) fn restart(&mut self) {
        self.state = State::Header;
        self.last_block = false;
        self.bits = 0;
        self.count = 0;
    }

    /// Bits of the byte before the input position that are still to be used: 0..7.
    pub(super) fn unused_bits(&self) -> u8 {
        self.count as u8
    }

    /// Decodes from `input` at `*at` to `output` at `*out_at` until one of the four stops, moving both positions.
    pub(super) fn run(
        &mut self,
        input: &Input<'_>,
        at: &mut usize,
        output: &mut Output<'_>,
        out_at: &mut usize,
    ) -> Result<Stop, Fault> {
        let mut bits = Bits {
            bytes: input.bytes,
            at: *at,
            bits: self.bits,
            count: self.count,
        };
        let stop = self.step(input, &mut bits, output, out_at);
        bits.at -= (bits.count / 8) as usize;
        self.count = bits.count % 8;
        self.bits = bits.bits & ((1 << self.count) - 1);
        // Past the end only the slack's zeros were read: whatever they led to, the stream is cut short.
        let truncated = bits.at > input.end;
        *at = bits.at.min(input.end);
        if truncated {
            Err(Fault::Truncated)
        } else {
            stop
        }
    }

    fn step(
        &mut self,
        input: &Input<'_>,
        bits: &mut Bits<'_>,
        output: &mut Output<'_>,
        out_at: &mut usize,
    ) -> Result<Stop, Fault> {
        loop {
            match self.state {
                State::Header => {
                    if !input.last && input.end.saturating_sub(bits.at) < LONGEST_HEADER {
                        return Ok(Stop::Input);
                    }
                    self.header(bits)?;
                }
                State::Stored(0) => return Ok(self.block_end()),
                State::Stored(left) => {
                    let readable = input.end.saturating_sub(bits.at);
                    let writable = OUTPUT_MAX.saturating_sub(*out_at);
                    let n = left.min(readable).min(writable);
                    output.bytes[*out_at..*out_at + n]
                        .copy_from_slice(&input.bytes[bits.at..bits.at + n]);
                    bits.at += n;
                    *out_at += n;
                    self.state = State::Stored(left - n);
                    if n < left {
                        return match (n == writable, input.last) {
                            (true, _) => Ok(Stop::Output),
                            (false, true) => Err(Fault::Truncated),
                            (false, false) => Ok(Stop::Input),
                        };
                    }
                }
                State::Huffman => {
                    let stop_at = if input.last {
                        input.end + ROUND_INPUT
                    } else {
                        input.end.saturating_sub(ROUND_INPUT)
                    };
                    if self.huffman(bits, stop_at, output, out_at)? {
                        return Ok(self.block_end());
                    }
                    return match (bits.at >= stop_at, input.last) {
                        (true, true) => Err(Fault::Truncated),
                        (true, false) => Ok(Stop::Input),
                        (false, _) => Ok(Stop::Output),
                    };
                }
                State::Done => return Ok(Stop::End),
            }
        }
    }

    fn block_end(&mut self) -> Stop {
        if self.last_block {
            self.state = State::Done;
            Stop::End
        } else {
            self.state = State::Header;
            Stop::Block
        }
    }

    fn header(&mut self, bits: &mut Bits<'_>) -> Result<(), Fault> {
        bits.refill();
        self.last_block = bits.take(1) == 1;
        match bits.take(2) {
            0 => {
                bits.drop(bits.count % 8);
                bits.refill();
                let length = bits.take(16);
                if length != bits.take(16) ^ 0xffff {
                    return Err(Fault::StoredLength);
                }
                // The bytes themselves are copied from the input, so what was read ahead goes back.
                bits.at -= (bits.count / 8) as usize;
                (bits.bits, bits.count) = (0, 0);
                self.state = State::Stored(length);
            }
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                self.tables(&lengths, &[5; 32])?;
            }
            2 => {
                let mut lengths = [0; 286 + 30];
                let (literals, distances) = read_code_lengths(bits, &mut lengths)?;
                let (literals, distances) = lengths[..literals + distances].split_at(literals);
                if literals[256] == 0 {
                    return Err(Fault::NoEndOfBlock);
                }
                self.tables(literals, distances)?;
            }
            _ => return Err(Fault::BlockType),
        }
        Ok(())
    }

    fn tables(&mut self, literals: &[u8], distances: &[u8]) -> Result<(), Fault> {
        huffman::build(
            &mut self.literals[..],
            LITERAL_BITS,
            literals,
            huffman::literal_or_length,
            true,
        )?;
        huffman::build(
            &mut self.distances[..],
            DISTANCE_BITS,
            distances,
            huffman::distance,
            true,
        )?;
        self.state = State::Huffman;
        Ok(())
    }

    /// The hot loop. Gives true at the end of the block, false when input or output reached its stop.
    ///
    /// A refill makes 56 bits ready. A round takes at most 53 of them before the next one: three literals of the first
    /// table (33) and a length with its extra bits (20); a distance with its extra bits takes at most 28. The entry for
    /// the next code is always looked up before the refill, so that neither waits for the other.
    fn huffman(
        &self,
        bits: &mut Bits<'_>,
        stop_at: usize,
        output: &mut Output<'_>,
        out_at: &mut usize,
    ) -> Result<bool, Fault> {
        const LITERAL_MASK: u64 = (1 << LITERAL_BITS) - 1;
        const DISTANCE_MASK: u64 = (1 << DISTANCE_BITS) - 1;
        let (literals, distances) = (&*self.literals, &*self.distances);
        let floor = output.floor;
        let out = &mut *output.bytes;
        // Locals of a loop live in registers; a reference's target does not.
        let mut b = Bits {
            bytes: bits.bytes,
            at: bits.at,
            bits: bits.bits,
            count: bits.count,
        };
        let mut o = *out_at;
        b.refill();
        let mut entry = literals[(b.bits & LITERAL_MASK) as usize];
        let result = loop {
            if b.at >= stop_at || o >= OUTPUT_MAX {
                break Ok(false);
            }
            for _ in 0..3 {
                if entry & huffman::LITERAL == 0 {
                    break;
                }
                b.drop(entry & 0xff);
                out[o & MASK] = (entry >> 16) as u8;
                o += 1;
                entry = literals[(b.bits & LITERAL_MASK) as usize];
            }
            if entry & (huffman::LITERAL | huffman::SECOND_TABLE | huffman::STOP) != 0 {
                if entry & huffman::SECOND_TABLE != 0 {
                    b.drop(LITERAL_BITS);
                    entry = literals[second_index(entry, b.bits) & (LITERAL_ENTRIES - 1)];
                    if entry & huffman::LITERAL != 0 {
                        b.drop(entry & 0xff);
                        out[o & MASK] = (entry >> 16) as u8;
                        o += 1;
                        entry = literals[(b.bits & LITERAL_MASK) as usize];
                        b.refill();
                        continue;
                    }
                }
                if entry & huffman::LITERAL != 0 {
                    b.refill();
                    continue;
                }
                if entry & huffman::STOP != 0 {
                    if entry >> 16 != 0 {
                        break Err(Fault::NoCode);
                    }
                    b.drop(entry & 0xff);
                    break Ok(true);
                }
            }
            let length = base_and_extra(entry, b.bits);
            b.drop(entry & 0xff);

            entry = distances[(b.bits & DISTANCE_MASK) as usize];
            b.refill();
            if entry & (huffman::SECOND_TABLE | huffman::STOP) != 0 {
                if entry & huffman::SECOND_TABLE != 0 {
                    b.drop(DISTANCE_BITS);
                    entry = distances[second_index(entry, b.bits) & (DISTANCE_ENTRIES - 1)];
                }
                if entry & huffman::STOP != 0 {
                    break Err(Fault::NoCode);
                }
            }
            let distance = base_and_extra(entry, b.bits);
            b.drop(entry & 0xff);
            entry = literals[(b.bits & LITERAL_MASK) as usize];
            b.refill();
            if distance > o - floor {
                break Err(Fault::TooFarBack);
            }
            copy_match(out, o, distance, length);
            o += length;
        };
        *bits = b;
        *out_at = o;
        result
    }
}

#[inline(always)]
fn second_index(entry: u32, bits: u64) -> usize {
    (entry >> 16) as usize + (bits & ((1 << (entry >> 8 & 15)) - 1)) as usize
}

#[inline(always)]
fn base_and_extra(entry: u32, bits: u64) -> usize {
    ((entry >> 16) as u64 + ((bits & ((1 << (entry & 0xff)) - 1)) >> (entry >> 8 & 15))) as usize
}

/// Copies `length` bytes from `distance` back to `at`, in pieces; up to 15 bytes behind the match are overwritten too.
#[inline(always)]
fn copy_match(out: &mut OutputBuffer, at: usize, distance: usize, length: usize) {
    let from = at - distance;
    if distance >= 16 {
        copy_pieces::<16>(out, from, at, length, 16);
    } else if distance >= 8 {
        copy_pieces::<8>(out, from, at, length, 8);
    } else if distance == 1 {
        let byte = out[from & MASK];
        out[at & MASK..][..length].fill(byte);
    } else {
        // Shorter than a piece: each piece repeats `distance` right bytes, and makes as many more right.
        copy_pieces::<8>(out, from, at, length, distance);
    }
}

#[inline(always)]
fn copy_pieces<const N: usize>(
    out: &mut OutputBuffer,
    from: usize,
    at: usize,
    length: usize,
    step: usize,
) {
    let mut done = 0;
    loop {
        let mut piece = [0; N];
        piece.copy_from_slice(&out[(from + done) & MASK..][..N]);
        out[(at + done) & MASK..][..N].copy_from_slice(&piece);
        done += step;
        if done >= length {
            break;
        }
    }
}

/// Reads the code lengths of a dynamic block; gives how many literal and distance codes there are.
fn read_code_lengths(
    bits: &mut Bits<'_>,
    lengths: &mut [u8; 286 + 30],
) -> Result<(usize, usize), Fault> {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literals = bits.take(5) + 257;
    let distances = bits.take(5) + 1;
    let coded = bits.take(4) + 4;
    if literals > 286 || distances > 30 {
        return Err(Fault::TooManyCodes);
    }
    let mut length_lengths = [0; 19];
    for &symbol in &ORDER[..coded] {
        bits.refill();
        length_lengths[symbol] = bits.take(3) as u8;
    }
    let mut table = [0; LENGTH_ENTRIES];
    huffman::build(
        &mut table,
        LENGTH_BITS,
        &length_lengths,
        huffman::code_length,
        false,
    )?;

    let total = literals + distances;
    let mut n = 0;
    while n < total {
        bits.refill();
        let entry = table[(bits.bits & (LENGTH_ENTRIES as u64 - 1)) as usize];
        bits.drop(entry & 0xff);
        let (length, times) = match entry >> 16 {
            length @ 0..16 => (length as u8, 1),
            16 if n == 0 => return Err(Fault::RepeatOfNothing),
            16 => (lengths[n - 1], 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            _ => (0, 11 + bits.take(7)),
        };
        if n + times > total {
            return Err(Fault::RepeatOfNothing);
        }
        lengths[n..n + times].fill(length);
        n += times;
    }
    Ok((literals, distances))
}
