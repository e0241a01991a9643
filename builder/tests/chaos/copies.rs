//! Copies through the proxy, which stands before the source or before the target: the target's tags name the right images, whole, or
//! nothing. The target is Debian's registry, which looks at what it is given.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use soci_format::digest::Digest;
use soci_testing::{
    fake_registry::FakeRegistry,
    image::{Image, Layer, REPOSITORY},
    program::Program,
    real_registry::RealRegistry,
    side_by_side,
};
use tokio::runtime::Builder;

use crate::{BOUND, direct::Direct, plan::Plan, proxy::Proxy};

const SEEDS: u64 = 200;

const SIDE_BY_SIDE: usize = 24;

/// More tries of one request than this spoil it.
const TRIES_TO_SPARE: u32 = 5;

fn image() -> Image {
    let [base, tools, top] =
        [(1, 200_000), (2, 30_000), (3, 60_000)].map(|(seed, bytes)| Layer::noise(seed, bytes));
    Image::list([
        ("linux/amd64", Image::of([&base, &top])),
        (
            "linux/arm64",
            Image::for_platform("linux/arm64", [&base, &tools, &top]),
        ),
    ])
}

fn copy(image: &str, repository: &str) -> Program {
    let options = ["--json", "--min-layer-size", "0", "--span-size", "32KiB"];
    Program::new([&["index", image, "--copy-to", repository], &options[..]].concat())
}

#[test]
fn a_copy_ends_whole_or_not_at_all() {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (image, source, target) = (image(), FakeRegistry::start(), RealRegistry::start());
    image.push(&source, "v1");
    // By its digest: an answer about another image would be right for that one.
    let name = format!("{REPOSITORY}:v1@{}", image.digest());
    let undisturbed = copy(
        &format!("{}/{name}", source.host()),
        &format!("{}/undisturbed", target.host()),
    );
    let result = undisturbed.run().exits(0).json();
    let output: Digest = result["output_digest"].as_str().unwrap().parse().unwrap();
    let rights = [("v1", image.digest()), ("v1-soci", output)];

    let well = AtomicUsize::new(0);
    let run = |seed: u64| {
        let plan = Plan::of(seed);
        let is_source = seed.is_multiple_of(2);
        let upstream = match is_source {
            true => source.host(),
            false => target.host().to_owned(),
        };
        let proxy = Proxy::start(runtime.handle(), &[upstream], plan.faults);
        let (from, to) = match is_source {
            true => (proxy.host().to_owned(), target.host().to_owned()),
            false => (source.host(), proxy.host().to_owned()),
        };
        let random = fastrand::Rng::with_seed(!seed).u64(..);
        let repository = format!("copies/{random:016x}");
        let program = copy(&format!("{from}/{name}"), &format!("{to}/{repository}"));
        let ended = program.start().wait_for(BOUND);
        let said = format!("seed {seed}: {ended:?}");

        let direct = Direct::new(&http, target.host(), &repository);
        let is_well = ended.code == Some(0);
        for (tag, right) in rights {
            let found = runtime.block_on(direct.manifest(tag));
            let Some(stored) = found else {
                assert!(!is_well, "no tag {tag}: {said}");
                continue;
            };
            if proxy.journal().was_altered(&stored.bytes) && !is_well {
                continue;
            }
            assert_eq!(stored.digest(), right, "{tag}: {said}");
            let missing = runtime.block_on(direct.missing_below(&stored));
            assert!(missing.is_empty(), "missing {missing:?}: {said}");
        }
        if is_well {
            well.fetch_add(1, Relaxed);
            return;
        }
        let entries = proxy.journal().entries();
        let spoiled: Option<u32> = entries
            .iter()
            .map(|entry| entry.fault.tries_spoiled())
            .sum();
        assert!(
            spoiled.is_none_or(|spoiled| spoiled > TRIES_TO_SPARE),
            "nothing went wrong that does not pass: {said}"
        );
        ended.fails_with(&["soci-builder: cannot index "]);
    };
    side_by_side(0..SEEDS, SIDE_BY_SIDE, run);
    let well = well.into_inner();
    eprintln!("{SEEDS} copies: {well} ended with the right digests");
    assert!(well > 0);
}
