//! Two digests of the same bytes: that of all of them, and that of each piece between two cuts. A layer and its spans are
//! hashed so, and where the processor can, both digests are made in one pass.
//! In: bytes and cuts. Out: digests. Knows nothing of layers.

use sha2::block_api::compress256;

use super::Digest;
use crate::processor::{Block, ShaNi, State};

/// Before the first block (FIPS 180-4, 5.3.3).
const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

const BLOCK: usize = size_of::<Block>();

/// Takes bytes; gives the digest of all, and of each piece.
pub struct DualHasher {
    whole: Stream,
    piece: Stream,
    together: Option<ShaNi>,
}

/// One message: whole blocks are in the state, what came after them waits.
struct Stream {
    state: State,
    waiting: Block,
    /// Bytes of `waiting` that are there, fewer than a block.
    filled: usize,
    blocks: u64,
}

impl Default for DualHasher {
    fn default() -> Self {
        Self {
            whole: Stream::new(),
            piece: Stream::new(),
            together: ShaNi::detect(),
        }
    }
}

impl DualHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (whole, whole_rest) = self.whole.align(bytes);
        let (piece, piece_rest) = self.piece.align(bytes);
        let both = match self.together {
            Some(rounds) => {
                let both = whole.len().min(piece.len());
                rounds.compress(
                    [&mut self.whole.state, &mut self.piece.state],
                    [&whole[..both], &piece[..both]],
                );
                both
            }
            None => 0,
        };
        compress256(&mut self.whole.state, &whole[both..]);
        compress256(&mut self.piece.state, &piece[both..]);
        self.whole.wait(whole.len(), whole_rest);
        self.piece.wait(piece.len(), piece_rest);
    }

    /// Ends the piece, and begins the next one with `shared`: bytes that belong to both pieces. They count once in the whole.
    pub fn cut(&mut self, shared: &[u8]) -> Digest {
        let mut next = Stream::new();
        next.update(shared);
        std::mem::replace(&mut self.piece, next).finish()
    }

    /// The digest of the whole, and that of the last piece.
    pub fn finish(self) -> (Digest, Digest) {
        (self.whole.finish(), self.piece.finish())
    }
}

impl Stream {
    fn new() -> Self {
        Self {
            state: INITIAL,
            waiting: [0; BLOCK],
            filled: 0,
            blocks: 0,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = self.align(bytes);
        compress256(&mut self.state, blocks);
        self.wait(blocks.len(), rest);
    }

    /// Fills the block that waits. Gives the whole blocks behind it, for the state, and then what is to wait.
    fn align<'a>(&mut self, bytes: &'a [u8]) -> (&'a [Block], &'a [u8]) {
        if self.filled == 0 {
            return bytes.as_chunks();
        }
        let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
        self.waiting[self.filled..][..now.len()].copy_from_slice(now);
        self.filled += now.len();
        if self.filled < BLOCK {
            return (&[], &[]);
        }
        compress256(&mut self.state, &[self.waiting]);
        self.blocks += 1;
        self.filled = 0;
        later.as_chunks()
    }

    /// Counts blocks that went into the state, and keeps what came after them.
    fn wait(&mut self, blocks: usize, rest: &[u8]) {
        self.blocks += blocks as u64;
        self.waiting[self.filled..][..rest.len()].copy_from_slice(rest);
        self.filled += rest.len();
    }

    /// Pads the message (FIPS 180-4, 5.1.1): a bit, zeros, and the length in bits at a block's end.
    fn finish(mut self) -> Digest {
        let bits = (self.blocks * BLOCK as u64 + self.filled as u64) * 8;
        let mut end = [0; 2 * BLOCK];
        end[..self.filled].copy_from_slice(&self.waiting[..self.filled]);
        end[self.filled] = 0x80;
        let blocks = if self.filled + 1 + 8 > BLOCK { 2 } else { 1 };
        end[blocks * BLOCK - 8..blocks * BLOCK].copy_from_slice(&bits.to_be_bytes());
        compress256(&mut self.state, &end.as_chunks().0[..blocks]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// With the processor's own instructions for two streams, where it has them, and without.
    fn both_ways() -> [DualHasher; 2] {
        let without = DualHasher {
            together: None,
            ..DualHasher::default()
        };
        [DualHasher::default(), without]
    }

    fn bytes(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        fastrand::Rng::with_seed(length as u64).fill(&mut bytes);
        bytes
    }

    #[test]
    fn every_length_is_padded_right() {
        for length in 0..=300 {
            let bytes = bytes(length);
            for mut hashed in both_ways() {
                hashed.update(&bytes);
                let right = Digest::of(&bytes);
                assert_eq!(hashed.finish(), (right, right), "{length} bytes");
            }
        }
    }

    #[test]
    fn pieces_may_be_cut_anywhere_in_a_block() {
        let bytes = bytes(300);
        for first in 0..=300 {
            for mut hashed in both_ways() {
                hashed.update(&bytes[..first]);
                // As two spans share a byte.
                let shared = &bytes[first.saturating_sub(1)..first];
                assert_eq!(hashed.cut(shared), Digest::of(&bytes[..first]));
                hashed.update(&bytes[first..]);
                let last = Digest::of(&bytes[first - shared.len()..]);
                assert_eq!(hashed.finish(), (Digest::of(&bytes), last), "at {first}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_split_and_any_cuts_give_the_same(
            length in 0_usize..5_000,
            mut steps in proptest::collection::vec((0_usize..5_000, any::<bool>()), 0..20),
        ) {
            let bytes = bytes(length);
            steps.retain(|(at, _)| *at <= length);
            steps.sort_unstable();
            for mut hashed in both_ways() {
                let (mut taken, mut piece) = (0, 0);
                for (at, cuts) in &steps {
                    hashed.update(&bytes[taken..*at]);
                    taken = *at;
                    if *cuts {
                        prop_assert_eq!(hashed.cut(&[]), Digest::of(&bytes[piece..*at]));
                        piece = *at;
                    }
                }
                hashed.update(&bytes[taken..]);
                prop_assert_eq!(hashed.finish(), (Digest::of(&bytes), Digest::of(&bytes[piece..])));
            }
        }
    }
}
