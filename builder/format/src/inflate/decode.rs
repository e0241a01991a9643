//! The hot loop: the symbols of one block, from bits to uncompressed bytes.
//! In: the block's tables, bits and the output so far. Out: more output. Knows nothing of headers and blocks.

#![allow(
    clippy::cast_possible_truncation,
    reason = "every cast is of a value that was just masked or read as a few bits"
)]

use std::hint::cold_path;

use super::{
    buffers::{Bits, MASK, OUTPUT_MAX, Output, copy_match},
    fault::Fault,
    huffman::{
        DISTANCE_BITS, DISTANCE_ENTRIES, LITERAL, LITERAL_BITS, LITERAL_ENTRIES, SECOND_TABLE,
        STOP, Tables,
    },
};

/// One round reads at most two words of 8 bytes.
pub(super) const ROUND_INPUT: usize = 32;

const LITERAL_MASK: u64 = (1 << LITERAL_BITS) - 1;
const DISTANCE_MASK: u64 = (1 << DISTANCE_BITS) - 1;

/// Decodes until the end of the block (true), or until input or output reaches its stop (false).
///
/// A refill makes 56 bits ready. A round takes at most 53 of them before the next one: three literals of the first
/// table (33) and a length with its extra bits (20); a distance with its extra bits takes at most 28. The entry for
/// the next code is always looked up before the refill, so that neither waits for the other.
///
/// Inlined, so that it is compiled for whatever instructions its caller may use.
#[inline(always)]
pub(super) fn decode(
    tables: &Tables,
    bits: &mut Bits<'_>,
    stop_at: usize,
    output: &mut Output<'_>,
    out_at: &mut usize,
) -> Result<bool, Fault> {
    let (literals, distances) = (&*tables.literals, &*tables.distances);
    let floor = output.floor;
    let out = &mut *output.bytes;
    // Locals of a loop live in registers; a reference's target does not.
    let mut b = Bits { ..*bits };
    let mut o = *out_at;
    b.refill();
    let mut entry = literals[(b.bits & LITERAL_MASK) as usize];
    let result = loop {
        if b.at >= stop_at || o >= OUTPUT_MAX {
            break Ok(false);
        }
        for _ in 0..3 {
            if entry & LITERAL == 0 {
                break;
            }
            b.drop(entry);
            out[o & MASK] = (entry >> 16) as u8;
            o += 1;
            entry = literals[(b.bits & LITERAL_MASK) as usize];
        }
        if entry & (LITERAL | SECOND_TABLE | STOP) != 0 {
            if entry & SECOND_TABLE != 0 {
                cold_path();
                b.drop(LITERAL_BITS);
                entry = literals[second_index(entry, b.bits) & (LITERAL_ENTRIES - 1)];
                if entry & LITERAL != 0 {
                    b.drop(entry);
                    out[o & MASK] = (entry >> 16) as u8;
                    o += 1;
                    entry = literals[(b.bits & LITERAL_MASK) as usize];
                    b.refill();
                    continue;
                }
            }
            if entry & LITERAL != 0 {
                b.refill();
                continue;
            }
            if entry & STOP != 0 {
                cold_path();
                if entry >> 16 != 0 {
                    break Err(Fault::NoCode);
                }
                b.drop(entry);
                break Ok(true);
            }
        }
        let length = base_and_extra(entry, b.bits);
        b.drop(entry);

        entry = distances[(b.bits & DISTANCE_MASK) as usize];
        b.refill();
        if entry & (SECOND_TABLE | STOP) != 0 {
            if entry & SECOND_TABLE != 0 {
                cold_path();
                b.drop(DISTANCE_BITS);
                entry = distances[second_index(entry, b.bits) & (DISTANCE_ENTRIES - 1)];
            }
            if entry & STOP != 0 {
                break Err(Fault::NoCode);
            }
        }
        let distance = base_and_extra(entry, b.bits);
        b.drop(entry);
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

#[inline(always)]
fn second_index(entry: u32, bits: u64) -> usize {
    (entry >> 16) as usize + (bits & ((1 << (entry >> 8 & 15)) - 1)) as usize
}

#[inline(always)]
fn base_and_extra(entry: u32, bits: u64) -> usize {
    ((entry >> 16) as u64 + ((bits & ((1 << (entry & 63)) - 1)) >> (entry >> 8 & 15))) as usize
}
