//! The header of a dynamic block: how long each code is (RFC 1951, 3.2.7).

#![allow(
    clippy::cast_possible_truncation,
    reason = "every cast is of a value that was just masked or read as a few bits"
)]

use super::{
    buffers::Bits,
    fault::Fault,
    huffman::{self, LENGTH_BITS, LENGTH_ENTRIES},
};

/// Literal and length codes that a block may have.
pub(super) const LITERALS_MAX: usize = 286;
/// Distance codes that a block may have.
pub(super) const DISTANCES_MAX: usize = 30;

/// Reads the code lengths of a dynamic block; gives how many literal and distance codes there are.
pub(super) fn read_code_lengths(
    bits: &mut Bits<'_>,
    lengths: &mut [u8; LITERALS_MAX + DISTANCES_MAX],
) -> Result<(usize, usize), Fault> {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literals = bits.take(5) + 257;
    let distances = bits.take(5) + 1;
    let coded = bits.take(4) + 4;
    if literals > LITERALS_MAX || distances > DISTANCES_MAX {
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
        &huffman::CODE_LENGTHS,
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
