//! However the bytes of a layer arrive, its ztoc is one, and so is the reason where it has none.

use std::io::{self, Read};

use proptest::{prelude::*, sample::Index};
use soci_format::{layer::Pass, oci::LayerEncoding::Unknown};

use crate::passes::{GOLDEN, chain, checked_pass, pass_of};

/// Gives the bytes in reads of these sizes, over and over.
struct ShortReads<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for ShortReads<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = (*self.sizes.next().unwrap()).min(buffer.len());
        self.bytes.read(&mut buffer[..size])
    }
}

fn in_pieces(bytes: &[u8], sizes: &[usize], span_size: u64) -> Pass {
    let sizes = sizes.iter().cycle();
    pass_of(ShortReads { bytes, sizes }, Unknown, span_size)
}

fn same(one: &Pass, other: &Pass) -> bool {
    let outcome = |pass: &Pass| pass.ztoc.as_ref().map_err(|error| chain(error)).cloned();
    (one.digest, one.size) == (other.digest, other.size) && outcome(one) == outcome(other)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_reads_give_one_ztoc(
        layer in any::<Index>(),
        sizes in prop::collection::vec(prop_oneof![1..8usize, 1..200_000usize], 1..20),
        span_size in prop_oneof![1..2_000u64, 1..300_000u64],
    ) {
        let (name, stored) = layer.get(&GOLDEN);
        // A span of a few bytes in a large plain layer is as many digests as bytes.
        let span_size = span_size.max(stored.len() as u64 / 2_000);
        let whole = pass_of(&stored[..], Unknown, span_size);
        prop_assert!(same(&in_pieces(stored, &sizes, span_size), &whole), "{name}");
    }

    #[test]
    fn any_reads_of_a_broken_layer_give_one_reason(
        layer in any::<Index>(),
        at in any::<Index>(),
        value in any::<u8>(),
        end in any::<Index>(),
        sizes in prop::collection::vec(1..100_000usize, 1..9),
    ) {
        let (name, stored) = layer.get(&GOLDEN);
        let mut broken = stored.clone();
        broken[at.index(stored.len())] = value;
        for broken in [&broken, &stored[..end.index(stored.len())]] {
            let whole = checked_pass(broken, Unknown, 65_536);
            prop_assert!(same(&in_pieces(broken, &sizes, 65_536), &whole), "{name}");
        }
    }
}

#[test]
fn byte_by_byte() {
    for (name, stored) in GOLDEN.iter() {
        let whole = pass_of(&stored[..], Unknown, 65_536);
        assert!(same(&in_pieces(stored, &[1], 65_536), &whole), "{name}");
    }
}
