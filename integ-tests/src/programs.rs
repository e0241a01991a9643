//! The programs under test: where the build put them. Knows their names, nothing of what they do.

use std::{
    env,
    path::{Path, PathBuf},
};

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
    if let Some(path) = env::var_os(variable) {
        return path.into();
    }
    // Tests run in target/<profile>/deps, the program in target/<profile>.
    let own = env::current_exe().unwrap_or_default();
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not built; run: cargo build --workspace"))
}
