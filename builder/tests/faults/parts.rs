//! A large layer over several connections, some of which fail: the result is the one that an undisturbed run gives.

use std::{thread, time::Duration};

use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Line, Route, Settings},
    image::{Layer, noise, tar_of},
};

use crate::{listed, output_of, output_tag, program};

/// More than the program reads over one connection where that is slow.
const LAYER_BYTES: usize = 96 << 20;
/// So slow that the program waits for it on any machine: parts are read where it does.
const LINE: Line = Line {
    bytes_per_second: 5_000_000,
    first_byte: Duration::from_millis(5),
};

#[test]
fn parts_that_fail_change_nothing() {
    let layer = Layer::plain(tar_of([("noise", noise(1, LAYER_BYTES))]));
    let image = listed(&layer);
    let wanted = output_of(&image);
    thread::scope(|scope| {
        for redirect_blobs in [false, true] {
            let image = &image;
            scope.spawn(move || {
                let registry = FakeRegistry::with(Settings {
                    redirect_blobs,
                    line: Some(LINE),
                    ..Settings::default()
                });
                let reference = image.push(&registry, "v1");
                // The last one ends the parts: what is left comes over one connection.
                let (route, last) = match redirect_blobs {
                    true => (Route::Storage, Fault::IgnoreRange),
                    false => (Route::ReadBlob, Fault::status(416, "UNKNOWN")),
                };
                let fail = |fault, times| registry.fail(route, fault).times(times);
                let harmless = || Fault::Header("x-well", String::new());
                fail(harmless(), 2);
                fail(Fault::Cut { after: 1 << 20 }, 1);
                fail(Fault::status(503, ""), 1);
                fail(Fault::Cut { after: 100 }, 1);
                fail(harmless(), 32);
                fail(last, 1);
                program(&reference).run().exits(0).json();
                assert_eq!(output_tag(&registry), Some(wanted));
                let requests = registry.requests_to(route);
                let ranges = requests
                    .iter()
                    .filter_map(|request| request.header("range"));
                let parts = ranges.filter(|range| !range.ends_with('-')).count();
                assert!(parts > 30, "{parts} parts");
            });
        }
    });
}
