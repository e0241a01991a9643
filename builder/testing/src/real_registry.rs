//! Debian's `docker-registry`, a real one on a free port of this machine.
//! In: nothing, and repositories to copy. Out: its address. Stopped on drop.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::scratch::scratch;

/// A registry that runs; stopped on drop.
pub struct RealRegistry {
    folder: TempDir,
    host: String,
}

impl RealRegistry {
    /// Starts a registry with nothing in it.
    pub fn start() -> Self {
        let folder = scratch();
        let host = script("start", folder.path());
        Self { folder, host }
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Gives another repository all that one has, faster than pushes could: only links are copied.
    pub fn copy_repository(&self, from: &str, to: &str) {
        let all = self
            .folder
            .path()
            .join("data/docker/registry/v2/repositories");
        copy_folder(&all.join(from), &all.join(to));
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        script("stop", self.folder.path());
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

fn script(verb: &str, folder: &Path) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/registry");
    let output = Command::new(path).arg(verb).arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`make setup` installs what is missing: {said}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
