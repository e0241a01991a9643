//! A large layer over several connections, some of which fail: the result is the one that an undisturbed run gives.

use std::{thread, time::Duration};

use fastrand::Rng;
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Line, Route, Settings},
    image::{Layer, noise, tar_of},
};

use crate::{listed, output_of, output_tag, program};

/// More than the program reads over one connection where that is slow.
const LAYER_BYTES: usize = 96 << 20;
/// Of a part, some.
const CUT_WITHIN: usize = 2 << 20;

#[test]
fn parts_that_fail_change_nothing() {
    let layer = Layer::plain(tar_of([("noise", noise(1, LAYER_BYTES))]));
    let image = listed(&layer);
    let wanted = output_of(&image);
    thread::scope(|scope| {
        for seed in 0..2 {
            let image = &image;
            scope.spawn(move || {
                let redirect_blobs = seed % 2 == 0;
                let registry = FakeRegistry::with(Settings {
                    redirect_blobs,
                    line: Some(Line {
                        bytes_per_second: 20_000_000,
                        first_byte: Duration::from_millis(5),
                    }),
                    ..Settings::default()
                });
                let reference = image.push(&registry, "v1");
                let route = match redirect_blobs {
                    true => Route::Storage,
                    false => Route::ReadBlob,
                };
                // The first connection and the first part come well, so that there are parts.
                let harmless = Fault::Header("x-seed", seed.to_string());
                registry.fail(route, harmless).times(2);
                let mut random = Rng::with_seed(seed);
                // No more than one connection gets over, should it meet all of them.
                for _ in 0..5 {
                    let fault = match random.u8(..6) {
                        0..=2 => Fault::Cut {
                            after: random.usize(..CUT_WITHIN),
                        },
                        3 => Fault::status(503, ""),
                        4 => Fault::status(416, "UNKNOWN"),
                        _ => Fault::IgnoreRange,
                    };
                    registry.fail(route, fault);
                }
                program(&reference).run().exits(0).json();
                assert_eq!(output_tag(&registry), Some(wanted), "seed {seed}");
                let requests = registry.requests_to(route);
                let is_part = |range: &str| !range.ends_with('-');
                let parts = requests
                    .iter()
                    .filter_map(|request| request.header("range"))
                    .filter(|range| is_part(range))
                    .count();
                assert!(parts > 4, "seed {seed}: {parts} parts");
            });
        }
    });
}
