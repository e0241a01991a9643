//! The deflate engine: bits in, uncompressed bytes out, one stop at the end of every block.
//! Knows nothing of gzip, members, buffers or files. It never reads or writes outside what it is given, has no slow path
//! for the ends of its buffers (the caller keeps some slack there), and is safe Rust throughout.

#![allow(
    clippy::cast_possible_truncation,
    reason = "every cast is of a value that was just masked or read as a few bits"
)]

use super::{
    buffers::{Bits, Input, OUTPUT_MAX, Output},
    decode::{ROUND_INPUT, decode},
    fault::Fault,
    huffman::Tables,
    lengths::{DISTANCES_MAX, LITERALS_MAX, read_code_lengths},
};
use crate::processor::Bmi2;

/// A block header of 3 + 14 + 19 × 3 + 318 × 14 bits at most must be there whole.
const LONGEST_HEADER: usize = 640;

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
    tables: Tables,
    fast: Option<Bmi2>,
}

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            state: State::Header,
            last_block: false,
            bits: 0,
            count: 0,
            tables: Tables::default(),
            fast: Bmi2::detect(),
        }
    }

    /// Decodes from here on with the instructions that every processor has.
    pub(super) fn make_portable(&mut self) {
        self.fast = None;
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
        bits.give_back();
        (self.bits, self.count) = (bits.bits, bits.count);
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
                    let tables = &self.tables;
                    let block_ended = match self.fast {
                        Some(fast) => fast.run(|| decode(tables, bits, stop_at, output, out_at)),
                        None => decode(tables, bits, stop_at, output, out_at),
                    };
                    if block_ended? {
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
                bits.give_back();
                self.state = State::Stored(length);
            }
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                self.tables.fill(&lengths, &[5; 32])?;
                self.state = State::Huffman;
            }
            2 => {
                let mut lengths = [0; LITERALS_MAX + DISTANCES_MAX];
                let (literals, distances) = read_code_lengths(bits, &mut lengths)?;
                let (literals, distances) = lengths[..literals + distances].split_at(literals);
                if literals[256] == 0 {
                    return Err(Fault::NoEndOfBlock);
                }
                self.tables.fill(literals, distances)?;
                self.state = State::Huffman;
            }
            _ => return Err(Fault::BlockType),
        }
        Ok(())
    }
}
