//! A run that is stopped in the middle.

use std::process::Command;

use tempfile::TempDir;

use crate::{
    listed, output_tag, program,
    support::{
        fake_registry::{FakeRegistry, Fault, Route},
        image::Layer,
        program::{Program, wait_until},
    },
};

const SIGNALS: [(&str, &str); 2] = [
    ("INT", "stopped by an interrupt"),
    ("TERM", "stopped by a request to terminate"),
];

#[test]
fn a_run_in_the_middle_of_a_layer() {
    for (signal, words) in SIGNALS {
        let layer = Layer::noise(1, 300_000);
        let registry = FakeRegistry::start();
        let reference = listed(&layer).push(&registry, "v1");
        registry
            .fail(Route::ReadBlob, Fault::Silence { after: 100_000 })
            .always();
        let running = program(&reference).start();
        wait_until(|| registry.served(&layer.digest) >= 100_000);
        running.signal(signal);
        running
            .wait()
            .fails_with(&[words, "what had a tag has it still"]);
        assert_eq!(output_tag(&registry), None);
        assert_eq!(registry.requests_to(Route::PushManifest).len(), 0);
    }
}

/// Opening a FIFO blocks until somebody writes into it, which nobody does.
#[test]
fn a_single_layer_that_never_comes() {
    for (signal, words) in SIGNALS {
        let folder = TempDir::new().unwrap();
        let (layer, output) = (folder.path().join("layer"), folder.path().join("ztoc"));
        assert!(
            Command::new("mkfifo")
                .arg(&layer)
                .status()
                .unwrap()
                .success()
        );
        let build = Program::new(["ztoc", "build", "--output"])
            .argument(&output)
            .argument(&layer);
        let running = build.start();
        wait_until(|| running.waits_for_a_signal());
        running.signal(signal);
        running.wait().fails_with(&[words]);
        assert!(!output.exists());
    }
}
