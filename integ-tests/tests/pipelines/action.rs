//! `.github/actions/soci-index`: its inputs are the program's flags; nothing is executed that is not what was released; nothing that an
//! input contains is executed.

use std::{collections::BTreeSet, fs};

use bytes::Bytes;
use serde_json::Value;
use soci_testing::{
    fake_registry::FakeRegistry,
    image::{Image, Layer},
    program::Program,
};

use crate::{
    action_runner::{Ended, Runner, action},
    release::Release,
};

/// About the program, and not for it.
const OWN: [&str; 4] = ["image", "version", "checksum", "release-url"];
/// The action sets or needs none of these.
const NOT_OFFERED: [&str; 3] = ["json", "brief", "help"];

fn registry_with_image() -> (FakeRegistry, String) {
    let registry = FakeRegistry::start();
    let layer = Layer::noise(1, 100_000);
    Image::of([&layer]).push(&registry, "v1");
    let image = format!("{}/{}:v1", registry.host(), soci_testing::image::REPOSITORY);
    (registry, image)
}

fn run(runner: &Runner, release: &Release, inputs: &[(&str, &str)]) -> Ended {
    let url = release.url();
    let mut all = vec![("release-url", url.as_str()), ("min-layer-size", "0")];
    all.extend(inputs);
    runner.run(&all)
}

#[test]
fn inputs_are_the_flags_of_the_program() {
    let help = Program::new(["index", "--help"]).run().exits(0).stdout;
    let flags = help
        .lines()
        .filter_map(|line| line.trim_start().split("--").nth(1));
    let flags: BTreeSet<_> = flags
        .filter_map(|flag| flag.split([' ', '=', '.']).next())
        .filter(|flag| help.contains(&format!("--{flag}")) && !NOT_OFFERED.contains(flag))
        .collect();
    assert!(flags.contains("reuse-from"), "{flags:?}");
    let action = action();
    let inputs = action["inputs"].as_object().unwrap().keys();
    let inputs: BTreeSet<_> = inputs
        .map(String::as_str)
        .filter(|name| !OWN.contains(name))
        .collect();
    assert_eq!(inputs, flags);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_installs_indexes_and_tells() {
    let release = Release::serve(|archive| archive).await;
    let (registry, image) = registry_with_image();
    let runner = Runner::new();
    let ended = run(
        &runner,
        &release,
        &[("image", &image), ("platform", "linux/amd64\n")],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.log.contains(&release.checksum), "{ended:?}");
    assert_eq!(ended.outputs["outcome"], "indexed");
    assert_eq!(ended.outputs["tag"], "v1-soci");
    let result: Value = serde_json::from_str(&ended.outputs["json"]).unwrap();
    assert_eq!(
        ended.outputs["digest"],
        result["output_digest"].as_str().unwrap()
    );
    assert_eq!(
        ended.outputs["image-digest"],
        result["image_digest"].as_str().unwrap()
    );
    let layer = &result["indexes"][0]["layers"][0];
    for shown in [
        &image,
        "indexed",
        "v1-soci",
        "linux/amd64",
        &layer["digest"].as_str().unwrap()[..19],
    ] {
        assert!(
            ended.summary.contains(shown),
            "no {shown} in {}",
            ended.summary
        );
    }

    // From the cache, and still the second time something else than a download.
    let archive = release.archive.clone();
    let kept = runner.tool_cache().join("soci-builder");
    let kept = kept.join(crate::release::VERSION);
    let kept = fs::read_dir(kept)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join(archive);
    fs::write(&kept, "spoiled").unwrap();
    let again = run(&runner, &release, &[("image", &image)]);
    assert_eq!(again.outputs["outcome"], "already-there", "{again:?}");
    let checksum = release.checksum.clone();
    let url = release.url();
    drop(release);
    // Nothing is asked of the release where the checksum is given and the cache has the archive.
    let offline = runner.run(&[
        ("release-url", &url),
        ("checksum", &checksum),
        ("image", &image),
        ("min-layer-size", "0"),
    ]);
    assert_eq!(offline.outputs["outcome"], "already-there", "{offline:?}");
    drop(registry);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_has_another_archive() {
    let release = Release::for_windows().await;
    let (registry, image) = registry_with_image();
    let runner = Runner::with([("RUNNER_OS".to_owned(), "Windows".to_owned())].into());
    let ended = run(&runner, &release, &[("image", &image)]);
    assert_eq!(ended.outputs["outcome"], "indexed", "{ended:?}");
    // And there is none for a system or a processor that nothing is built for.
    let strange = [("RUNNER_ARCH".to_owned(), "S390X".to_owned())].into();
    let ended = run(&Runner::with(strange), &release, &[("image", &image)]);
    assert!(
        ended.code != 0 && ended.log.contains("no release"),
        "{ended:?}"
    );
    drop(registry);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_released_is_not_executed() {
    let spoiled = |archive: Bytes| {
        let mut archive = archive.to_vec();
        *archive.last_mut().unwrap() ^= 1;
        archive.into()
    };
    let release = Release::serve(spoiled).await;
    let runner = Runner::new();
    let ended = run(&runner, &release, &[("image", "127.0.0.1:1/app:v1")]);
    assert_ne!(ended.code, 0);
    assert!(ended.log.contains("digest mismatch"), "{ended:?}");
    assert!(!runner.tool_cache().exists());

    let release = Release::serve(|archive| archive).await;
    let other = "0".repeat(64);
    let ended = run(
        &runner,
        &release,
        &[("image", "127.0.0.1:1/app:v1"), ("checksum", &other)],
    );
    assert!(
        ended.code != 0 && ended.log.contains("digest mismatch"),
        "{ended:?}"
    );
    let ended = run(
        &runner,
        &release,
        &[("image", "127.0.0.1:1/app:v1"), ("version", "9.9.9")],
    );
    assert!(ended.code != 0 && ended.log.contains("404"), "{ended:?}");
    let ended = run(
        &runner,
        &release,
        &[("image", "127.0.0.1:1/app:v1"), ("version", "../0.1.0")],
    );
    assert!(
        ended.code != 0 && ended.log.contains("invalid version"),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_an_input_is_executed() {
    let release = Release::serve(|archive| archive).await;
    let runner = Runner::new();
    let trap = runner.tool_cache().with_file_name("executed");
    let evil = format!("$(touch {0})`touch {0}`\"; touch {0}; '", trap.display());
    let (_registry, image) = registry_with_image();
    let ended = run(
        &runner,
        &release,
        &[("image", &evil), ("output-tag", &evil), ("version", "")],
    );
    assert_ne!(ended.code, 0, "{ended:?}");
    assert!(!trap.exists());
    // Nor is a value a flag of its own, or an input another kind of value.
    let ended = run(
        &runner,
        &release,
        &[("image", &image), ("output-tag", "--plain-http")],
    );
    assert!(
        ended.code != 0 && ended.log.contains("--plain-http"),
        "{ended:?}"
    );
    let ended = run(&runner, &release, &[("image", &image), ("strict", "yes")]);
    assert!(
        ended.code != 0 && ended.log.contains("true or false"),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_images_have_one_summary_each() {
    let release = Release::serve(|archive| archive).await;
    let (registry, image) = registry_with_image();
    Image::of([&Layer::noise(2, 100_000)]).push(&registry, "v2");
    let both = format!("{image}\n  {}\n", image.replace(":v1", ":v2"));
    let ended = run(&Runner::new(), &release, &[("image", &both)]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.outputs["outcome"], "indexed");
    assert_eq!(ended.outputs["digest"], "");
    let results: Value = serde_json::from_str(&ended.outputs["json"]).unwrap();
    assert_eq!(results.as_array().unwrap().len(), 2);
    assert_eq!(ended.summary.matches("### SOCI index of").count(), 2);
    drop(registry);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_fails_the_step_and_says_why() {
    let release = Release::serve(|archive| archive).await;
    let (registry, image) = registry_with_image();
    let missing = image.replace(":v1", ":v2");
    let ended = run(&Runner::new(), &release, &[("image", &missing)]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(ended.outputs["outcome"], "failed");
    assert!(ended.summary.contains("not found"), "{}", ended.summary);
    drop(registry);
}
