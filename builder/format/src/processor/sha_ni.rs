//! The rounds of SHA-256 for two streams at once, on processors that have instructions for them. One stream alone waits for
//! the result of each instruction; the rounds of a second one fit into that time.
//! In: two states, and the blocks that come next in each stream. Out: the states. Knows nothing of lengths and padding.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
    _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32,
};

use super::{Block, State};

/// The constants of FIPS 180-4, 4.2.2, in the order of the rounds.
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The words a, b, e, f and c, d, g, h of a state, as the instructions want them: the first one highest.
#[derive(Clone, Copy)]
struct Halves {
    abef: __m128i,
    cdgh: __m128i,
}

/// Four words of each stream, the first one lowest.
type Words = [__m128i; 2];

/// Puts the first block of each list through the rounds, then the second, up to the end of the shorter list.
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(super) fn compress(states: [&mut State; 2], blocks: [&[Block]; 2]) {
    let mut now = [halves(states[0]), halves(states[1])];
    for (one, other) in blocks[0].iter().zip(blocks[1]) {
        let before = now;
        let mut words = words([one, other]);
        for (quad, words) in words.iter().enumerate() {
            four_rounds(&mut now, *words, quad);
        }
        for sixteen in 1..4 {
            for quad in 0..4 {
                words[quad] = next_words(&words, quad);
                four_rounds(&mut now, words[quad], 4 * sixteen + quad);
            }
        }
        for (now, before) in now.iter_mut().zip(before) {
            now.abef = _mm_add_epi32(now.abef, before.abef);
            now.cdgh = _mm_add_epi32(now.cdgh, before.cdgh);
        }
    }
    for (state, now) in states.into_iter().zip(now) {
        *state = whole(now);
    }
}

/// Four rounds of both streams, with the words and constants number `quad`.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn four_rounds(now: &mut [Halves; 2], words: Words, quad: usize) {
    let k = &K[4 * quad..4 * quad + 4];
    let k = quad_of([k[0], k[1], k[2], k[3]]);
    // An instruction takes the lower two words, gives the next a, b, e, f, and leaves the old ones to be c, d, g, h.
    let mut terms = words.map(|words| _mm_add_epi32(words, k));
    for (now, term) in now.iter_mut().zip(terms) {
        now.cdgh = _mm_sha256rnds2_epu32(now.cdgh, now.abef, term);
    }
    for term in &mut terms {
        *term = _mm_shuffle_epi32::<0b_11_10>(*term);
    }
    for (now, term) in now.iter_mut().zip(terms) {
        now.abef = _mm_sha256rnds2_epu32(now.abef, now.cdgh, term);
    }
}

/// The four words of the message schedule that take the place of `words[quad]`, from the sixteen before them.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn next_words(words: &[Words; 4], quad: usize) -> Words {
    [0, 1].map(|stream| {
        let at = |later: usize| words[(quad + later) % 4][stream];
        let first = _mm_sha256msg1_epu32(at(0), at(1));
        let seven_back = _mm_alignr_epi8::<4>(at(3), at(2));
        _mm_sha256msg2_epu32(_mm_add_epi32(first, seven_back), at(3))
    })
}

/// The sixteen words of each block, which has them in big-endian order.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn words(blocks: [&Block; 2]) -> [Words; 4] {
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let mut words = [[_mm_setzero_si128(); 2]; 4];
    for (stream, block) in blocks.into_iter().enumerate() {
        let eights = block.as_chunks::<8>().0.as_chunks::<2>().0;
        for (words, eights) in words.iter_mut().zip(eights) {
            let [low, high] = eights.map(i64::from_le_bytes);
            words[stream] = _mm_shuffle_epi8(_mm_set_epi64x(high, low), swap);
        }
    }
    words
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn halves(&[a, b, c, d, e, f, g, h]: &State) -> Halves {
    Halves {
        abef: quad_of([f, e, b, a]),
        cdgh: quad_of([h, g, d, c]),
    }
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn whole(Halves { abef, cdgh }: Halves) -> State {
    let [f, e, b, a] = words_of(abef);
    let [h, g, d, c] = words_of(cdgh);
    [a, b, c, d, e, f, g, h]
}

/// The lowest word first.
#[inline]
#[target_feature(enable = "sse4.1")]
fn quad_of(words: [u32; 4]) -> __m128i {
    let [first, second, third, last] = words.map(u32::cast_signed);
    _mm_set_epi32(last, third, second, first)
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn words_of(quad: __m128i) -> [u32; 4] {
    [
        _mm_extract_epi32::<0>(quad),
        _mm_extract_epi32::<1>(quad),
        _mm_extract_epi32::<2>(quad),
        _mm_extract_epi32::<3>(quad),
    ]
    .map(i32::cast_unsigned)
}
