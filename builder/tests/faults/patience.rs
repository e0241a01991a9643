//! Trouble that passes, and trouble that does not. What would take the program half a minute of pauses is tried on the
//! library, with pauses of a millisecond.

use std::{sync::Arc, thread, time::Duration};

use soci_format::{index::Version, limits::Limits, plan::IndexOptions, ztoc::DEFAULT_BUILD_TOOL};
use soci_index::{
    report::Report,
    run::{self, Otherwise, Request},
};
use soci_store::registry::{Client, Environment, Options, RetryPolicy};
use tokio::{sync::Barrier, time::timeout};

use crate::{
    listed, output_of, output_tag, program,
    support::{
        fake_registry::{Access, FakeRegistry, Fault, Login, Route, Settings},
        image::{Image, Layer},
        quiet::Quiet,
    },
};

/// Runs as `program` does, with short pauses; the error is the whole chain.
async fn run(image: &str) -> Result<Report, String> {
    let request = Request {
        image: image.parse().unwrap(),
        version: Version::V2,
        output_tag: None,
        platforms: Vec::new(),
        options: IndexOptions {
            min_layer_size: 0,
            span_size: 64 << 10,
            prefetch_files: Vec::new(),
            optimize_xattrs: false,
            build_tool: DEFAULT_BUILD_TOOL.to_owned(),
        },
        reuse_from: None,
        strict: false,
        when_too_small: Otherwise::UseOriginal,
        when_unsupported: Otherwise::Fail,
        limits: Limits::default(),
    };
    let options = Options {
        retry: RetryPolicy {
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(1),
            ..RetryPolicy::default()
        },
        ..Options::default()
    };
    let client = Client::with_environment(options, Environment::default());
    run::index(&request, &client, Arc::new(Quiet))
        .await
        .map_err(|error| run::chain(&error))
}

/// A registry, and the route that a layer's bytes come from there.
fn registry(redirects: bool) -> (FakeRegistry, Route) {
    let registry = FakeRegistry::with(Settings {
        redirect_blobs: redirects,
        ..Settings::default()
    });
    let route = if redirects {
        Route::Storage
    } else {
        Route::ReadBlob
    };
    (registry, route)
}

#[tokio::test]
async fn connections_cut_anywhere() {
    let layer = Layer::noise(1, 300_000);
    let image = listed(&layer);
    let wanted = output_of(&image);
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (registry, route) = registry(random.bool());
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
    assert_eq!(report.unwrap().output_digest, Some(output_of(&image)));
}

#[test]
fn the_program_goes_on_after_a_cut() {
    let layer = Layer::noise(1, 300_000);
    let image = listed(&layer);
    let wanted = output_of(&image);
    thread::scope(|scope| {
        for seed in 0..8 {
            let (image, layer) = (&image, &layer);
            scope.spawn(move || {
                let after = fastrand::Rng::with_seed(seed).usize(..layer.size);
                let (registry, route) = registry(seed % 2 == 0);
                let reference = image.push(&registry, "v1");
                registry.fail(route, Fault::Cut { after });
                program(&reference).run().exits(0).json();
                assert_eq!(output_tag(&registry), Some(wanted), "seed {seed}");
            });
        }
    });
}

#[tokio::test]
async fn a_layer_that_never_comes_whole() {
    let layer = Layer::noise(1, 300_000);
    let (registry, route) = registry(false);
    let reference = listed(&layer).push(&registry, "v1");
    registry.fail(route, Fault::Cut { after: 1_000 }).always();
    let error = run(&reference).await.unwrap_err();
    for word in [
        &format!("cannot index layer 1 of 1 ({})", layer.digest),
        "broken off at byte 6000, after 5 resumptions",
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
            let (registry, _) = registry(false);
            let reference = image.push(&registry, "v1");
            registry.fail(route, Fault::status(status, code)).always();
            let error = run(&reference).await.unwrap_err();
            assert!(error.contains("tried 6 times: "), "{error}");
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

#[test]
fn trouble_that_passes() {
    let image = listed(&Layer::noise(1, 90_000));
    let wanted = output_of(&image);
    thread::scope(|scope| {
        for (route, status) in [
            (Route::ReadManifest, 429),
            (Route::ReadBlob, 500),
            (Route::HeadBlob, 502),
            (Route::StartUpload, 503),
            (Route::FinishUpload, 500),
            (Route::PushManifest, 429),
        ] {
            let image = &image;
            scope.spawn(move || {
                let (registry, _) = registry(false);
                let reference = image.push(&registry, "v1");
                registry.fail(route, Fault::status(status, ""));
                program(&reference).run().exits(0).json();
                assert_eq!(output_tag(&registry), Some(wanted), "{route:?}");
            });
        }
    });
}

#[test]
fn tokens_that_end_in_the_middle() {
    let image = listed(&Layer::noise(1, 90_000));
    let registry =
        FakeRegistry::start().guarded(Access::Bearer(Login::Password("user", "secret-word")));
    let reference = image.push(&registry, "v1");
    registry.fail(Route::ReadBlob, Fault::Cut { after: 40_000 });
    for route in [Route::ReadBlob, Route::FinishUpload, Route::PushManifest] {
        registry.fail(route, Fault::ExpireTokens);
    }
    let run = program(&reference)
        .env("SOCI_REGISTRY_USERNAME", "user")
        .env("SOCI_REGISTRY_PASSWORD", "secret-word")
        .run();
    run.exits(0).json();
    assert_eq!(output_tag(&registry), Some(output_of(&image)));
    assert!(registry.requests_to(Route::Token).len() > 3);
}

/// A registry that answers nothing would be waited for for a minute, and then again.
#[test]
fn the_whole_command_may_have_a_limit() {
    let registry = FakeRegistry::start();
    let reference = listed(&Layer::noise(1, 9_000)).push(&registry, "v1");
    registry
        .fail(Route::ReadBlob, Fault::Silence { after: 0 })
        .always();
    let run = program(&reference).argument("--timeout=1ms").run().exits(1);
    let said = "soci-builder: timed out after 0.001 s (--timeout); existing tags were not changed";
    assert_eq!(run.stderr.lines().last(), Some(said), "{run:?}");
    let run = program(&reference).argument("--timeout=1s").run().exits(1);
    assert!(
        run.stderr.contains("timed out after 1 s (--timeout)"),
        "{run:?}"
    );
    assert_eq!(output_tag(&registry), None);
    for wrong in ["0", "0s", "5", "soon"] {
        let run = program(&reference).argument(format!("--timeout={wrong}"));
        let run = run.run().exits(2);
        assert!(run.stderr.contains("--timeout"), "{run:?}");
    }
}
