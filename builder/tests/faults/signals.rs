//! A run that is stopped: in the middle of its work, or where it waits for whoever reads or writes at the other end of a pipe.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::{Command, Stdio},
};

use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route},
    image::{Image, Layer, tar_of},
    program::{Ended, Program, Running, indexed, wait_until},
};
use tempfile::TempDir;

use crate::{listed, output_tag, program};

const SIGNALS: [(&str, &str); 3] = [
    ("INT", "stopped by SIGINT"),
    ("TERM", "stopped by SIGTERM"),
    ("HUP", "stopped by SIGHUP"),
];

/// More than any pipe holds.
const MUCH: usize = 4 << 20;

/// What a pipe holds.
const PIPE: usize = 64 << 10;

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
            .fails_with(&[words, "existing tags were not changed"]);
        assert_eq!(output_tag(&registry), None);
        assert_eq!(registry.requests_to(Route::PushManifest).len(), 0);
    }
}

/// A pipe with a name. Opening it blocks until somebody opens its other end, which nobody does.
fn fifo(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    path
}

/// Stops a run that waits, once it listens.
fn stop(running: Running, signal: &str) -> Ended {
    wait_until(|| running.waits_for_a_signal());
    running.signal(signal);
    running.wait()
}

#[test]
fn a_single_layer_that_never_comes() {
    for (signal, words) in SIGNALS {
        let folder = TempDir::new().unwrap();
        let output = folder.path().join("ztoc");
        let build = Program::new(["ztoc", "build", "--output"])
            .argument(&output)
            .argument(fifo(&folder));
        stop(build.start(), signal).fails_with(&[words]);
        assert!(!output.exists());
    }
}

#[test]
fn a_list_of_files_that_never_comes() {
    let (_layout, image) = Image::of([&Layer::noise(1, 1000)]).layout();
    let report = || Program::new(["report", &image, "-o", "-", "--start-files"]);
    for (signal, words) in SIGNALS {
        let (reader, _writer) = io::pipe().unwrap();
        let running = report().argument("-").stdin(reader).start();
        stop(running, signal).fails_with(&[words]);

        let folder = TempDir::new().unwrap();
        let running = report().argument(fifo(&folder)).start();
        stop(running, signal).fails_with(&[words]);
    }
}

#[test]
fn an_archive_that_never_comes() {
    for command in ["index", "info", "verify", "ls"] {
        let folder = TempDir::new().unwrap();
        let archive = format!("oci-archive:{}:v1", fifo(&folder).display());
        let ended = stop(Program::new([command, &archive]).start(), "TERM").exits(1);
        assert!(ended.stderr.contains("soci-builder: "), "{ended:?}");
    }
}

#[test]
fn a_page_that_nobody_takes() {
    let (_layout, image) = Image::of([&Layer::noise(1, 1000)]).layout();
    let folder = TempDir::new().unwrap();
    let report = Program::new(["report", &image, "-o"]).argument(fifo(&folder));
    stop(report.start(), "TERM").fails_with(&["stopped by SIGTERM"]);
}

#[test]
fn a_result_that_nobody_reads() {
    // The page has a row for a hundred of them.
    let names = (0..MUCH / 1000).map(|number| (format!("{number:01000}"), ""));
    let layers = [
        Layer::gzip(&tar_of(names)),
        Layer::gzip(&tar_of([("large", vec![b'x'; MUCH])])),
    ];
    let (layout, image) = Image::of(&layers).layout();
    let image = indexed(&image, &[]);
    let ztoc = layout.path().join("ztoc");
    let layer = layout.path().join("layer");
    std::fs::write(&layer, &layers[0].bytes).unwrap();
    let build = Program::new(["ztoc", "build", "-o"])
        .argument(&ztoc)
        .argument(&layer);
    let _ = build.run().exits(0);
    let ztoc = ztoc.to_str().unwrap();

    for (signal, words) in SIGNALS {
        for arguments in [
            &["cat", &image, "large"][..],
            &["ls", &image],
            &["ls", "--json", &image],
            &["report", &image, "-o", "-"],
            &["ztoc", "info", "--json", ztoc],
        ] {
            let mut running = Program::new(arguments).start();
            running.prints();
            running.signal(signal);
            let ended = running.wait().exits(1);
            assert!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
        }
    }
}

/// Far more layers than a pipe can hold lines of, each too small for an index.
fn many_layers(registry: &FakeRegistry) -> String {
    let layers: Vec<_> = (0..2000).map(|seed| Layer::noise(seed, 1)).collect();
    Image::of(&layers).push(registry, "v1")
}

/// What was done is not denied, and what failed is not forgotten.
#[test]
fn a_run_that_is_done_but_for_printing() {
    let registry = FakeRegistry::start();
    let image = many_layers(&registry);
    for (more, code, words) in [
        (&[][..], 1, "before the whole result was printed"),
        (&["--when-too-small", "fail"], 3, "nothing to index"),
    ] {
        let arguments = [&["index", &image, "--json"][..], more].concat();
        let mut running = Program::new(arguments).start();
        running.prints();
        running.signal("TERM");
        let ended = running.wait().exits(code);
        assert!(ended.stderr.contains(words), "{ended:?}");
        assert!(!ended.stderr.contains("tags"), "{ended:?}");
    }
    assert!(output_tag(&registry).is_some());
}

#[test]
fn a_log_that_nobody_reads() {
    let layer = Layer::noise(1, 300_000);
    let registry = FakeRegistry::start();
    let reference = listed(&layer).push(&registry, "v1");
    let full = || {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[b'x'; PIPE]).unwrap();
        (reader, writer)
    };
    // A run goes on, whoever reads what it says; only its end waits.
    let (_reader, writer) = full();
    let running = program(&reference).stderr(writer).start();
    wait_until(|| output_tag(&registry).is_some());
    running.signal("TERM");
    let _ = running.wait().exits(1);

    // So does one that failed.
    let (_reader, writer) = full();
    let running = Program::new(["info", "oci:/nonexistent"]).stderr(writer);
    let _ = stop(running.stdout(Stdio::null()).start(), "TERM").exits(1);
}
