//! Releases: the workflow calls scripts, and those are tried here where a release build is not needed; `.ci/release/dry-run` tries the rest.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use flate2::read::GzDecoder;
use local_cloud::programs;
use regex_lite::Regex;
use serde_json::Value;
use soci_testing::scratch::scratch;
use tar::Archive;

use crate::yaml;

/// What a step may run that is no script of ours.
const TOOLS: [&str; 5] = [
    "gh release create",
    "make",
    "npm publish",
    "skopeo login",
    "sudo apt-get",
];

fn workflow() -> Value {
    let path = programs::repository().join(".github/workflows/release.yml");
    yaml::parse(&fs::read_to_string(path).unwrap())
}

fn steps(job: &Value) -> impl Iterator<Item = &Value> {
    job["steps"].as_array().unwrap().iter()
}

fn script(name: &str, arguments: &[&str], target: &Path) -> Output {
    let path = programs::repository().join(".ci/release").join(name);
    let command = Command::new(path)
        .args(arguments)
        .env("CARGO_TARGET_DIR", target)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output();
    command.unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn the_workflow_only_calls_scripts() {
    let mut scripts = 0;
    for (name, job) in workflow()["jobs"].as_object().unwrap() {
        for command in steps(job).filter_map(|step| step["run"].as_str()) {
            if let Some(script) = command
                .split(' ')
                .next()
                .filter(|first| first.starts_with(".ci/"))
            {
                let mode = fs::metadata(programs::repository().join(script))
                    .unwrap()
                    .permissions()
                    .mode();
                assert_ne!(mode & 0o111, 0, "{script}");
                scripts += 1;
            } else {
                assert!(
                    TOOLS.iter().any(|tool| command.starts_with(tool)),
                    "{name}: {command}"
                );
            }
            // What GitHub fills in could hold anything; it goes through the environment.
            assert!(!command.contains("${{"), "{name}: {command}");
        }
    }
    assert!(scripts > 5, "{scripts}");
}

#[test]
fn who_builds_cannot_publish_and_who_publishes_waits() {
    for (name, job) in workflow()["jobs"].as_object().unwrap() {
        let rights = job["permissions"].as_object();
        let writes: Vec<_> = rights
            .into_iter()
            .flatten()
            .filter(|(_, right)| *right == "write")
            .collect();
        let publishes = job["environment"] == "release";
        if publishes {
            assert_eq!(job["if"], "github.ref_type == 'tag'", "{name}");
            let builds =
                steps(job).any(|step| step["run"].as_str().is_some_and(|of| of.contains("make")));
            assert!(!builds, "{name}");
        } else if name != "attest" {
            assert!(writes.is_empty(), "{name}: {writes:?}");
            let secret = Regex::new(r"secrets\.|github\.token").unwrap();
            assert!(!secret.is_match(&job.to_string()), "{name}");
        }
        for step in steps(job).filter(|step| {
            step["uses"]
                .as_str()
                .is_some_and(|of| of.contains("/checkout@"))
        }) {
            assert_eq!(step["with"]["persist-credentials"], false, "{name}");
        }
    }
}

/// The archives that the workflow builds are those that a release must have, and the action can ask for no other.
#[test]
fn every_target_is_built_and_none_is_missing() {
    let workflow = workflow();
    let matrix = workflow["jobs"]["program"]["strategy"]["matrix"]["include"]
        .as_array()
        .unwrap()
        .iter();
    let mut built: BTreeSet<_> = matrix
        .map(|one| one["target"].as_str().unwrap().to_owned())
        .collect();
    let linux = steps(&workflow["jobs"]["image"]).filter_map(|step| step["run"].as_str());
    built.extend(
        linux
            .filter_map(|run| run.strip_prefix(".ci/release/program "))
            .map(str::to_owned),
    );
    let folder = scratch();
    let missing = script(
        "checksums",
        &[folder.path().to_str().unwrap()],
        folder.path(),
    );
    assert!(!missing.status.success());
    let name = Regex::new(r"soci-builder-(\S+?)(?:\.tar\.gz|\.zip) is missing").unwrap();
    let said = text(&missing.stderr);
    let wanted: BTreeSet<_> = name
        .captures_iter(&said)
        .map(|found| found[1].to_owned())
        .collect();
    assert_eq!(built, wanted);
    assert_eq!(built.len(), 7, "{built:?}");
    let action =
        fs::read_to_string(crate::action_runner::action_folder().join("install.py")).unwrap();
    for target in &built {
        let (_, system) = target.split_once('-').unwrap();
        assert!(action.contains(&format!("\"{system}\"")), "{system}");
    }
}

#[test]
fn the_same_files_make_the_same_archive() {
    let folder = scratch();
    let parts = folder.path().join("parts");
    for (target, program) in [
        ("x86_64-unknown-linux-gnu", "soci-builder"),
        ("x86_64-pc-windows-msvc", "soci-builder.exe"),
    ] {
        fs::create_dir(&parts).unwrap();
        fs::write(parts.join("LICENSE"), "free").unwrap();
        let at = |target_dir: &str| {
            let target_dir = folder.path().join(target_dir);
            let packed = script("archive", &[target, parts.to_str().unwrap()], &target_dir);
            (packed, target_dir.join("release-files"))
        };
        let (without, _) = at("none");
        assert!(text(&without.stderr).contains("no program"), "{without:?}");
        fs::write(parts.join(program), "program").unwrap();
        let [first, second] = ["first", "second"].map(|name| {
            let (packed, files) = at(name);
            assert!(packed.status.success(), "{packed:?}");
            // Times and rights of the sources do not count.
            fs::set_permissions(parts.join("LICENSE"), fs::Permissions::from_mode(0o600)).unwrap();
            File::options()
                .append(true)
                .open(parts.join("LICENSE"))
                .unwrap()
                .set_modified(std::time::UNIX_EPOCH)
                .unwrap();
            files
        });
        let names = fs::read_dir(&first)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        for name in names {
            assert_eq!(
                fs::read(first.join(&name)).unwrap(),
                fs::read(second.join(&name)).unwrap()
            );
        }
        fs::remove_dir_all(&parts).unwrap();
    }
    let packed = File::open(
        folder
            .path()
            .join("first/release-files/soci-builder-x86_64-unknown-linux-gnu.tar.gz"),
    )
    .unwrap();
    let mut archive = Archive::new(GzDecoder::new(packed));
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let entries: Vec<_> = entries
        .map(|entry| {
            (
                entry.path().unwrap().display().to_string(),
                entry.header().mode().unwrap(),
                entry.header().mtime().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("LICENSE", 0o644, 1_700_000_000),
        ("soci-builder", 0o755, 1_700_000_000),
    ];
    assert_eq!(
        entries,
        expected.map(|(name, mode, time)| (name.to_owned(), mode, time))
    );
}

#[test]
fn two_files_of_one_name_are_not_released() {
    let folder = scratch();
    let (built, files) = (folder.path().join("built"), folder.path().join("files"));
    for (job, name) in [
        ("one", "soci-builder-t.tar.gz"),
        ("one", "SHA256SUMS"),
        ("two", "SHA256SUMS"),
        ("two", "sbom"),
    ] {
        fs::create_dir_all(built.join(job)).unwrap();
        fs::write(built.join(job).join(name), name).unwrap();
    }
    let arguments = [built.to_str().unwrap(), files.to_str().unwrap(), "t"];
    let collected = script("collect", &arguments, folder.path());
    assert!(collected.status.success(), "{collected:?}");
    let sums = fs::read_to_string(files.join("SHA256SUMS")).unwrap();
    let names: Vec<_> = sums
        .lines()
        .map(|line| line.split_once("  ").unwrap().1)
        .collect();
    assert_eq!(names, ["sbom", "soci-builder-t.tar.gz"]);
    fs::remove_dir_all(&files).unwrap();
    fs::write(built.join("one/sbom"), "another").unwrap();
    let collected = script("collect", &arguments, folder.path());
    assert!(
        !collected.status.success() && text(&collected.stderr).contains("sbom"),
        "{collected:?}"
    );
}

#[test]
fn a_tag_of_another_version_is_refused() {
    let folder = scratch();
    for tag in ["v99.0.0", "0.1.0"] {
        let checked = script("check-version", &[tag], folder.path());
        assert!(
            !checked.status.success() && text(&checked.stderr).contains(tag),
            "{checked:?}"
        );
    }
    let all = text(&script("check-version", &["v99.0.0"], folder.path()).stderr);
    for what in ["Cargo.toml", "package.json", "PIPELINES.md", "CHANGELOG.md"] {
        assert!(all.contains(what), "{what}: {all}");
    }
}
