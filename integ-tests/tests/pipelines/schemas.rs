//! The recipes and this repository's own workflows, held against what the services' schemas and checkers say.

use std::{fs, path::Path, process::Command};

use local_cloud::{codebuild::buildspec::Buildspec, programs};
use serde_json::Value;
use soci_testing::{program::built, scratch::scratch};

use crate::{page::Page, yaml};

/// Runs `.ci/check-pipelines`. Out: whether it found nothing, and what it said.
fn check(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(programs::repository().join(".ci/check-pipelines"))
        .args(arguments)
        // Where the lints have it too.
        .env(
            "CARGO_TARGET_DIR",
            built("local-cloud").ancestors().nth(2).unwrap(),
        )
        .output()
        .unwrap();
    let mut said = String::from_utf8(output.stdout).unwrap();
    said += &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), said)
}

fn checked(kind: &str, path: &Path) -> (bool, String) {
    check(&[kind, path.to_str().unwrap()])
}

#[test]
fn recipes_follow_the_schemas() {
    let (page, folder) = (Page::read(), scratch());
    for (kind, name, key, wrong) in [
        (
            "github-workflow",
            ".github/workflows/index.yml",
            "runs-on:",
            "run-on:",
        ),
        (
            "gitlab-ci",
            ".gitlab-ci.yml",
            "id_tokens:",
            "id_token:\n    - 1\n  id_tokens: 5\n  x:",
        ),
        (
            "buildkite",
            ".buildkite/pipeline.yml",
            "timeout_in_minutes: 15",
            "timeout_in_minutes: soon",
        ),
    ] {
        let path = page.write(name, folder.path());
        let (good, said) = checked(kind, &path);
        assert!(good, "{said}");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(key), "{name}");
        fs::write(&path, text.replace(key, wrong)).unwrap();
        let (good, _) = checked(kind, &path);
        assert!(!good, "{name} with {wrong}");
    }
    Buildspec::read(page.block("buildspec.yml")).unwrap();
}

#[test]
fn this_repository_s_workflows_have_no_findings() {
    let (good, said) = check(&[]);
    assert!(good, "{said}");
}

/// Every `uses:` of a workflow or action, wherever it is.
fn uses<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                match value.as_str() {
                    Some(action) if key == "uses" => found.push(action),
                    _ => uses(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| uses(item, found)),
        _ => {}
    }
}

fn is_pinned(action: &str) -> bool {
    let commit = action.split_once('@').map(|(_, commit)| commit);
    action.starts_with("./")
        || commit.is_some_and(|commit| {
            commit.len() == 40 && commit.bytes().all(|of| of.is_ascii_hexdigit())
        })
}

#[test]
fn actions_of_others_are_pinned_and_rights_are_named() {
    let folder = programs::repository().join(".github/workflows");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let workflow = yaml::parse(&fs::read_to_string(&path).unwrap());
        let mut found = Vec::new();
        uses(&workflow, &mut found);
        assert!(!found.is_empty(), "{}", path.display());
        for action in found {
            assert!(is_pinned(action), "{}: {action}", path.display());
        }
        // What a job needs beyond reading it says itself.
        let rights = workflow["permissions"].as_object().unwrap();
        let harmless = rights
            .iter()
            .all(|(what, right)| what == "contents" && right == "read");
        assert!(harmless, "{}: {rights:?}", path.display());
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert!(
                job["timeout-minutes"].is_number() || job["uses"].is_string(),
                "{}: {name}",
                path.display()
            );
        }
    }
    let mut found = Vec::new();
    let recipe = yaml::parse(Page::read().block(".github/workflows/index.yml"));
    uses(&recipe, &mut found);
    let ours = |action: &str| action.starts_with("soci-index-build/");
    assert!(
        found.iter().all(|action| is_pinned(action) || ours(action)),
        "{found:?}"
    );
}
