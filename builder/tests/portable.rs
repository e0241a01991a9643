//! The program builds for Windows and macOS: what only some systems have stands behind a `cfg` that names them. This looks at the text of
//! the sources, because a compiler for another system is not at hand on every machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What only some systems have.
const NATIVE: [&str; 6] = [
    "os::unix",
    "os::linux",
    "os::fd",
    "os::windows",
    "signal::unix",
    "libc::",
];

/// Words of a `cfg` that name a system.
const SYSTEMS: [&str; 4] = ["unix", "windows", "target_os", "linux"];

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether `lines[at]`, or an item or block around it, has an attribute that names a system.
fn is_guarded(lines: &[&str], at: usize) -> bool {
    let mut level = indent(lines[at]);
    // Whether an attribute at this level would belong to what we came from.
    let mut is_own = true;
    for line in lines[..at].iter().rev() {
        let text = line.trim();
        if text.is_empty() || indent(line) > level {
            continue;
        }
        if indent(line) < level {
            // The head of what we came from, or the first line of its statement.
            (level, is_own) = (indent(line), true);
            continue;
        }
        if is_own && text.starts_with("#[cfg(") && SYSTEMS.iter().any(|of| text.contains(of)) {
            return true;
        }
        let is_attribute = text.starts_with("#[") || text == ")]";
        let is_head = text.starts_with(')') || text.ends_with('(');
        is_own &= is_attribute || text.starts_with("//") || is_head;
    }
    false
}

/// The lines of a source that would not build everywhere, from 1.
fn unguarded(source: &str) -> Vec<usize> {
    let code = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let lines: Vec<_> = code.lines().collect();
    let is_native = |line: &str| {
        let code = line.split("//").next().unwrap();
        NATIVE.iter().any(|name| code.contains(name))
    };
    let found = (0..lines.len()).filter(|&at| is_native(lines[at]) && !is_guarded(&lines, at));
    found.map(|at| at + 1).collect()
}

/// The part of the program that only Unix has, and how it is left out elsewhere.
const UNIX_ONLY: (&str, &str) = ("src/docker", "#[cfg(unix)]\nmod docker;\n");

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|of| of == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn what_only_some_systems_have_is_guarded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (unix_only, guard) = UNIX_ONLY;
    let main = fs::read_to_string(root.join("src/main.rs")).unwrap();
    assert!(main.contains(guard), "src/main.rs");
    let mut files = Vec::new();
    for part in ["src", "format/src", "store/src", "index/src", "tasks/src"] {
        sources(&root.join(part), &mut files);
    }
    assert!(files.len() > 50, "{}", files.len());
    let only = root.join(unix_only);
    files.retain(|file| !file.starts_with(&only) && *file != only.with_extension("rs"));
    for file in files {
        let lines = unguarded(&fs::read_to_string(&file).unwrap());
        assert!(lines.is_empty(), "{}: lines {lines:?}", file.display());
    }
}

#[test]
fn a_missing_guard_would_be_noticed() {
    assert_eq!(unguarded("use std::os::unix::ffi::OsStrExt;\n"), [1]);
    assert_eq!(
        unguarded("#[cfg(unix)]\nuse std::os::unix::ffi::OsStrExt;\n"),
        [0; 0]
    );
    let function = "\
#[cfg(unix)]
#[allow(
    unsafe_code
)]
fn one(
    a: u8,
) {
    let a = 1;

    // Ours.
    libc::getuid();
}

fn two() {
    #[cfg(unix)]
    let a = std::os::unix::one();
    let b = std::os::unix::two();
}
";
    assert_eq!(unguarded(function), [17]);
    let another = "#[cfg(unix)]\nfn one() {}\n\nfn two() {\n    libc::getuid();\n}\n";
    assert_eq!(unguarded(another), [5]);
}
