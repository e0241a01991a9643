//! Data flows one way: a module imports only what stands for it in this table.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A module or one file of it, and what of the crate it may import. A file without a row of its own has its module's.
const ALLOWED: &[(&str, &[&str])] = &[
    ("processor", &[]),
    ("digest", &["processor"]),
    ("printable", &[]),
    ("shell", &[]),
    ("plural", &[]),
    ("inflate", &["plural", "processor"]),
    ("limits", &[]),
    ("tar", &["limits", "plural"]),
    ("oci", &["digest", "shell"]),
    ("ztoc", &["digest", "inflate", "plural"]),
    (
        "layer",
        &["digest", "inflate", "limits", "oci", "tar", "ztoc"],
    ),
    (
        "registry",
        &["digest", "limits", "oci", "plural", "printable"],
    ),
    (
        "layout",
        &["digest", "limits", "oci", "plural", "shell", "tar"],
    ),
    ("store", &["digest", "layout", "limits", "oci", "registry"]),
    ("index", &["digest", "oci", "ztoc"]),
    ("choice", &["digest", "oci"]),
    ("image", &["choice", "digest", "index", "oci"]),
    (
        "load",
        &["digest", "image", "index", "limits", "oci", "store"],
    ),
    ("convert", &["choice", "digest", "image", "index", "oci"]),
    ("plan", &["digest", "index", "oci", "plural"]),
    // The file system that layers make knows neither stores nor images.
    ("tree", &["limits", "tar", "ztoc"]),
    (
        "reader",
        &[
            "digest", "image", "index", "inflate", "layer", "load", "oci", "plural", "store",
            "tar", "tree", "ztoc",
        ],
    ),
    ("reader/spans", &["digest", "inflate", "plural", "ztoc"]),
    ("report", &["digest", "image"]),
    ("progress", &["digest", "report"]),
    (
        "run",
        &[
            "choice",
            "convert",
            "digest",
            "image",
            "index",
            "layer",
            "layout",
            "limits",
            "load",
            "oci",
            "plan",
            "plural",
            "printable",
            "progress",
            "registry",
            "report",
            "store",
            "tar",
            "tree",
            "ztoc",
        ],
    ),
    // It checks runs, and tells errors in their words.
    (
        "verify",
        &[
            "digest", "image", "index", "inflate", "layer", "load", "oci", "plural", "reader",
            "run", "store", "ztoc",
        ],
    ),
    ("start", &["oci", "reader", "tar", "tree"]),
    (
        "page",
        &["digest", "index", "plural", "reader", "start", "tar"],
    ),
    // The program sees the library from outside.
    ("ending", &[]),
    ("cli", &["ending"]),
    ("signals", &[]),
    ("supervise", &["cli", "ending", "signals"]),
    ("main", &["cli", "ending", "memory", "signals", "supervise"]),
    ("memory", &[]),
    ("lib", &[]),
];

fn allowed(file: &str) -> Option<&'static [&'static str]> {
    let row = |name: &str| ALLOWED.iter().find(|(of, _)| *of == name);
    let module = file.split('/').next().unwrap();
    row(file)
        .or_else(|| row(module))
        .map(|(_, allowed)| *allowed)
}

/// What a source file takes from its crate, by the names behind `crate::`.
fn imports(source: &str) -> BTreeSet<String> {
    let lines = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let after = &code[at + path.len()..];
        match after.strip_prefix('{') {
            None => found.extend(name(after)),
            Some(list) => {
                let mut depth = 0;
                for item in list.split_inclusive(['{', ',', '}']) {
                    if depth == 0 {
                        found.extend(name(item));
                    }
                    match item.chars().last() {
                        Some('{') => depth += 1,
                        Some('}') if depth == 0 => break,
                        Some('}') => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn name(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    let name = &text[..end.unwrap_or(text.len())];
    (!name.is_empty()).then(|| name.to_owned())
}

/// Every source file, by its path under `src` without the ending.
fn sources() -> BTreeMap<String, String> {
    fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let named = files.iter().map(|path| {
        let file = path.strip_prefix(&root).unwrap().with_extension("");
        (
            file.to_str().unwrap().to_owned(),
            fs::read_to_string(path).unwrap(),
        )
    });
    named.collect()
}

#[test]
fn imports_are_read() {
    let source = "use crate::{\n    a::{self, b::{c, d}}, e, f::g,\n};\n// crate::h\npub(crate) use crate::i::j;\n
        fn k() -> crate::l::M {}\nuse super::n;\nuse other::{o};";
    assert_eq!(
        imports(source),
        BTreeSet::from(["a", "e", "f", "i", "l"].map(str::to_owned))
    );
}

#[test]
fn data_flows_one_way() {
    for (file, source) in sources() {
        let module = file.split('/').next().unwrap().to_owned();
        let allowed =
            allowed(&file).unwrap_or_else(|| panic!("src/{file}.rs has no row in the table"));
        for import in imports(&source) {
            assert!(
                import == module || allowed.contains(&import.as_str()),
                "src/{file}.rs imports {import}, which stands against the flow"
            );
        }
    }
}

#[test]
fn the_library_knows_nothing_of_the_program() {
    for (file, source) in sources() {
        if !(file == "main" || file.starts_with("cli")) {
            assert!(
                !source.contains("clap"),
                "src/{file}.rs knows the command line"
            );
            assert!(!source.contains("println!"), "src/{file}.rs prints");
        }
    }
}

#[test]
fn the_table_has_no_circle() {
    let mut left: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    while !left.is_empty() {
        let first = left
            .iter()
            .find(|(_, imports)| imports.iter().all(|import| !left.contains_key(import)))
            .map(|(&module, _)| module);
        let first = first.unwrap_or_else(|| panic!("a circle among {:?}", left.keys()));
        left.remove(first);
    }
}

#[test]
fn every_row_is_of_a_file() {
    let sources = sources();
    for (row, _) in ALLOWED {
        assert!(sources.contains_key(*row), "there is no src/{row}.rs");
    }
}
