//! The deflate engine: bits in, plain bytes out, one stop at the end of every block.
//! Knows nothing of gzip, members, buffers or files. It never reads or writes outside what it is given, has no slow path
//! for the ends of its buffers (the caller keeps some slack there), and is safe Rust throughout.

#![allow(
    clippy::cast_possible_truncation,
    reason = "every cast is of a value that was just masked or read as a few bits"
)]

use super::{
    Fault,
    buffers::{Bits, InputBuffer, MASK, OUTPUT_MAX, OutputBuffer, copy_match},
    huffman::{self, DISTANCE_BITS, DISTANCE_ENTRIES, LITERAL_BITS, LITERAL_ENTRIES},
    lengths::{DISTANCES_MAX, LITERALS_MAX, read_code_lengths},
};

/// A block header of 3 + 14 + 19 × 3 + 318 × 14 bits at most must be there whole.
const LONGEST_HEADER: usize = 640;
/// One round of the loop reads at most two words of 8 bytes.
const ROUND_INPUT: usize = 32;

/// What the engine reads: `bytes[..end]`, where `end` is at most [`INPUT_MAX`](super::buffers::INPUT_MAX).
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

    /// Goes on between two blocks, with the upper `count` bits of `byte` still to be used.
    pub(super) fn go_on(&mut self, byte: u8, count: u8) {
        self.restart();
        self.count = u32::from(count);
        self.bits = u64::from(byte) >> (8 - self.count);
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
                let mut lengths = [0; LITERALS_MAX + DISTANCES_MAX];
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
