//! However the bytes arrive, the result is one.

use proptest::{prelude::*, sample::Index};

use crate::{
    ours::{ShortReads, inflate, inflate_bytes},
    streams::{GOLDEN, SMALL, mixed, plain_member},
};

fn same_in_pieces(stream: &[u8], sizes: &[usize]) -> bool {
    let in_pieces = inflate(ShortReads {
        stream,
        sizes,
        turn: 0,
    });
    in_pieces == inflate_bytes(stream)
}

#[test]
fn byte_by_byte() {
    let members = [plain_member(&mixed(1, 70_000), 6), plain_member(b"", 6)].concat();
    for stream in SMALL.iter().chain([&members]) {
        assert!(same_in_pieces(stream, &[1]));
        // And what is cut short, which must be found out wherever the last read ended.
        assert!(same_in_pieces(&stream[..stream.len() - 1], &[1]));
        assert!(same_in_pieces(&stream[..stream.len() / 2], &[1]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn golden_layers(
        stream in any::<Index>(),
        sizes in prop::collection::vec(prop_oneof![1..4usize, 1..100_000usize], 1..20),
    ) {
        let (name, stream) = stream.get(&GOLDEN);
        prop_assert!(same_in_pieces(stream, &sizes), "{name}");
    }

    #[test]
    fn broken_streams(
        stream in any::<Index>(),
        byte in any::<Index>(),
        value in any::<u8>(),
        sizes in prop::collection::vec(prop_oneof![1..4usize, 1..3_000usize], 1..20),
    ) {
        let mut stream = stream.get(&SMALL).clone();
        let at = byte.index(stream.len());
        stream[at] = value;
        prop_assert!(same_in_pieces(&stream, &sizes), "{at} {value}");
    }
}
