//! Ztocs with a span without bytes, as earlier builders wrote them and the SOCI snapshotter refuses them: read, found by `verify`,
//! and not used again.

use soci_format::{digest::Digest, ztoc::Ztoc};
use soci_testing::program::Program;

use crate::damage::Index;

/// Bytes before the checkpoints, and of one of them.
const HEAD: usize = 12;
const CHECKPOINT: usize = 17 + 32_768;

/// Has the first checkpoint twice: the first span is empty then.
fn with_an_empty_span(ztoc: &mut Ztoc) {
    let first = ztoc.checkpoints[HEAD..HEAD + CHECKPOINT].to_vec();
    ztoc.checkpoints.splice(HEAD..HEAD, first);
    ztoc.checkpoints[0] += 1;
    ztoc.max_span_id += 1;
    ztoc.span_digests.insert(0, Digest::of(b""));
}

#[test]
fn a_span_without_bytes_is_found_and_not_used_again() {
    let mut index = Index::new();
    with_an_empty_span(&mut index.ztocs[0]);
    let (_layout, image) = index.written(|_, _| {});

    let said = Program::new(["verify", &image]).run().exits(1).stdout;
    let problem = "has no bytes though others follow: the SOCI snapshotter refuses such a ztoc";
    assert!(said.contains("span 0 of the ztoc sha256:"), "{said}");
    assert!(said.contains(problem), "{said}");

    let printed = Program::new(["cat", &image, "/b"]).run().exits(0);
    assert_eq!(printed.stdout.len(), 100_000);

    let again = ["index", &image, "--output-tag", "again", "--json"];
    let again = [
        &again[..],
        &["--min-layer-size", "0", "--span-size", "30000"],
    ]
    .concat();
    let ended = Program::new(again).run().exits(0);
    assert!(ended.stderr.contains("it has an empty span"), "{ended:?}");
    let layers = &ended.json()["indexes"][0]["layers"];
    assert_eq!(layers[0]["state"], "indexed");
    assert_eq!(layers[1]["state"], "reused");
    let again = image.replace(":damaged", ":again");
    let _ = Program::new(["verify", &again]).run().exits(0);
}
