//! The two buffers of the engine, and the only ways in which it touches them.
//! Compressed bytes are read as words of bits, uncompressed bytes are written and copied from themselves. Knows nothing of codes.

#![allow(
    clippy::cast_possible_truncation,
    reason = "every cast is of a value that was just masked or read as a few bits"
)]

/// Sizes of both buffers are powers of two, so that a mask proves to the compiler what we know of every position in the
/// hot loop: that it lies inside. From 128 KiB to 4 MiB speed hardly changes; this stays in the second-level cache.
const BUFFER: usize = 1 << 18;
pub(super) const MASK: usize = BUFFER - 1;

/// Compressed bytes; the last eight are only there to be read as part of a word.
pub(super) type InputBuffer = [u8; BUFFER + 8];
/// Bytes that input may fill. Behind them is room for zeros at the end of a stream: reading into those means "truncated".
pub(super) const INPUT_MAX: usize = BUFFER - INPUT_SLACK;
pub(super) const INPUT_SLACK: usize = 1024;

/// Uncompressed bytes; the last 32 are only there to be overwritten by the end of a copy.
pub(super) type OutputBuffer = [u8; BUFFER + 32];
/// Where output stops. One round may still write three literals and a match of 258 behind it.
pub(super) const OUTPUT_MAX: usize = BUFFER - 384;

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

/// The farthest back a match may reach, and the size of a checkpoint's window.
pub(super) const WINDOW: usize = 32 * 1024;

/// Of a number of bits, what counts: the bit buffer has 64.
const COUNT: u32 = 63;

/// The bit buffer and where it reads next; kept in locals while the engine runs.
pub(super) struct Bits<'a> {
    pub(super) bytes: &'a InputBuffer,
    pub(super) at: usize,
    pub(super) bits: u64,
    pub(super) count: u32,
}

impl Bits<'_> {
    /// Makes at least 56 bits ready. Bits above `count` are true bits of the stream too, and are only read again.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[self.at & MASK..][..8]);
        self.bits |= u64::from_le_bytes(word) << (self.count & COUNT);
        self.at += 7 - (self.count as usize >> 3 & 7);
        self.count |= 56;
    }

    /// Drops as many bits as the lowest six of `n` say. What stands above them in a table's entry makes the upper bits of
    /// `count` garbage: to keep them clean would cost an instruction for every symbol.
    #[inline(always)]
    pub(super) fn drop(&mut self, n: u32) {
        self.bits >>= n & COUNT;
        self.count = self.count.wrapping_sub(n);
    }

    pub(super) fn take(&mut self, n: u32) -> usize {
        let value = (self.bits & ((1 << n) - 1)) as usize;
        self.drop(n);
        value
    }

    /// Gives back the whole bytes that were read but not used; 0..7 bits stay.
    pub(super) fn give_back(&mut self) {
        self.count &= COUNT;
        self.at -= (self.count / 8) as usize;
        self.count %= 8;
        self.bits &= (1 << self.count) - 1;
    }
}

/// Copies `length` bytes from `distance` back to `at`, in pieces; up to 31 bytes behind the match are overwritten too.
#[inline(always)]
pub(super) fn copy_match(out: &mut OutputBuffer, at: usize, distance: usize, length: usize) {
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

/// Two pieces at a time: whether a match is longer than one of 16 bytes is hard to predict, longer than two are few.
#[inline(always)]
fn copy_pieces<const N: usize>(
    out: &mut OutputBuffer,
    from: usize,
    at: usize,
    length: usize,
    step: usize,
) {
    let mut done = 0;
    while done < length {
        copy_piece::<N>(out, from + done, at + done);
        copy_piece::<N>(out, from + done + step, at + done + step);
        done += 2 * step;
    }
}

#[inline(always)]
fn copy_piece<const N: usize>(out: &mut OutputBuffer, from: usize, at: usize) {
    let mut piece = [0; N];
    piece.copy_from_slice(&out[from & MASK..][..N]);
    out[at & MASK..][..N].copy_from_slice(&piece);
}
