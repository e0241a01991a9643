//! Trouble that passes, and trouble that does not, as far as the program need not pause for long: the rest is tried on the
//! library, in `index/tests/run/patience.rs`.

use std::thread;

use soci_testing::{
    fake_registry::{Access, FakeRegistry, Fault, Login, Route},
    image::Layer,
};

use crate::{listed, output_of, output_tag, program};

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
                let (registry, route) = FakeRegistry::redirecting(seed % 2 == 0);
                let reference = image.push(&registry, "v1");
                registry.fail(route, Fault::Cut { after });
                program(&reference).run().exits(0).json();
                assert_eq!(output_tag(&registry), Some(wanted), "seed {seed}");
            });
        }
    });
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
                let registry = FakeRegistry::start();
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
