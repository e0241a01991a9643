//! Data flows one way: a module imports only what stands for it in this table.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, fs, path::Path};

/// A module, and what of the crate it may import. Those above a module know nothing of it.
const ALLOWED: &[(&str, &[&str])] = &[
    ("log", &[]),
    ("pace", &[]),
    ("response_url", &[]),
    ("repository", &[]),
    ("physical_id", &[]),
    ("plan", &[]),
    ("event", &["response_url"]),
    ("properties", &["event", "repository"]),
    ("schedule", &["event", "pace", "response_url"]),
    ("call", &["log", "pace"]),
    ("build", &["call", "event", "plan"]),
    ("image", &["call", "log", "pace", "repository"]),
    ("removal", &["call", "image", "physical_id", "properties"]),
    ("app", &["build", "image", "log", "pace", "repository"]),
    ("verdict", &["build", "error", "physical_id", "properties"]),
    ("error", &["call", "properties"]),
    ("answer", &["event", "log", "physical_id", "verdict"]),
    ("delivery", &["log", "pace", "response_url"]),
    ("hand_over", &["app", "call", "event", "log", "pace"]),
    (
        "work",
        &[
            "app",
            "build",
            "call",
            "error",
            "event",
            "log",
            "pace",
            "physical_id",
            "plan",
            "properties",
            "removal",
            "schedule",
            "verdict",
        ],
    ),
    (
        "handler",
        &[
            "answer",
            "app",
            "call",
            "delivery",
            "error",
            "event",
            "hand_over",
            "log",
            "pace",
            "plan",
            "properties",
            "schedule",
            "work",
        ],
    ),
    // The program sees the library from outside.
    ("main", &[]),
    ("lib", &[]),
];

/// Every source file, under the name of its module.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, module: Option<&str>, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let own = path.file_stem().unwrap().to_str().unwrap();
            let module = module.unwrap_or(own);
            if path.is_dir() {
                collect(&path, Some(module), found);
            } else {
                found.push((module.to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        None,
        &mut found,
    );
    found
}

/// The names behind `crate::`, also those in braces.
fn imports(source: &str) -> BTreeSet<String> {
    // What a module's own tests import is no part of the flow.
    let code = source.split("#[cfg(test)]").next().unwrap();
    let code: Vec<&str> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let name = |text: &str| {
        let text = text.trim_start();
        let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let after = &code[at + path.len()..];
        let Some(list) = after.strip_prefix('{') else {
            found.insert(name(after));
            continue;
        };
        let mut depth = 0;
        let mut item = String::new();
        for c in list.chars() {
            match c {
                '}' if depth == 0 => break,
                ',' if depth == 0 => found.extend([name(&std::mem::take(&mut item))]),
                '{' => depth += 1,
                '}' => depth -= 1,
                _ if depth == 0 => item.push(c),
                _ => {}
            }
        }
        found.insert(name(&item));
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn imports_are_read() {
    let source = "use crate::{\n    a::{self, b::{c, d}},\n    e, f::g,\n};\n// crate::h\nuse crate::i::j;\nfn k() -> \
                  crate::l::M {}\nuse super::n;\n#[cfg(test)]\nmod tests { use crate::o; }";
    assert_eq!(
        imports(source),
        BTreeSet::from(["a", "e", "f", "i", "l"].map(str::to_owned))
    );
}

#[test]
fn data_flows_one_way() {
    for (module, source) in sources() {
        let row = ALLOWED.iter().find(|(of, _)| *of == module);
        let (_, allowed) = row.unwrap_or_else(|| panic!("src/{module}.rs has no row in the table"));
        for import in imports(&source) {
            assert!(
                import == module || allowed.contains(&import.as_str()),
                "src/{module}.rs imports {import}, which stands against the flow"
            );
        }
    }
}

#[test]
fn the_table_has_no_circle() {
    let mut left: Vec<_> = ALLOWED.to_vec();
    while !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
        let before = left.len();
        left.retain(|(_, imports)| imports.iter().any(|import| names.contains(import)));
        assert!(left.len() < before, "a circle among {names:?}");
    }
}

#[test]
fn every_row_is_of_a_file() {
    let files: BTreeSet<String> = sources().into_iter().map(|(module, _)| module).collect();
    for (row, _) in ALLOWED {
        assert!(files.contains(*row), "there is no src/{row}.rs");
    }
}

#[test]
fn the_plan_is_pure() {
    for (module, source) in sources() {
        let is_pure = ["plan", "verdict", "properties", "physical_id"].contains(&module.as_str());
        for word in [
            "SystemTime::now",
            "Instant::now",
            "env::",
            "async ",
            "aws_sdk",
        ] {
            assert!(
                !(is_pure && source.contains(word)),
                "src/{module}.rs has {word}"
            );
        }
    }
}
