//! The security page names places in the code and tests; they must be there.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{fs, path::PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join(".github/SECURITY.md")).unwrap()
}

/// What stands in backticks and is a file of this repository: its path and, behind `::`, a test in it.
fn named(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.map(|text| match text.split_once("::") {
        Some((path, test)) => (path, Some(test)),
        None => (text, None),
    });
    named.filter(|(path, _)| path.contains('/') && !path.contains(['*', ' ']))
}

/// Whether a source has a test of that name.
fn has_test(source: &str, test: &str) -> bool {
    let (in_rust, in_typescript) = (format!("fn {test}("), format!("test('{test}'"));
    source.contains(&in_rust) || source.contains(&in_typescript)
}

#[test]
fn everything_it_names_is_there() {
    let page = page();
    let mut tests = 0;
    for (path, test) in named(&page) {
        let source = fs::read_to_string(root().join(path))
            .unwrap_or_else(|error| panic!("SECURITY.md names {path}: {error}"));
        if let Some(test) = test {
            assert!(has_test(&source, test), "{path} has no test {test:?}");
            tests += 1;
        }
    }
    assert!(tests > 50, "{tests}");
}

#[test]
fn every_threat_has_a_place_and_a_test() {
    let page = page();
    let threats = page.split_once("\n## Threats\n").unwrap().1;
    let threats = threats.split_once("\n## ").unwrap().0;
    let rows = threats.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|row| !row.starts_with("| threat |"));
    for row in rows {
        assert!(named(row).any(|(_, test)| test.is_none()), "{row}");
        assert!(named(row).any(|(_, test)| test.is_some()), "{row}");
    }
}
