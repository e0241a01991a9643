//! Huffman decoding tables.
//! In: code lengths, as a deflate block states them. Out: one table of 32-bit entries per alphabet. Knows nothing of
//! bits still to be read.
//!
//! An entry says what to do with the next bits:
//!
//! | bits | meaning |
//! |---|---|
//! | 31 | it is a literal |
//! | 16..31 | the literal, the base of a length or distance, or where a second table starts |
//! | 14 | the code is longer than the first table: go on in the second one |
//! | 13 | nothing to copy: end of block (value 0), or no code at all (value 1) |
//! | 8..12 | bits of the code; for a second table: bits that index it |
//! | 0..6 | bits to drop: the code and its extra bits |

#![allow(
    clippy::cast_possible_truncation,
    reason = "symbols are below 320 and code lengths at most 15"
)]

use super::fault::Fault;

/// Bits that index the first table of literals and lengths. 11 decodes most literals in one look-up; its size hardly
/// matters for speed.
pub(super) const LITERAL_BITS: u32 = 11;
/// Bits that index the first table of distances.
pub(super) const DISTANCE_BITS: u32 = 8;

/// The most entries that first and second tables of 288 codes of at most 15 bits need is 2,342 (zlib's `enough`);
/// rounded up to a power of two, so that a mask proves every index.
pub(super) const LITERAL_ENTRIES: usize = 4096;
/// Likewise 402 for 32 distance codes.
pub(super) const DISTANCE_ENTRIES: usize = 512;
/// Code lengths are themselves coded with at most 7 bits.
pub(super) const LENGTH_BITS: u32 = 7;
pub(super) const LENGTH_ENTRIES: usize = 1 << LENGTH_BITS;

pub(super) const LITERAL: u32 = 1 << 31;
pub(super) const SECOND_TABLE: u32 = 1 << 14;
pub(super) const STOP: u32 = 1 << 13;
/// The entry where no code leads.
pub(super) const NO_CODE: u32 = STOP | 1 << 16;

const LONGEST_CODE: usize = 15;

/// What each symbol stands for, without its code's length: literals, the end of the block, and match lengths.
static LITERALS: [u32; 288] = {
    let (mut meanings, mut symbol) = ([0; 288], 0);
    while symbol < meanings.len() {
        meanings[symbol] = literal_or_length(symbol);
        symbol += 1;
    }
    meanings
};

/// The same of match distances.
static DISTANCES: [u32; 32] = {
    let (mut meanings, mut symbol) = ([0; 32], 0);
    while symbol < meanings.len() {
        meanings[symbol] = distance(symbol);
        symbol += 1;
    }
    meanings
};

/// The same of code lengths; their symbols stand for themselves.
pub(super) static CODE_LENGTHS: [u32; 19] = {
    let (mut meanings, mut symbol) = ([0; 19], 0);
    while symbol < meanings.len() {
        meanings[symbol] = (symbol as u32) << 16;
        symbol += 1;
    }
    meanings
};

/// Literals, the end of the block, and match lengths (RFC 1951, 3.2.5).
const fn literal_or_length(symbol: usize) -> u32 {
    const BASES: [u16; 29] = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115,
        131, 163, 195, 227, 258,
    ];
    const EXTRA_BITS: [u8; 29] = [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
    ];
    match symbol {
        0..=255 => LITERAL | (symbol as u32) << 16,
        256 => STOP,
        257..=285 => (BASES[symbol - 257] as u32) << 16 | EXTRA_BITS[symbol - 257] as u32,
        _ => NO_CODE,
    }
}

/// Match distances (RFC 1951, 3.2.5).
const fn distance(symbol: usize) -> u32 {
    match symbol as u32 {
        symbol @ 0..4 => (symbol + 1) << 16,
        symbol @ 4..30 => {
            let extra = symbol / 2 - 1;
            (((2 + symbol % 2) << extra) + 1) << 16 | extra
        }
        _ => NO_CODE,
    }
}

/// The tables of one block.
pub(super) struct Tables {
    pub(super) literals: Box<[u32; LITERAL_ENTRIES]>,
    pub(super) distances: Box<[u32; DISTANCE_ENTRIES]>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            literals: Box::new([NO_CODE; LITERAL_ENTRIES]),
            distances: Box::new([NO_CODE; DISTANCE_ENTRIES]),
        }
    }
}

impl Tables {
    /// Fills both from the code lengths of a block.
    pub(super) fn fill(&mut self, literals: &[u8], distances: &[u8]) -> Result<(), Fault> {
        let (first, second) = (&mut self.literals[..], &mut self.distances[..]);
        build(first, LITERAL_BITS, literals, &LITERALS, true)?;
        build(second, DISTANCE_BITS, distances, &DISTANCES, true)
    }
}

/// Fills `table`, whose first `1 << first_bits` entries are indexed by the next bits of the stream.
///
/// Refuses what zlib refuses: codes that overlap, and codes that leave gaps, except (where `may_be_single`) a single
/// code of one bit or none at all.
pub(super) fn build(
    table: &mut [u32],
    first_bits: u32,
    lengths: &[u8],
    meanings: &[u32],
    may_be_single: bool,
) -> Result<(), Fault> {
    let mut count = [0u16; LONGEST_CODE + 1];
    for &length in lengths {
        count[usize::from(length)] += 1;
    }
    count[0] = 0;
    let longest = count.iter().rposition(|&n| n > 0).unwrap_or(0);
    let mut room = 1i32;
    for &n in &count[1..] {
        room = room * 2 - i32::from(n);
        if room < 0 {
            return Err(Fault::CodeLengths);
        }
    }
    if room > 0 {
        if !may_be_single || longest > 1 {
            return Err(Fault::CodeLengths);
        }
        table[..1 << first_bits].fill(NO_CODE);
    }

    let mut next = [0u16; LONGEST_CODE + 1];
    for length in 1..LONGEST_CODE {
        next[length + 1] = next[length] + count[length];
    }
    let mut sorted = [0u16; 288];
    for (symbol, &length) in lengths.iter().enumerate() {
        if length > 0 {
            sorted[usize::from(next[usize::from(length)])] = symbol as u16;
            next[usize::from(length)] += 1;
        }
    }

    let first_size = 1usize << first_bits;
    // So many entries of the first table are right for the codes so far. Each further bit doubles them: copies are cheaper than
    // writing every entry where it belongs.
    let mut filled = 1;
    let mut symbols = sorted.iter();
    // The code of the next symbol, first bit lowest, as the stream has it.
    let mut code = 0usize;
    let mut second_at = first_size;
    let mut second: Option<(usize, usize, u32)> = None; // prefix, start, bits
    for length in 1..=longest {
        filled = double(table, filled, first_size);
        while count[length] > 0 {
            let symbol = usize::from(*symbols.next().expect("as many symbols as were counted"));
            let bits = length as u32;
            if bits <= first_bits {
                table[code] = with_code_bits(meanings[symbol], bits);
            } else {
                let prefix = code & (first_size - 1);
                let (start, index_bits) = match second {
                    Some((of, start, index_bits)) if of == prefix => (start, index_bits),
                    _ => {
                        let index_bits = second_table_bits(&count, length, first_bits, longest);
                        table[prefix] =
                            SECOND_TABLE | (second_at as u32) << 16 | index_bits << 8 | first_bits;
                        second = Some((prefix, second_at, index_bits));
                        second_at += 1 << index_bits;
                        (second_at - (1 << index_bits), index_bits)
                    }
                };
                let rest = bits - first_bits;
                let entry = with_code_bits(meanings[symbol], rest);
                let slots = &mut table[start..start + (1 << index_bits)];
                slots
                    .iter_mut()
                    .skip(code >> first_bits)
                    .step_by(1 << rest)
                    .for_each(|slot| *slot = entry);
            }
            count[length] -= 1;
            code = next_code(code, bits);
        }
    }
    while filled < first_size {
        filled = double(table, filled, first_size);
    }
    Ok(())
}

/// Repeats the first `filled` entries behind themselves, unless `all` are filled.
fn double(table: &mut [u32], filled: usize, all: usize) -> usize {
    if filled == all {
        return all;
    }
    table.copy_within(..filled, filled);
    2 * filled
}

fn with_code_bits(meaning: u32, bits: u32) -> u32 {
    meaning + (bits << 8 | bits)
}

/// The bits a second table needs so that all codes with its prefix fit.
fn second_table_bits(
    count: &[u16; LONGEST_CODE + 1],
    length: usize,
    first_bits: u32,
    longest: usize,
) -> u32 {
    let mut bits = length as u32 - first_bits;
    let mut room = 1i32 << bits;
    while (bits + first_bits) < longest as u32 {
        room -= i32::from(count[(bits + first_bits) as usize]);
        if room <= 0 {
            break;
        }
        bits += 1;
        room *= 2;
    }
    bits
}

/// Adds one to a code of `bits` bits that is stored with its first bit lowest.
fn next_code(code: usize, bits: u32) -> usize {
    let unset = !code & ((1 << bits) - 1);
    match unset.checked_ilog2() {
        Some(bit) => (code & ((1 << bit) - 1)) + (1 << bit),
        None => 0,
    }
}
