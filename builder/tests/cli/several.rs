//! Several images in one call: which are meant, what is read, and how it ends.

use std::{fs, io::Write};

use serde_json::{Value, json};
use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route},
    image::{Image, Layer, REPOSITORY},
    program::{Ended, Program, wait_until},
};
use tempfile::NamedTempFile;

fn index(arguments: &[&str]) -> Program {
    Program::new([&["index", "--json", "--min-layer-size", "0"], arguments].concat())
}

/// The results, one a line.
fn results(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn list(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Images that share a layer, under v1, v2 and so on.
fn releases(registry: &FakeRegistry, shared: &Layer, count: u64) -> Vec<String> {
    let image = |number| Image::of([shared, &Layer::noise(1_000 + number, 5_000)]);
    (1..=count)
        .map(|number| image(number).push(registry, &format!("v{number}")))
        .collect()
}

#[test]
fn a_layer_that_images_share_is_read_once() {
    let registry = FakeRegistry::start();
    let shared = Layer::noise(1, 90_000);
    let images = releases(&registry, &shared, 3);
    let ended = index(&[&*images[0], &images[1], &images[2]]).run().exits(0);
    let results = results(&ended);
    assert_eq!(results.len(), 3);
    for (result, image) in results.iter().zip(&images) {
        assert_eq!(result["image"], **image);
        assert_eq!(result["outcome"], "indexed");
    }
    assert_eq!(
        results[2]["layers"],
        json!({"indexed": 1, "reused": 1, "skipped": 0})
    );
    assert_eq!(registry.reads_of(&shared.digest), 1);

    // The same indexes as one by one.
    let fresh = FakeRegistry::start();
    let images = releases(&fresh, &shared, 3);
    for (result, image) in results.iter().zip(&images) {
        let alone = index(&[image]).run().exits(0).json();
        assert_eq!(alone["output_digest"], result["output_digest"]);
        assert!(alone.get("image").is_none());
    }
}

#[test]
fn what_is_there_already_helps_those_after_it() {
    let registry = FakeRegistry::start();
    let shared = Layer::noise(1, 90_000);
    let images = releases(&registry, &shared, 2);
    let _ = index(&[&images[0]]).run().exits(0);
    let ended = index(&[&*images[0], &images[1]]).run().exits(0);
    let results = results(&ended);
    assert_eq!(results[0]["outcome"], "already-there");
    assert_eq!(results[1]["layers"]["reused"], 1);
    assert_eq!(registry.reads_of(&shared.digest), 1);
}

/// The ztoc is pushed into the second repository too.
#[test]
fn images_in_other_repositories_share_layers_too() {
    let (first, second) = (FakeRegistry::start(), FakeRegistry::start());
    let shared = Layer::noise(1, 90_000);
    let image = Image::of([&shared]);
    let images = [&first, &second].map(|registry| image.push(registry, "v1"));
    let ended = index(&[&*images[0], &images[1]]).run().exits(0);
    let results = results(&ended);
    assert_eq!(results[1]["outcome"], "indexed");
    assert_eq!(results[0]["output_digest"], results[1]["output_digest"]);
    assert_eq!(
        (
            first.reads_of(&shared.digest),
            second.reads_of(&shared.digest)
        ),
        (1, 0)
    );
    let tag = images[1].replace(":v1", ":v1-soci");
    let _ = Program::new(["verify", &tag]).run().exits(0);
}

#[test]
fn other_options_make_other_ztocs() {
    let registry = FakeRegistry::start();
    let shared = Layer::noise(1, 90_000);
    let images = releases(&registry, &shared, 2);
    let _ = index(&[&images[0], "--span-size", "16KiB"]).run().exits(0);
    let _ = index(&[&*images[0], &images[1]]).run().exits(0);
    assert_eq!(registry.reads_of(&shared.digest), 2);
}

#[test]
fn images_of_a_layout_share_layers_too() {
    let folder = tempfile::TempDir::new().unwrap();
    let shared = Layer::noise(1, 9_000);
    let layouts = ["a", "b"].map(|name| {
        let layout = folder.path().join(name);
        Image::of([&shared]).write_layout(&layout, "v1");
        format!("oci:{}", layout.display())
    });
    let ended = index(&[&*layouts[0], &layouts[1]]).run().exits(0);
    let results = results(&ended);
    assert_eq!(results[1]["layers"]["reused"], 1);
    assert_eq!(results[1]["bytes_read"], 0);
    let _ = Program::new(["verify", &format!("{}:v1-soci", layouts[1])])
        .run()
        .exits(0);
}

#[test]
fn tags_come_from_a_file_or_from_standard_input() {
    let registry = FakeRegistry::start();
    let images = releases(&registry, &Layer::noise(1, 9_000), 2);
    let repository = format!("{}/{REPOSITORY}", registry.host());
    let text = "# releases\nv1\n\n  v2\r\n";
    let list = list(text);
    let path = list.path().to_str().unwrap();
    let from_file = index(&[&repository, "--tag-list", path]).run().exits(0);
    let stdin = fs::File::open(path).unwrap();
    let from_stdin = index(&[&repository, "--tag-list", "-"]).stdin(stdin);
    for ended in [from_file, from_stdin.run().exits(0)] {
        let results = results(&ended);
        let named: Vec<_> = results.iter().map(|result| &result["image"]).collect();
        assert_eq!(named, [&images[0], &images[1]]);
    }
    assert!(registry.tagged(REPOSITORY, "v2-soci").is_some());
}

#[test]
fn a_list_may_name_images_of_a_layout() {
    let (layout, image) = Image::of([&Layer::noise(1, 9_000)]).layout();
    let list = list("v1\nv1\n");
    let path = list.path().to_str().unwrap();
    let place = image.strip_suffix(":v1").unwrap();
    let ended = index(&[place, "--tag-list", path]).run().exits(0);
    let outcomes = results(&ended);
    assert_eq!(outcomes[0]["outcome"], "indexed");
    assert_eq!(outcomes[1]["outcome"], "already-there");
    drop(layout);
}

#[test]
fn a_failure_is_told_with_its_image_and_does_not_stop_the_others() {
    let registry = FakeRegistry::start();
    let images = releases(&registry, &Layer::noise(1, 9_000), 2);
    let missing = images[0].replace(":v1", ":none");
    let zstd = Image::of([&Layer::zstd()]).push(&registry, "zstd");
    let ended = index(&[&*missing, &images[0], &zstd, &images[1]])
        .run()
        .exits(1);
    let results = results(&ended);
    let outcomes: Vec<_> = results.iter().map(|result| &result["outcome"]).collect();
    assert_eq!(outcomes, ["failed", "indexed", "unsupported", "indexed"]);
    assert_eq!(results[0]["image"], *missing);
    let error = format!("cannot index {missing}: ");
    assert!(results[0]["error"].as_str().unwrap().starts_with(&error));
    assert!(
        ended.stderr.contains(&format!("error: {error}")),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .contains(&format!("image 4 of 4: {}", images[1]))
    );
    let last = format!("soci-builder: 1 of 4 images failed: {missing}");
    assert_eq!(ended.stderr.lines().last(), Some(&*last));

    // Without a failure it is the image without an index that decides.
    let ended = index(&[&*zstd, &images[1]]).run().exits(3);
    let last = format!("soci-builder: 1 of 2 images have nothing to index: {zstd}");
    assert_eq!(ended.stderr.lines().last(), Some(&*last));
}

#[test]
fn a_person_is_told_which_image_it_is_about() {
    let registry = FakeRegistry::start();
    let images = releases(&registry, &Layer::noise(1, 9_000), 2);
    let arguments = ["index", "--min-layer-size", "0", &images[0], &images[1]];
    let text = Program::new(arguments).run().exits(0).stdout;
    for image in &images {
        assert!(text.contains(&format!("{image}\nindexed (")), "{text}");
    }
}

#[test]
fn misuse_is_refused_before_anything_is_asked() {
    let registry = FakeRegistry::start();
    let images = releases(&registry, &Layer::noise(1, 9_000), 2);
    let repository = format!("{}/{REPOSITORY}", registry.host());
    let (digest, _) = registry.tagged(REPOSITORY, "v1").unwrap();
    let by_digest = format!("{repository}@{digest}");
    let tags = list("v1\n");
    let none = list("# none\n");
    let wrong = list("v1\nv 2\n");
    let [tags, none, wrong] = [&tags, &none, &wrong].map(|list| list.path().to_str().unwrap());
    for (arguments, words) in [
        (
            &[&*images[0], &*images[1], "--output-tag", "x"][..],
            "would all get that tag",
        ),
        (
            &[&repository, "--tag-list", tags, "--output-tag", "x"],
            "would all get that tag",
        ),
        (&[&*images[0], &by_digest], "has no tag to derive"),
        (&[&repository], "neither tag nor digest"),
        (&[&images[0], "--tag-list", tags], "needs one IMAGE"),
        (
            &[&repository, &repository, "--tag-list", tags],
            "needs one IMAGE",
        ),
        (&[&repository, "--tag-list", none], "is empty"),
        (&[&repository, "--tag-list", wrong], "\"v 2\" in the list"),
        (
            &[&repository, "--tag-list", "-", "--prefetch-files-from", "-"],
            "only one of",
        ),
    ] {
        let ended = index(arguments).run().exits(2);
        assert!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
    assert_eq!(registry.requests().len(), 0);
    let ended = index(&[&repository, "--tag-list", "/nonexistent"]).run();
    ended.fails_with(&["cannot read the list of tags /nonexistent"]);
}

#[test]
fn a_stopped_call_has_told_what_is_done() {
    let registry = FakeRegistry::start();
    let images = releases(&registry, &Layer::noise(1, 9_000), 1);
    let layer = Layer::noise(2, 300_000);
    let slow = Image::list([("linux/amd64", Image::of([&layer]))]).push(&registry, "slow");
    // The first image's config and layers.
    let fine = Fault::Header("x-fine", "1".to_owned());
    registry.fail(Route::ReadBlob, fine).times(3);
    registry
        .fail(Route::ReadBlob, Fault::Silence { after: 100_000 })
        .always();
    let running = index(&[&*images[0], &slow]).start();
    wait_until(|| registry.served(&layer.digest) >= 100_000);
    running.signal("TERM");
    let ended = running.wait().exits(1);
    assert_eq!(results(&ended)[0]["outcome"], "indexed", "{ended:?}");
    assert!(registry.tagged(REPOSITORY, "v1-soci").is_some());
    let words = "stopped by SIGTERM; existing tags were not changed after the results above";
    assert!(ended.stderr.contains(words), "{ended:?}");
}
