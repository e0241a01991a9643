//! Runs a CDK app with the compiled construct. In: the app's file. Out: the templates of its stacks. The programs that the
//! construct carries are stood in for by empty files: what runs in tests is what the build made last, not a copy of it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::programs;

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The construct is not there.
    #[error(
        "the construct is not compiled ({missing} is missing); run: cd cdk-construct && npm ci && npm run compile"
    )]
    NotCompiled {
        /// What was looked for.
        missing: PathBuf,
    },
    /// Something could not be read, written or started.
    #[error("cannot synthesize {app}")]
    Io {
        /// The app.
        app: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The app failed.
    #[error("{app} fails:\n{printed}")]
    App {
        /// The app.
        app: PathBuf,
        /// What it printed.
        printed: String,
    },
}

/// The templates of an app's stacks, by the stacks' names.
pub(super) fn synthesize(app: &Path, region: &str) -> Result<BTreeMap<String, Value>, Error> {
    let construct = programs::repository().join("cdk-construct");
    for needed in ["lib/index.js", "node_modules/aws-cdk-lib/package.json"] {
        let missing = construct.join(needed);
        if !missing.is_file() {
            return Err(Error::NotCompiled { missing });
        }
    }
    let io = |source| Error::Io {
        app: app.to_owned(),
        source,
    };
    let package = package(&construct).map_err(io)?;
    let outdir = package.path().join("cdk.out");
    let output = Command::new("node")
        .arg(app)
        .env("CDK_OUTDIR", &outdir)
        .env("STACK_REGION", region)
        .env("NODE_PATH", construct.join("node_modules"))
        .env("SOCI_INDEX_BUILD_PACKAGE", package.path())
        .env("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
        .output()
        .map_err(io)?;
    if !output.status.success() {
        return Err(Error::App {
            app: app.to_owned(),
            printed: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    templates(&outdir).map_err(io)
}

/// The construct's package with other programs in it: its code is copied, for node finds a package by where its files
/// really are.
fn package(construct: &Path) -> io::Result<TempDir> {
    let package = TempDir::new()?;
    let root = package.path();
    fs::create_dir(root.join("lib"))?;
    for entry in fs::read_dir(construct.join("lib"))? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("js"))
            && let Some(name) = path.file_name()
        {
            fs::copy(&path, root.join("lib").join(name))?;
        }
    }
    fs::copy(construct.join("package.json"), root.join("package.json"))?;
    symlink(construct.join("node_modules"), root.join("node_modules"))?;
    for program in ["provider/x86_64.zip", "builder/x86_64.zip"] {
        let path = root.join("assets").join(program);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(path, program)?;
    }
    Ok(package)
}

fn templates(outdir: &Path) -> io::Result<BTreeMap<String, Value>> {
    let mut templates = BTreeMap::new();
    for entry in fs::read_dir(outdir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if let Some(stack) = name.strip_suffix(".template.json") {
            templates.insert(stack.to_owned(), serde_json::from_slice(&fs::read(&path)?)?);
        }
    }
    Ok(templates)
}
