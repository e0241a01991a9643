//! Trouble that passes, and trouble that does not, with pauses of a millisecond: the program would take half a minute of pauses.

use std::{sync::Arc, time::Duration};

use soci_format::{digest::Digest, index::IndexOptions};
use soci_index::{
    report::Report,
    run::{self, Request},
};
use soci_store::registry::{Client, Environment, Options, RetryPolicy};
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route},
    image::{Image, Layer, REPOSITORY},
};
use tokio::{sync::Barrier, time::timeout};

use crate::quiet::Quiet;

/// Indexes small layers too, with many spans and short pauses; the error is the whole chain.
async fn run(image: &str) -> Result<Report, String> {
    run::index(&request(image), &client(), Arc::new(Quiet))
        .await
        .map_err(|error| run::chain(&error))
}

/// Small layers too, with many spans.
pub(crate) fn request(image: &str) -> Request {
    Request {
        options: IndexOptions {
            min_layer_size: 0,
            span_size: 64 << 10,
            ..IndexOptions::default()
        },
        ..Request::new(image.parse().unwrap())
    }
}

/// With short pauses.
pub(crate) fn client() -> Client {
    let options = Options {
        retry: RetryPolicy {
            initial_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(1),
            ..RetryPolicy::default()
        },
        ..Options::default()
    };
    Client::with_environment(options, Environment::default())
}

/// An image whose config need not be read, so that the first blob asked for is the layer.
pub(crate) fn listed(layer: &Layer) -> Image {
    Image::list([("linux/amd64", Image::of([layer]))])
}

pub(crate) fn output_tag(registry: &FakeRegistry) -> Option<Digest> {
    registry
        .tagged(REPOSITORY, "v1-soci")
        .map(|(digest, _)| digest)
}

/// The digest that an image's output has when nothing goes wrong.
async fn output_of(image: &Image) -> Digest {
    let registry = FakeRegistry::start();
    let report = run(&image.push(&registry, "v1")).await.unwrap();
    report.output_digest.unwrap()
}

#[tokio::test]
async fn connections_cut_anywhere() {
    let layer = Layer::noise(1, 300_000);
    let image = listed(&layer);
    let wanted = output_of(&image).await;
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (registry, route) = FakeRegistry::redirecting(random.bool());
        let reference = image.push(&registry, "v1");
        for _ in 0..random.u32(1..=5) {
            let after = random.usize(..layer.size / 2);
            registry.fail(route, Fault::Cut { after });
            if random.u8(..4) == 0 {
                registry.fail(route, Fault::IgnoreRange);
            }
        }
        let report = run(&reference).await;
        let report = report.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(report.output_digest, Some(wanted), "seed {seed}");
        assert_eq!(output_tag(&registry), Some(wanted), "seed {seed}");
        assert!(report.bytes_read >= layer.size as u64, "seed {seed}");
    }
}

/// A registry that sends each layer slowly must not keep the cores waiting: however few there are, eight layers are read at
/// once. This one sends nothing of a layer before it was asked for all eight.
#[tokio::test]
async fn layers_that_wait_for_the_network_let_others_be_read() {
    let layers: Vec<_> = (0..8).map(|seed| Layer::noise(seed, 50_000)).collect();
    let registry = FakeRegistry::start();
    let image = Image::list([("linux/amd64", Image::of(&layers))]);
    let reference = image.push(&registry, "v1");
    let all = Arc::new(Barrier::new(layers.len()));
    let meeting = registry.fail(Route::ReadBlob, Fault::Together(all));
    meeting.times(layers.len());
    let report = timeout(Duration::from_secs(60), run(&reference)).await;
    let report = report.expect("a layer waits for another one that was never asked for");
    assert_eq!(report.unwrap().output_digest, Some(output_of(&image).await));
}

#[tokio::test]
async fn a_layer_that_never_comes_whole() {
    let layer = Layer::noise(1, 300_000);
    let registry = FakeRegistry::start();
    let reference = listed(&layer).push(&registry, "v1");
    registry
        .fail(Route::ReadBlob, Fault::Cut { after: 1_000 })
        .always();
    let error = run(&reference).await.unwrap_err();
    for word in [
        &format!("cannot index layer 1 of 1 ({})", layer.digest),
        "connection lost at byte 6000, after resuming 5 times",
    ] {
        assert!(error.contains(word), "no {word:?} in: {error}");
    }
    assert_eq!(output_tag(&registry), None);
}

#[tokio::test]
async fn trouble_for_ever() {
    let image = listed(&Layer::noise(1, 90_000));
    for route in [
        Route::ReadManifest,
        Route::ReadBlob,
        Route::HeadBlob,
        Route::StartUpload,
        Route::FinishUpload,
        Route::PushManifest,
    ] {
        for (status, code) in [
            (429, "TOOMANYREQUESTS"),
            (500, "UNKNOWN"),
            (503, "UNAVAILABLE"),
        ] {
            let registry = FakeRegistry::start();
            let reference = image.push(&registry, "v1");
            registry.fail(route, Fault::status(status, code)).always();
            let error = run(&reference).await.unwrap_err();
            assert!(error.contains("failed after 6 attempts: "), "{error}");
            // An answer to HEAD has no body to say more.
            let word = if route == Route::HeadBlob { "" } else { code };
            assert!(
                error.contains(&format!(": {status} ")) && error.contains(word),
                "{error}"
            );
            assert_eq!(output_tag(&registry), None, "{route:?} {status}");
        }
    }
}
