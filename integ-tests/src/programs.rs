//! The programs under test: where the build put them. Knows their names, nothing of what they do.

use std::{
    env,
    path::{Path, PathBuf},
};

use soci_testing::program;

/// The builder; `SOCI_BUILDER` names another one.
///
/// # Panics
/// Where it is not built: no test can go on.
pub fn builder() -> PathBuf {
    built("soci-builder", "SOCI_BUILDER")
}

/// The provider; `SOCI_PROVIDER` names another one.
///
/// # Panics
/// Where it is not built: no test can go on.
pub fn provider() -> PathBuf {
    built("soci-provider", "SOCI_PROVIDER")
}

/// The repository's folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"))
}

fn built(name: &str, variable: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| program::built(name), Into::into)
}
