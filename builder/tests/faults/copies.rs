//! Copies between registries that misbehave: whatever happens on either side, a tag of the target names something whole and right, or
//! what it named before.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use fastrand::Rng;
use serde_json::Value;
use soci_format::digest::Digest;
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route, Settings},
    image::{Image, Layer, REPOSITORY},
    program::Program,
    side_by_side,
};

const SEEDS: u64 = 96;
const SIDE_BY_SIDE: usize = 12;

/// Faults that six attempts overcome for certain: no more than so many.
const OVERCOME: usize = 4;

fn image(release: u64) -> Image {
    let [base, tools] = [Layer::noise(1, 300_000), Layer::noise(2, 30_000)];
    let top = Layer::noise(10 + release, 90_000);
    Image::list([
        ("linux/amd64", Image::of([&base, &top])),
        (
            "linux/arm64",
            Image::for_platform("linux/arm64", [&base, &tools, &top]),
        ),
    ])
}

fn mirror(reference: &str, target: &FakeRegistry) -> Program {
    let repository = format!("{}/{REPOSITORY}", target.host());
    let options = ["--json", "--min-layer-size", "0", "--copy-to", &repository];
    Program::new([&["index", reference], &options[..]].concat())
}

/// Makes something go wrong at the source or at the target.
fn spoil(rng: &mut Rng, source: &FakeRegistry, target: &FakeRegistry) {
    let cut = Fault::Cut {
        after: rng.usize(..200_000),
    };
    let status = |rng: &mut Rng| {
        let status = *rng.choice(&[429, 500, 502, 503, 504]).unwrap();
        Fault::status(status, "UNAVAILABLE")
    };
    let reading = [Route::ReadBlob, Route::Storage, Route::ReadManifest];
    let writing = [
        Route::HeadBlob,
        Route::StartUpload,
        Route::PatchUpload,
        Route::FinishUpload,
        Route::PushManifest,
        Route::ReadManifest,
    ];
    match rng.u8(..4) {
        0 => drop(source.fail(*rng.choice(&reading).unwrap(), status(rng))),
        1 => drop(source.fail(*rng.choice(&reading).unwrap(), cut)),
        2 => drop(target.fail(*rng.choice(&writing).unwrap(), status(rng))),
        _ => drop(target.fail(*rng.choice(&writing).unwrap(), Fault::Cut { after: 0 })),
    }
}

/// Asserts that all below a manifest is there.
fn is_whole(target: &FakeRegistry, digest: &Digest) {
    let bytes = target.manifest(REPOSITORY, digest);
    let manifest: Value = serde_json::from_slice(&bytes.unwrap()).unwrap();
    let digest = |of: &Value| of["digest"].as_str().unwrap().parse::<Digest>().unwrap();
    let list = |name: &str| manifest[name].as_array().cloned().unwrap_or_default();
    for child in list("manifests") {
        is_whole(target, &digest(&child));
    }
    let mut blobs = list("layers");
    blobs.extend(manifest.get("config").cloned());
    for blob in &blobs {
        let found = target.blob(&digest(blob)).expect("a blob is there");
        assert_eq!(Digest::of(&found), digest(blob));
    }
}

#[test]
fn nothing_wrong_or_incomplete_has_a_tag() {
    let (new, old) = (image(2), image(1));
    let [undisturbed, before] = [&new, &old].map(|image| {
        let (source, target) = (FakeRegistry::start(), FakeRegistry::start());
        let reference = image.push(&source, "v1");
        mirror(&reference, &target).run().exits(0).json();
        target
    });
    let tags = |of: &FakeRegistry| {
        ["v1", "v1-soci"].map(|tag| of.tagged(REPOSITORY, tag).map(|(digest, _)| digest))
    };
    let (right, earlier) = (tags(&undisturbed), tags(&before));
    let well = AtomicUsize::new(0);
    let run = |seed: u64| {
        let rng = &mut Rng::with_seed(seed);
        let (source, _) = FakeRegistry::redirecting(rng.bool());
        let reference = new.push(&source, "v1");
        // Half of them find an older release.
        let (target, found) = match rng.bool() {
            true => (before.copy(Settings::default()), earlier),
            false => (FakeRegistry::start(), [None; 2]),
        };
        let faults = rng.usize(1..=8);
        for _ in 0..faults {
            spoil(rng, &source, &target);
        }
        let ended = mirror(&reference, &target).run();
        let now = tags(&target);
        for ((now, right), found) in now.iter().zip(right).zip(found) {
            assert!(
                *now == right || *now == found,
                "seed {seed}: {now:?}: {ended:?}"
            );
        }
        for digest in now.into_iter().flatten() {
            is_whole(&target, &digest);
        }
        match ended.code {
            Some(0) => {
                assert_eq!(now, right, "seed {seed}: {ended:?}");
                well.fetch_add(1, Relaxed);
            }
            _ => {
                assert!(faults > OVERCOME, "seed {seed}: {ended:?}");
                ended.fails_with(&["cannot index"]);
            }
        }
    };
    side_by_side(0..SEEDS, SIDE_BY_SIDE, run);
    assert!(well.into_inner() > 0);
}
